"""Guard, the one type everything is made of, and the ways to combine guards."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .engine import Engine, label
from .errors import ConfigError, unknown
from .queries import Query
from .text import ROLES, Text
from .verdict import Action, Finding, Verdict

__all__ = ["AnyOf", "Guard", "Inspection", "Only", "Then", "snake"]

Inspection = Generator[Finding | Query | tuple[Query, ...], Any, None]
"""What ``inspect`` returns. A finding is sent None, a query its answer, and a tuple
of queries the tuple of their answers."""

History = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Looks for one kind of thing in a text. Write ``inspect``; the rest is here.

    Guards hold configuration and nothing else: they compare, hash and pickle by
    value, and one guard may be shared by any number of threads.

    Args:
        name: Tells two guards of a kind apart; by default the class in snake case.
        action: What a finding leads to unless it says otherwise.
        actions: The same for findings of some labels alone, as in
            ``PII(actions={"EMAIL_ADDRESS": Action.FLAG})``; kept as pairs.

    Raises:
        ConfigError: The name or an action is of the wrong type, or the guard has no
            such label.
    """

    name: str = ""
    action: Action = Action.BLOCK
    actions: Mapping[str, Action] | tuple[tuple[str, Action], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(f"name must be a string, not {type(self.name).__name__}")
        if not isinstance(self.action, Action):
            known = ", ".join(f"Action.{action.name}" for action in Action)
            raise ConfigError(f"action must be one of {known}")
        if not self.name:
            object.__setattr__(self, "name", snake(type(self).__name__))
        if self.actions != ():
            object.__setattr__(self, "actions", self._actions(self.actions))

    @property
    def known_labels(self) -> frozenset[str] | None:
        """What its findings can be called; None where that cannot be listed."""
        return None

    def action_of(self, label: str) -> Action:
        """What a finding of this label leads to unless it says otherwise."""
        return dict(self.actions).get(label, self.action)

    @property
    def reach(self) -> int | None:
        """Longest match in characters of the folded reading, lookaround included.

        A guard that has a reach asks no queries and reports only findings that
        begin at or after ``text.start``; in return a stream is held back no further
        than that. None means that the guard needs the whole text.
        """
        return None

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

    def check(self, text: str, role: str = "user", history: History = ()) -> Verdict:
        """Check one text.

        Args:
            text: Any string; it is never changed.
            role: ``user``, ``tool``, ``function``, ``retrieved``, ``assistant``,
                ``system`` or ``developer``.
            history: Earlier (role, text) pairs of the conversation.

        Raises:
            ConfigError: The text is not a string, or the role is unknown.
            GuardError: A guard broke.
            ModelError: A model file is missing or altered.
        """
        from .drivers import drive
        from .hooks import emit

        return emit(drive(Engine(self, (Text(text, role, tuple(history)),))))[0]

    def check_batch(
        self, texts: Iterable[str], role: str = "user", history: History = ()
    ) -> tuple[Verdict, ...]:
        """Check several texts; each verdict is what ``check`` would have given."""
        from .drivers import drive
        from .hooks import emit

        return emit(drive(self._engine(texts, role, history)))

    async def acheck(
        self, text: str, role: str = "user", history: History = ()
    ) -> Verdict:
        """Check one text without blocking the event loop."""
        return (await self.acheck_batch((text,), role, history))[0]

    async def acheck_batch(
        self, texts: Iterable[str], role: str = "user", history: History = ()
    ) -> tuple[Verdict, ...]:
        """Check several texts without blocking the event loop."""
        from .drivers import adrive
        from .hooks import emit

        return emit(await adrive(self._engine(texts, role, history)))

    def warmup(self) -> None:
        """Load what the first check would load. LLMs are not called.

        Raises:
            ModelError: A model file is missing or altered.
            ConfigError: The model has no such label or rate.
        """
        from .drivers import warm

        warm(Engine(self, (Text("warm-up"),)))

    def only(self, *roles: str) -> Guard:
        """The guard for texts of these roles alone: ``PII().only("tool")``."""
        return Only(self, roles)

    def then(self, second: Guard) -> Then:
        """A guard that asks ``second`` only where this one is unsure."""
        return Then(self, second)

    def __or__(self, other: Guard) -> AnyOf:
        if not isinstance(other, Guard):
            return NotImplemented
        return AnyOf(self.parts + other.parts)

    def _actions(self, given: object) -> tuple[tuple[str, Action], ...]:
        """Actions by label as pairs, so that the guard can be hashed."""
        pairs = tuple(given.items()) if isinstance(given, Mapping) else given
        if not isinstance(pairs, tuple) or not all(
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], Action)
            for pair in pairs
        ):
            raise ConfigError(
                'actions must be by label: actions={"EMAIL_ADDRESS": Action.FLAG}'
            )
        known = self.known_labels
        for name, _ in pairs:
            if known is not None and name not in known:
                raise unknown(f"label of {type(self).__name__}", name, known)
        return tuple(dict(pairs).items())

    def _engine(self, texts: Iterable[str], role: str, history: History) -> Engine:
        given: object = texts
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError("texts must be several strings; for one use check()")
        past = tuple(history)
        return Engine(self, [Text(text, role, past) for text in texts])


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
        _without_actions(self)

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

    def only(self, *roles: str) -> Guard:
        return AnyOf(tuple(part.only(*roles) for part in self.parts))

    def warmup(self) -> None:
        for part in self.parts:
            part.warmup()


@dataclass(frozen=True)
class Only(Guard):
    """A guard for the texts of some roles alone. Written ``guard.only("tool")``.

    Args:
        guard: What to look for there; in a text of another role it finds nothing.
        roles: ``user``, ``tool``, ``function``, ``retrieved``, ``assistant``,
            ``system`` or ``developer``, several of them.

    Raises:
        ConfigError: A role is unknown, or there is none.
    """

    guard: Guard
    roles: tuple[str, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.guard, Guard):
            raise ConfigError(f"Only takes a guard, not {type(self.guard).__name__}")
        # The name and the actions are those of the guard inside.
        object.__setattr__(self, "name", self.name or self.guard.name)
        super().__post_init__()
        _without_actions(self)
        given: object = self.roles
        if not isinstance(given, tuple) or not given:
            raise ConfigError('only() takes roles: guard.only("tool", "retrieved")')
        for role in given:
            if role not in ROLES:
                raise unknown("role", role, ROLES)

    @property
    def reach(self) -> int | None:
        return self.guard.reach

    @property
    def known_labels(self) -> frozenset[str] | None:
        return self.guard.known_labels

    def inspect(self, text: Text) -> Inspection:
        """The findings of the guard, if the text is of one of the roles."""
        if text.role in self.roles:
            yield from _labelled(self.guard, text)

    def settles(self, finding: Finding) -> bool:
        return self.guard.settles(finding)

    def warmup(self) -> None:
        from .drivers import warm

        warm(Engine(self, [Text("warm-up", role) for role in self.roles]))


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
        _without_actions(self)

    @property
    def reach(self) -> int | None:
        # What second makes of a text can depend on all of it once first fired.
        return None

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


def snake(name: str) -> str:
    """The name of a class as guards are called: ``prompt_injection``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _without_actions(guard: Guard) -> None:
    if guard.actions:
        kind = type(guard).__name__
        raise ConfigError(f"{kind} has no actions of its own; give them to its guards")


def _longest(guards: Sequence[Guard]) -> int | None:
    longest = 0
    for guard in guards:
        if guard.reach is None:
            return None
        longest = max(longest, guard.reach)
    return longest
