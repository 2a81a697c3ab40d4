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
from .profile import Known, Profile, judged
from .report import Check, Quality, Share
from .samples import Sample
from .separating import balanced, separate
from .thresholds import Thresholds

__all__ = ["Weighed", "bounds", "meaning", "measured", "moved"]

# Of a mean that was weighted to 0, what may be left, in standard deviations.
_LEFT = 0.1
_LEAST = 10.0
_RARE = 0.02


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

    Texts in which the label was found, and the others, are each weighted: by the score
    of a classifier that tells them from those of the reference, by language, and by the
    score of the guard. What then still differs does not come from the inputs: the same
    inputs mean something else.
    """
    rows, values = labelled[label]
    read = sample.read[rows]
    rows, values = rows[read], values[read]
    known = profile.known[label]
    if min(len(rows), sum(known.total())) < thresholds.labelled:
        return Weighed(None, None)
    found, moments = judged(sample, label, rows)
    weights = np.zeros(len(rows))
    strata: list[tuple[Flags, float]] = []
    for part in (True, False):
        here = found == part
        own = _weights(known, part, sample.take(rows[here]), moments[here])
        if own is not None:
            tp, fp, fn, tn = known.total()
            share = (tp + fp if part else fn + tn) / (tp + fp + fn + tn)
            weights[here] = own * share
            strata.append((here, share))
    if not strata:
        return Weighed(None, None)
    check = _same(label, known, weights, strata, found, values)
    if sum(share for _, share in strata) < 1 - 1e-9:
        return Weighed(None, check)
    return Weighed(_weighted(label, weights, found, values), check)


def _weights(
    known: Known, found: bool, sample: Sample, moments: Floats
) -> Floats | None:
    """Of texts that were judged alike; None where they cannot be made alike."""
    separation = separate(known.found if found else known.unfound, sample)
    if separation is None:
        return None
    columns = [separation.scores]
    counts = {
        name: row[0] + row[1] if found else row[2] + row[3]
        for name, row in known.counts.items()
    }
    total = sum(counts.values())
    for name, count in counts.items():
        # A language that is rare in both moves nothing, and a weight would be wild.
        here = sample.columns["language"].equal(name).astype(float)
        if max(count / total, here.mean()) >= _RARE:
            columns.append(here - count / total)
    if found:
        columns += [*(moments - np.array(known.moments)).T]
    features = np.stack(columns, axis=1)
    spread = features.std(axis=0)
    unlike = np.abs(features.mean(axis=0))[spread == 0] > _RARE
    weights = balanced(features)
    left = np.abs(weights @ features)[spread > 0] / spread[spread > 0]
    worth = 1 / float(weights @ weights)
    if unlike.any() or left.max(initial=0.0) > _LEFT or worth < _LEAST:
        return None
    return weights


def _weighted(label: str, weights: Floats, found: Flags, true: Flags) -> Quality:
    worth = 1 / float(weights @ weights)

    def mass(where: Flags) -> int:
        return round(float(weights[where].sum()) * worth)

    counts = (mass(found & true), mass(found & ~true))
    others = (mass(~found & true), mass(~found & ~true))
    return _quality("weighted", label, "all", (*counts, *others))


def _same(
    label: str,
    known: Known,
    weights: Floats,
    strata: Sequence[tuple[Flags, float]],
    found: Flags,
    true: Flags,
) -> Moved | None:
    """Whether those judged alike have the label as often as before."""
    tp, fp, fn, tn = known.total()
    total, degrees, most = 0.0, 0, (0.0, 0.0, 0.0)
    for here, part in strata:
        own = weights[here] / part
        hits, count = (tp, tp + fp) if found[here].all() else (fn, fn + tn)
        worth = 1 / float(own @ own)
        now, before = float(own @ true[here]), hits / count
        pooled = (hits + now * worth + 0.5) / (count + worth + 1)
        error = pooled * (1 - pooled) * (1 / count + 1 / worth)
        total += (now - before) ** 2 / error
        degrees += 1
        most = max(most, (abs(now - before), before, now))
    p = figures.chi2_tail(total, degrees)
    return Moved(
        "concept", label, "difference", most[0], p, len(weights), most[1], most[2]
    )
