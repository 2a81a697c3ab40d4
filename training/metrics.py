"""How well scores part two kinds of text. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from promptguard.measure.figures import exact

__all__ = [
    "auc",
    "effective",
    "interval",
    "kappa",
    "partial_auc",
    "recall_at",
    "share_above",
    "share_interval",
    "threshold_at",
]

Groups = Sequence[Sequence[float]]
"""Scores by source; every source weighs the same, however many texts it has."""


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Chance that a positive scores above a negative; ties count half."""
    if not positives or not negatives:
        return None
    ranked = sorted([(s, 1) for s in positives] + [(s, 0) for s in negatives])
    total, place = 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        ties = sum(kind for _, kind in ranked[place:end])
        total += ties * (place + 1 + end) / 2
        place = end
    count = len(positives)
    return (total - count * (count + 1) / 2) / (count * len(negatives))


def partial_auc(
    positives: Sequence[float], negatives: Sequence[float], most: float
) -> float:
    """Mean recall over the false-positive rates from 0 to ``most``.

    The area under that part of the ROC curve, divided by its width (McClish 1989,
    without the correction for chance).
    """
    highest = sorted(negatives, reverse=True)
    whole = most * len(highest)
    area, width = 0.0, 0.0
    for place in range(math.ceil(whole)):
        step = min(1.0, whole - place)
        area += step * share_above([positives], math.nextafter(highest[place], 2.0))
        width += step
    return area / width if width else 0.0


def threshold_at(groups: Groups, rate: float) -> tuple[float, float]:
    """The lowest threshold that at most this share of the scores reach.

    Args:
        groups: Scores of benign texts, by source; every source weighs the same.
        rate: The share that may reach the threshold.

    Returns:
        The threshold, and the share that does reach it.
    """
    groups = [group for group in groups if group]
    weighted = sorted(
        ((s, 1 / (len(group) * len(groups))) for group in groups for s in group),
        reverse=True,
    )
    reached = 0.0
    for score, weight in weighted:
        reached += weight
        if reached > rate + 1e-12:
            # Just above the first score that would be too many.
            threshold = math.nextafter(score, 2.0)
            return threshold, share_above(groups, threshold)
    return 0.0, reached


def share_above(groups: Groups, threshold: float) -> float:
    """Share of the scores that reach a threshold, every group weighing the same."""
    shares = [sum(s >= threshold for s in group) / len(group) for group in groups]
    return sum(shares) / len(shares) if shares else 0.0


def effective(groups: Groups) -> float:
    """How many texts of one weight say as much as these, every group weighing the same.

    The square of the summed weights over the sum of their squares (Kish 1965, Survey
    Sampling): all of them where the groups are of one size, fewer where a few texts
    stand for a whole group.
    """
    sizes = [len(group) for group in groups if group]
    return len(sizes) ** 2 / sum(1 / size for size in sizes) if sizes else 0.0


def share_interval(groups: Groups, threshold: float) -> tuple[float, float] | None:
    """The 95 % interval of the share above a threshold, groups weighing the same.

    Clopper and Pearson's, with the effective number of texts for their count, as Korn
    and Graubard (1998, Survey Methodology 24) do for weighted samples. It takes the
    texts of a source to be drawn one by one, and the sources to be the ones asked
    about: it tells nothing about other sources.
    """
    count = effective(groups)
    return exact(share_above([g for g in groups if g], threshold) * count, count)


def recall_at(
    positives: Sequence[float], negatives: Sequence[float], rate: float
) -> float | None:
    """Share of positives above the threshold that this share of negatives reaches."""
    if not positives or not negatives:
        return None
    threshold, _ = threshold_at([negatives], rate)
    return share_above([positives], threshold)


def kappa(one: Sequence[bool], other: Sequence[bool]) -> float | None:
    """Agreement of two judges beyond chance (Cohen 1960); None of nothing.

    It is 1 where they agree on everything, also when they always say the same.
    """
    count = len(one)
    if not count:
        return None
    same = sum(a == b for a, b in zip(one, other, strict=True)) / count
    yes = sum(one) * sum(other) / count**2
    no = (count - sum(one)) * (count - sum(other)) / count**2
    chance = yes + no
    return 1.0 if same == 1 else (same - chance) / (1 - chance)


def interval(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson interval of a share, 95 % by default."""
    if count == 0:
        return 0.0, 1.0
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    width = 1 + z * z / count
    return max(0.0, (middle - spread) / width), min(1.0, (middle + spread) / width)
