"""Two answers to the same question, beside each other and in both orders."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from .. import Judge, Usage
from .asking import Answer
from .grading import ask, history, identity, stripped
from .journal import Journal, key_of
from .questions import Question

__all__ = ["Comparer", "Pair", "Pairing", "pairs_of"]

Pairing = Literal["", "baseline", "all"]

# A grade of 3 is 0.5; log-probabilities give what lies between, and a hair's breadth
# is no preference.
_NEARLY = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """What a judge made of two answers; it holds no text.

    Args:
        first: The variant of one answer.
        second: The variant of the other.
        question: The id of the question.
        sample: Which of several answers.
        forward: From 0 to 1, how far the first is preferred, where it stands first;
            None where the judge failed.
        backward: The same, where the first stands second.
        longer: How many characters longer the first is.
        same: Whether they are the same text, so that nobody was asked.
        error: Why there is no outcome, or "".
        usage: What it took.
    """

    first: str
    second: str
    question: str
    sample: int = 0
    forward: float | None = None
    backward: float | None = None
    longer: int = 0
    same: bool = False
    error: str = ""
    usage: Usage = dataclasses.field(default_factory=Usage)

    @property
    def outcome(self) -> Literal["first", "second", "tie", "order", "failed"]:
        """Which is better.

        ``tie`` is that neither is, in one order at least, and not the other in the
        other. ``order`` is that it changes with the order: the judge looked at the
        place and not at the answer, and nobody has won.
        """
        if self.forward is None or self.backward is None:
            return "failed"
        signs = {_sign(self.forward), _sign(self.backward)}
        if signs == {1}:
            return "first"
        if signs == {-1}:
            return "second"
        return "order" if signs == {1, -1} else "tie"


def _sign(share: float) -> int:
    return 0 if abs(share - 0.5) <= _NEARLY else 1 if share > 0.5 else -1


def pairs_of(variants: Sequence[str], pairing: Pairing) -> Iterator[tuple[str, str]]:
    """Which variants are compared; the first is the baseline."""
    if pairing == "baseline":
        yield from ((name, variants[0]) for name in variants[1:])
    elif pairing == "all":
        yield from ((two, one) for one, two in combinations(variants, 2))


class Comparer:
    """Has a judge compare answers, in both orders, and nothing twice.

    Args:
        judge: The judge; its rubrics are not asked.
        journal: What was compared before, and where new outcomes go.
    """

    def __init__(self, judge: Judge, journal: Journal) -> None:
        plain = dataclasses.replace(judge, rubrics="preference", topics=())
        self._judge = stripped(plain)
        self._journal = journal

    def __call__(self, asked: Question, one: Answer, two: Answer) -> Pair:
        """Compare two answers.

        Raises:
            ConfigError: The endpoint refuses the key or does not know the model.
        """
        names = one.variant, two.variant, asked.id, one.sample
        if one.text == two.text:
            return Pair(*names, 0.5, 0.5, same=True)
        usage, shares, error = Usage(), [], ""
        for text, other in ((one.text, two.text), (two.text, one.text)):
            row = self._row(asked, one, two, text, other)
            usage += Usage(*row["usage"])
            error = error or row["error"]
            shares.append(row["scores"].get("preference"))
        forward, turned = shares
        return Pair(
            *names,
            forward,
            None if turned is None else 1.0 - turned,
            len(one.text) - len(two.text),
            error=error,
            usage=usage,
        )

    def _row(
        self, asked: Question, one: Answer, two: Answer, text: str, other: str
    ) -> dict[str, Any]:
        judge = dataclasses.replace(self._judge, reference=asked.reference, other=other)
        told = asked.question, asked.reference, asked.context
        key = key_of(*identity(judge), *told, text, other)
        row = self._journal.get(key)
        if row is not None:
            return row | {"usage": [0, 0, 0, None]}
        row = {
            "key": key,
            "variants": [one.variant, two.variant],
            "question": asked.id,
            "sample": one.sample,
            "swapped": text != one.text,
            **ask(judge, text, history(asked)),
        }
        self._journal.put(row)
        return row
