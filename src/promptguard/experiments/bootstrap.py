"""Means with intervals, and how far repeated grades agree."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..measure.figures import wilson

__all__ = ["RESAMPLES", "SEED", "Estimate", "alpha", "estimate", "share"]

RESAMPLES = 2000
SEED = 20_240_101


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions.

    Args:
        mean: The mean.
        low: Where its 95 % interval begins; None of fewer than two values.
        high: Where it ends.
        count: Over how many questions.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def apart(self) -> bool:
        """Whether 0 is outside the interval: for a difference, that there is one."""
        if self.low is None or self.high is None:
            return False
        return self.low > 0 or self.high < 0

    @property
    def half(self) -> float | None:
        """Half of the interval's width."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / 2


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean and its interval by the percentile bootstrap (Efron 1979).

    Values are drawn with replacement, 2,000 times and always the same draws. Each
    value belongs to another question, so that what is drawn are questions.
    """
    if not values:
        return None
    mean, count = fmean(values), len(values)
    if count < 2:
        return Estimate(mean, None, None, count)
    if min(values) == max(values):
        return Estimate(mean, mean, mean, count)
    draw = random.Random(SEED)
    means = sorted(sum(draw.choices(values, k=count)) / count for _ in range(RESAMPLES))
    edge = round(0.025 * RESAMPLES)
    return Estimate(mean, means[edge], means[-edge - 1], count)


def share(values: Sequence[float]) -> Estimate | None:
    """The share of ones among ones and zeros, with Wilson's interval.

    Of answers that all pass, as most do, nothing can be drawn but what passes: the
    bootstrap would be sure of what thirty questions cannot show.
    """
    hits, count = round(sum(values)), len(values)
    interval = wilson(hits, count)
    return None if interval is None else Estimate(hits / count, *interval, count)


def alpha(units: Sequence[Sequence[float]]) -> float | None:
    """Agreement beyond chance, for differences that have a size (Krippendorff 2004).

    1 is full agreement and 0 what chance gives.

    Args:
        units: The grades of each thing that was graded. Those with one do not count.

    Returns:
        None of nothing, and where all grades are equal.
    """
    paired = [unit for unit in units if len(unit) > 1]
    values = [value for unit in paired for value in unit]
    if not values:
        return None
    expected = _apart(values) / (len(values) - 1)
    if expected <= 1e-12:
        return None
    observed = sum(_apart(unit) / (len(unit) - 1) for unit in paired)
    return 1.0 - observed / expected


def _apart(values: Sequence[float]) -> float:
    """The squared differences of all pairs, each in both orders."""
    mean = fmean(values)
    return 2 * len(values) * sum((value - mean) ** 2 for value in values)
