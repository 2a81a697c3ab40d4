"""Metrics of other libraries, beside our own grades.

Each asks the judge's model by prompts of its own. None of what keeps a Judge from being
talked into a grade applies to them: their figures are for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .. import ConfigError, Judge
from ..errors import unknown
from ..judging.faults import fault
from .asking import Answer, Target
from .grading import Grade
from .journal import Journal, key_of
from .questions import Question

__all__ = ["OTHERS", "Metric", "metrics"]

Score = Callable[[Question, str], float]

# What a question must have for it, by library and metric. Metrics that want embeddings
# are left out, as few endpoints have those.
OTHERS: dict[str, tuple[str, ...]] = {
    "ragas/faithfulness": ("context",),
    "ragas/response_groundedness": ("context",),
    "ragas/context_relevance": ("context",),
    "ragas/answer_accuracy": ("reference",),
    "ragas/factual_correctness": ("reference",),
    "deepeval/faithfulness": ("context",),
    "deepeval/answer_relevancy": (),
    "deepeval/hallucination": ("context",),
    "deepeval/bias": (),
    "deepeval/toxicity": (),
    "deepeval/pii_leakage": (),
}


@dataclass(frozen=True)
class Metric:
    """A metric of another library.

    Args:
        name: The library and its name for the metric.
        target: The model that it asks.
        score: What computes it, from 0 to 1, higher is better.
        version: The version of the library.
    """

    name: str
    target: Target
    score: Score = field(repr=False)
    version: str

    def fits(self, asked: Question) -> bool:
        """Whether a question has what the metric needs."""
        have = {"context": bool(asked.context), "reference": bool(asked.reference)}
        return all(have[need] for need in OTHERS[self.name])

    def grade(self, asked: Question, answer: Answer, journal: Journal) -> Grade:
        """Grade an answer, or find the grade that it got before."""
        key = key_of(
            *(self.name, self.version, self.target.base_url, self.target.model),
            *(asked.question, asked.reference, asked.context, answer.text),
        )
        row = journal.get(key)
        if row is None:
            error, value = "", math.nan
            try:
                value = float(self.score(asked, answer.text))
            except Exception as raised:
                # Theirs may hold the text or the reply; only its kind is kept.
                error = fault(raised).kind
            if not error and not 0 <= value <= 1:
                # What they give where they could not make out an answer.
                error = "reply"
            row = {
                "key": key,
                "variant": answer.variant,
                "question": asked.id,
                "sample": answer.sample,
                "scores": {} if error else {self.name: round(value, 6)},
                "error": error,
            }
            journal.put(row)
        return Grade(
            answer.variant,
            asked.id,
            answer.sample,
            tuple(row["scores"].items()),
            error=row["error"] and f"{self.name}: {row['error']}",
        )


def metrics(names: Sequence[str], judge: Judge | None) -> tuple[Metric, ...]:
    """The metrics of these names.

    Raises:
        ConfigError: There is none of a name, or the judge has no address to ask.
        MissingExtra: The library is not installed.
    """
    for name in names:
        if name not in OTHERS:
            raise unknown("metric", name, OTHERS)
    if not names:
        return ()
    if judge is None or judge.llm is not None or judge.model is None:
        raise ConfigError(
            "metrics of other libraries ask a judge of their own: give the judge a "
            "model, with base_url, and no llm"
        )
    target = Target(
        judge.model,
        base_url=judge.base_url,
        key_env=judge.key_env,
        timeout=judge.timeout,
        retries=judge.retries,
    )
    return tuple(_metric(name, target) for name in names)


def _metric(name: str, target: Target) -> Metric:
    library, _, metric = name.partition("/")
    if library == "ragas":
        from .with_ragas import scorer, version
    else:
        from .with_deepeval import scorer, version
    return Metric(name, target, scorer(metric, target), version())
