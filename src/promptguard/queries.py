"""What a guard asks for when it needs something slow, and how it asks.

A query is a value: equal queries are asked once and answered to everybody who
asked. How it is answered (threads, retries, caches) is the drivers' business.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .errors import ConfigError, unknown
from .verdict import Usage

__all__ = [
    "Ask",
    "Classify",
    "Name",
    "OperatingPoint",
    "OperatingPoints",
    "Query",
    "Scores",
    "Window",
]

TOOL_ROLES = frozenset({"tool", "function", "retrieved"})


@dataclass(frozen=True, slots=True)
class Classify:
    """Score a text with a model of the library.

    Args:
        model: Folder of a bundle, a name on the Hub, or None for the shipped one.
        text: The text of a reading.
        role: Whose text it is; ``tool``, ``function`` and ``retrieved`` are read
            as content, every other role as somebody's own words.
        revision: Commit, tag or branch of a model on the Hub; None means a folder.
        calibration: File of operating points that count instead of the bundle's own.
        names: Whether the names in the text are wanted as well.
    """

    model: str | None
    text: str = field(repr=False)
    role: str
    revision: str | None = None
    calibration: str | None = None
    names: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Put a question about a text to an LLM.

    Args:
        llm: A function of rubric and text, sync or async.
        rubric: What the LLM is to decide.
        text: The text of a reading.
    """

    llm: Callable[[str, str], Any]
    rubric: str
    text: str = field(repr=False)


Query = Classify | Ask


@dataclass(frozen=True, slots=True)
class Window:
    """The scores of one stretch of the text that was asked about.

    Args:
        start: First character, in the text of the query.
        end: One past the last.
        scores: Calibrated probability by label, as pairs.
    """

    start: int
    end: int
    scores: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a person, a place or an organisation.

    Args:
        label: What it is a name of.
        score: Calibrated probability that it is.
        start: First character, in the text of the query.
        end: One past the last.
    """

    label: str
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and the false-positive rate that was measured at it.

    Args:
        label: The label it is for.
        role: ``user`` or ``tool``.
        windows: Texts of at most this many windows; the largest has no limit.
        fpr: Share of benign texts that reach the threshold, 0 to 1.
        threshold: Calibrated probability from which a text is flagged.
    """

    label: str
    role: str
    windows: int
    fpr: float
    threshold: float


class OperatingPoints(tuple[OperatingPoint, ...]):
    """Operating points that are looked up by what they are of, not one by one.

    A bundle has hundreds, and every label of a guard looks for its own in each check.
    """

    @cached_property
    def thresholds(self) -> dict[tuple[str, str, float], tuple[tuple[int, float], ...]]:
        """Numbers of windows and their thresholds, by label, side and rate."""
        found: dict[tuple[str, str, float], list[tuple[int, float]]] = {}
        for point in self:
            of = point.label, point.role, point.fpr
            found.setdefault(of, []).append((point.windows, point.threshold))
        return {of: tuple(sorted(points)) for of, points in found.items()}


@dataclass(frozen=True, slots=True)
class Scores:
    """The answer to a Classify.

    Args:
        windows: Overlapping stretches that together cover the whole text.
        coverage: Share of the text's characters that the model knows, 0 to 1.
        operating_points: The thresholds that were measured for the model.
        digest: The digest of the bundle that gave the scores.
        names: The names in the text, in its order; None where nobody asked for them,
            or the model does not tell them.
    """

    windows: tuple[Window, ...]
    coverage: float
    operating_points: tuple[OperatingPoint, ...] = ()
    digest: str = ""
    names: tuple[Name, ...] | None = None

    def threshold(self, label: str, role: str, fpr: float) -> float:
        """The threshold that flags this share of benign texts of this length.

        Raises:
            ConfigError: The model has no such label, or the rate was not measured.
        """
        side = "tool" if role in TOOL_ROLES else "user"
        known = self.operating_points
        if not isinstance(known, OperatingPoints):
            known = OperatingPoints(known)
        points = known.thresholds.get((label, side, fpr))
        if points is None:
            raise self._no_point(label, side, fpr)
        count = len(self.windows)
        fitting = (threshold for windows, threshold in points if windows >= count)
        return next(fitting, points[-1][1])

    def _no_point(self, label: str, side: str, fpr: float) -> ConfigError:
        labels = {point.label for point in self.operating_points}
        if label not in labels:
            return unknown("label", label, labels)
        points = [p for p in self.operating_points if p.label == label]
        rates = sorted({p.fpr for p in points if p.role == side})
        if not rates:
            return ConfigError(
                f"no operating point was measured for texts of role {side!r}; "
                "measure some of them too, or pass threshold="
            )
        known = ", ".join(f"{rate:g}" for rate in rates)
        return ConfigError(
            f"no operating point was measured at a false-positive rate of {fpr:g}; "
            f"choose one of {known}, or pass threshold="
        )


def classify(
    model: str | None,
    text: str,
    role: str,
    revision: str | None = None,
    calibration: str | None = None,
    *,
    names: bool = False,
) -> Generator[Classify, Scores, Scores]:
    """Ask for the scores of a text: ``scores = yield from classify(...)``."""
    return (yield Classify(model, text, role, revision, calibration, names))


def ask(
    llm: Callable[[str, str], Any], rubric: str, text: str
) -> Generator[Ask, Any, Any]:
    """Ask an LLM about a text: ``answer = yield from ask(...)``."""
    return (yield Ask(llm, rubric, text))


def used(before: Usage | None, answer: object) -> Usage | None:
    """What was used before, and what an answer took; only judges state it."""
    usage = getattr(answer, "usage", None)
    if not isinstance(usage, Usage):
        return before
    return usage if before is None else before + usage
