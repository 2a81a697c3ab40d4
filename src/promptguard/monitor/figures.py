"""Distances between two windows, and how likely chance is to give as much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Flags",
    "Floats",
    "aligned",
    "chi2_p",
    "chi2_tail",
    "cohen_h",
    "f1_interval",
    "fisher_p",
    "holm",
    "ks",
    "ks_p",
    "normal_tail",
    "psi",
]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

# Added to each count, so that an empty bin has a finite logarithm.
_HALF = 0.5
# Bins in which chance is expected to put fewer are taken together (Cochran 1954).
_EXPECTED = 5.0
_EXACT = 5000
_DRAWS = 2000


def aligned(
    one: Mapping[str, float], other: Mapping[str, float]
) -> tuple[Floats, Floats]:
    """The counts of two windows by the names of both."""
    names = sorted({*one, *other})
    first, second = (
        np.array([of.get(name, 0.0) for name in names], dtype=float)
        for of in (one, other)
    )
    return first, second


def psi(reference: Floats, current: Floats) -> float:
    """Population stability index of two histograms with the same bins.

    Bins that are empty in both count for nothing. By custom, less than 0.1 is stable
    and more than 0.25 has changed (Siddiqi 2006).
    """
    used = (reference + current) > 0
    if not used.any():
        return 0.0
    one, other = reference[used] + _HALF, current[used] + _HALF
    p, q = one / one.sum(), other / other.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def ks(reference: Floats, current: Floats) -> float:
    """Kolmogorov-Smirnov distance of two histograms with the same ordered bins."""
    if not reference.sum() or not current.sum():
        return 0.0
    one = np.cumsum(reference) / reference.sum()
    other = np.cumsum(current) / current.sum()
    return float(np.max(np.abs(one - other)))


def ks_p(distance: float, n: float, m: float) -> float:
    """How often chance gives this distance; of binned values, at most as often.

    The asymptotic distribution with the correction of Stephens (1970).
    """
    if n <= 0 or m <= 0:
        return 1.0
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return float(min(1.0, max(0.0, 2 * sum(terms))))


def chi2_p(reference: Floats, current: Floats, scale: tuple[float, float]) -> float:
    """How often chance gives two histograms that differ as much (chi-squared test).

    Args:
        reference: Counts by bin.
        current: Counts by the same bins.
        scale: Independent observations a count stands for, in each of the two.
    """
    one, other = reference * scale[0], current * scale[1]
    n, m = one.sum(), other.sum()
    if not n or not m:
        return 1.0
    both = one + other
    rare = both * min(n, m) / (n + m) < _EXPECTED
    if rare.any():
        one = np.append(one[~rare], one[rare].sum())
        other = np.append(other[~rare], other[rare].sum())
        both = one + other
        one, other, both = one[both > 0], other[both > 0], both[both > 0]
        # What was taken together may still be too rare: then the rarest of the
        # others goes with it.
        if len(both) > 2 and both[-1] * min(n, m) / (n + m) < _EXPECTED:
            next_ = int(np.argmin(both[:-1]))
            one[next_] += one[-1]
            other[next_] += other[-1]
            one, other = one[:-1], other[:-1]
            both = one + other
    if len(both) < 2:
        return 1.0
    if len(both) == 2 and (both * min(n, m) / (n + m)).min() < _EXPECTED:
        return fisher_p(float(one[1]), float(n), float(other[1]), float(m))
    expected, expected_other = both * n / (n + m), both * m / (n + m)
    value = np.sum((one - expected) ** 2 / expected)
    value += np.sum((other - expected_other) ** 2 / expected_other)
    return chi2_tail(float(value), len(both) - 1)


def fisher_p(hits: float, n: float, hits_other: float, m: float) -> float:
    """How often chance gives two shares that differ as much (Fisher's exact test).

    Counts are rounded; of very many hits it is the normal approximation.
    """
    a, n_, b, m_ = round(hits), round(n), round(hits_other), round(m)
    if not n_ or not m_:
        return 1.0
    both = a + b
    low, high = max(0, both - m_), min(n_, both)
    if high - low > _EXACT:
        share = both / (n_ + m_)
        spread = math.sqrt(share * (1 - share) * (1 / n_ + 1 / m_))
        return 2 * normal_tail(abs(a / n_ - b / m_) / spread) if spread else 1.0

    def chance(k: int) -> float:
        return _choose(n_, k) + _choose(m_, both - k)

    here = chance(a) + 1e-7
    whole = _choose(n_ + m_, both)
    logs = (chance(k) for k in range(low, high + 1))
    return min(1.0, sum(math.exp(log - whole) for log in logs if log <= here))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def cohen_h(share: float, other: float) -> float:
    """Distance of two shares, by their arcsines (Cohen 1988): 0.2 is small."""
    return 2 * (math.asin(math.sqrt(other)) - math.asin(math.sqrt(share)))


def normal_tail(z: float) -> float:
    """How often a standard normal value is above this."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def chi2_tail(value: float, degrees: int) -> float:
    """How often a chi-squared value is above this.

    The regularised upper incomplete gamma function: by its series below its mean, by
    its continued fraction above (Press et al., 6.2).
    """
    a, x = degrees / 2, value / 2
    if x <= 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > abs(total) * 1e-15:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - front * total)
    b = x + 1 - a
    c, d = 1e300, 1 / b
    result = d
    for k in range(1, 10_000):
        step = -k * (k - a)
        b += 2
        d = 1 / (step * d + b)
        c = b + step / c
        result *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return min(1.0, front * result)


def holm(chances: Sequence[float]) -> list[float]:
    """Chances adjusted for how many were looked at (Holm 1979).

    The chance that any of those where nothing has changed falls below a level is at
    most that level, however the checks depend on each other.
    """
    order = sorted(range(len(chances)), key=chances.__getitem__)
    adjusted, least = [1.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, chances[place] * (len(chances) - rank)))
        adjusted[place] = least
    return adjusted


def f1_interval(tp: int, fp: int, fn: int, tn: int) -> tuple[float, float] | None:
    """The 95 % interval of F1: the texts drawn anew, with replacement, 2,000 times."""
    count = tp + fp + fn + tn
    if not tp + fp + fn:
        return None
    draw = np.random.default_rng(0)
    shares = np.array([tp, fp, fn, tn]) / count
    t, p, n, _ = draw.multinomial(count, shares, size=_DRAWS).T
    below = 2 * t + p + n
    values = 2 * t[below > 0] / below[below > 0]
    if not len(values):
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
