"""One request to a service: the guards of a policy around a body and its answer.

    call = serve(policy, "chat", body, send)
    go = await call.admit(body)              # raises Blocked, or go.kwargs may be sent
    answer = await call.deliver(answer, go)  # or call.relay(go), for a stream

The body and the answer are what JSON gives: mappings, lists, strings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..answers import read_answer
from ..call import Admitted, GuardedCall
from ..chunks import Chunks
from ..drivers import adrive, off_loop
from ..engine import Engine
from ..errors import Blocked, ConfigError
from ..escapes import fixed
from ..events import seen
from ..handlers import Reask, asks_again, last
from ..hooks import emit
from ..items import Part
from ..messages import Found
from ..shapes import Path, get
from ..streams import arun
from ..text import Text
from ..verdict import Verdict
from ..watching import WatchedChunks
from .bodies import MOST_CHOICES, offered, read_body
from .endings import ID, Told, bare, cut, whole
from .relays import Relay
from .replies import Heard, known, models, new_names, vectors

if TYPE_CHECKING:
    from ..conversation import Conversation
    from ..guard import Guard
    from ..policy import Policy

__all__ = [
    "Admitted",
    "Ended",
    "Kind",
    "Relay",
    "ServedCall",
    "check_texts",
    "models",
    "serve",
]

# Where in an answer that stands what is read together: in no one place.
_LABELS: Path = ("labels",)

Kind = Literal["chat", "completions", "responses"]
"""The shape of an answer that holds text."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer of our own to a stream that was never asked for: its chunks."""

    chunks: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServedCall(GuardedCall):
    """The guards around one request.

    Args:
        kind: The shape of the answer; None where it holds no text.
        streams: The answer is a stream.
        new: Only the messages after the last answer are looked at.
        media: What cannot be read, images and the like, may go on.
        logprobs: Log-probabilities may go on.
        most: How many texts there may be.
        largest: How many characters they may have together.
        body: What was asked for.
        read: The texts of it, when they are read.
        ready: The same until they are checked.
        large: The body takes too long to read for an event loop.
        labels: What answers have said beside their texts.
    """

    _: KW_ONLY
    kind: Kind | None
    streams: bool
    new: bool = False
    media: bool = True
    logprobs: bool = False
    most: int = 2048
    largest: int = 200_000
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    read: list[Found] = field(default_factory=list, repr=False, compare=False)
    ready: list[Found] = field(default_factory=list, repr=False, compare=False)
    large: bool = False
    labels: list[str] = field(default_factory=list, repr=False, compare=False)

    async def admit(self, body: Mapping[str, Any]) -> Admitted:
        """Check a body; what may be sent is in ``kwargs``, unless it is ``over``.

        Raises:
            Blocked: A guard decided that it must not go on.
            ConfigError: A part of it cannot be read.
            GuardError: A guard broke.
        """
        if self.large and self.input is not None and not self.dry_run:
            self.ready.append(await off_loop(partial(self.found, (), body)))
        return await arun(self.before((), dict(body)))

    async def deliver(self, answer: dict[str, Any], go: Admitted) -> dict[str, Any]:
        """A whole answer as it may go; a blocked one is cut off as by a filter.

        Of several choices each is looked at by itself, and one that is blocked does
        not cut the others.

        Raises:
            ConfigError: It is of no known shape.
            GuardError: A guard broke.
        """
        if self.kind is None:
            return vectors(answer)
        if not self.watches(go):
            return answer
        choices = answer.get("choices")
        several = isinstance(choices, list) and len(choices) > 1
        if not several or self.dry_run or asks_again(self.on_block):
            return await self._delivered(answer, go)
        assert isinstance(choices, list)
        alone = [{**answer, "choices": [choice]} for choice in choices]
        made = await asyncio.gather(*(self._delivered(one, go) for one in alone))
        if all(new is old for new, old in zip(made, alone, strict=True)):
            return answer
        # An answer that is cut off before it was looked at has a frame of our own.
        frame = next((one for one in made if one.get("id") != ID), made[0])
        said = [
            {**new, "index": get(old, "index")}
            for one, old in zip(made, choices, strict=True)
            for new in one["choices"][:1]
        ]
        return {**frame, "choices": said}

    async def _delivered(self, answer: dict[str, Any], go: Admitted) -> dict[str, Any]:
        assert self.kind is not None
        frame = bare(self.kind, self.body, answer)
        try:
            answer = await self.looked(answer)
            made: dict[str, Any] = await arun(self.after(answer, go))
            return made
        except Blocked as blocked:
            labels = blocked.verdict.original in self.labels
            return cut(self.kind, frame if labels else answer, blocked.verdict)

    async def looked(self, value: dict[str, Any]) -> dict[str, Any]:
        """An answer without what the guards would not see.

        Raises:
            Blocked: The name of a tool that the request did not offer says too much.
        """
        if self.output is None or self.dry_run:
            return value
        await self.named(value, Heard(self.body))
        return known(value, logprobs=self.logprobs)

    def answered(self, value: Any) -> Found:
        """The texts in an answer, and before them what it says beside its texts."""
        found = read_answer(value)
        if self.output is None or self.dry_run:
            return found
        heard = Heard(self.body, self.logprobs)
        labels, texts = heard.unread(value, {part.path for part in found.parts})
        said = (labels, "developer", heard.ids), (texts, "assistant", frozenset[str]())
        beside = [
            Part(_LABELS, text, role, form="fixed", ids=ids)
            for text, role, ids in said
            if text
        ]
        self.labels.extend(part.text for part in beside)
        return replace(found, parts=(*beside, *found.parts))

    def told(self, found: Found, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        """The verdicts on the texts, and on the rest where something was found."""
        return tuple(
            [
                verdict
                for part, verdict in zip(found.parts, verdicts, strict=True)
                if part.path is not _LABELS or verdict.findings
            ]
        )

    async def named(self, value: dict[str, Any], heard: Heard) -> None:
        """Look at the names of called tools.

        Raises:
            Blocked: One says too much.
        """
        if self.output is None or self.dry_run:
            return
        names = [*new_names(value, offered(self.body), heard.names)]
        if names:
            emit(await self._checked([Text(name, "assistant") for name in names]))

    async def labelled(self, value: dict[str, Any], heard: Heard) -> dict[str, Any]:
        """A chunk without what is left out, when what is no text was looked at.

        Raises:
            Blocked: An id, a key or an unknown field says too much.
        """
        if self.output is None or self.dry_run:
            return value
        value = known(value, logprobs=self.logprobs)
        labels, texts = heard.unread(value, _read(value))
        said = [Text(labels, "developer"), Text(texts, "assistant")]
        texts_ = [text for text in said if text.original]
        verdicts = await self._checked(texts_, heard.ids)
        emit(tuple(verdict for verdict in verdicts if verdict.findings))
        return value

    async def _checked(
        self, texts: list[Text], ids: frozenset[str] = frozenset()
    ) -> tuple[Verdict, ...]:
        """Verdicts on what cannot be rewritten; a redaction blocks."""
        if not texts:
            return ()
        assert self.output is not None
        engine = Engine(
            self.output,
            texts,
            on_error=self.on_error,
            budget=self.budget,
            together=True,
        )
        verdicts = tuple(fixed(verdict, ids) for verdict in await adrive(engine))
        for verdict in verdicts:
            if verdict.blocked:
                emit((verdict,))
                raise Blocked(verdict)
        return verdicts

    def relay(self, go: Admitted) -> Relay:
        """What a stream goes through."""
        return Relay(self, go)

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """The texts of a body; those of the first one that is read are noted."""
        if self.ready:
            return self.ready.pop()
        found = read_body(kwargs, new=self.new, most=self.most)
        size = sum(len(part.text) for part in found.parts)
        if size > self.largest:
            raise ConfigError(
                f"the request has {size} characters of text; at most {self.largest} "
                "are read"
            )
        if not self.media and any(part.coverage < 1 for part in found.parts):
            raise ConfigError("the request has images, audio or files, which are off")
        if not self.read:
            self.read.append(found)
        return found

    def worded(self, words: str, value: Any) -> Any:
        return whole(self.kind or "", self.body, words)

    def shaped(self, answer: Any, verdict: Verdict) -> Any:
        if self.kind is None:
            # There is no saying a text with numbers.
            raise Blocked(verdict)
        if not isinstance(answer, str):
            return answer
        if self.streams:
            told = Told(self.kind, self.body, dict)
            return Ended(tuple(told.ending(answer)))
        return whole(self.kind, self.body, answer)

    def last_chunk(self, words: str, chunks: Chunks) -> Any:
        return words

    def chunks(self, go: Admitted) -> Chunks:
        """What decides which chunks of a stream may go."""
        if self.dry_run:
            return WatchedChunks(self.output, self.budget)
        options = self.on_error, go.placeholders, self.restore, self.on_block
        return Chunks(self.output, *options, budget=self.budget)


def _read(chunk: dict[str, Any]) -> set[Path]:
    """Where the texts of a chunk stand that the guards read."""
    held = seen(chunk)
    return {piece.path for piece in held.pieces} | {part.path for part in held.parts}


def serve(
    policy: Policy,
    kind: Kind | None,
    body: Mapping[str, Any],
    send: Callable[..., Any],
    **limits: Any,
) -> ServedCall:
    """The guards of a policy around one request.

    Args:
        policy: What is checked, and what happens then.
        kind: The shape of the answer; None where it holds no text.
        body: What was asked for.
        send: Asks again, for a policy that does; an async function of the body.
        limits: See ServedCall.

    Raises:
        ConfigError: More answers are asked for than one request may have.
    """
    number = body.get("n")
    number = 1 if number is None else number
    if type(number) is not int or not 1 <= number <= MOST_CHOICES:
        raise ConfigError(f"n must be a whole number from 1 to {MOST_CHOICES}")
    streams = body.get("stream") is True
    on_block = policy.on_block
    if streams and isinstance(on_block, Reask):
        # Parts of a stream are gone before it is known to be blocked.
        on_block = last(on_block)

    async def again(**body: Any) -> dict[str, Any]:
        return await call.looked(await send(body))

    call = ServedCall(
        again,
        policy.input,
        policy.output if kind is not None else None,
        None,
        on_block,
        policy.on_error,
        policy.restore and kind is not None,
        (),
        dry_run=policy.dry_run,
        budget=policy.budget,
        kind=kind,
        streams=streams,
        body=body,
        **limits,
    )
    return call


async def check_texts(
    guard: Guard | None,
    items: Sequence[tuple[str, str]],
    policy: Policy,
    talk: Conversation | None = None,
) -> tuple[Verdict, ...]:
    """A verdict for each text, as the policy would have it.

    Args:
        guard: Those of the policy for this direction; None finds nothing, and the
            coverage says so.
        items: The texts, each with its role.
        policy: What happens when a guard breaks, and the budget.
        talk: The conversation whose next turns they are.

    Raises:
        GuardError: A guard broke.
    """
    if guard is None:
        return tuple(Verdict(text, text=text, coverage=0.0) for text, _ in items)
    options: dict[str, Any] = {"on_error": policy.on_error, "budget": policy.budget}
    if talk is None:
        texts = [Text(text, role) for text, role in items]
        verdicts = await adrive(Engine(guard, texts, **options))
    else:
        verdicts = tuple(
            [await talk.acheck(guard, text, role, **options) for text, role in items]
        )
    if policy.dry_run:
        verdicts = tuple(replace(verdict, dry_run=True) for verdict in verdicts)
    return verdicts if talk is not None else emit(verdicts)
