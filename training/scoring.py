"""Texts through the public guard: the score of each, and what the guard decides.

A model is pinned first, as its folder is now: the library keeps models and scores by
name, and a folder that was trained into again in this process has other weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from tqdm import tqdm

from promptguard import (
    Action,
    AnyOf,
    Classifier,
    Guard,
    HarmfulRequest,
    PromptInjection,
    Toxicity,
)
from promptguard.runtime.bundle import Bundle

from .rows import Row

__all__ = ["Judgement", "Scored", "judge_all", "pinned", "score_all"]

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


def _score(rows: Sequence[Row], model: str, rates: Sequence[float]) -> list[Scored]:
    """All questions in one check, so that the model runs once for each window."""
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


@dataclass(frozen=True)
class Judgement:
    """What became of one text with every label.

    Args:
        scores: The highest score of its windows, by label; 0 without a token.
        flagged: The names of the guards, of those asked, that flag it.
    """

    scores: Mapping[str, float]
    flagged: frozenset[Any]


def _judge(
    rows: Sequence[Row], lookers: Sequence[Guard], guards: Mapping[Any, Guard]
) -> list[Judgement]:
    """All questions in one check, so that the model runs once for each window."""
    names = {f"guard {place}": key for place, key in enumerate(guards)}
    asked = tuple(
        replace(guard, name=name)
        for name, guard in zip(names, guards.values(), strict=True)
    )
    every = AnyOf((*lookers, *asked))
    labels = [label for guard in lookers for label in _labels_of(guard)]
    found: dict[int, Judgement] = {}
    for role in sorted({row.role for row in rows}):
        places = [place for place, row in enumerate(rows) if row.role == role]
        verdicts = every.check_batch([rows[place].text for place in places], role)
        for place, verdict in zip(places, verdicts, strict=True):
            scores = dict.fromkeys(labels, 0.0)
            for f in verdict.findings:
                if f.guard not in names and f.label in scores:
                    scores[f.label] = max(scores[f.label], f.score)
            flagged = frozenset(
                names[f.guard] for f in verdict.findings if f.guard in names
            )
            found[place] = Judgement(scores, flagged)
    return [found[place] for place in range(len(rows))]


def _labels_of(guard: Guard) -> tuple[str, ...]:
    """The labels of a guard that asks the model."""
    labels: tuple[str, ...] = getattr(guard, "labels", getattr(guard, "known", ()))
    return labels


def _lookers(there: Set[str], model: str) -> Iterator[Guard]:
    """Guards that report every score of the labels that the model has."""
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
    others = (PromptInjection, Toxicity, HarmfulRequest)
    if rest := there.difference(*(guard.known for guard in others)):
        # What a task of somebody's own tells.
        yield Classifier(labels=tuple(sorted(rest)), **every)


def pinned(model: str | None) -> str:
    """The name of a bundle as its folder is now."""
    # A run in which nothing has changed loads no ONNX Runtime.
    from promptguard.runtime.pins import pin

    return pin(model)


def judge_all(
    rows: Sequence[Row],
    what: str,
    *,
    model: str | None,
    guards: Mapping[Any, Guard] | None = None,
) -> list[Judgement]:
    """The score of each label that the model has, and what guards of it decide.

    On all cores, with a bar of progress.

    Args:
        what: Word before the bar.
        model: A bundle's folder; None is the model that the library ships.
        guards: By any names, and of this model; they let pass what they flag.
    """
    there = {label for _, labels in Bundle.load(model).heads for label in labels}
    fixed = pinned(model)
    of_it = {
        name: replace(guard, model=fixed) for name, guard in (guards or {}).items()
    }
    lookers = tuple(_lookers(there, fixed))
    return _on_all_cores(rows, what, partial(_judge, lookers=lookers, guards=of_it))


def score_all(
    rows: Sequence[Row],
    what: str,
    *,
    model: str | None,
    rates: Sequence[float] = (),
) -> list[Scored]:
    """Check rows in the library's own way, each in its role.

    On all cores, with a bar of progress. Every window is a run of its own, so that who
    shares the machine changes nothing.

    Args:
        what: Word before the bar.
        model: A bundle's folder; None is the model that the library ships.
        rates: False-positive rates to decide at.
    """
    return _on_all_cores(rows, what, partial(_score, model=pinned(model), rates=rates))


def _on_all_cores(
    rows: Sequence[Row], what: str, ask: Callable[[Sequence[Row]], list[T]]
) -> list[T]:
    parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        bar = tqdm(pool.map(ask, parts), what, total=len(parts), unit="batch")
        return [found for part in bar for found in part]
