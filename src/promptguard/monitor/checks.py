"""The checks of one direction: inputs, scores, decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from . import figures
from .features import CHARACTERS, WORDS
from .figures import Floats
from .profile import COVERAGES, SCORES, Found, Side
from .report import Histogram
from .samples import Sample
from .separating import separate
from .thresholds import Thresholds

__all__ = ["Moved", "decisions", "histograms", "inputs"]

# Guards and labels that are looked at one by one: those found most often.
_MOST = 20
# Findings below which a rate tells nothing.
_LEAST = 5
_EMPTY = Found(0, 0, np.zeros(SCORES))


@dataclass(frozen=True, slots=True)
class Moved:
    """How far something has moved, before that is judged."""

    name: str
    group: str
    statistic: str
    value: float
    p: float
    texts: int
    reference: float | None = None
    current: float | None = None


def inputs(
    group: str, reference: Side, side: Side, sample: Sample, thresholds: Thresholds
) -> Iterator[Moved]:
    """How texts have moved: length, coverage, role, language, script, words."""
    on = thresholds.limits
    scale = reference.scale, side.scale
    for name, one, other in (
        ("length", reference.lengths, side.lengths),
        ("coverage", reference.coverages, side.coverages),
    ):
        if name in on:
            distance = figures.ks(one, other)
            p = figures.ks_p(distance, reference.requests, side.requests)
            yield Moved(name, group, "ks", distance, p, side.texts)
    for name in ("role", "language", "script"):
        pair = _columns(reference, side, name)
        if name in on and all(column.sum() for column in pair):
            p = figures.chi2_p(*pair, scale)
            psi = figures.psi(*pair)
            yield Moved(name, group, "psi", psi, p, int(pair[1].sum()))
    if min(reference.read, side.read) < thresholds.requests:
        return
    for name, family in (
        ("vocabulary", WORDS),
        ("characters", CHARACTERS),
        ("classifier", None),
    ):
        if name in on and (found := separate(reference.halves, sample, family)):
            read = int(sample.read.sum())
            yield Moved(name, group, "auc", found.auc, found.p, read)


def _columns(reference: Side, side: Side, name: str) -> tuple[Floats, Floats]:
    return figures.aligned(reference.columns[name], side.columns[name])


def decisions(group: str, reference: Side, side: Side) -> Iterator[Moved]:
    """How scores and rates have moved, over all and by guard and label."""
    n, m = reference.texts, side.texts
    actions = reference.columns["action"], side.columns["action"]
    for name, hits in (
        (
            "flagged",
            [n_ - of.get("allow", 0) for n_, of in zip((n, m), actions, strict=True)],
        ),
        ("blocked", [of.get("block", 0) for of in actions]),
    ):
        yield from _rate(name, group, (hits[0], hits[1]), reference, side)
    for guard, label in _usual(reference.found, side.found):
        one = reference.found.get((guard, label), _EMPTY)
        other = side.found.get((guard, label), _EMPTY)
        where = f"{group}: {guard}: {label}"
        yield from _rate(
            "flagged", where, (one.flagged, other.flagged), reference, side
        )
        yield from _rate(
            "blocked", where, (one.blocked, other.blocked), reference, side
        )
        least = min(one.flagged * reference.scale, other.flagged * side.scale)
        if least < 3 * _LEAST or np.count_nonzero(one.scores + other.scores) < 2:
            continue
        distance = figures.ks(one.scores, other.scores)
        p = figures.ks_p(
            distance, one.flagged * reference.scale, other.flagged * side.scale
        )
        yield Moved("score", where, "ks", distance, p, other.flagged)


def _usual(
    one: Mapping[tuple[str, str], Found], other: Mapping[tuple[str, str], Found]
) -> list[tuple[str, str]]:
    def count(name: tuple[str, str]) -> int:
        return one.get(name, _EMPTY).flagged + other.get(name, _EMPTY).flagged

    names = sorted({*one, *other}, key=lambda name: (-count(name), name))
    return [name for name in names[:_MOST] if count(name) >= _LEAST]


def _rate(
    name: str, group: str, hits: tuple[int, int], reference: Side, side: Side
) -> Iterator[Moved]:
    if sum(hits) < _LEAST:
        return
    shares = hits[0] / reference.texts, hits[1] / side.texts
    p = figures.fisher_p(
        hits[0] * reference.scale,
        reference.requests,
        hits[1] * side.scale,
        side.requests,
    )
    h = abs(figures.cohen_h(*shares))
    yield Moved(name, group, "h", h, p, side.texts, *shares)


def histograms(group: str, reference: Side, side: Side) -> Iterator[Histogram]:
    """What the pictures show of a direction."""
    lengths = tuple(f"{round(2 ** (n / 4)) - 1:,}" for n in range(len(side.lengths)))
    used = np.flatnonzero(reference.lengths + side.lengths)
    if len(used):
        span = slice(int(used[0]), int(used[-1]) + 1)
        yield _histogram(
            "length", group, lengths[span], reference.lengths[span], side.lengths[span]
        )
    if (reference.coverages + side.coverages)[:-1].any():
        shares = tuple(f"{n / (COVERAGES - 1):.0%}" for n in range(COVERAGES))
        yield _histogram("coverage", group, shares, reference.coverages, side.coverages)
    for name in ("language", "script", "role", "action"):
        one, other = reference.columns[name], side.columns[name]
        names = sorted(
            {*one, *other}, key=lambda n: (-one.get(n, 0), -other.get(n, 0), n)
        )
        if len(names) > 1:
            pair = [
                np.array([of.get(n, 0) for n in names[:12]], float)
                for of in (one, other)
            ]
            yield _histogram(name, group, tuple(names[:12]), *pair)
    for guard, label in _usual(reference.found, side.found):
        one_, other_ = (s.found.get((guard, label), _EMPTY) for s in (reference, side))
        bins = tuple(f"{n / SCORES:.2f}" for n in range(SCORES))
        if np.count_nonzero(one_.scores + other_.scores) > 1:
            where = f"{group}: {guard}: {label}"
            yield _histogram("score", where, bins, one_.scores, other_.scores)


def _histogram(
    name: str, group: str, bins: tuple[str, ...], one: Floats, other: Floats
) -> Histogram:
    shares = [
        tuple(float(round(v, 6)) for v in of / max(of.sum(), 1)) for of in (one, other)
    ]
    return Histogram(name, group, bins, shares[0], shares[1])
