"""What happens around a guarded call: before it, and with its answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ._costs import Limit
from .answers import read_answer
from .arguments import read, read_value
from .chunks import Chunks
from .conversation import Conversation, current
from .engine import Engine, OnError
from .errors import PromptGuardError
from .escapes import raised
from .guard import Guard
from .handlers import (
    Call,
    Escalate,
    answered,
    asks_again,
    complete,
    decided,
    last,
    no_stream,
    note,
    together,
)
from .hooks import emit, unseen
from .instead import in_place
from .joined import joined
from .messages import Found
from .placeholders import Placeholders
from .reasking import told
from .shapes import changed
from .streams import AsyncGuardedStream, GuardedStream, arun, run
from .turns import checked
from .verdict import Action, Verdict
from .views import delivered, first_blocked, redactions, restored, views_of
from .watching import WatchedChunks

__all__ = ["GuardedCall"]

T = TypeVar("T")
Checks = Generator[Engine | Call, Any, T]


class Admitted(NamedTuple):
    """What the check of the arguments came to: what to call with, or an answer."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    placeholders: Placeholders | None = None
    over: bool = False
    answer: Any = None
    conversation: Conversation | None = None


@dataclass(frozen=True, slots=True)
class GuardedCall:
    """A guarded function: what happens before it is called, and after."""

    fn: Callable[..., Any]
    input: Guard | None
    output: Guard | None
    prompt: str | Callable[..., Any] | None
    on_block: Any
    on_error: OnError
    restore: bool
    names: tuple[str, ...]
    _: KW_ONLY
    dry_run: bool = False
    budget: Limit = None

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Checks[Admitted]:
        """Check the arguments and redact them."""
        talk = current()
        own = None if talk is None else talk.placeholders
        if self.input is None:
            return Admitted(args, kwargs, own, conversation=talk)
        if not self.dry_run:
            return (yield from self._before(self.input, args, kwargs, talk))
        try:
            found = self.found(args, kwargs)
            verdicts, _ = yield from self._check(self.input, found, own, talk, None)
            emit(tuple(replace(verdict, dry_run=True) for verdict in verdicts))
            if talk is not None:
                talk.went_on(found.parts, None)
        except PromptGuardError as error:
            unseen(error)
        return Admitted(args, kwargs, own, conversation=talk)

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """The texts in the arguments."""
        if self.prompt is None or isinstance(self.prompt, str):
            return read(args, kwargs, self.names, self.prompt)
        found = read_value(self.prompt(*args, **kwargs))
        parts = tuple(replace(part, form="fixed") for part in found.parts)
        return replace(found, parts=parts)

    def answered(self, value: Any) -> Found:
        """The texts in an answer that is not a stream."""
        return read_answer(value)

    def told(self, found: Found, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
        """The verdicts on an answer that hooks get to see."""
        return verdicts

    def worded(self, words: str, value: Any) -> Any:
        """Words in place of an answer, in an answer of the same shape."""
        return in_place(value, words)

    def shaped(self, answer: Any, verdict: Verdict) -> Any:
        """What ``on_block`` gave, in the shape that the caller waits for."""
        return answer

    def stream(self, value: Any, chunks: Chunks, end: Callable[[Verdict], Any]) -> Any:
        """What stands in for a stream; ``end`` gives what it ends with."""
        return GuardedStream(value, chunks, end)

    def astream(self, value: Any, chunks: Chunks, end: Callable[[Verdict], Any]) -> Any:
        """The same for ``async for``."""
        return AsyncGuardedStream(value, chunks, end)

    def last_chunk(self, words: str, chunks: Chunks) -> Any:
        """Words as the last chunk of a stream."""
        return chunks.place(words)

    def watches(self, go: Admitted) -> bool:
        """True when the answer is to be looked at."""
        return self.output is not None or bool(self.restore and go.placeholders)

    def after(self, value: Any, go: Admitted) -> Checks[Any]:
        """Check an answer that is not a stream, redact it, and restore into it.

        Raises:
            Blocked: A guard decided so, and ``on_block`` has no answer.
        """
        if self.dry_run:
            yield from self._watched(value, go)
            return value
        handler = last(self.on_block)
        for left in reversed(range(asks_again(self.on_block) + 1)):
            final = None if left else handler
            answer, blocked, words = yield from self._after(value, go, final)
            if blocked is None:
                return answer
            if not left:
                place = partial(self.worded, value=value)
                said = yield from answered(handler, blocked, words, place)
                return self.shaped(said, blocked)
            parts = self.found(go.args, dict(go.kwargs)).parts
            more = told(go.args, go.kwargs, self.names, parts, note(blocked))
            value = yield Call(self.fn, *more)
            if _is_stream(value):
                raise no_stream()

    def finish(self, value: Any, go: Admitted) -> Any:
        """Look at what a plain function returned."""
        if not self.watches(go):
            return value
        if _is_stream(value):
            stream = self._stream(value, go, not hasattr(value, "__next__"))
            if self._wants_whole:
                if isinstance(stream, GuardedStream):
                    stream.close()
                raise no_stream()
            return stream
        if inspect.isawaitable(value):
            return self._later(value, go)
        return run(self.after(value, go))

    async def afinish(self, value: Any, go: Admitted) -> Any:
        """Look at what an async function returned."""
        if not self.watches(go):
            return value
        if _is_stream(value):
            # Some streams can be read either way.
            later = hasattr(value, "__anext__")
            if self._wants_whole and later:
                await self._stream(value, go, later).close()
                raise no_stream()
            if later:
                return self._stream(value, go, later)
            return self.finish(value, go)
        return await arun(self.after(value, go))

    async def _later(self, value: Any, go: Admitted) -> Any:
        return await self.afinish(await value, go)

    def _before(
        self,
        guard: Guard,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        talk: Conversation | None,
    ) -> Checks[Admitted]:
        found = self.found(args, kwargs)
        own = None if talk is None else talk.placeholders
        handler = last(self.on_block)
        verdicts, placeholders = yield from self._check(guard, found, own, talk, own)
        verdicts, words, placeholders = yield from self._decided(
            guard, handler, found, verdicts, placeholders, own, talk
        )
        emit(verdicts)
        blocked = first_blocked(verdicts)
        if blocked is not None:
            said = yield from answered(handler, blocked, words, str)
            answer = self.shaped(said, blocked)
            return Admitted(args, kwargs, over=True, answer=answer)
        texts = redactions(found, verdicts)
        if talk is not None:
            texts |= talk.hidden((args, kwargs), {part.path for part in found.parts})
            talk.went_on(found.parts, verdicts)
        if texts:
            args, kwargs = changed((args, kwargs), texts)
        return Admitted(args, kwargs, placeholders, conversation=talk)

    def _after(
        self, value: Any, go: Admitted, handler: Any
    ) -> Checks[tuple[Any, Verdict | None, str | None]]:
        """The answer; or why it is blocked, and what an escalation says instead."""
        found = self.answered(value)
        if self.output is not None and found.parts:
            guard, own, talk = self.output, go.placeholders, go.conversation
            verdicts, values = yield from self._check(guard, found, own, talk, None)
            answer, verdicts = delivered(value, found, verdicts)
            verdicts, words, _ = yield from self._decided(
                guard, handler, found, verdicts, values, own, talk
            )
            if not first_blocked(verdicts):
                answer, verdicts = delivered(value, found, verdicts)
            emit(self.told(found, verdicts))
            blocked = first_blocked(verdicts)
            if blocked is not None:
                return None, blocked, words
            value = answer
        if go.conversation is not None and found.parts:
            went = self.answered(value).parts
            go.conversation.went_on(went, None)
        if self.restore and go.placeholders:
            value = restored(value, go.placeholders)
        return value, None, None

    def _watched(self, value: Any, go: Admitted) -> Checks[None]:
        """Look at an answer that goes on as it is."""
        own, talk = go.placeholders, go.conversation
        try:
            found = self.answered(value)
            if self.output is not None and found.parts:
                checks = self._check(self.output, found, own, talk, None)
                verdicts, _ = yield from checks
                _, verdicts = delivered(value, found, verdicts)
                emit(tuple(replace(verdict, dry_run=True) for verdict in verdicts))
            if talk is not None:
                talk.went_on(found.parts, None)
        except PromptGuardError as error:
            unseen(error)

    @property
    def _wants_whole(self) -> bool:
        """True when a stream is refused, because it could not be asked for again."""
        return asks_again(self.on_block) > 0 and not self.dry_run

    def _stream(self, value: Any, go: Admitted, later: bool) -> Any:
        """What stands in for a stream, of which ``later`` says how it is read."""
        if self.dry_run:
            chunks: Chunks = WatchedChunks(self.output, self.budget)
        else:
            own, on_block = go.placeholders, self.on_block
            options = self.on_error, own, self.restore, on_block
            chunks = Chunks(self.output, *options, budget=self.budget)

        def answer(verdict: Verdict) -> Any:
            return run(self._end(verdict, chunks))

        async def aanswer(verdict: Verdict) -> Any:
            return await arun(self._end(verdict, chunks))

        if later:
            return self.astream(value, chunks, aanswer)
        return self.stream(value, chunks, answer)

    def _end(self, verdict: Verdict, chunks: Chunks) -> Checks[Any]:
        """The last chunk of a stream that is blocked."""
        handler = self.on_block
        place = partial(self.last_chunk, chunks=chunks)
        return (yield from answered(handler, verdict, chunks.words, place))

    def _decided(
        self,
        guard: Guard,
        handler: Any,
        found: Found,
        verdicts: tuple[Verdict, ...],
        placeholders: Placeholders | None,
        own: Placeholders | None,
        talk: Conversation | None,
    ) -> Checks[tuple[tuple[Verdict, ...], str | None, Placeholders | None]]:
        """What an escalation makes of the texts that are blocked."""
        if not isinstance(handler, Escalate) or not first_blocked(verdicts):
            return verdicts, None, placeholders
        placeholders = Placeholders() if placeholders is None else placeholders
        made = list(verdicts)
        words: str | None = None
        views, texts, split = views_of(found, own, talk)
        for index, (part, view) in enumerate(zip(found.parts, views, strict=True)):
            before = [w._replace(place=0) for w in split if w.place == index]
            whole = yield from complete(guard, texts[index], before)
            # Whatever the second look comes to, what the first one found stands.
            second = view.verdict(whole, placeholders)
            rest = part.form, placeholders
            verdict = together(verdicts[index], second, *rest)
            if verdict.degraded and self.on_error == "block":
                verdict = raised(verdict)
            else:
                verdict, words = yield from decided(handler, verdict, *rest)
            made[index] = verdict
            if verdict.blocked:
                break
        return tuple(made), words, placeholders

    def _check(
        self,
        guard: Guard,
        found: Found,
        own: Placeholders | None,
        talk: Conversation | None,
        kept: Placeholders | None,
    ) -> Checks[tuple[tuple[Verdict, ...], Placeholders | None]]:
        """One verdict for each text, and the values that were taken out."""
        views, texts, split = views_of(found, own, talk)
        on_error = "allow" if self.dry_run else self.on_error
        rest = on_error, self.budget
        verdicts = yield from checked(guard, texts, split, *rest)
        verdicts = yield from joined(guard, found.parts, texts, verdicts, *rest)
        placeholders = kept
        if placeholders is None and any(v.action is Action.REDACT for v in verdicts):
            placeholders = Placeholders()
        return tuple(
            view.verdict(verdict, placeholders)
            for view, verdict in zip(views, verdicts, strict=True)
        ), placeholders


def _is_stream(value: Any) -> bool:
    return hasattr(value, "__next__") or hasattr(value, "__anext__")
