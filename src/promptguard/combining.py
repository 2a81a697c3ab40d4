"""Guards made of guards: AnyOf, Then, Only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ._runs import label
from .engine import Engine
from .errors import ConfigError, unknown
from .guard import WARM_UP, Guard, Inspection
from .text import ROLES, Text
from .verdict import Finding

__all__ = ["AnyOf", "Only", "Then"]


@dataclass(frozen=True)
class AnyOf(Guard):
    """Several guards side by side; their findings add up. Written ``a | b``.

    Args:
        guards: The guards.
        in_order: Always begin with the first. By default what proves cheap goes first;
            which of them still look at a text that one has blocked then depends on what
            this process has measured.
    """

    guards: tuple[Guard, ...]
    name: str = field(default="", kw_only=True)
    in_order: bool = field(default=False, kw_only=True, repr=False)

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
        parts = tuple(part.only(*roles) for part in self.parts)
        return AnyOf(parts, in_order=self.in_order)

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

    def undecided(self, text: str) -> int:
        return self.guard.undecided(text)

    @property
    def window(self) -> int | None:
        return self.guard.window

    @property
    def across(self) -> bool:
        return self.guard.across

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

        warm(Engine(self, [Text(WARM_UP, role) for role in self.roles]))


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
