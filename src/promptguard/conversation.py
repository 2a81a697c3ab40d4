"""Conversation: what the guards know of the turns before, and what was taken out there.

    conversation = Conversation()
    with conversation:
        ask("I am joe@example.com")     # a guarded function
        ask("What was my address?")     # the same placeholder, and it is restored

or by hand, turn by turn, with ``check``.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ._costs import Budget
from .engine import Engine, OnError
from .errors import ConfigError
from .guard import Guard
from .hooks import emit
from .messages import TRUSTED_ROLES, Part, is_chat
from .placeholders import Placeholders, redact
from .shapes import Path, get, is_sequence
from .text import Text
from .turns import Turn, checked, windows
from .verdict import Action, Verdict

__all__ = ["Conversation", "current"]

# Turns that are kept for guards that read on.
KEPT = 64

# Where messages that are objects keep what was said.
_FIELDS = ("content", "text", "refusal", "tool_calls", "function", "arguments", "input")
# And where messages of any kind keep what nobody said.
_NAMES = frozenset({"call_id", "id", "name", "role", "tool_call_id", "type"})
_DEEPEST = 8

_active: ContextVar[tuple[Conversation, ...]] = ContextVar(
    "promptguard_conversations", default=()
)


class Conversation:
    """The turns of one conversation, and the values that were taken out of them.

    It may be shared between threads and tasks: what it holds is replaced, never
    changed in place, and a check sees the turns that were there when it began. Never
    share one between users. It is not pickled, for it holds what somebody wrote.

    Args:
        window: How many earlier turns of the same role are looked at together with a
            new one, so that what is split over turns is seen. 0 looks at each alone.

    Attributes:
        placeholders: The values that were taken out, and their tokens.

    Raises:
        ConfigError: The window is not a whole number of at least 0.
    """

    def __init__(self, *, window: int = 4) -> None:
        if type(window) is not int or window < 0:
            raise ConfigError("window must be a whole number of turns, 0 or more")
        self.window = window
        self.placeholders = Placeholders()
        self._turns: tuple[Turn, ...] = ()
        self._lock = threading.Lock()

    @property
    def history(self) -> tuple[Turn, ...]:
        """The last turns as (role, text), as they went on: redacted."""
        return self._turns

    def add(self, role: str, text: str) -> None:
        """Add a turn that was not checked here, such as an answer that streamed.

        Raises:
            ConfigError: The role is unknown, or the text is not a string.
        """
        turn = Text(text, role)
        with self._lock:
            self._turns = (*self._turns, (turn.role, turn.original))[-KEPT:]

    def check(
        self,
        guard: Guard,
        text: str,
        role: str = "user",
        *,
        on_error: OnError = "block",
        budget: float | Budget | None = None,
    ) -> Verdict:
        """Check the next turn; unless it is blocked it becomes part of the history.

        Args:
            guard: What to look for.
            text: The turn.
            role: Whose it is.
            on_error: See Engine.
            budget: Seconds that it may take; see ``Guard.check``.

        Returns:
            The verdict on the turn. Of what is split over turns it has the part that
            stands in this one.

        Raises:
            ConfigError: The text is not a string, or the role is unknown.
            GuardError: A guard broke, or the budget ran out.
        """
        from .streams import run

        return emit((run(self._checked(guard, text, role, on_error, budget)),))[0]

    async def acheck(
        self,
        guard: Guard,
        text: str,
        role: str = "user",
        *,
        on_error: OnError = "block",
        budget: float | Budget | None = None,
    ) -> Verdict:
        """The same without blocking the event loop."""
        from .streams import arun

        checks = self._checked(guard, text, role, on_error, budget)
        return emit((await arun(checks),))[0]

    def restore(self, text: str) -> str:
        """Put the values back that were taken out; not into links, URLs and code."""
        return self.placeholders.restore(text)

    def __enter__(self) -> Self:
        """Guarded calls are turns of this conversation from now on."""
        _active.set((*_active.get(), self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _active.set(_active.get()[:-1])

    def __reduce__(self) -> tuple[type[Conversation], tuple[()]]:
        raise ConfigError(
            "a Conversation is not pickled, for it holds what somebody wrote"
        )

    def __repr__(self) -> str:
        turns, values = len(self._turns), len(self.placeholders)
        return f"Conversation({turns} turns, {values} values)"

    def hidden(self, value: Any, new: Container[Path]) -> dict[Path, str]:
        """Texts of earlier messages that hold a value again, without it.

        A caller sends the whole conversation with every call, as it was written; what
        was taken out of a message when it was new must not go out when it is old.

        Args:
            value: The arguments of the call.
            new: Where the texts stand that were checked just now.
        """
        found = {}
        for path, text in _said(value):
            if path not in new:
                other = self.placeholders.hide(text)
                if other != text:
                    found[path] = other
        return found

    def went_on(
        self, parts: Iterable[Part], verdicts: Iterable[Verdict] | None
    ) -> None:
        """Add texts of a call or an answer; with verdicts, as those have them."""
        texts = [part.text for part in parts]
        if verdicts is not None:
            texts = [verdict.text for verdict in verdicts]
        for part, text in zip(parts, texts, strict=True):
            if text:
                self.add(part.role, text)

    def _checked(
        self,
        guard: Guard,
        text: str,
        role: str,
        on_error: OnError,
        budget: float | Budget | None,
    ) -> Generator[Engine, tuple[Verdict, ...], Verdict]:
        turn = Text(text, role, self._turns)
        split = windows((turn,), self._turns, self.window)
        (verdict,) = yield from checked(guard, (turn,), split, on_error, budget)
        if verdict.action is Action.REDACT:
            new = redact(turn.original, verdict.findings, self.placeholders)
            verdict = replace(verdict, text=new)
        if not verdict.blocked:
            self.add(role, verdict.text)
        return verdict


def _said(arguments: Any) -> Iterator[tuple[Path, str]]:
    """Every string in the chat messages among arguments, but for trusted ones."""
    args, kwargs = arguments
    named: list[tuple[Path, Any]] = [((0, n), value) for n, value in enumerate(args)]
    named += [((1, name), value) for name, value in kwargs.items()]
    while named:
        path, value = named.pop()
        if type(value) is not str and is_chat(value):
            messages: list[tuple[Path, Any]] = [((), value)]
            if is_sequence(value):
                messages = [((place,), message) for place, message in enumerate(value)]
            for way, message in messages:
                if get(message, "role") not in TRUSTED_ROLES:
                    yield from _strings((*path, *way), message, 0)
        elif isinstance(value, Mapping) and len(path) < _DEEPEST:
            named += [((*path, name), inner) for name, inner in value.items()]


def _strings(path: Path, value: Any, depth: int) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif depth == _DEEPEST or value is None:
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _NAMES:
                yield from _strings((*path, key), item, depth + 1)
    elif is_sequence(value):
        for place, item in enumerate(value):
            yield from _strings((*path, place), item, depth + 1)
    else:
        for name in _FIELDS:
            yield from _strings((*path, name), getattr(value, name, None), depth + 1)


def current() -> Conversation | None:
    """The conversation of the innermost with statement."""
    active = _active.get()
    return active[-1] if active else None
