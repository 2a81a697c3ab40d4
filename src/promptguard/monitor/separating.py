"""Whether a classifier can tell the current texts from those of the reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .figures import Floats, normal_tail
from .profile import halves
from .samples import Sample
from .storing import Halves

__all__ = ["Separation", "balanced", "separate"]

# Fewer in a half, and there is nothing to learn from or to test on.
_LEAST = 10
# How strongly weights are kept apart from extremes, and how often they are improved.
_RIDGE = 1e-3
_STEPS = 50


@dataclass(frozen=True, eq=False)
class Separation:
    """How well a classifier told current texts from the reference's.

    Args:
        auc: The chance that it takes a current request for newer than one of the
            reference: 0.5 is not at all.
        p: How often it would do so well where nothing has changed.
        scores: Of each current text; what the reference has on average is 0.
    """

    auc: float
    p: float
    scores: Floats


def separate(
    reference: Halves, sample: Sample, family: slice | None = None
) -> Separation | None:
    """Train a classifier on one half of the requests, and test it on the other.

    A classifier two-sample test (Lopez-Paz and Oquab 2017) with a linear classifier,
    for which the means of the reference are enough. What it learned from does not take
    part in the test, so that the p-value holds whatever it learned; both halves take
    turns, and the smaller p-value counts twice (Bonferroni).

    Args:
        reference: The buckets of the reference, by halves.
        sample: The current texts.
        family: The buckets to look at; None is all of them.

    Returns:
        None where there are too few requests.
    """
    current = halves(sample)
    if min(count for _, count in (*reference, *current)) < _LEAST:
        return None
    chances, aucs, scores = [], [], np.zeros(len(sample))
    for train, test in ((0, 1), (1, 0)):
        direction = _direction(reference[train], current[train], family)
        here = sample.half == bool(test)
        mean = float(direction @ reference[test][0]) / reference[test][1]
        centred = sample.scores(direction) - mean
        scores[here] = centred[here]
        weight = sample.weight * here
        requests = np.bincount(sample.request, weight)
        own = np.bincount(sample.request, weight * centred)[requests > 0]
        spread = float(own.std(ddof=1))
        if spread <= 0:
            chances.append(1.0)
            aucs.append(0.5)
            continue
        gap = float(own.mean())
        error = spread * math.sqrt(1 / len(own) + 1 / reference[test][1])
        chances.append(normal_tail(gap / error))
        # Of two normal distributions that lie so far apart.
        aucs.append(1 - normal_tail(gap / spread / math.sqrt(2)))
    return Separation(sum(aucs) / 2, min(1.0, 2 * min(chances)), scores)


def _direction(
    reference: tuple[Floats, float],
    current: tuple[Floats, float],
    family: slice | None,
) -> Floats:
    """From the reference's mean to the current one; rare buckets count for little."""
    one, other = reference[0] / reference[1], current[0] / current[1]
    floor = 0.5 / min(reference[1], current[1])
    made = (other - one) / (other + one + floor)
    if family is None:
        return np.asarray(made)
    kept = np.zeros(len(made))
    kept[family] = made[family]
    return kept


def balanced(features: Floats) -> Floats:
    """Weights of texts that bring the mean of each feature as near to 0 as they can.

    Entropy balancing (Hainmueller 2012), with a ridge for what cannot be reached. The
    features are centred at what the reference has; the weights sum up to 1.
    """
    width = features.shape[1]
    if not width:
        return np.full(len(features), 1 / len(features))
    spread = features.std(axis=0)
    scaled = features[:, spread > 0] / spread[spread > 0]
    tilt = np.zeros(scaled.shape[1])
    weights, value = _weights(scaled, tilt)
    for _ in range(_STEPS):
        mean = weights @ scaled
        gradient = mean + _RIDGE * tilt
        if np.abs(gradient).max(initial=0.0) < 1e-8:
            break
        spread_now = scaled - mean
        curve = (spread_now * weights[:, None]).T @ spread_now
        step = np.linalg.solve(curve + _RIDGE * np.eye(len(tilt)), gradient)
        size = 1.0
        while size > 1e-6:
            tried = tilt - size * step
            weights, least = _weights(scaled, tried)
            if least <= value:
                break
            size /= 2
        if value - least < 1e-12:
            break
        tilt, value = tried, least
    return weights


def _weights(features: Floats, tilt: Floats) -> tuple[Floats, float]:
    powers = features @ tilt
    most = powers.max()
    raw = np.exp(powers - most)
    total = raw.sum()
    value = math.log(total / len(raw)) + most + _RIDGE / 2 * float(tilt @ tilt)
    return raw / total, float(value)
