"""What guards cost, and what a check may: the order and the budget of the engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .errors import ConfigError

if TYPE_CHECKING:
    from .guard import Guard

__all__ = ["Costs", "seconds_of"]


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


def seconds_of(budget: object) -> float | None:
    """The budget, if it is one.

    Raises:
        ConfigError: It is not a positive number of seconds.
    """
    if budget is None:
        return None
    if (
        isinstance(budget, bool)
        or not isinstance(budget, int | float)
        or not 0 < budget < math.inf
    ):
        raise ConfigError("budget must be a positive number of seconds, such as 0.5")
    return float(budget)
