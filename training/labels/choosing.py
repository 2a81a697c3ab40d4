"""Which captured texts are worth a person's time: unsure ones, and disputed ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from promptguard.traffic import Filters
from promptguard.traffic.reading import Kept, Request

from ..errors import PipelineError
from ..overlap import folded
from ..rows import INJECTION, Row
from .raters import votes
from .records import Label
from .traffic import Captured, named, of, requests

__all__ = ["REASONS", "Choice", "Wanted", "choose"]

REASONS = ("annotators", "judge", "guards", "model", "uncertain")
"""Why a text is chosen, the weightiest first.

``annotators`` disagree about it; the ``judge`` says something else than the guards, or
the ``guards`` than each other; the ``model`` decides otherwise now, or is
``uncertain``.
"""

# From hardly ever wrong to often wrong, as the library states its operating points.
_RATES = (0.001, 0.005, 0.01, 0.02, 0.05)
_USUAL = 0.01


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for.

    Args:
        label: What is asked about each text.
        reasons: Of ``REASONS``.
        limit: At most so many texts, the weightiest.
        rescore: Have the model look again, in the role of the text: it is uncertain of
            a text that it would flag at a false-positive rate of 5 % and not at 0.1 %.
            Without it, scores count that were kept; of a text below the threshold
            there is one only where the policy has a ``band``.
        model: A bundle's folder for that; None is the model that is shipped.
        between: Scores that were kept and are uncertain, without ``rescore``.
        enough: Texts with labels of so many annotators are left out, unless these
            disagree.
        filters: Which texts of the traffic.
    """

    label: str = INJECTION
    reasons: tuple[str, ...] = REASONS
    limit: int = 200
    rescore: bool = True
    model: str | None = None
    between: tuple[float, float] = (0.3, 0.7)
    enough: int = 1
    filters: Filters = field(default_factory=lambda: Filters(direction="input"))

    def __post_init__(self) -> None:
        for reason in self.reasons:
            if reason not in REASONS:
                raise PipelineError(
                    f"labels: no reason {reason!r}. Known: {', '.join(REASONS)}"
                )
        if self.limit < 1 or self.enough < 1:
            raise PipelineError("labels: limit and enough must be at least 1")
        low, high = self.between
        if not 0 <= low < high <= 1:
            raise PipelineError("labels: between is two scores, from 0 to 1")
        if self.rescore and self.label != INJECTION:
            raise PipelineError(
                f"labels: the model is asked again about {INJECTION} alone; for "
                f"{self.label!r} say --no-rescore, and scores count that were kept"
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """A text that is to be labelled.

    Args:
        request: Its request.
        kept: The text, as the traffic has it.
        reasons: Why.
        doubt: How near it is to the threshold, from 0 to 1.
    """

    request: Request
    kept: Kept
    reasons: tuple[str, ...]
    doubt: float

    @property
    def captured(self) -> Captured:
        """The text as labelling needs it."""
        return of(self.request, self.kept)


def choose(traffic: str, wanted: Wanted, labels: Sequence[Label] = ()) -> list[Choice]:
    """The texts to label, those with the weightiest reasons first.

    A text that was asked for several times in the same role is chosen once. Texts that
    were not kept cannot be labelled.

    Raises:
        TrafficError: The database cannot be read.
    """
    pairs = [
        (request, kept, of(request, kept))
        for request, kept in requests(traffic, wanted.filters)
        if kept.text and kept.text.strip()
    ]
    texts = [text for _, _, text in pairs]
    said_of = votes(named(labels, texts), wanted.label)
    opinions = _Opinions(wanted.label, texts)
    seen: set[tuple[str, str]] = set()
    open_: list[tuple[Request, Kept, Captured]] = []
    for request, kept, text in pairs:
        key = text.role, folded(text.text or "")
        said = said_of.get(text.name, {})
        disputed = len(set(said.values())) > 1
        if key in seen or (len(said) >= wanted.enough and not disputed):
            continue
        seen.add(key)
        open_.append((request, kept, text))
    doubts = _doubts(wanted, [text for *_, text in open_])
    chosen = []
    for (request, kept, text), (doubt, flagged) in zip(open_, doubts, strict=True):
        found = set(opinions.reasons(text))
        if len(set(said_of.get(text.name, {}).values())) > 1:
            found.add("annotators")
        if doubt > 0:
            found.add("uncertain")
        if flagged is not None and flagged != opinions.flagged(text):
            found.add("model")
        reasons = tuple(r for r in REASONS if r in found and r in wanted.reasons)
        if reasons:
            chosen.append(Choice(request, kept, reasons, doubt))
    chosen.sort(key=lambda c: (REASONS.index(c.reasons[0]), -c.doubt))
    return chosen[: wanted.limit]


class _Opinions:
    """What the guards of the service made of a text."""

    def __init__(self, label: str, texts: Sequence[Captured]) -> None:
        self._label = label
        finders: Counter[str] = Counter()
        for text in texts:
            finders.update(name for name, found in text.found.items() if label in found)
        self._guards = frozenset(finders)

    def flagged(self, text: Captured) -> bool:
        """Some guard found it, and did something about it."""
        return any(self._label in found for found in text.found.values())

    def reasons(self, text: Captured) -> Iterator[str]:
        """Disagreements among the guards that looked at it."""
        said = {name: bool(text.found.get(name)) for name in self._asked(text.ran)}
        judges = {name for name in said if name.startswith("judge")}
        if len({said[name] for name in said.keys() - judges}) > 1:
            yield "guards"
        if judges and len(set(said.values())) > 1:
            yield "judge"

    def _asked(self, ran: Collection[str]) -> set[str]:
        """Guards that are about this label: those that ever found it, and judges."""
        return {n for n in ran if n in self._guards or n.startswith("judge")}


def _doubts(
    wanted: Wanted, texts: Sequence[Captured]
) -> list[tuple[float, bool | None]]:
    """How near to the threshold each text is, and what the model decides now."""
    low, high = wanted.between
    if not wanted.rescore:
        found: list[tuple[float, bool | None]] = []
        for text in texts:
            score = text.scores.get(wanted.label)
            near = score is not None and low <= score <= high
            middle = 1 - abs((score or 0) - (low + high) / 2) / (high - low)
            found.append((middle if near else 0.0, None))
        return found
    if not {"uncertain", "model"}.intersection(wanted.reasons) or not texts:
        return [(0.0, None)] * len(texts)
    from ..scoring import score_all

    rows = [Row(t.text or "", t.role, {}, "traffic", "") for t in texts]
    return [
        (_doubt(each.flagged_at), _USUAL in each.flagged_at)
        for each in score_all(rows, "ask again", model=wanted.model, rates=_RATES)
    ]


def _doubt(flagged_at: Collection[float]) -> float:
    """From the strictest rate that flags it: 1 about the usual one, 0 far from it."""
    if not flagged_at or min(flagged_at) == _RATES[0]:
        return 0.0
    return 1 / (1 + abs(math.log(min(flagged_at) / _USUAL)))
