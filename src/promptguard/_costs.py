"""What guards cost, and what a check may: the order and the budget of the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import ConfigError, unknown

if TYPE_CHECKING:
    from .guard import Guard

__all__ = ["Budget", "Costs", "Limit", "limit_of"]

_THEN = ("block", "flag", "allow")


class Costs:
    """What the guards of this process took lately, so that the cheap ones go first.

    The least of what was measured counts: the first use of a guard reads its tables,
    and whoever comes first pays for the readings of a text. It grows a little with
    every use, so that a guard that has become slow is noticed. Guards of about the same
    cost keep the order in which they were written.
    """

    # Only a guard that takes this many times longer is put behind another.
    STEP = 8
    # A text has a price of its own, however short it is.
    SHORT = 256
    KEPT = 1024
    _GROWTH = 1.02

    def __init__(self) -> None:
        self._seconds: dict[tuple[type[Guard], str], float] = {}

    def note(self, guard: Guard, seconds: float, size: int) -> None:
        """Take note of what a guard took for a text of so many characters."""
        key = type(guard), guard.name
        new = seconds / max(size, self.SHORT)
        old = self._seconds.get(key)
        if old is None and len(self._seconds) >= self.KEPT:
            self._seconds.clear()
        self._seconds[key] = new if old is None else min(new, old * self._GROWTH)

    def ordered(self, guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        """The guards, the cheap ones first; one that never ran stays where it is."""
        if len(guards) < 2:
            return guards
        costs = [self._seconds.get((type(g), g.name), 0.0) for g in guards]
        known = [cost for cost in costs if cost]
        if not known or max(known) < self.STEP * min(known):
            return guards
        level, levels = 0.0, []
        for cost in sorted(known):
            if cost > self.STEP * level:
                level = cost
            levels.append(level)
        floor = dict(zip(sorted(known), levels, strict=True))
        order = sorted(
            range(len(guards)), key=lambda place: floor.get(costs[place], levels[0])
        )
        return tuple(guards[place] for place in order)


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a check may take, and what follows when a guard is not done by then.

    Args:
        seconds: Seconds from the start of a check.
        then: ``"block"``: the guard has failed, and the text does not go on. ``"flag"``
            and ``"allow"``: it goes on without the guard; the verdict is degraded, and
            flagged or not.

    Raises:
        ConfigError: The seconds are no positive number, or ``then`` is none of these.
    """

    seconds: float
    then: Literal["block", "flag", "allow"] = "block"

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)
        if self.then not in _THEN:
            raise unknown("then", self.then, _THEN)


Limit = float | Budget | None
"""A budget, or its seconds alone: then ``on_error`` says what follows."""


def limit_of(budget: object) -> tuple[float | None, str | None]:
    """The seconds of a budget and what follows, where it says so.

    Raises:
        ConfigError: It is neither a Budget nor a positive number of seconds.
    """
    if isinstance(budget, Budget):
        return float(budget.seconds), budget.then
    if budget is None:
        return None, None
    return _check_seconds(budget), None


def _check_seconds(seconds: object) -> float:
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        raise ConfigError("budget must be a positive number of seconds, such as 0.5")
    return float(seconds)
