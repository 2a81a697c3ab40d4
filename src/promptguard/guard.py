"""Guard, the one type everything is made of, and the two ways to combine guards."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._costs import Budget
from ._runs import label
from .engine import Engine
from .errors import ConfigError
from .queries import Query
from .text import Text
from .verdict import Action, Finding, Verdict

__all__ = ["AnyOf", "Guard", "Inspection", "Then"]

Inspection = Generator[Finding | Query | tuple[Query, ...], Any, None]
"""What ``inspect`` returns. A finding is sent None, a query its answer, and a tuple
of queries the tuple of their answers."""

# Something of all kinds, so that tables are read and patterns are made.
_WARM_UP = "Warm-up: password = x1, <b>joe@example.org</b>, https://example.org/ 42."

History = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Looks for one kind of thing in a text. Write ``inspect``; the rest is here.

    Guards hold configuration and nothing else: they compare, hash and pickle by
    value, and one guard may be shared by any number of threads.

    Args:
        name: Tells two guards of a kind apart; by default the class in snake case.
        action: What a finding leads to unless it says otherwise.

    Raises:
        ConfigError: The name or the action is of the wrong type.
    """

    name: str = ""
    action: Action = Action.BLOCK

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(f"name must be a string, not {type(self.name).__name__}")
        if not isinstance(self.action, Action):
            known = ", ".join(f"Action.{action.name}" for action in Action)
            raise ConfigError(f"action must be one of {known}")
        if not self.name:
            snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
            object.__setattr__(self, "name", snake)

    @property
    def reach(self) -> int | None:
        """Longest match in characters of the folded reading, lookaround included.

        A guard that has a reach asks no queries and reports only findings that
        begin at or after ``text.start``; in return a stream is held back no further
        than that. None means that the guard needs the whole text.
        """
        return None

    def undecided(self, text: str) -> int:
        """Where a finding may begin that more text could still make or change.

        A stream is let go up to here. By default everything within the reach of the
        end is undecided; a guard that can tell that nothing of the kind has begun, by
        the characters that are there, holds less.

        Args:
            text: A reading, as far as it is certain; what follows is not known.

        Returns:
            A position in it. Every finding that begins before it is there already, and
            stays as it is whatever may follow.
        """
        return max(0, len(text) - (self.reach or len(text)))

    @property
    def window(self) -> int | None:
        """Characters around a sentence that are enough to judge it in a stream.

        For a guard without a reach: instead of the whole text at its end it is shown
        the answer sentence by sentence, each after so many characters of what came
        before. None means that it needs the whole text.
        """
        return None

    @property
    def across(self) -> bool:
        """True when what it looks for may begin in one turn and end in the next.

        Then a Conversation has it look at the last turns together as well. By default
        guards with a reach do; one that judges a text as a whole does not.
        """
        return self.reach is not None

    @property
    def parts(self) -> tuple[Guard, ...]:
        """The guards that run side by side; a single guard is its own only part."""
        return (self,)

    def inspect(self, text: Text) -> Inspection:
        """Yield findings, and queries whose answers are sent back."""
        raise ConfigError(
            f"{type(self).__name__} has no inspect method; "
            "write one that yields Finding objects"
        )
        yield

    def settles(self, finding: Finding) -> bool:
        """True when a finding of this guard needs no second opinion (see Then)."""
        return False

    def check(
        self,
        text: str,
        role: str = "user",
        history: History = (),
        *,
        budget: float | Budget | None = None,
    ) -> Verdict:
        """Check one text.

        Args:
            text: Any string; it is never changed.
            role: ``user``, ``tool``, ``function``, ``retrieved``, ``assistant``,
                ``system`` or ``developer``.
            history: Earlier (role, text) pairs of the conversation.
            budget: Seconds after which a guard that still waits for a model or an LLM
                has failed; None sets no limit.

        Raises:
            ConfigError: The text is not a string, or the role is unknown.
            GuardError: A guard broke, or the budget ran out.
            ModelError: A model file is missing or altered.
        """
        from .drivers import drive
        from .hooks import emit

        texts = (Text(text, role, tuple(history)),)
        return emit(drive(Engine(self, texts, budget=budget)))[0]

    def check_batch(
        self,
        texts: Iterable[str],
        role: str = "user",
        history: History = (),
        *,
        budget: float | Budget | None = None,
    ) -> tuple[Verdict, ...]:
        """Check several texts; each verdict is what ``check`` would have given.

        Args:
            texts: The texts.
            role: Whose they are.
            history: Earlier (role, text) pairs of the conversation.
            budget: Seconds for all of them together; see ``check``.
        """
        from .drivers import drive
        from .hooks import emit

        return emit(drive(self._engine(texts, role, history, budget)))

    async def acheck(
        self,
        text: str,
        role: str = "user",
        history: History = (),
        *,
        budget: float | Budget | None = None,
    ) -> Verdict:
        """Check one text without blocking the event loop."""
        return (await self.acheck_batch((text,), role, history, budget=budget))[0]

    async def acheck_batch(
        self,
        texts: Iterable[str],
        role: str = "user",
        history: History = (),
        *,
        budget: float | Budget | None = None,
    ) -> tuple[Verdict, ...]:
        """Check several texts without blocking the event loop."""
        from .drivers import adrive
        from .hooks import emit

        return emit(await adrive(self._engine(texts, role, history, budget)))

    def warmup(self) -> None:
        """Load what the first check would load. LLMs are not called.

        Raises:
            ModelError: A model file is missing or altered.
            ConfigError: The model has no such label or rate.
        """
        from .drivers import warm

        warm(Engine(self, (Text(_WARM_UP),)))

    def then(self, second: Guard) -> Then:
        """A guard that asks ``second`` only where this one is unsure."""
        return Then(self, second)

    def __or__(self, other: Guard) -> AnyOf:
        if not isinstance(other, Guard):
            return NotImplemented
        return AnyOf(self.parts + other.parts)

    def _engine(
        self,
        texts: Iterable[str],
        role: str,
        history: History,
        budget: float | Budget | None,
    ) -> Engine:
        given: object = texts
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError("texts must be several strings; for one use check()")
        past = tuple(history)
        return Engine(self, [Text(text, role, past) for text in texts], budget=budget)


@dataclass(frozen=True)
class AnyOf(Guard):
    """Several guards side by side; their findings add up. Written ``a | b``."""

    guards: tuple[Guard, ...]
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.guards
        if not (
            isinstance(given, tuple)
            and given
            and all(isinstance(guard, Guard) for guard in given)
        ):
            raise ConfigError("AnyOf takes a tuple of at least one guard")

    @property
    def parts(self) -> tuple[Guard, ...]:
        return tuple(part for guard in self.guards for part in guard.parts)

    @property
    def reach(self) -> int | None:
        return _longest(self.guards)

    def inspect(self, text: Text) -> Inspection:
        """One part after the other; the engine runs the parts themselves instead."""
        for part in self.parts:
            yield from _labelled(part, text)


@dataclass(frozen=True)
class Then(Guard):
    """A second opinion: ``second`` runs only where ``first`` found something unsure.

    What ``first`` settles by itself (see ``Guard.settles``) stands. Anything else it
    found is dropped in favour of what ``second`` finds; if ``second`` breaks, so does
    the whole, and the text is blocked. Written ``first.then(second)``.
    """

    first: Guard
    second: Guard

    def __post_init__(self) -> None:
        super().__post_init__()
        for guard in (self.first, self.second):
            if not isinstance(guard, Guard):
                raise ConfigError(f"then() takes a guard, not {type(guard).__name__}")

    @property
    def reach(self) -> int | None:
        # What second makes of a text can depend on all of it once first fired.
        return None

    @property
    def across(self) -> bool:
        return any(part.across for part in self.first.parts)

    def inspect(self, text: Text) -> Inspection:
        unsure = False
        for part in self.first.parts:
            findings = _labelled(part, text)
            answer: Any = None
            while True:
                try:
                    item = findings.send(answer)
                except StopIteration:
                    break
                if not isinstance(item, Finding) or part.settles(item):
                    answer = yield item
                else:
                    unsure, answer = True, None
        if unsure:
            for part in self.second.parts:
                yield from _labelled(part, text)


def _labelled(guard: Guard, text: Text) -> Inspection:
    """The guard's inspection with its name and action on every finding."""
    inspection = guard.inspect(text)
    answer: Any = None
    while True:
        try:
            item = inspection.send(answer)
        except StopIteration:
            return
        answer = yield label(guard, item) if isinstance(item, Finding) else item


def _longest(guards: Sequence[Guard]) -> int | None:
    longest = 0
    for guard in guards:
        if guard.reach is None:
            return None
        longest = max(longest, guard.reach)
    return longest
