"""Pictures of an evaluation. The only module here that knows matplotlib."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptguard.measure.figures import bins, wilson

from .counts import Judged
from .errors import PipelineError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "prepare", "roc"]

# Told apart also by those who do not tell red from green (Okabe and Ito).
_BENIGN, _ATTACK, _QUIET = "#0072B2", "#D55E00", "#666666"
_TIERS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_LEAST_RATE = 1e-3
# Disguises of each tier that are shown one by one: those that keep least.
_WORST = 6
_DPI = 120


def prepare() -> None:
    """See that pictures can be drawn, before minutes are spent.

    Raises:
        PipelineError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 - loaded to see that it is there
    except ImportError:
        raise PipelineError(
            "the plots need matplotlib; `make train-env` installs it"
        ) from None


def draw(
    judged: Sequence[Judged], report: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Draw what can be drawn of these texts, and return the files."""
    pictures = {
        "roc.png": _roc(judged, report["fpr"]),
        "scores.png": _scores(judged),
        "reliability.png": _reliability(judged),
        "length.png": _lengths(report["groups"]),
    }
    if found := report.get("evasion"):
        pictures["evasion.png"] = _evasion(found)
    for name, picture in pictures.items():
        picture.savefig(folder / name, dpi=_DPI)
    return [folder / name for name in pictures]


def roc(part: Sequence[Judged]) -> list[tuple[float, float]]:
    """False-positive rate and recall at every threshold, every set weighing the same.

    Empty when there are no attacks or no benign texts.
    """
    sizes: defaultdict[tuple[str, bool], int] = defaultdict(int)
    for j in part:
        sizes[j.name, j.row.attack] += 1
    sets = {
        attack: sum(kind == attack for _, kind in sizes) for attack in (True, False)
    }
    if not sets[True] or not sets[False]:
        return []
    marked = sorted(
        (-j.found.score, j.row.attack, 1 / sizes[j.name, j.row.attack]) for j in part
    )
    reached = {True: 0.0, False: 0.0}
    points = [(0.0, 0.0)]
    for _, ties in groupby(marked, key=lambda entry: entry[0]):
        for _, attack, weight in ties:
            reached[attack] += weight / sets[attack]
        points.append((reached[False], reached[True]))
    return points


def _roc(judged: Sequence[Judged], fpr: float) -> Figure:
    figure = _figure(7.2, 4.8)
    axes = figure.subplots()
    for (kind, role), part in _parts(judged):
        points = roc(part)
        if not points:
            continue
        across, up = zip(*points, strict=True)
        color = _ATTACK if role == "user" else _BENIGN
        axes.step(
            [max(value, _LEAST_RATE / 2) for value in across],
            up,
            where="post",
            color=color,
            linestyle="-" if kind == "unseen" else "--",
            linewidth=1.8,
            label=f"{_PLURAL[kind]}, role {role}",
        )
        flagged = _shares(part)
        axes.plot(max(flagged[False], _LEAST_RATE / 2), flagged[True], "o", color=color)
    axes.axvline(fpr, color=_QUIET, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_RATE / 2, 1)
    axes.set_ylim(0, 1.01)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.set_title(
        f"ROC; every set weighs the same; dots: the operating point of {fpr:.0%}",
        fontsize=10,
    )
    _labelled(axes, "benign texts flagged", "recall")
    _legend(axes, "upper left")
    return figure


def _scores(judged: Sequence[Judged]) -> Figure:
    """Scores by class and role; the upright axis is logarithmic: alarms are rare."""
    roles = sorted({j.row.role for j in judged}, reverse=True)
    figure = _figure(9.0, 3.8)
    edges = [step / 40 for step in range(41)]
    panels = figure.subplots(1, len(roles), squeeze=False)[0]
    for axes, role in zip(panels, roles, strict=True):
        for attack, color, name in (
            (False, _BENIGN, "benign"),
            (True, _ATTACK, "attacks"),
        ):
            scores = [
                j.found.score
                for j in judged
                if j.row.role == role and j.row.attack == attack
            ]
            if scores:
                axes.hist(scores, edges, color=color, alpha=0.25)
                axes.hist(
                    scores,
                    edges,
                    color=color,
                    histtype="step",
                    linewidth=1.8,
                    label=f"{name} ({len(scores):,})",
                )
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_xlim(0, 1)
        axes.set_title(f"scores, role {role}", fontsize=10)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        _labelled(axes, "score (highest of a text's windows)", "texts")
        _legend(axes, "upper center")
    return figure


def _reliability(judged: Sequence[Judged]) -> Figure:
    """Whether a score of 0.8 means that eight of ten such texts are attacks."""
    attacks = [j.found.score for j in judged if j.row.attack]
    benign = [j.found.score for j in judged if not j.row.attack]
    figure = _figure(5.6, 5.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    found = bins(attacks, benign)
    means = [b.score for b in found]
    shares = [b.attacks / b.count for b in found]
    spans = [wilson(b.attacks, b.count) or (0.0, 1.0) for b in found]
    errors = [
        [max(0.0, s - low) for s, (low, _) in zip(shares, spans, strict=True)],
        [max(0.0, high - s) for s, (_, high) in zip(shares, spans, strict=True)],
    ]
    axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1, linestyle=":")
    axes.errorbar(
        means,
        shares,
        yerr=errors,
        color=_ATTACK,
        marker="o",
        linewidth=1.5,
        capsize=3,
        label="share of attacks, 95 % interval",
    )
    axes.set_ylim(-0.02, 1.02)
    axes.set_title("reliability; it moves with the share of attacks", fontsize=10)
    _labelled(axes, "", "share of attacks")
    _legend(axes, "upper left")
    below.bar(means, [b.count for b in found], width=0.05, color=_BENIGN)
    for b in found:
        below.annotate(
            f"{b.count:,}",
            (b.score, b.count),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    below.set_yscale("log")
    below.set_ylim(0.7, 5 * max((b.count for b in found), default=1))
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.set_xlim(-0.04, 1.04)
    _labelled(below, "mean score of the texts in a bin", "texts")
    return figure


def _lengths(kinds: Mapping[str, Any]) -> Figure:
    """Recall and alarms by length, with intervals and numbers of texts."""
    figure = _figure(9.0, 4.0)
    left, right = figure.subplots(1, 2)
    for axes, key, count, title in (
        (left, "recall", "attacks", "recall by length"),
        (right, "fpr", "benign", "benign texts flagged by length"),
    ):
        names = list(
            dict.fromkeys(name for g in kinds.values() for name in g["length"])
        )
        names.sort(key=lambda name: (name.startswith("over"), int(name.split()[-1])))
        for place, (kind, color) in enumerate(
            (("unseen", _ATTACK), ("benchmark", _BENIGN))
        ):
            rows = kinds.get(kind, {}).get("length", {})
            shown = [n for n in names if rows.get(n, {}).get(key) is not None]
            at = [names.index(name) + (place - 0.5) * 0.2 for name in shown]
            values = [rows[name][key] for name in shown]
            spans = [rows[name][f"{key} interval"] for name in shown]
            errors = [
                [max(0.0, v - low) for v, (low, _) in zip(values, spans, strict=True)],
                [
                    max(0.0, high - v)
                    for v, (_, high) in zip(values, spans, strict=True)
                ],
            ]
            if shown:
                axes.errorbar(
                    at,
                    values,
                    yerr=errors,
                    fmt="o",
                    color=color,
                    capsize=3,
                    label=_PLURAL[kind],
                )
            for x, value, name in zip(at, values, shown, strict=True):
                axes.annotate(
                    f"{rows[name][count]:,}",
                    (x, value),
                    (5, 0),
                    textcoords="offset points",
                    fontsize=7,
                    color=color,
                    va="center",
                )
        axes.set_xticks(range(len(names)), [_short(name) for name in names])
        axes.set_xlim(-0.6, len(names) - 0.3)
        axes.set_ylim(bottom=-0.01)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_title(f"{title}; numbers of texts", fontsize=10)
        _labelled(axes, "characters", "")
        _legend(axes, "best")
    left.set_ylim(-0.01, 1.03)
    return figure


def _evasion(found: Mapping[str, Any]) -> Figure:
    """What is left of recall, and what honest texts suffer: tiers, and the worst."""
    tiers = [(f"all of tier {tier}", tier, row) for tier, row in found["tiers"].items()]
    known = [
        (name, row["tier"], row)
        for name, row in found["disguises"].items()
        if row["retention"] is not None
    ]
    known.sort(key=lambda entry: entry[2]["retention"])
    worst = [
        entry
        for tier in found["tiers"]
        for entry in [one for one in known if one[1] == tier][:_WORST]
    ]
    rows = [*tiers, *worst][::-1]
    colors = dict(zip(found["tiers"], _TIERS, strict=False))
    figure = _figure(9.0, 1.2 + 0.21 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for axes, key, title in (
        (left, "retention", "recall kept under the disguise"),
        (right, "fpr increase", "benign texts flagged, change"),
    ):
        for place, (_, tier, row) in enumerate(rows):
            value = row[key] or 0.0
            axes.barh(place, value, color=colors.get(tier, _QUIET), height=0.7)
            if row[key] is not None:
                axes.text(value, place, f" {value:.0%}", va="center", fontsize=7)
        axes.axhline(len(worst) - 0.5, color=_QUIET, linewidth=0.8)
        axes.set_title(title, fontsize=10)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        _labelled(axes, "", "")
    left.axvline(1, color=_QUIET, linewidth=1, linestyle=":")
    left.set_yticks(
        range(len(rows)), [f"{name} ({tier})" for name, tier, _ in rows], fontsize=8
    )
    left.set_ylim(-0.7, len(rows) - 0.3)
    return figure


_PLURAL = {"unseen": "unseen sources", "benchmark": "test sets"}


def _parts(
    judged: Sequence[Judged],
) -> Iterator[tuple[tuple[str, str], list[Judged]]]:
    """Texts by kind of set and role, as ``counts.Others`` weighs them."""
    mixed = {j.name for j in judged if j.row.attack and j.unseen}
    parts: defaultdict[tuple[str, str], list[Judged]] = defaultdict(list)
    for j in judged:
        if j.name in mixed and not j.row.attack:
            continue
        if j.kind in _PLURAL:
            parts[j.kind, j.row.role].append(j)
    yield from sorted(parts.items(), reverse=True)


def _shares(part: Sequence[Judged]) -> dict[bool, float]:
    """Share that is flagged of attacks and of benign texts, sets weighing the same."""
    found = {}
    for attack in (True, False):
        flags: defaultdict[str, list[bool]] = defaultdict(list)
        for j in part:
            if j.row.attack == attack:
                flags[j.name].append(j.flagged)
        found[attack] = sum(sum(f) / len(f) for f in flags.values()) / len(flags)
    return found


def _short(name: str) -> str:
    kind, number = name.split()[0], int(name.split()[-1])
    shown = f"{number // 1000}k" if number >= 1000 else str(number)
    return f"{'≤' if kind == 'up' else '>'} {shown}"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def _legend(axes: Axes, place: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, frameon=False, fontsize=8)


def _labelled(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
