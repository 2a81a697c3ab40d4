"""Operating points out of benign texts: thresholds by rate, role and length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import ConfigError
from ..queries import TOOL_ROLES, OperatingPoint
from . import figures
from .scoring import BUCKETS, Measured, bucket, lengths

__all__ = ["Point", "check_enough", "counts", "lines", "measure", "needed"]

LABEL = "injection"
# How the model reads a text: as somebody's own words, or as content.
SIDES = ("user", "tool")


def needed(rate: float) -> int:
    """How many benign texts it takes to state a rate.

    With three texts expected above the threshold, the true rate is within three times
    the stated one; with fewer there is nothing to read a threshold off.
    """
    return math.ceil(3 / rate - 1e-9)


def counts(roles: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Numbers of texts by how the model reads them, from pairs of role and number."""
    texts = dict.fromkeys(SIDES, 0)
    for role, count in roles:
        texts["tool" if role in TOOL_ROLES else "user"] += count
    return texts


def check_enough(texts: Mapping[str, int], rates: Iterable[float]) -> None:
    """See that every rate can be measured for one role at least.

    Raises:
        ConfigError: There are too few texts; it says how many are needed.
    """
    most = max(texts.values())
    for rate in sorted(rates, reverse=True):
        if most >= needed(rate):
            continue
        there = " and ".join(f"{count:,} ({name})" for name, count in texts.items())
        reachable = math.ceil(3e4 / most) / 1e4 if most >= 30 else None
        other = f", or ask for a rate of {reachable:g} or more" if reachable else ""
        raise ConfigError(
            f"a rate of {rate:g} needs at least {needed(rate):,} benign texts of one "
            f"role; there are {there}. Collect more{other}"
        )


@dataclass(frozen=True)
class Point:
    """An operating point and what it was measured on.

    Args:
        role: ``user`` or ``tool``.
        windows: Upper bound of the texts' numbers of windows.
        fpr: The rate that was asked for.
        threshold: The threshold that keeps it.
        texts: Benign texts of this role and length.
        reached: How many of them reach the threshold.
        together: The lengths that were measured as one with this one, itself among
            them; empty when the threshold is the model's own.
        enough: Whether these lengths have enough texts to state the rate.
        borrowed: Whether the threshold is that of shorter texts or of a higher rate,
            because these texts' own would be lower.
        before: How many of the texts the model's own operating point stops; None
            where it has none.
    """

    role: str
    windows: int
    fpr: float
    threshold: float
    texts: int
    reached: int
    together: tuple[int, ...]
    enough: bool
    borrowed: bool
    before: int | None

    def table(self) -> dict[str, Any]:
        """The point as it stands in a file."""
        return {
            "label": LABEL,
            "role": self.role,
            "windows": self.windows,
            "fpr": self.fpr,
            "threshold": self.threshold,
            "texts": self.texts,
            "reached": self.reached,
            "measured": figures.share(self.reached, self.texts),
            "interval": figures.exact(self.reached, self.texts),
            "measured_with": list(self.together),
            "enough": self.enough,
            "borrowed": self.borrowed,
            "reached_before": self.before,
        }


def measure(measured: Sequence[Measured], rates: Iterable[float]) -> list[Point]:
    """The operating points of every role at every rate.

    Lengths are told apart where each has enough texts; a length that has too few is
    measured together with the next longer ones; if the longest are too few even
    together, they are marked as such. More windows are more chances of a high score,
    so a threshold never falls with the length: where it would, that of the shorter
    texts is borrowed. So no length is stopped more often than asked for by design.

    A role with too few texts altogether keeps the model's own points, if it has some
    at that rate.

    Raises:
        ConfigError: No role has enough texts for one of the rates, or more texts
            than the rate allows have the highest score there is.
    """
    rates = sorted(rates, reverse=True)
    check_enough(counts((m.row.role, 1) for m in measured), rates)
    found: list[Point] = []
    for role in SIDES:
        part = [m for m in measured if (m.row.role in TOOL_ROLES) == (role == "tool")]
        # The smaller rate must not get the lower threshold, whatever its groups.
        floors = dict.fromkeys(BUCKETS, 0.0)
        for rate in rates:
            if len(part) >= needed(rate):
                here = list(_own(part, role, rate, floors))
            else:
                known = measured[0].answer.operating_points
                here = list(_models(known, part, role, rate, floors))
            for point in here:
                floors[bucket(point.windows)] = point.threshold
            found += here
    return found


@dataclass(frozen=True)
class _Group:
    """Neighbouring lengths that share a threshold."""

    sizes: tuple[int, ...]
    threshold: float
    enough: bool


def _own(
    part: Sequence[Measured], role: str, rate: float, floors: Mapping[int, float]
) -> Iterator[Point]:
    by_length = {b: [m for m in part if bucket(m.windows) == b] for b in BUCKETS}
    least = 0.0
    for group in _groups(by_length, rate):
        if group.threshold > 1 and group.enough:
            raise ConfigError(
                f"more than {rate:g} of the {role} texts have the highest score there "
                "is, so that no threshold keeps this rate: label the attacks among "
                "them 1, or ask for a higher rate"
            )
        # A few texts with the highest score say nothing about the others.
        own = min(group.threshold, 1.0)
        for size in group.sizes:
            here = by_length[size]
            threshold = max(own, least, floors[size])
            yield Point(
                role,
                size,
                rate,
                threshold,
                len(here),
                sum(m.score >= threshold for m in here),
                group.sizes,
                group.enough,
                threshold > own,
                _before(here, rate),
            )
        least = max(least, own)


def _groups(
    by_length: Mapping[int, Sequence[Measured]], rate: float
) -> Sequence[_Group]:
    """Lengths in groups of enough texts; the last may have too few."""
    groups: list[_Group] = []
    sizes: tuple[int, ...] = ()
    for size in by_length:
        sizes = (*sizes, size)
        scores = [m.score for one in sizes for m in by_length[one]]
        enough = len(scores) >= needed(rate)
        if enough or size == BUCKETS[-1]:
            groups.append(_Group(sizes, figures.threshold_at(scores, rate), enough))
            sizes = ()
    return groups


def _models(
    points: Sequence[OperatingPoint],
    part: Sequence[Measured],
    role: str,
    rate: float,
    floors: Mapping[int, float],
) -> Iterator[Point]:
    """The model's own points, with what these texts say about them."""
    known = sorted(
        (p.windows, p.threshold)
        for p in points
        if (p.label, p.role, p.fpr) == (LABEL, role, rate)
    )
    left = list(part)
    for windows, own in known:
        last = windows == known[-1][0]
        here = [m for m in left if last or m.windows <= windows]
        left = [m for m in left if not last and m.windows > windows]
        threshold = max(own, floors[bucket(windows)])
        yield Point(
            role,
            windows,
            rate,
            threshold,
            len(here),
            sum(m.score >= threshold for m in here),
            (),
            False,
            threshold > own,
            sum(m.score >= own for m in here),
        )


def _before(here: Sequence[Measured], rate: float) -> int | None:
    try:
        return sum(m.score >= m.answer.threshold(LABEL, m.row.role, rate) for m in here)
    except ConfigError:
        return None


def lines(
    found: Sequence[Point], texts: Mapping[str, int], rates: Iterable[float]
) -> Iterator[str]:
    """The operating points as lines to read; shares are in per cent."""
    rates = tuple(rates)
    for role, count in texts.items():
        for rate in rates:
            here = [p for p in found if (p.role, p.fpr) == (role, rate)]
            yield ""
            yield f"role {role}, fpr {rate:g}: {count:,} benign texts"
            if count and here:
                yield from _table(here)
            if not any(p.together for p in here):
                yield _kept(role, rate, bool(here))


def _table(here: Sequence[Point]) -> Iterator[str]:
    yield (
        "  windows      threshold    texts  reach it, %   95 % interval  model's own, %"
    )
    for p in here:
        interval = figures.exact(p.reached, p.texts)
        span = " .. ".join(_percent(end) for end in interval) if interval else ""
        yield (
            f"  {lengths(p.windows):11}  {p.threshold:9.4f}  {p.texts:7,}"
            f"  {_share(p.reached, p.texts):>11}  {span:>14}"
            f"  {_share(p.before, p.texts):>14}  {_remark(p)}"
        ).rstrip()


def _remark(point: Point) -> str:
    others = [lengths(size) for size in point.together if size != point.windows]
    remarks = []
    if others:
        remarks.append(f"measured with {', '.join(others)}")
    if point.together and not point.enough:
        remarks.append("too few texts")
    if point.borrowed:
        remarks.append("borrowed")
    return "; ".join(remarks)


def _kept(role: str, rate: float, known: bool) -> str:
    few = f"  {needed(rate):,} are needed; "
    if known:
        return few + "the model's own operating points stay for this role"
    return few + (
        "the model has no operating point of its own at this rate, so that with this "
        f"file a check of a {role} text at it is an error"
    )


def _share(hits: int | None, count: int) -> str:
    return "-" if hits is None or not count else _percent(hits / count)


def _percent(share: float) -> str:
    return f"{share * 100:.2g}"
