"""Texts through the public guard: the score of each, and what the guard decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from tqdm import tqdm

from promptguard import (
    Action,
    AnyOf,
    Guard,
    HarmfulRequest,
    PromptInjection,
    Toxicity,
)
from promptguard.runtime.bundle import Bundle

from .rows import Row

__all__ = [
    "Scored",
    "label_scores",
    "labels_of",
    "score",
    "score_all",
    "scores_by_label",
]

T = TypeVar("T")

_BATCH = 32


@dataclass(frozen=True)
class Scored:
    """What became of one text.

    Args:
        score: The highest score of its windows; 0 for a text without a token.
        flagged_at: The false-positive rates, of those asked for, that flag it.
        coverage: Share of the text that the model knows.
    """

    score: float
    flagged_at: frozenset[float]
    coverage: float


def score(
    rows: Sequence[Row], *, model: str | None, rates: Sequence[float] = ()
) -> list[Scored]:
    """Check rows in the library's own way, each in its role.

    All questions are put in one check, so that the model runs once for each window.

    Args:
        model: A bundle's folder; None is the model that the library ships.
        rates: False-positive rates to decide at.
    """
    # Action.FLAG, because a block would end what the other guards ask.
    guard = PromptInjection(
        threshold=0.0, model=model, action=Action.FLAG, name="score"
    )
    names = {f"decision {rate:g}": rate for rate in rates}
    for name, rate in names.items():
        guard |= PromptInjection(fpr=rate, model=model, action=Action.FLAG, name=name)
    found: dict[int, Scored] = {}
    for role in sorted({row.role for row in rows}):
        places = [place for place, row in enumerate(rows) if row.role == role]
        verdicts = guard.check_batch([rows[place].text for place in places], role)
        for place, verdict in zip(places, verdicts, strict=True):
            scores = [
                f.score
                for f in verdict.findings
                if f.guard == "score" and f.label == "injection"
            ]
            decided = {f.guard for f in verdict.findings} & names.keys()
            found[place] = Scored(
                max(scores, default=0.0),
                frozenset(names[name] for name in decided),
                verdict.coverage,
            )
    return [found[place] for place in range(len(rows))]


def label_scores(rows: Sequence[Row], *, model: str | None) -> list[dict[str, float]]:
    """The highest score of each label that the model has and a guard looks for.

    In one check, so that the model runs once for each window.
    """
    guard = AnyOf(tuple(_lookers(model)))
    found: dict[int, dict[str, float]] = {}
    for role in sorted({row.role for row in rows}):
        places = [place for place, row in enumerate(rows) if row.role == role]
        verdicts = guard.check_batch([rows[place].text for place in places], role)
        for place, verdict in zip(places, verdicts, strict=True):
            scores = {label: 0.0 for part in guard.parts for label in labels_of(part)}
            for finding in verdict.findings:
                scores[finding.label] = max(scores[finding.label], finding.score)
            found[place] = scores
    return [found[place] for place in range(len(rows))]


def labels_of(guard: Guard) -> tuple[str, ...]:
    """The labels of a guard that asks the model."""
    labels: tuple[str, ...] = getattr(guard, "labels", getattr(guard, "known", ()))
    return labels


def _lookers(model: str | None) -> Iterator[Guard]:
    """Guards that report every score of the labels that the model has."""
    there = {label for _, labels in Bundle.load(model).heads for label in labels}
    # Action.FLAG, because a block would end what the other guards ask.
    every: dict[str, Any] = {
        "threshold": 0.0,
        "model": model,
        "action": Action.FLAG,
    }
    if there.issuperset(PromptInjection.known):
        yield PromptInjection(**every)
    if labels := tuple(label for label in Toxicity.known if label in there):
        yield Toxicity(labels=labels, **every)
    if there.issuperset(HarmfulRequest.known):
        yield HarmfulRequest(**every)


def scores_by_label(
    rows: Sequence[Row], what: str, *, model: str | None
) -> list[dict[str, float]]:
    """The same for many rows, on all cores, with a bar of progress.

    Args:
        what: Word before the bar.
    """
    return _on_all_cores(rows, what, partial(label_scores, model=model))


def score_all(
    rows: Sequence[Row],
    what: str,
    *,
    model: str | None,
    rates: Sequence[float] = (),
) -> list[Scored]:
    """The same for many rows, on all cores, with a bar of progress.

    Every window is a run of its own, so that who shares the machine changes nothing.

    Args:
        what: Word before the bar.
    """
    return _on_all_cores(rows, what, partial(score, model=model, rates=rates))


def _on_all_cores(
    rows: Sequence[Row], what: str, ask: Callable[[Sequence[Row]], list[T]]
) -> list[T]:
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        bar = tqdm(pool.map(ask, parts), what, total=len(parts), unit="batch")
        return [found for part in bar for found in part]
