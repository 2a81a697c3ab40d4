"""Figures that say how well scores part attacks from benign texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import correlation

__all__ = [
    "Bin",
    "area",
    "bins",
    "curve",
    "exact",
    "kappa",
    "percentile",
    "recall_at",
    "share",
    "spearman",
    "threshold_at",
    "wilson",
]

Z = 1.959963984540054


def share(hits: int, count: int) -> float | None:
    """Hits of a count; None of nothing."""
    return hits / count if count else None


def wilson(hits: int, count: int) -> tuple[float, float] | None:
    """The 95 % interval of a share (Wilson 1927)."""
    if not count:
        return None
    middle = hits + Z * Z / 2
    spread = Z * math.sqrt(hits * (count - hits) / count + Z * Z / 4)
    whole = count + Z * Z
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def exact(hits: float, count: float) -> tuple[float, float] | None:
    """The exact 95 % interval of a share (Clopper and Pearson 1934).

    Counts need not be whole: weighted texts count for an effective number.

    It holds also for the share above a threshold that was itself read off the scores:
    the share above the k-th highest of n scores has a beta distribution, whose
    quantiles are these.
    """
    if not count:
        return None
    low = beta_quantile(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta_quantile(0.975, hits + 1, count - hits) if hits < count else 1.0
    return low, high


def threshold_at(scores: Sequence[float], rate: float) -> float:
    """The lowest threshold that at most this share of the scores reach.

    It may lie just above 1, when too many scores are equal to 1.
    """
    allowed = math.floor(rate * len(scores) + 1e-9)
    if allowed >= len(scores):
        return 0.0
    return math.nextafter(sorted(scores, reverse=True)[allowed], 2.0)


def recall_at(
    attacks: Sequence[float], benign: Sequence[float], rate: float
) -> tuple[float, float] | None:
    """Share of attacks found where this share of benign texts is, and the threshold."""
    if not attacks or not benign:
        return None
    threshold = threshold_at(benign, rate)
    return sum(score >= threshold for score in attacks) / len(attacks), threshold


def curve(
    attacks: Sequence[float], benign: Sequence[float]
) -> list[tuple[float, float]]:
    """The ROC curve: (false-positive rate, recall) at every threshold, highest first.

    Empty when there are no attacks or no benign texts.
    """
    if not attacks or not benign:
        return []
    marked = sorted([(-s, True) for s in attacks] + [(-s, False) for s in benign])
    found = stopped = 0
    points = [(0.0, 0.0)]
    for _, ties in groupby(marked, key=lambda pair: pair[0]):
        kinds = [attack for _, attack in ties]
        found += sum(kinds)
        stopped += len(kinds) - sum(kinds)
        points.append((stopped / len(benign), found / len(attacks)))
    return points


def area(points: Sequence[tuple[float, float]]) -> float | None:
    """Area under a ROC curve: the chance that an attack outscores a benign text."""
    if not points:
        return None
    return sum(
        (right - left) * (low + high) / 2
        for (left, low), (right, high) in pairwise(points)
    )


def percentile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that this part of the values does not exceed."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


@dataclass(frozen=True)
class Bin:
    """Texts of about the same score.

    Args:
        score: Their mean score.
        attacks: How many of them are attacks.
        count: How many they are.
    """

    score: float
    attacks: int
    count: int


def bins(
    attacks: Sequence[float], benign: Sequence[float], many: int = 10
) -> list[Bin]:
    """Texts by score, in bins of equal width; empty ones are left out."""
    kept: dict[int, list[tuple[float, bool]]] = {}
    for scores, attack in ((attacks, True), (benign, False)):
        for score in scores:
            place = min(int(score * many), many - 1)
            kept.setdefault(place, []).append((score, attack))
    return [
        Bin(
            sum(score for score, _ in pairs) / len(pairs),
            sum(attack for _, attack in pairs),
            len(pairs),
        )
        for _, pairs in sorted(kept.items())
    ]


def kappa(one: Sequence[object], other: Sequence[object]) -> float | None:
    """Agreement of two labellings beyond chance (Cohen 1960).

    1 is full agreement and 0 what chance gives; None of nothing, and where both give
    one and the same label throughout.
    """
    count = len(one)
    if not count:
        return None
    agreed = sum(a == b for a, b in zip(one, other, strict=True)) / count
    chance = sum(
        sum(a == label for a in one) * sum(b == label for b in other)
        for label in set(one) | set(other)
    ) / (count * count)
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Correlation of ranks, equal values at their mean rank (Spearman 1904).

    None of fewer than two, and where one of the two has a single value.
    """
    if len(one) < 2 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return correlation(_ranks(one), _ranks(other))


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def beta_quantile(part: float, a: float, b: float) -> float:
    """Where the beta distribution reaches this part, by halving."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if _beta(middle, a, b) < part:
            low = middle
        else:
            high = middle


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function."""
    if x > (a + 1) / (a + b + 2):
        # The fraction converges fast only on the other side.
        return 1.0 - _beta(1.0 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log + a * math.log(x) + b * math.log1p(-x)) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Its continued fraction, by Lentz's method (Press et al., 6.4)."""
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + step * d)
            c = 1.0 + step / c
            value *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return value
