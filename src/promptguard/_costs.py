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
        new = seconds / (size if size > self.SHORT else self.SHORT)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self.KEPT:
                self._known.clear()
            self._known[key] = new, 1
            return
        old = known[0] * self._GROWTH
        self._known[key] = (new if new < old else old), known[1] + 1

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
