"""What happens around a guarded call: before it, and with its answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from .arguments import read, read_value
from .chunks import Chunks
from .engine import Engine, OnError
from .errors import PromptGuardError
from .escapes import Escaped, raised, veiled
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
from .messages import Found, Part, Undeliverable, read_answer, rewritten
from .placeholders import Placeholders, redact
from .reasking import told
from .restoring import Restorer
from .shapes import Path, changed
from .streams import AsyncGuardedStream, GuardedStream, arun, run
from .text import Text
from .verdict import Action, Verdict
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


def _as_it_is(words: str) -> Any:
    return words


@dataclass(frozen=True, slots=True)
class GuardedCall:
    """A guarded function: what happens before it is called, and after.

    Args:
        place: Puts words into an answer where the function was not called.
    """

    fn: Callable[..., Any]
    input: Guard | None
    output: Guard | None
    prompt: str | Callable[..., Any] | None
    on_block: Any
    on_error: OnError
    restore: bool
    names: tuple[str, ...]
    dry_run: bool = False
    place: Callable[[str], Any] = _as_it_is

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Checks[Admitted]:
        """Check the arguments and redact them."""
        if self.input is None:
            return Admitted(args, kwargs)
        if not self.dry_run:
            return (yield from self._before(self.input, args, kwargs))
        try:
            found = self._texts(args, kwargs)
            verdicts, _ = yield from self._check(self.input, found, None)
            emit(tuple(replace(verdict, dry_run=True) for verdict in verdicts))
        except PromptGuardError as error:
            unseen(error)
        return Admitted(args, kwargs)

    def watches(self, go: Admitted) -> bool:
        """True when the answer is to be looked at."""
        return self.output is not None or bool(self.restore and go.placeholders)

    def after(self, value: Any, go: Admitted) -> Checks[Any]:
        """Check an answer that is not a stream, redact it, and restore into it.

        Raises:
            Blocked: A guard decided so, and ``on_block`` has no answer.
        """
        if self.dry_run:
            yield from self._watched(value)
            return value
        handler = last(self.on_block)
        for left in reversed(range(asks_again(self.on_block) + 1)):
            final = None if left else handler
            answer, blocked, words = yield from self._after(value, go, final)
            if blocked is None:
                return answer
            if not left:
                place = partial(in_place, value)
                return (yield from answered(handler, blocked, words, place))
            assert not callable(self.prompt)  # check_reask refuses the two together
            more = go.args, go.kwargs, self.names, self.prompt, note(blocked)
            value = yield Call(self.fn, *told(*more))
            if _is_stream(value):
                raise no_stream()

    def finish(self, value: Any, go: Admitted) -> Any:
        """Look at what a plain function returned."""
        if not self.watches(go):
            return value
        if _is_stream(value):
            stream = self._stream(value, go)
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
            if self._wants_whole and hasattr(value, "__anext__"):
                await self._stream(value, go).close()
            return self.finish(value, go)
        return await arun(self.after(value, go))

    async def _later(self, value: Any, go: Admitted) -> Any:
        return await self.afinish(await value, go)

    def _texts(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Found:
        if self.prompt is None or isinstance(self.prompt, str):
            return read(args, kwargs, self.names, self.prompt)
        found = read_value(self.prompt(*args, **kwargs))
        parts = tuple(replace(part, form="fixed") for part in found.parts)
        return replace(found, parts=parts)

    def _before(
        self, guard: Guard, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Checks[Admitted]:
        found = self._texts(args, kwargs)
        handler = last(self.on_block)
        verdicts, placeholders = yield from self._check(guard, found, None)
        verdicts, words, placeholders = yield from self._decided(
            guard, handler, found, verdicts, placeholders, None
        )
        emit(verdicts)
        blocked = _blocked(verdicts)
        if blocked is not None:
            answer = yield from answered(handler, blocked, words, self.place)
            return Admitted(args, kwargs, over=True, answer=answer)
        if texts := _redacted(found, verdicts):
            args, kwargs = changed((args, kwargs), texts)
        return Admitted(args, kwargs, placeholders)

    def _after(
        self, value: Any, go: Admitted, handler: Any
    ) -> Checks[tuple[Any, Verdict | None, str | None]]:
        """The answer; or why it is blocked, and what an escalation says instead."""
        found = read_answer(value)
        if self.output is not None and found.parts:
            guard, own = self.output, go.placeholders
            verdicts, values = yield from self._check(guard, found, own)
            answer, verdicts = _delivered(value, found, verdicts)
            verdicts, words, _ = yield from self._decided(
                guard, handler, found, verdicts, values, own
            )
            if not _blocked(verdicts):
                answer, verdicts = _delivered(value, found, verdicts)
            emit(verdicts)
            blocked = _blocked(verdicts)
            if blocked is not None:
                return None, blocked, words
            value = answer
        if self.restore and go.placeholders:
            value = _restored(value, go.placeholders)
        return value, None, None

    def _watched(self, value: Any) -> Checks[None]:
        """Look at an answer that goes on as it is."""
        try:
            found = read_answer(value)
            if self.output is not None and found.parts:
                verdicts, _ = yield from self._check(self.output, found, None)
                _, verdicts = _delivered(value, found, verdicts)
                emit(tuple(replace(verdict, dry_run=True) for verdict in verdicts))
        except PromptGuardError as error:
            unseen(error)

    @property
    def _wants_whole(self) -> bool:
        """True when a stream is refused, because it could not be asked for again."""
        return asks_again(self.on_block) > 0 and not self.dry_run

    def _stream(self, value: Any, go: Admitted) -> Any:
        """What stands in for a stream."""
        if self.dry_run:
            chunks: Chunks = WatchedChunks(self.output)
        else:
            own, on_block = go.placeholders, self.on_block
            chunks = Chunks(self.output, self.on_error, own, self.restore, on_block)

        def answer(verdict: Verdict) -> Any:
            return run(self._end(verdict, chunks))

        async def aanswer(verdict: Verdict) -> Any:
            return await arun(self._end(verdict, chunks))

        if hasattr(value, "__next__"):
            return GuardedStream(value, chunks, answer)
        return AsyncGuardedStream(value, chunks, aanswer)

    def _end(self, verdict: Verdict, chunks: Chunks) -> Checks[Any]:
        """The last chunk of a stream that is blocked."""
        handler = self.on_block
        return (yield from answered(handler, verdict, chunks.words, chunks.place))

    def _decided(
        self,
        guard: Guard,
        handler: Any,
        found: Found,
        verdicts: tuple[Verdict, ...],
        placeholders: Placeholders | None,
        own: Placeholders | None,
    ) -> Checks[tuple[tuple[Verdict, ...], str | None, Placeholders | None]]:
        """What an escalation makes of the texts that are blocked."""
        if not isinstance(handler, Escalate) or not _blocked(verdicts):
            return verdicts, None, placeholders
        placeholders = Placeholders() if placeholders is None else placeholders
        made = list(verdicts)
        words: str | None = None
        for index, part in enumerate(found.parts):
            view = _View(part, own)
            text = Text(view.seen, part.role, found.history)
            whole = yield from complete(guard, text)
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
        self, guard: Guard, found: Found, own: Placeholders | None
    ) -> Checks[tuple[tuple[Verdict, ...], Placeholders | None]]:
        """One verdict for each text, and the values that were taken out."""
        views = [_View(part, own) for part in found.parts]
        texts = [
            Text(view.seen, part.role, found.history)
            for view, part in zip(views, found.parts, strict=True)
        ]
        on_error = "allow" if self.dry_run else self.on_error
        verdicts = yield Engine(guard, texts, on_error=on_error)
        placeholders: Placeholders | None = None
        if any(verdict.action is Action.REDACT for verdict in verdicts):
            placeholders = Placeholders()
        return tuple(
            view.verdict(verdict, placeholders)
            for view, verdict in zip(views, verdicts, strict=True)
        ), placeholders


class _View:
    """What the guards see of one text, and what that means for the text."""

    __slots__ = ("escaped", "part", "seen")

    def __init__(self, part: Part, own: Placeholders | None) -> None:
        self.part = part
        self.escaped = Escaped(part.text) if part.form == "json" else None
        self.seen = veiled(self.escaped.view if self.escaped else part.text, own)

    def verdict(self, verdict: Verdict, placeholders: Placeholders | None) -> Verdict:
        """The verdict in the caller's own characters, and what can be delivered."""
        part, redacts = self.part, verdict.action is Action.REDACT
        if self.escaped is not None:
            verdict = self.escaped.verdict(verdict, placeholders)
        elif redacts and placeholders is not None:
            text = redact(part.text, verdict.findings, placeholders)
            verdict = replace(verdict, original=part.text, text=text)
        elif self.seen is not part.text:
            verdict = replace(verdict, original=part.text, text=part.text)
        if part.coverage < verdict.coverage:
            verdict = replace(verdict, coverage=part.coverage)
        return raised(verdict) if redacts and part.form == "fixed" else verdict


def _blocked(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    for verdict in verdicts:
        if verdict.blocked:
            return verdict
    return None


def _is_stream(value: Any) -> bool:
    return hasattr(value, "__next__") or hasattr(value, "__anext__")


def _delivered(
    value: Any, found: Found, verdicts: tuple[Verdict, ...]
) -> tuple[Any, tuple[Verdict, ...]]:
    """The answer with its redactions; those that cannot be made are blocks."""
    texts = _redacted(found, verdicts)
    try:
        return (rewritten(value, texts) if texts else value), verdicts
    except Undeliverable as error:
        return value, tuple(
            raised(verdict) if part.path == error.path else verdict
            for part, verdict in zip(found.parts, verdicts, strict=True)
        )


def _redacted(found: Found, verdicts: tuple[Verdict, ...]) -> dict[Path, str]:
    """The texts that the guards changed."""
    return {
        part.path: verdict.text
        for part, verdict in zip(found.parts, verdicts, strict=True)
        if verdict.action is Action.REDACT and verdict.text != part.text
    }


def _restored(value: Any, placeholders: Placeholders) -> Any:
    """The answer with the values back in its text, where they can be."""
    texts: dict[Path, str] = {}
    for part in read_answer(value).parts:
        if part.path == () or "content" in part.path:
            text = Restorer(placeholders).feed(part.text, end=True)
            if text != part.text:
                texts[part.path] = text
    while texts:
        try:
            return rewritten(value, texts)
        except Undeliverable as error:
            del texts[error.path]
    return value
