"""How well labels were found, and whether the inputs or their meaning have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..measure.figures import share, wilson
from . import figures
from .checks import Moved
from .figures import Flags, Floats
from .labels import Labelled
from .profile import Known, Profile, confusion
from .report import Check, Quality, Share
from .sample import Sample
from .separating import balanced, separate
from .thresholds import Thresholds

__all__ = ["Weighed", "bounds", "meaning", "measured", "moved"]

# Of a mean that was weighted to 0, what may be left, in standard deviations.
_LEFT = 0.1
_LEAST = 10.0


def measured(window: str, label: str, known: Known, least: int) -> list[Quality]:
    """The quality of a label over all texts, and by language where there are enough."""
    rows = [_quality(window, label, "all", known.total())]
    rows += [
        _quality(window, label, language, counts)
        for language, counts in sorted(known.counts.items())
        if sum(counts) >= least and len(known.counts) > 1
    ]
    return rows


def _quality(
    window: str, label: str, language: str, counts: tuple[int, int, int, int]
) -> Quality:
    tp, fp, fn, tn = counts
    f1 = share(2 * tp, 2 * tp + fp + fn)
    return Quality(
        window,
        label,
        language,
        sum(counts),
        tp + fn,
        _share(tp, tp + fp),
        _share(tp, tp + fn),
        _with(f1, figures.f1_interval(tp, fp, fn, tn)),
        _share(fp, fp + tn),
    )


def _share(hits: int, count: int) -> Share | None:
    return _with(share(hits, count), wilson(hits, count))


def _with(value: float | None, interval: tuple[float, float] | None) -> Share | None:
    if value is None or interval is None:
        return None
    return Share(value, *interval)


def moved(
    label: str, reference: Known, current: Known, thresholds: Thresholds
) -> Iterator[Moved]:
    """How far precision and recall fell, and false positives rose."""
    languages = sorted({*reference.counts} & {*current.counts})
    for language in (None, *languages):
        one, other = reference.total(language), current.total(language)
        if min(sum(one), sum(other)) < thresholds.labelled:
            continue
        if language is not None and one == reference.total():
            continue
        group = label if language is None else f"{label}, {language}"
        for name, parts in (("precision", (0, 1)), ("recall", (0, 2)), ("fpr", (1, 3))):
            if name not in thresholds.limits:
                continue
            hits = one[parts[0]], other[parts[0]]
            counts = sum(one[n] for n in parts), sum(other[n] for n in parts)
            if min(counts) < _LEAST:
                continue
            shares = hits[0] / counts[0], hits[1] / counts[1]
            p = figures.fisher_p(hits[0], counts[0], hits[1], counts[1])
            rise = name == "fpr"
            gap = (shares[1] - shares[0]) * (1 if rise else -1)
            statistic = "rise" if rise else "drop"
            yield Moved(name, group, statistic, gap, p, counts[1], *shares)


def bounds(rows: Sequence[Quality], thresholds: Thresholds) -> Iterator[Check]:
    """Quality beside what it must be; the interval decides between warn and fail."""
    for row in rows:
        group = row.label if row.language == "all" else f"{row.label}, {row.language}"
        for statistic, bound in (
            ("least", thresholds.least),
            ("most", thresholds.most),
        ):
            for name, limit in bound.items():
                figure: Share | None = getattr(row, name)
                if figure is None:
                    continue
                low = statistic == "least"
                beyond = figure.value < limit if low else figure.value > limit
                surely = figure.high < limit if low else figure.low > limit
                verdict = "fail" if surely else "warn" if beyond else "pass"
                yield Check(
                    name,
                    group,
                    statistic,
                    figure.value,
                    limit,
                    limit,
                    verdict,
                    texts=round(row.texts),
                    current=figure.value,
                )


@dataclass(frozen=True, slots=True)
class Weighed:
    """Current texts of a label, weighted so that they are like the reference.

    Args:
        quality: Their quality; None where they cannot be brought to be like it.
        check: How much more or less often texts that were judged alike have the label.
    """

    quality: Quality | None
    check: Moved | None


def meaning(
    label: str,
    profile: Profile,
    sample: Sample,
    labelled: Labelled,
    thresholds: Thresholds,
) -> Weighed:
    """What is left of a change once the current texts are like the reference.

    The texts are weighted by the score of the classifier that tells them from the
    reference, and by language. What then still differs between texts that a guard
    judged alike does not come from the inputs: the same inputs mean something else.
    """
    rows, values = labelled[label]
    known = profile.known[label]
    chosen = sample.take(rows)
    if not chosen.read.all():
        rows, values = rows[chosen.read], values[chosen.read]
        chosen = sample.take(rows)
    if min(len(rows), sum(known.total())) < thresholds.labelled:
        return Weighed(None, None)
    weights = _weights(known, chosen)
    if weights is None or 1 / float(weights @ weights) < thresholds.labelled:
        return Weighed(None, None)
    found, true = confusion(sample, label, rows, values)
    return Weighed(
        _weighted(label, weights, found, true),
        _same(label, known, weights, found, true),
    )


def _weights(known: Known, sample: Sample) -> Floats | None:
    separation = separate(known.halves, sample)
    if separation is None:
        return None
    columns = [separation.scores]
    total = sum(known.total())
    for name in known.counts:
        # A language that is rare in both moves nothing, and a weight would be wild.
        here = sample.columns["language"].equal(name).astype(float)
        part = sum(known.counts[name]) / total
        if max(part, here.mean()) >= 0.02:
            columns.append(here - part)
    features = np.stack(columns, axis=1)
    weights = balanced(features)
    spread = features.std(axis=0)
    left = np.abs(weights @ features)[spread > 0] / spread[spread > 0]
    unlike = bool((np.abs(features.mean(axis=0))[spread == 0] > _LEFT).any())
    return None if unlike or left.max(initial=0.0) > _LEFT else weights


def _weighted(label: str, weights: Floats, found: Flags, true: Flags) -> Quality:
    worth = 1 / float(weights @ weights)

    def mass(where: Flags) -> float:
        return float(weights[where].sum()) * worth

    tp, fp = mass(found & true), mass(found & ~true)
    fn, tn = mass(~found & true), mass(~found & ~true)
    counts = tuple(round(n) for n in (tp, fp, fn, tn))
    row = _quality(
        "weighted", label, "all", (counts[0], counts[1], counts[2], counts[3])
    )
    return row


def _same(
    label: str, known: Known, weights: Floats, found: Flags, true: Flags
) -> Moved | None:
    tp, fp, fn, tn = known.total()
    total, degrees, most = 0.0, 0, (0.0, 0.0, 0.0)
    for here, hits, count in ((found, tp, tp + fp), (~found, fn, fn + tn)):
        own = weights[here]
        if count < _LEAST or not len(own):
            continue
        worth = float(own.sum()) ** 2 / float(own @ own)
        if worth < _LEAST:
            continue
        now = float(own @ true[here]) / float(own.sum())
        before = hits / count
        pooled = (hits + now * worth + 0.5) / (count + worth + 1)
        error = pooled * (1 - pooled) * (1 / count + 1 / worth)
        total += (now - before) ** 2 / error
        degrees += 1
        most = max(most, (abs(figures.cohen_h(before, now)), before, now))
    if not degrees:
        return None
    p = figures.chi2_tail(total, degrees)
    return Moved("concept", label, "h", most[0], p, len(weights), most[1], most[2])
