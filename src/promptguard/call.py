"""What happens around a guarded call: before it, and with its answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from ._costs import Budget
from .arguments import read, read_value
from .chunks import Chunks
from .conversation import Conversation, current
from .engine import Engine, OnError
from .errors import Blocked, ConfigError
from .escapes import Escaped, raised, veiled
from .guard import Guard
from .hooks import emit
from .messages import Found, Part, Undeliverable, read_answer, rewritten
from .placeholders import Placeholders, redact
from .restoring import Restorer
from .shapes import Path, changed
from .streams import AsyncGuardedStream, GuardedStream, arun, run
from .text import Text
from .turns import checked, windows
from .verdict import Action, Verdict

__all__ = ["GuardedCall"]

T = TypeVar("T")
Checks = Generator[Engine, tuple[Verdict, ...], T]


class Admitted(NamedTuple):
    """What the check of the arguments came to: what to call with, or a block."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    placeholders: Placeholders | None = None
    blocked: Verdict | None = None
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
    budget: float | Budget | None = None

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Checks[Admitted]:
        """Check the arguments and redact them."""
        talk = current()
        own = None if talk is None else talk.placeholders
        if self.input is None:
            return Admitted(args, kwargs, own, None, talk)
        if self.prompt is None or isinstance(self.prompt, str):
            found = read(args, kwargs, self.names, self.prompt)
        else:
            found = read_value(self.prompt(*args, **kwargs))
            parts = tuple(replace(part, form="fixed") for part in found.parts)
            found = replace(found, parts=parts)
        checks = self._check(self.input, found, own, talk, own)
        verdicts, placeholders = yield from checks
        emit(verdicts)
        blocked = _blocked(verdicts)
        if blocked is None:
            texts = _redacted(found, verdicts)
            if talk is not None:
                new = {part.path for part in found.parts}
                texts |= talk.hidden((args, kwargs), new)
                talk.went_on(found.parts, verdicts)
            if texts:
                args, kwargs = changed((args, kwargs), texts)
        return Admitted(args, kwargs, placeholders, blocked, talk)

    def watches(self, go: Admitted) -> bool:
        """True when the answer is to be looked at."""
        return self.output is not None or bool(self.restore and go.placeholders)

    def after(self, value: Any, go: Admitted) -> Checks[tuple[Any, Verdict | None]]:
        """Check an answer that is not a stream, redact it, and restore into it."""
        found = read_answer(value)
        if self.output is not None and found.parts:
            verdicts, _ = yield from self._check(
                self.output, found, go.placeholders, go.conversation, None
            )
            texts = _redacted(found, verdicts)
            answer = value
            try:
                answer = rewritten(value, texts) if texts else value
            except Undeliverable as error:
                verdicts = tuple(
                    raised(verdict) if part.path == error.path else verdict
                    for part, verdict in zip(found.parts, verdicts, strict=True)
                )
            emit(verdicts)
            blocked = _blocked(verdicts)
            if blocked is not None:
                return None, blocked
            value = answer
        if go.conversation is not None and found.parts:
            went = read_answer(value).parts
            go.conversation.went_on(went, None)
        if self.restore and go.placeholders:
            value = _restored(value, go.placeholders)
        return value, None

    def chunks(self, go: Admitted) -> Chunks:
        """What a stream goes through."""
        own, restore = go.placeholders, self.restore
        return Chunks(self.output, self.on_error, own, restore, budget=self.budget)

    def answer(self, verdict: Verdict) -> Any:
        """The answer in place of a blocked one."""
        if self.on_block is None:
            raise Blocked(verdict)
        if not callable(self.on_block):
            return self.on_block
        answer = self.on_block(verdict)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise ConfigError(
                "on_block is async but the guarded function is not; pass a plain one"
            )
        return answer

    async def aanswer(self, verdict: Verdict) -> Any:
        """The same, where an async function may give it."""
        if not callable(self.on_block):
            return self.answer(verdict)
        answer = self.on_block(verdict)
        return await answer if inspect.isawaitable(answer) else answer

    def finish(self, value: Any, go: Admitted) -> Any:
        """Look at what a plain function returned."""
        if not self.watches(go):
            return value
        if hasattr(value, "__next__"):
            return GuardedStream(value, self.chunks(go), self.answer)
        if hasattr(value, "__anext__"):
            return AsyncGuardedStream(value, self.chunks(go), self.aanswer)
        if inspect.isawaitable(value):
            return self._later(value, go)
        answer, blocked = run(self.after(value, go))
        return answer if blocked is None else self.answer(blocked)

    async def afinish(self, value: Any, go: Admitted) -> Any:
        """Look at what an async function returned."""
        if not self.watches(go):
            return value
        if hasattr(value, "__next__") or hasattr(value, "__anext__"):
            return self.finish(value, go)
        answer, blocked = await arun(self.after(value, go))
        return answer if blocked is None else await self.aanswer(blocked)

    async def _later(self, value: Any, go: Admitted) -> Any:
        return await self.afinish(await value, go)

    def _check(
        self,
        guard: Guard,
        found: Found,
        own: Placeholders | None,
        talk: Conversation | None,
        kept: Placeholders | None,
    ) -> Checks[tuple[tuple[Verdict, ...], Placeholders | None]]:
        """One verdict for each text, and the values that were taken out."""
        views = [_View(part, own) for part in found.parts]
        history = found.history
        if talk is not None and not history:
            history = talk.history
        texts = [
            Text(view.seen, part.role, history)
            for view, part in zip(views, found.parts, strict=True)
        ]
        split = () if talk is None else windows(texts, history, talk.window)
        verdicts = yield from checked(guard, texts, split, self.on_error, self.budget)
        placeholders = kept
        if placeholders is None and any(v.action is Action.REDACT for v in verdicts):
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
