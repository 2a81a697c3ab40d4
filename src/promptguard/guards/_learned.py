"""What the guards that ask the model have in common."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ConfigError, ModelError, unknown
from ..guard import Guard, Inspection
from ..queries import Scores, classify
from ..text import Text
from ..verdict import Action, Finding

__all__ = ["FPR", "Learned"]

FPR = 0.01
# What a model reads at once, about, with the sentences that are new.
WINDOW = 600
# Both become parts of a URL and of a path in the cache, so neither may climb.
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"(?!.*(?:\.\.|//|/$))[A-Za-z0-9][A-Za-z0-9_./-]*")


@dataclass(frozen=True, kw_only=True)
class Learned(Guard):
    """A guard that asks the model for the probabilities of its labels.

    The guards of this kind put equal questions, so that side by side they run the model
    once for each window.

    Args:
        fpr: Share of benign texts that a label may flag: 0.001, 0.005, 0.01, 0.02 or
            0.05. The threshold follows from it, by role and length of the text.
        threshold: Calibrated probability from which a text is flagged; decides
            instead of ``fpr``.
        model: Folder of another bundle, with ``revision`` its name on the Hub, or one
            in a registry, as in ``models:/promptguard@champion``; None is the model
            that is shipped.
        revision: Commit, tag or branch to load from the Hub. Only a commit's full id
            means the same files for ever.
        calibration: File with operating points of your own, as ``promptguard
            calibrate`` writes it; ``fpr`` then picks one of its rates.
        band: Scores (low, high) between which ``then()`` asks its second guard. What
            reaches ``high`` is flagged, whatever the threshold, and stands; from
            ``low`` on even a text that is not flagged is passed on, as a finding with
            ``Action.ALLOW``.
        sentences: In a stream, look at every few sentences with what came before them,
            and let them go, instead of holding the answer to its end. The rate then
            holds for each look, and an answer gets one every 200 characters or so.

    Raises:
        ConfigError: An argument is of the wrong type or out of range, or
            ``threshold`` is given together with ``fpr`` or ``calibration``.
        ModelError: On use, the model has no such label.
    """

    known: ClassVar[tuple[str, ...]] = ()
    """The labels that a guard of this kind can look for."""

    fpr: float = FPR
    threshold: float | None = None
    model: str | None = None
    revision: str | None = None
    calibration: str | None = None
    band: tuple[float, float] | None = None
    sentences: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.fpr)
        self._check_threshold()
        check_model(self.model, self.revision)
        if self.calibration is not None and not isinstance(self.calibration, str):
            raise ConfigError("calibration must be the path of a file, a string")
        if not isinstance(self.sentences, bool):
            raise ConfigError("sentences must be True or False")
        if self.band is not None and not _is_band(self.band):
            raise ConfigError("band must be two probabilities, the lower one first")

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        if not _is_share(self.threshold):
            raise ConfigError("threshold must be a probability from 0 to 1")
        if self.fpr != FPR:
            raise ConfigError("pass fpr or threshold, not both")
        if self.calibration is not None:
            raise ConfigError("pass calibration or threshold, not both")

    def _labels(self) -> tuple[str, ...]:
        """The labels that this guard looks for."""
        return self.known

    def _looked_for(self, scores: Scores) -> tuple[str, ...]:
        """Those of them that are looked for in what the model answered."""
        return self._labels()

    def _threshold(self, label: str) -> float | None:
        """The probability that decides about a label, where it is stated as one."""
        return self.threshold

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(self._labels())

    @property
    def window(self) -> int | None:
        return WINDOW if self.sentences else None

    @property
    def across(self) -> bool:
        return True

    def inspect(self, text: Text) -> Inspection:
        """Ask the model about every reading, nearly always the clean one alone."""
        unsure = []
        found = set()
        for reading in (*text.readings, *text.decoded):
            scores = yield from classify(
                self.model, reading.text, text.role, self.revision, self.calibration
            )
            for label in self._looked_for(scores):
                windows = _of_label(scores, label)
                threshold = self._threshold(label)
                if threshold is None and windows:
                    threshold = scores.threshold(label, text.role, self.fpr)
                if threshold is not None and self.band is not None:
                    # Above the band nothing more is asked, so there it is flagged.
                    threshold = min(threshold, self.band[1])
                for score, start, end in _flagged(windows, threshold or 0.0):
                    found.add(label)
                    yield Finding(label, score, *reading.span(start, end))
                if self.band is not None:
                    runs = _flagged(windows, self.band[0])
                    unsure += [(label, reading, *run) for run in runs]
        for label, reading, score, start, end in unsure:
            if label not in found:
                span = reading.span(start, end)
                yield Finding(label, score, *span, action=Action.ALLOW)

    def settles(self, finding: Finding) -> bool:
        """True above the band: no second opinion is asked for."""
        return self.band is not None and finding.score >= self.band[1]


def stated(value: object, known: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Thresholds by label, as pairs that are a value.

    Raises:
        ConfigError: A label is unknown, or a threshold is not a probability.
    """
    pairs: Any = list(value.items()) if isinstance(value, Mapping) else value
    named = isinstance(pairs, list | tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and _is_share(pair[1])
        for pair in pairs
    )
    if not named or not pairs:
        raise ConfigError(
            "threshold must be a probability from 0 to 1, or one for each label, "
            'such as {"threat": 0.5}'
        )
    for label, _ in pairs:
        if label not in known:
            raise unknown("label", label, known)
    return tuple(sorted(pairs))


_Windows = list[tuple[float, int, int]]


def _of_label(scores: Scores, label: str) -> _Windows:
    """Score, start and end of each window."""
    windows: _Windows = []
    for window in scores.windows:
        score = next((s for name, s in window.scores if name == label), None)
        if score is None:
            known = ", ".join(sorted(name for name, _ in window.scores))
            raise ModelError(
                f"the model has no label {label!r}, it was trained for: {known}; pass "
                "model= with a bundle that has it, or leave this guard out"
            )
        windows.append((score, window.start, window.end))
    return windows


def _flagged(windows: _Windows, threshold: float) -> Iterator[tuple[float, int, int]]:
    """Runs of windows that reach the threshold: the highest score and the span."""
    best, start, end = -1.0, 0, 0
    for score, first, last in windows:
        if score < threshold:
            if best >= 0:
                yield best, start, end
            best = -1.0
            continue
        start = first if best < 0 else start
        best, end = max(best, score), last
    if best >= 0:
        yield best, start, end


def check_rate(fpr: object) -> None:
    """Refuse what is no false-positive rate."""
    if not _is_share(fpr) or fpr in (0, 1):
        raise ConfigError("fpr must be a share between 0 and 1, such as 0.01")


def check_model(model: object, revision: object) -> None:
    """Refuse what names no model."""
    if model is not None and not isinstance(model, str):
        raise ConfigError("model must be the path of a bundle's folder, a string")
    if model == "":
        raise ConfigError("model is empty; None is the model that is shipped")
    if revision is not None:
        _check_revision(model, revision)


def _check_revision(model: str | None, revision: object) -> None:
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise ConfigError("revision must be the id of a commit, a tag or a branch")
    if model is None or not _REPOSITORY.fullmatch(model):
        raise ConfigError(
            "revision belongs to a model on the Hub, named as in "
            'model="organisation/name"; leave it out for a folder'
        )


def _is_band(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return all(map(_is_share, value)) and bool(value[0] < value[1])


def _is_share(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= 1
    )
