"""Pictures of an evaluation. The only module that knows matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import ConfigError, MissingExtra
from . import figures
from .scoring import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .grades import Evaluation

__all__ = ["compare", "draw", "prepare"]

# Told apart also by those who do not tell red from green (Okabe and Ito).
_BENIGN, _ATTACK, _QUIET = "#0072B2", "#D55E00", "#666666"
_MANY = (_BENIGN, _ATTACK, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_DPI = 150


def prepare(folder: str) -> Path:
    """Make the folder and see that pictures can be drawn, before hours are spent.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: The folder cannot be made.
    """
    _need_matplotlib()
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
    return path


def compare(evaluation: Evaluation, path: str) -> None:
    """Draw the mean scores of variants, rubric by rubric, with their intervals.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: The file cannot be written.
    """
    _need_matplotlib()
    rubrics, variants = evaluation.rubrics, evaluation.variants
    figure = _figure(
        max(5.0, 1.6 + 1.3 * len(rubrics)), 4.8, "scores by rubric, 95 % intervals"
    )
    axes = figure.subplots()
    for n, variant in enumerate(variants):
        shift = (n - (len(variants) - 1) / 2) * min(0.16, 0.7 / len(variants))
        means = [(x, evaluation.mean(variant, r)) for x, r in enumerate(rubrics)]
        known = [(x + shift, mean) for x, mean in means if mean is not None]
        axes.errorbar(
            [x for x, _ in known],
            [mean.mean for _, mean in known],
            yerr=[mean.spread or 0.0 for _, mean in known],
            color=_MANY[n % len(_MANY)],
            marker=_MARKERS[n % len(_MARKERS)],
            linestyle="none",
            capsize=3,
            label=variant,
        )
    axes.set_xticks(range(len(rubrics)), rubrics, rotation=20, ha="right")
    axes.set_xlim(-0.6, len(rubrics) - 0.4)
    axes.set_ylim(-0.02, 1.02)
    _labelled(axes, "", "mean score, higher is better")
    figure.legend(
        loc="outside lower center", ncols=min(4, len(variants)), frameon=False
    )
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path} cannot be written: {reason}") from None


def _need_matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401 - loaded to see that it is there
    except ImportError:
        raise MissingExtra("matplotlib", "eval") from None


def draw(measured: Sequence[Measured], folder: Path, title: str) -> list[Path]:
    """Draw what can be drawn of these texts, and return the files."""
    attacks = [m.score for m in measured if m.attack]
    benign = [m.score for m in measured if not m.attack]
    stopped = sum(m.flagged for m in measured if not m.attack)
    found = sum(m.flagged for m in measured if m.attack)
    pictures = {"scores.png": _histograms(attacks, benign, title)}
    if attacks and benign:
        here = stopped / len(benign), found / len(attacks)
        pictures["roc.png"] = _roc(attacks, benign, here, title)
        pictures["reliability.png"] = _reliability(attacks, benign, title)
    for name, picture in pictures.items():
        picture.savefig(folder / name, dpi=_DPI)
    return [folder / name for name in pictures]


def _roc(
    attacks: Sequence[float],
    benign: Sequence[float],
    here: tuple[float, float],
    title: str,
) -> Figure:
    """The curve twice: whole, and where guards are run, at few false positives."""
    points = figures.curve(attacks, benign)
    figure = _figure(9.6, 4.8, title)
    whole, near = figure.subplots(1, 2)
    across, up = zip(*points, strict=True)
    for axes, right in ((whole, 1.0), (near, 0.1)):
        axes.plot(across, up, color=_ATTACK, linewidth=2)
        axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1, linestyle=":")
        axes.plot(*here, "o", color="black", markersize=7, label="as the guard is set")
        axes.set_xlim(-0.01 * right, right)
        axes.set_ylim(0, 1.01)
        _labelled(axes, "false-positive rate", "recall")
    near.axvline(0.01, color=_QUIET, linewidth=1, linestyle="--", label="1 %")
    whole.set_title(f"ROC, area {figures.area(points) or 0:.3f}", fontsize=10)
    near.set_title("the same, up to 10 % false positives", fontsize=10)
    near.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    near.legend(loc="center right", framealpha=1, edgecolor="none")
    return figure


def _histograms(
    attacks: Sequence[float], benign: Sequence[float], title: str
) -> Figure:
    """Scores by label; the upright axis is logarithmic, because alarms are rare."""
    figure = _figure(8.0, 4.8, title)
    axes = figure.subplots()
    edges = [step / 40 for step in range(41)]
    for scores, color, name in (
        (benign, _BENIGN, "benign"),
        (attacks, _ATTACK, "attacks"),
    ):
        if scores:
            label = f"{name} ({len(scores):,})"
            axes.hist(scores, edges, color=color, alpha=0.25)
            axes.hist(
                scores, edges, color=color, histtype="step", linewidth=2, label=label
            )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    axes.set_xlim(0, 1)
    axes.set_title("scores by label", fontsize=10)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _labelled(axes, "score (highest of a text's windows)", "texts")
    axes.legend(loc="upper center", frameon=False)
    return figure


def _reliability(
    attacks: Sequence[float], benign: Sequence[float], title: str
) -> Figure:
    """Whether a score of 0.8 means that eight of ten such texts are attacks."""
    figure = _figure(6.0, 6.4, title)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    found = figures.bins(attacks, benign)
    means = [b.score for b in found]
    shares = [b.attacks / b.count for b in found]
    spans = [figures.wilson(b.attacks, b.count) or (0.0, 1.0) for b in found]
    errors = (
        [max(0.0, value - low) for value, (low, _) in zip(shares, spans, strict=True)],
        [
            max(0.0, high - value)
            for value, (_, high) in zip(shares, spans, strict=True)
        ],
    )
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
    axes.set_title(
        "reliability; it moves with the share of attacks in the file", fontsize=10
    )
    _labelled(axes, "", "share of attacks")
    axes.legend(loc="upper left", frameon=False)
    below.bar(means, [b.count for b in found], width=0.04, color=_BENIGN)
    below.set_yscale("log")
    below.set_ylim(bottom=0.7)
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.set_xlim(-0.02, 1.02)
    _labelled(below, "mean score of the texts in a bin", "texts")
    return figure


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def _labelled(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
