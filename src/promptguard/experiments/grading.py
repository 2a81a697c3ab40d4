"""Grading answers: by a judge, and by the guards of this library, which ask nobody."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any

from .. import (
    Action,
    ConfigError,
    Guard,
    HarmfulRequest,
    Judge,
    JudgeError,
    Profanity,
    Refusal,
    Secrets,
    Toxicity,
    Usage,
)
from .asking import Answer
from .journal import Journal, key_of
from .questions import Question

__all__ = ["GUARDED", "RUBRICS", "Grade", "Grader", "guarded", "stripped"]

RUBRICS = (
    *("helpfulness", "correctness", "relevance", "faithfulness"),
    *("clarity", "tone", "safety"),
)
"""What a judge grades by default."""

GUARDED = ("guard/safety", "guard/toxicity", "guard/profanity")
"""What the guards grade."""

_FOR_ALL = frozenset({"key", "model"})


@dataclass(frozen=True, slots=True)
class Grade:
    """What one grader made of one answer; it holds no text.

    Args:
        variant: The variant that the answer came from.
        question: The id of the question.
        sample: Which of several answers.
        scores: From 0 to 1, higher is better, of risks too, as pairs of the metric's
            name and the score; none where grading failed.
        repeat: Which of several gradings of the same answer, from 0.
        error: Why there are no scores, or "".
        refusal: Whether the answer is a refusal, as far as the grader says.
        usage: What it took.
    """

    variant: str
    question: str
    sample: int
    scores: tuple[tuple[str, float], ...] = ()
    repeat: int = 0
    error: str = ""
    refusal: bool = False
    usage: Usage = dataclasses.field(default_factory=Usage)


def guarded(answer: Answer) -> Grade:
    """What the guards of this library say about an answer, on this machine alone.

    A score is 1 where they find nothing and 0 where they do, at the thresholds that
    they come with.
    """
    toxic, harmful, swearing, leaking = (
        bool(guard.check(answer.text, "assistant").findings) for guard in _guards()
    )
    refusal = answer.refused or Refusal().check(answer.text, "assistant").flagged
    scores = {
        "guard/safety": not (toxic or harmful or leaking),
        "guard/toxicity": not toxic,
        "guard/profanity": not swearing,
    }
    return Grade(
        answer.variant,
        answer.question,
        answer.sample,
        tuple((name, float(passed)) for name, passed in scores.items()),
        refusal=refusal,
    )


@cache
def _guards() -> tuple[Guard, ...]:
    return Toxicity(), HarmfulRequest(), Profanity(), Secrets()


def stripped(judge: Judge) -> Judge:
    """The judge as one that gives every score and stops nothing."""
    bare = tuple(
        dataclasses.replace(rubric, label=rubric.name, threshold=None)
        for rubric in judge.rubrics
    )
    return dataclasses.replace(judge, rubrics=bare, threshold=0.0, action=Action.ALLOW)


class Grader:
    """Has a judge grade answers, and nothing twice.

    Args:
        judge: The judge, with its rubrics. A rubric that needs documents is left out
            where a question has none.
        journal: What was graded before, and where new grades go.
    """

    def __init__(self, judge: Judge, journal: Journal) -> None:
        self._judge = stripped(judge)
        self._journal = journal

    def __call__(self, asked: Question, answer: Answer, repeat: int) -> Grade:
        """Grade an answer once more.

        Raises:
            ConfigError: The endpoint refuses the key or does not know the model.
        """
        judge = fitting(self._judge, asked)
        key = key_of(
            *identity(judge),
            *(asked.question, asked.reference, asked.context, answer.text, repeat),
        )
        row = self._journal.get(key)
        if row is None:
            row = {
                "key": key,
                "variant": answer.variant,
                "question": asked.id,
                "sample": answer.sample,
                "repeat": repeat,
                **ask(judge, answer.text, history(asked)),
            }
            self._journal.put(row)
            usage = Usage(*row["usage"])
        else:
            usage = Usage()
        return Grade(
            answer.variant,
            asked.id,
            answer.sample,
            tuple((f"judge/{name}", score) for name, score in row["scores"].items()),
            repeat,
            row["error"],
            usage=usage,
        )


def fitting(judge: Judge, asked: Question) -> Judge:
    """The judge for a question: with its reference, and with what can be graded."""
    lacking = set() if asked.context else {"context"}
    if asked.reference is None:
        lacking.add("reference")
    rubrics = tuple(r for r in judge.rubrics if not lacking & {*r.needs})
    if not rubrics:
        raise ConfigError(
            f"question {asked.id!r} has nothing that the rubrics need "
            f"({', '.join(sorted(lacking))}); add a rubric that needs none, such as "
            "helpfulness"
        )
    return dataclasses.replace(judge, rubrics=rubrics, reference=asked.reference)


def history(asked: Question) -> list[tuple[str, str]]:
    """What goes to the judge beside an answer."""
    documents = [("retrieved", text) for text in asked.context]
    return [*documents, ("user", asked.question)]


def identity(judge: Judge) -> tuple[object, ...]:
    """What a judge's grades depend on beside the texts."""
    told = [[r.name, r.kind, r.question, r.low, r.high] for r in judge.rubrics]
    return judge.base_url, judge.model, told, judge.structured


def ask(judge: Judge, text: str, said: list[tuple[str, str]]) -> dict[str, Any]:
    """One question to a judge, as the part of a row that has its answer."""
    try:
        verdict = judge.check(text, "assistant", said)
    except JudgeError as error:
        if error.kind in _FOR_ALL:
            raise ConfigError(f"the judge: {error.reason}") from None
        return {"scores": {}, "error": error.kind, "usage": [0, 0, 0, None]}
    found = {finding.label: 1.0 - finding.score for finding in verdict.findings}
    used = sum((usage for _, usage in verdict.usage), Usage())
    return {
        # Of risks there are none in a text of white space, which is not asked about.
        "scores": {r.name: round(found.get(r.name, 1.0), 6) for r in judge.rubrics},
        "error": "",
        "usage": [used.calls, used.prompt_tokens, used.completion_tokens, used.cost],
    }
