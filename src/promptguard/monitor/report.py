"""What came of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..traffic.times import shown

__all__ = [
    "KINDS",
    "VERDICTS",
    "Check",
    "Histogram",
    "Quality",
    "Report",
    "Share",
    "Window",
]

VERDICTS = ("pass", "warn", "fail")
"""What a check, and a report, comes to; a later one is worse."""

KINDS = ("none", "covariate", "concept", "both")
"""What has changed: nothing, the inputs, what they mean, or both."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared.

    Args:
        name: What was compared, as the thresholds name it.
        group: Of which texts: a direction, a guard and label, a label and language.
        statistic: What the value is: ks, psi, auc, h, drop, rise, difference, least,
            most.
        value: How far it has moved; of least and most, the figure.
        warn: From where on it warns.
        threshold: From where on it fails.
        verdict: pass, warn or fail.
        p: How often chance gives as much; None where it is not asked.
        p_adjusted: The same for all checks together (Holm).
        texts: Current texts that were looked at.
        reference: The reference's figure, where there is one to read.
        current: The current figure.
    """

    name: str
    group: str
    statistic: str
    value: float
    warn: float
    threshold: float
    verdict: str
    p: float | None = None
    p_adjusted: float | None = None
    texts: int = 0
    reference: float | None = None
    current: float | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A figure from 0 to 1 with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a label was found, where people said what is true.

    Args:
        window: current, reference, or weighted: the current texts, weighted so that
            they are like the reference.
        label: Which label.
        language: Of which texts; ``all`` is of all.
        texts: Labelled texts; weighted ones, as many as they are worth (Kish).
        positives: How many of them have the label.
        precision: Of what was found, the share that has the label.
        recall: Of what has the label, the share that was found.
        f1: Their harmonic mean.
        fpr: Of what has it not, the share that was found.
    """

    window: str
    label: str
    language: str
    texts: float
    positives: float
    precision: Share | None
    recall: Share | None
    f1: Share | None
    fpr: Share | None


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of texts by bin, of both windows, for a picture."""

    name: str
    group: str
    bins: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window, in figures.

    Args:
        source: Where it is from.
        first: The time of the oldest request, in ISO 8601, where that is known.
        last: The time of the newest.
        requests: How many requests.
        texts: How many texts.
        read: How many of them could be looked at themselves.
        kept: Texts by what became of them: whole, redacted, hashed, none, failed.
    """

    source: str
    first: str | None
    last: str | None
    requests: int
    texts: int
    read: int
    kept: Mapping[str, int]

    @staticmethod
    def moment(when: float | None) -> str | None:
        """A time as it is written."""
        return None if when is None else shown(when)


@dataclass(frozen=True, slots=True)
class Report:
    """A window of traffic beside a reference.

    Args:
        verdict: The worst of all checks: pass, warn or fail.
        kind: none, covariate, concept, or both.
        summary: What has changed, in words.
        current: The window.
        reference: What it was compared with.
        checks: What was compared, the worst first.
        quality: How well labels were found, where people said what is true.
        notes: What could not be looked at, and what to mind.
        histograms: What the pictures show.
    """

    verdict: str
    kind: str
    summary: str
    current: Window
    reference: Window
    checks: tuple[Check, ...]
    quality: tuple[Quality, ...] = ()
    notes: tuple[str, ...] = ()
    histograms: tuple[Histogram, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it; no text of the traffic is in it."""
        return asdict(self)
