"""Guards that ask a model: PromptInjection, Toxicity, HarmfulRequest, Classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..errors import ConfigError, unknown
from ..guard import Inspection
from ..queries import Scores
from ..text import Text
from ..verdict import Action, Finding
from ._learned import FPR, Learned, stated

__all__ = ["Classifier", "HarmfulRequest", "PromptInjection", "Toxicity"]


@dataclass(frozen=True, kw_only=True)
class PromptInjection(Learned):
    """Instructions that turn a model against its operator, told by a learned model.

    The role decides how a text is read: what is a request in the user's own words is
    an attack in a tool's output. Long texts are read in overlapping windows, to their
    end; a finding spans the flagged windows, not the words of the attack. What is
    written in codes, ciphers or an odd spelling is read in plain letters as well; a
    text with more codes in codes than are undone is flagged as ``undecoded``.

    Args:
        fpr: Share of benign texts that may be flagged: 0.001, 0.005, 0.01, 0.02 or
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
        ModelError: On use, the model does not tell injections.
    """

    known: ClassVar[tuple[str, ...]] = ("injection",)

    @property
    def known_labels(self) -> frozenset[str]:
        return super().known_labels | {"undecoded"}

    def inspect(self, text: Text) -> Inspection:
        """Ask the model, and tell of what could not be put into plain letters."""
        yield from super().inspect(text)
        if text.undecoded:
            # Never blocked for it, and never passed over in silence either.
            whole = 0, len(text.original)
            action = dict(self.actions).get("undecoded", Action.FLAG)
            yield Finding("undecoded", 1.0, *whole, action=action)


@dataclass(frozen=True, kw_only=True)
class Classifier(Learned):
    """Whatever a model of your own was trained to tell, such as spam.

    The model is a bundle that the training pipeline made for a task. Each of its labels
    is a yes or no of its own, with a finding of its own.

    Args:
        model: Folder of the bundle, or with ``revision`` its name on the Hub. There is
            none that is shipped.
        labels: Those to look for; empty means every label that the model has.
        fpr: Share of texts without the label that it may flag, of the rates that the
            bundle was measured at. The threshold follows from it, by role and length.
        threshold: As in ``PromptInjection``, and so are the others.

    Raises:
        ConfigError: As in ``PromptInjection``, or no model is named, or ``labels`` are
            no names.
            On use, or at ``warmup()``, where ``actions`` has a label that the model
            has not.
        ModelError: On use, the model has no such label.
    """

    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given: object = self.labels
        if (
            isinstance(given, str)
            or not isinstance(given, tuple | list)
            or not all(isinstance(label, str) and label for label in given)
        ):
            raise ConfigError('labels must be several names, such as ("spam",)')
        object.__setattr__(self, "labels", tuple(dict.fromkeys(given)))
        if self.model is None:
            raise ConfigError(
                "Classifier needs model=, the folder of a bundle or its name on the "
                "Hub; `python -m training --help` tells how to make one"
            )
        super().__post_init__()

    @property
    def known_labels(self) -> frozenset[str] | None:  # type: ignore[override]  # wider
        # Without names only the model knows, and making a guard loads none.
        return frozenset(self.labels) or None

    @property
    def across(self) -> bool:
        # What a label says of a turn, it says whatever came before it.
        return False

    def _labels(self) -> tuple[str, ...]:
        return self.labels

    def _looked_for(self, scores: Scores) -> tuple[str, ...]:
        if self.labels or not scores.windows:
            return self.labels
        known = tuple(label for label, _ in scores.windows[0].scores)
        for label in dict(self.actions):
            if label not in known:
                raise unknown("label of Classifier", label, known)
        return known


@dataclass(frozen=True, kw_only=True)
class HarmfulRequest(Learned):
    """Requests for help with harm: hacking, fraud, weapons, abuse, self-harm and more.

    It asks what is wanted, not which words are used: a question about a frozen process
    that shall be killed is none. A prompt injection is something else, and may ask for
    nothing harmful; see ``PromptInjection``. In an answer of the model it finds the
    request that is repeated there, not the help that is given.

    Args:
        fpr: As in ``PromptInjection``, and so are the others.

    Raises:
        ConfigError: As in ``PromptInjection``.
        ModelError: On use, the model does not tell harmful requests.
    """

    known: ClassVar[tuple[str, ...]] = ("harmful",)


@dataclass(frozen=True, kw_only=True)
class Toxicity(Learned):
    """Insults, threats, hate and obscenity, told by a learned model.

    A text may have several of the labels, each with a finding of its own. The rate
    holds for each label by itself: several together flag more than one alone does,
    though less than their sum, because most toxic texts have more than one.

    Args:
        labels: What to look for: ``toxic`` is the whole, and the others are kinds of
            it, ``insult``, ``threat``, ``identity_hate`` (against a group of people),
            ``obscene`` and ``severe``.
        threshold: As in ``PromptInjection``, for all labels, or by label, as in
            ``{"threat": 0.5}``; then ``fpr`` decides about those that are not named.
        fpr: As in ``PromptInjection``, and so are the others.

    Raises:
        ConfigError: As in ``PromptInjection``, or there is no such label, or none.
        ModelError: On use, the model does not tell toxic texts.
    """

    known: ClassVar[tuple[str, ...]] = (
        *("toxic", "insult", "threat", "identity_hate", "obscene", "severe"),
    )

    labels: tuple[str, ...] = known
    threshold: float | Mapping[str, float] | None = None  # type: ignore[assignment]  # wider

    def __post_init__(self) -> None:
        given: object = self.labels
        if isinstance(given, str) or not isinstance(given, tuple | list):
            raise ConfigError('labels must be several names, such as ("threat",)')
        if not given:
            raise ConfigError(f"labels is empty. Known: {', '.join(self.known)}")
        for label in given:
            if label not in self.known:
                raise unknown("label", label, self.known)
        object.__setattr__(self, "labels", tuple(dict.fromkeys(given)))
        super().__post_init__()

    def _check_threshold(self) -> None:
        by_label: object = self.threshold
        if not isinstance(by_label, Mapping | tuple):
            super()._check_threshold()
            return
        pairs = stated(by_label, self.labels)
        object.__setattr__(self, "threshold", pairs)
        # What is not named is left to a rate, so that only all of them leave it none.
        for name, given in (
            ("fpr", self.fpr != FPR),
            ("calibration", self.calibration),
        ):
            if given and len(pairs) == len(self.labels):
                raise ConfigError(f"pass {name} or threshold, not both")

    @property
    def across(self) -> bool:
        # A turn is toxic or not, whatever was said before it.
        return False

    def _labels(self) -> tuple[str, ...]:
        return self.labels

    def _threshold(self, label: str) -> float | None:
        if isinstance(self.threshold, tuple):
            return dict(self.threshold).get(label)
        return super()._threshold(label)
