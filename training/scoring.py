"""Texts through the public guard: the score of each, and what the guard decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptguard import Action, PromptInjection

from .rows import Row

__all__ = ["Scored", "score"]


@dataclass(frozen=True)
class Scored:
    """What became of one text.

    Args:
        score: The highest score of its windows; 0 for a text without a token.
        flagged: The guard's decision, None where no rate was asked for.
        coverage: Share of the text that the model knows.
    """

    score: float
    flagged: bool | None
    coverage: float


def score(
    rows: Sequence[Row], *, model: str | None, fpr: float | None = None
) -> list[Scored]:
    """Check rows in the library's own way, each in its role.

    Both questions are put in one check, so that the model runs once for each window.
    """
    # Action.FLAG, because a block would end what the other guard asks.
    guard = every = PromptInjection(
        threshold=0.0, model=model, action=Action.FLAG, name="score"
    )
    if fpr is not None:
        guard = every | PromptInjection(
            fpr=fpr, model=model, action=Action.FLAG, name="decision"
        )
    found: dict[int, Scored] = {}
    for role in sorted({row.role for row in rows}):
        places = [place for place, row in enumerate(rows) if row.role == role]
        verdicts = guard.check_batch([rows[place].text for place in places], role)
        for place, verdict in zip(places, verdicts, strict=True):
            scores = [f.score for f in verdict.findings if f.guard == "score"]
            decided = any(f.guard == "decision" for f in verdict.findings)
            found[place] = Scored(
                max(scores, default=0.0),
                None if fpr is None else decided,
                verdict.coverage,
            )
    return [found[place] for place in range(len(rows))]
