"""How far annotators agree beyond chance, and what they decide together.

Cohen (1960), A Coefficient of Agreement for Nominal Scales; Fleiss (1971), Measuring
Nominal Scale Agreement Among Many Raters; Krippendorff (2011), Computing
Krippendorff's Alpha-Reliability. Intervals are percentiles of the bootstrap over texts
(Efron 1979).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PipelineError
from .records import Label

__all__ = [
    "TIES",
    "Agreement",
    "Figure",
    "Resolved",
    "agreement",
    "cohen",
    "fleiss",
    "krippendorff",
    "resolve",
    "votes",
]

TIES = ("drop", "positive", "negative")
"""What becomes of a tie: it is left open, or decided for the label or against it.

Any other word names the annotator who decides.
"""

_DRAWS = 1000

Votes = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A coefficient with its 95 % interval; None where chance is all there is."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        if self.low is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far annotators agree about one label.

    Args:
        label: The label.
        texts: Texts with labels.
        shared: Texts with labels of two annotators or more.
        annotators: How many texts each has labelled.
        cohen: Of each pair, over the texts that both have labelled.
        fleiss: Of all, over the shared texts.
        krippendorff: Of all, over the shared texts.
    """

    label: str
    texts: int
    shared: int
    annotators: tuple[tuple[str, int], ...]
    cohen: tuple[tuple[str, str, int, Figure], ...]
    fleiss: Figure
    krippendorff: Figure

    def markdown(self) -> str:
        """As a page."""
        lines = [
            f"# Agreement about {self.label}",
            "",
            f"{self.texts:,} texts, {self.shared:,} of them labelled by two or more.",
            "",
            "| figure | value, with its 95 % interval |",
            "| --- | --- |",
            f"| Krippendorff's alpha | {self.krippendorff} |",
            f"| Fleiss' kappa | {self.fleiss} |",
        ]
        lines += [
            f"| Cohen's kappa, {one} and {other}, {count:,} texts | {figure} |"
            for one, other, count, figure in self.cohen
        ]
        lines += ["", "| annotator | texts |", "| --- | ---: |"]
        lines += [f"| {name} | {count:,} |" for name, count in self.annotators]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the annotators of a text decide together.

    Args:
        text: Its name, as labels have it.
        value: 1 or 0.
        annotators: Who labelled it.
        agreement: Share of them that said so.
        at: When the last one did.
    """

    text: str
    value: int
    annotators: tuple[str, ...]
    agreement: float
    at: str


def votes(labels: Sequence[Label], label: str) -> Votes:
    """Who said what of each text, about one label."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for each in labels:
        if each.label == label:
            found[each.id][each.annotator] = each.value
    return dict(found)


def agreement(
    labels: Sequence[Label], label: str, *, draws: int = _DRAWS, seed: int = 0
) -> Agreement:
    """How far the annotators agree; intervals are drawn by the seed."""
    said = votes(labels, label)
    names = sorted({name for who in said.values() for name in who})
    table = np.full((len(said), len(names)), -1, dtype=np.int8)
    for row, who in enumerate(said.values()):
        for name, value in who.items():
            table[row, names.index(name)] = value
    pairs = []
    for one, other in combinations(range(len(names)), 2):
        both = table[:, [one, other]]
        both = both[(both >= 0).all(axis=1)]
        if len(both):
            figure = _interval(cohen, both, draws, seed)
            pairs.append((names[one], names[other], len(both), figure))
    shared = table[(table >= 0).sum(axis=1) >= 2]
    return Agreement(
        label,
        len(said),
        len(shared),
        tuple((name, int((table[:, n] >= 0).sum())) for n, name in enumerate(names)),
        tuple(pairs),
        _interval(fleiss, shared, draws, seed),
        _interval(krippendorff, shared, draws, seed),
    )


def cohen(table: NDArray[Any]) -> float | None:
    """Of two annotators: a row for each text, a column for each of the two."""
    if not len(table):
        return None
    agreed = float((table[:, 0] == table[:, 1]).mean())
    values = np.unique(table)
    chance = float(
        sum((table[:, 0] == v).mean() * (table[:, 1] == v).mean() for v in values)
    )
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def _counts(table: NDArray[Any]) -> NDArray[np.float64]:
    """How many annotators gave each text each value; those of two or more."""
    values = np.unique(table[table >= 0])
    columns = [(table == value).sum(axis=1) for value in values]
    counts: NDArray[np.float64] = np.stack(columns, axis=1).astype(np.float64)
    shared: NDArray[np.float64] = counts[counts.sum(axis=1) >= 2]
    return shared


def fleiss(table: NDArray[Any]) -> float | None:
    """Of any annotators: a row for each text, -1 where somebody says nothing.

    Where texts have different numbers of labels, each counts with the share of its
    pairs that agree, and a value's share is that of all labels.
    """
    if not len(table):
        return None
    counts = _counts(table)
    sizes = counts.sum(axis=1)
    agreed = float((((counts**2).sum(axis=1) - sizes) / (sizes * (sizes - 1))).mean())
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def krippendorff(table: NDArray[Any]) -> float | None:
    """Alpha of nominal values: a row for each text, -1 where somebody says nothing."""
    if not len(table):
        return None
    counts = _counts(table)
    if not len(counts):
        return None
    sizes = counts.sum(axis=1)
    total = counts.sum()
    apart = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)
    observed = float(apart.sum()) / total
    each = counts.sum(axis=0)
    expected = float(total**2 - (each**2).sum()) / (total * (total - 1))
    return None if expected == 0 else 1 - observed / expected


def _interval(
    figure: Callable[[NDArray[Any]], float | None],
    table: NDArray[Any],
    draws: int,
    seed: int,
) -> Figure:
    value = figure(table)
    if value is None or len(table) < 2:
        return Figure(value)
    rng = np.random.default_rng(seed)
    found = [
        each
        for _ in range(draws)
        if (each := figure(table[rng.integers(len(table), size=len(table))]))
        is not None
    ]
    if not found:
        return Figure(value)
    low, high = np.quantile(found, (0.025, 0.975))
    return Figure(value, float(low), float(high))


def resolve(
    labels: Sequence[Label], label: str, *, ties: str = "drop", least: int = 1
) -> tuple[list[Resolved], list[str]]:
    """What the majority says of each text, and the texts that stay open.

    Args:
        labels: All labels.
        label: Which one.
        ties: One of ``TIES``, or the annotator who decides; where that one has said
            nothing, the text stays open.
        least: Annotators that a text needs.

    Raises:
        PipelineError: Nobody is called so.
    """
    said = votes(labels, label)
    names = {name for who in said.values() for name in who}
    if ties not in TIES and ties not in names:
        raise PipelineError(
            f"labels: ties are decided by {', '.join(TIES)} or an annotator; there is "
            f"none of the name {ties!r}. Known: {', '.join(sorted(names)) or 'nobody'}"
        )
    dates = {(x.id, x.annotator): x.at for x in labels if x.label == label}
    done: list[Resolved] = []
    open_: list[str] = []
    for text, who in said.items():
        value = _majority(who, ties) if len(who) >= least else None
        if value is None:
            open_.append(text)
            continue
        share = sum(each == value for each in who.values()) / len(who)
        at = max(dates[text, name] for name in who)
        done.append(Resolved(text, value, tuple(sorted(who)), share, at))
    return done, open_


def _majority(who: Mapping[str, int], ties: str) -> int | None:
    yes = sum(who.values())
    if 2 * yes != len(who):
        return int(2 * yes > len(who))
    if ties in ("positive", "negative"):
        return int(ties == "positive")
    return who.get(ties)
