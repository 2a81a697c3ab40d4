"""Disclosure: somebody's health beside their name or number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding, Operator
from ._disclosure.facts import facts, identifiers, worth
from ._disclosure.passage import Passage, passages
from ._disclosure.people import HIDDEN, Kind, mentions
from ._disclosure.ties import WINDOW, ties
from ._pii.finders import Finders
from ._pii.tables import country_of

__all__ = ["Disclosure"]

_LABELS = ("disclosure", "health", "identity")


@dataclass(frozen=True, kw_only=True)
class Disclosure(Guard):
    """A person's health or body, told together with who it is: in English texts.

    A name, or a number or address that names one person, and a condition, a medicine, a
    treatment, a disability or a measure of the same person. What is said of nobody in
    particular, of an unnamed narrator or by a named expert is none.

    Three labels: ``identity`` and ``health`` where each fact stands, ``disclosure``
    from the one to the other. With ``Action.REDACT`` the identity goes and the rest is
    flagged. A stream is judged sentence by sentence if it blocks or flags, and held to
    its end if it redacts.

    Args:
        operator: What stands in place of an identity; None means a placeholder.
    """

    action: Action = Action.BLOCK
    operator: Operator | None = None

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(_LABELS)

    @property
    def window(self) -> int | None:
        return WINDOW

    def inspect(self, text: Text) -> Inspection:
        """Tie facts to people in every reading of the text."""
        pairs = zip(text.readings, text.foldings, strict=True)
        if not any(worth(clean.text, folded.text) for clean, folded in pairs):
            return
        found: dict[tuple[str, int, int], float] = {}
        for passage in passages(text):
            for label, start, end, score in _found(passage):
                place = (label, *passage.span(start, end))
                found[place] = max(score, found.get(place, 0.0))
        for (label, start, end), score in sorted(found.items(), key=lambda f: f[0][1:]):
            yield self._finding(label, score, start, end)

    def _finding(self, label: str, score: float, start: int, end: int) -> Finding:
        action = None
        if self.action_of(label) is Action.REDACT and label != "identity":
            # What is left tells of nobody.
            action = Action.FLAG
        return Finding(label, score, start, end, action=action, operator=self.operator)


def _found(passage: Passage) -> Iterator[tuple[str, int, int, float]]:
    """Labels and places in a passage."""
    health = facts(passage) if passage.in_english() else []
    if not health:
        return
    numbers = identifiers(passage, _finders())
    people, _ = mentions(passage, health)
    found = [
        tie for tie in ties(passage, health, people, numbers) if tie.person != HIDDEN
    ]
    if not found:
        return
    scores: dict[int, float] = {}
    for tie in found:
        scores[tie.person] = max(tie.score, scores.get(tie.person, 0.0))
        yield "health", tie.fact.start, tie.fact.end, tie.score
        yield "identity", *tie.near, tie.score
        start = min(tie.near[0], tie.fact.start)
        yield "disclosure", start, max(tie.near[1], tie.fact.end), tie.score
    for mention in people:
        if mention.kind in (Kind.NAMED, Kind.HELPER) and mention.person in scores:
            yield "identity", mention.start, mention.end, scores[mention.person]


@cache
def _finders() -> Finders:
    """What looks for numbers that name a person, of all countries."""
    return Finders(
        entities=frozenset(country_of()), named=frozenset(), countries=frozenset()
    )
