"""What guards cost, and what a check may: the order and the budget of the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import ConfigError, unknown

if TYPE_CHECKING:
    from .guard import Guard

__all__ = ["Budget", "Costs", "OnError", "budget_of"]

OnError = Literal["block", "allow"]


class Costs:
    """What the guards of this process took lately, so that the cheap ones go first.

    The least of what was measured counts: the first use of a guard reads its tables,
    and whoever comes first pays for the readings of a text. It grows a little with
    every use, so that a guard that has become slow is noticed. Guards of about the same
    cost keep the order in which they were written, and so does what was seldom used.
    """

    # Only a guard that takes this many times longer is put behind another.
    STEP = 8
    # Seconds for a character. What takes less is cheap, however much less it is: no
    # order is worth a verdict that lists other findings.
    FLOOR = 2e-7
    # A text has a price of its own, however short it is.
    SHORT = 256
    # One measure may be of a moment when the machine was busy.
    ENOUGH = 3
    KEPT = 1024
    _GROWTH = 1.02

    def __init__(self) -> None:
        self._known: dict[tuple[type[Guard], str], tuple[float, int]] = {}

    def note(self, guard: Guard, seconds: float, size: int) -> None:
        """Take note of what a guard took for a text of so many characters."""
        key = type(guard), guard.name
        new = seconds / max(size, self.SHORT)
        old, count = self._known.get(key, (new, 0))
        if not count and len(self._known) >= self.KEPT:
            self._known.clear()
        self._known[key] = min(new, old * self._GROWTH), count + 1

    def ordered(self, guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        """The guards, the cheap ones first."""
        if len(guards) < 2:
            return guards
        costs = [self._cost(guard) for guard in guards]
        if max(costs) <= self.STEP * min(costs):
            return guards
        levels: dict[float, float] = {}
        level = 0.0
        for cost in sorted(costs):
            if cost > self.STEP * level:
                level = cost
            levels[cost] = level
        order = sorted(range(len(guards)), key=lambda place: levels[costs[place]])
        return tuple(guards[place] for place in order)

    def _cost(self, guard: Guard) -> float:
        cost, count = self._known.get((type(guard), guard.name), (0.0, 0))
        return max(cost, self.FLOOR) if count >= self.ENOUGH else self.FLOOR


@dataclass(frozen=True)
class Budget:
    """What guards may take, and what happens when they take more.

    Args:
        seconds: So many; a guard that is not done by then has failed.
        then: ``"block"`` or ``"allow"`` for that failure alone; None does what
            ``on_error`` does for any other.

    Raises:
        ConfigError: It is not a positive number of seconds, or ``then`` is unknown.
    """

    seconds: float
    then: OnError | None = None

    def __post_init__(self) -> None:
        given: object = self.seconds
        if (
            isinstance(given, bool)
            or not isinstance(given, int | float)
            or not 0 < given < math.inf
        ):
            raise ConfigError(
                "budget must be a positive number of seconds, such as 0.5"
            )
        if self.then not in (None, "block", "allow"):
            raise unknown("then", self.then, ("block", "allow"))


def budget_of(budget: object) -> Budget | None:
    """The budget, if it is one.

    Raises:
        ConfigError: It is not a positive number of seconds.
    """
    if budget is None or isinstance(budget, Budget):
        return budget
    return Budget(budget)  # type: ignore[arg-type]  # which it refuses
