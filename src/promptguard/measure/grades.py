"""evaluate: grade responses by rubrics, to compare the prompts that led to them."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .. import Action, ConfigError, Judge, JudgeError, Usage
from ..errors import unknown
from .progress import progress
from .tables import aligned, markdown

__all__ = ["Evaluation", "Graded", "Mean", "evaluate"]

# A check waits for a person; an evaluation does not.
_TIMEOUT = 60.0
_Z = 1.959963984540054
# What makes one question fail makes all of them fail.
_FOR_ALL = frozenset({"key", "model", "needs"})

Texts = Sequence[str]


@dataclass(frozen=True, slots=True)
class Graded:
    """One response and its scores; it holds no text.

    Args:
        variant: The variant of the prompt that it came from.
        index: Its place among the responses of the variant.
        scores: A score from 0 to 1 by rubric, higher is better, as pairs; none where
            the judge failed.
        error: The kind of JudgeError, or "".
    """

    variant: str
    index: int
    scores: tuple[tuple[str, float], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of scores, or of differences between scores.

    Args:
        mean: Their mean.
        spread: Half of its 95 % interval, by the normal approximation; None of fewer
            than two.
        count: How many there are.
    """

    mean: float
    spread: float | None
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (
            "" if self.spread is None else f" ± {self.spread:.2f}"
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of responses, by variant and rubric.

    Args:
        rows: One for each response, in the order given.
        variants: Names of the variants.
        rubrics: Names of the rubrics.
        usage: What asking took.
    """

    rows: tuple[Graded, ...]
    variants: tuple[str, ...]
    rubrics: tuple[str, ...]
    usage: Usage

    @property
    def failed(self) -> int:
        """Responses that the judge gave no grade."""
        return sum(bool(row.error) for row in self.rows)

    def mean(self, variant: str, rubric: str) -> Mean | None:
        """The mean score of a variant; None where nothing was graded.

        Raises:
            ConfigError: There is no such variant or rubric.
        """
        return _mean([*self._scores(variant, rubric).values()])

    def difference(self, variant: str, rubric: str) -> Mean | None:
        """How much a variant scores above the first, response by response.

        The responses of the two at the same place answer the same prompt, so the
        differences spread less than the scores.

        Raises:
            ConfigError: There is no such variant or rubric.
        """
        base = self._scores(self.variants[0], rubric)
        own = self._scores(variant, rubric)
        return _mean([own[index] - base[index] for index in own.keys() & base.keys()])

    def table(self, style: Literal["text", "markdown"] = "text") -> str:
        """Means by variant and rubric, and the differences from the first variant.

        Args:
            style: ``text`` for a terminal, ``markdown`` for a page.

        Raises:
            ConfigError: The style is another one.
        """
        if style not in ("text", "markdown"):
            raise ConfigError('style must be "text" or "markdown"')
        write = aligned if style == "text" else markdown
        head = ["variant", "graded", *self.rubrics]
        rows = [
            [
                name,
                str(self._graded(name)),
                *(_cell(self.mean(name, r)) for r in self.rubrics),
            ]
            for name in self.variants
        ]
        for name in self.variants[1:]:
            apart = [self.difference(name, r) for r in self.rubrics]
            rows.append([f"{name} − {self.variants[0]}", "", *map(_signed, apart)])
        return write([head, *rows])

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts, for a data frame."""
        return [
            {
                "variant": row.variant,
                "index": row.index,
                **dict.fromkeys(self.rubrics),
                **dict(row.scores),
                "error": row.error,
            }
            for row in self.rows
        ]

    def plot(self, path: str) -> None:
        """Draw the means with their intervals into a file (PNG, SVG or PDF).

        Raises:
            MissingExtra: matplotlib is not installed.
            ConfigError: The file cannot be written.
        """
        from .plots import compare

        compare(self, path)

    def log(self, run: Any) -> None:
        """Log the figures and the table to a run of MLflow or Weights & Biases.

        Args:
            run: The module ``mlflow`` (its active run), a run of MLflow, or a run of
                Weights & Biases. No text is logged.

        Raises:
            ConfigError: It is none of these.
        """
        from .tracking import log

        log(self, run)

    def _graded(self, variant: str) -> int:
        return sum(row.variant == variant and not row.error for row in self.rows)

    def _scores(self, variant: str, rubric: str) -> dict[int, float]:
        if variant not in self.variants:
            raise unknown("variant", variant, self.variants)
        if rubric not in self.rubrics:
            raise unknown("rubric", rubric, self.rubrics)
        return {
            row.index: score
            for row in self.rows
            if row.variant == variant
            for name, score in row.scores
            if name == rubric
        }


def evaluate(
    responses: Mapping[str, Texts] | Texts,
    rubrics: Any,
    *,
    prompts: Texts | None = None,
    contexts: Sequence[str | Texts] | None = None,
    run: Any = None,
    show_progress: bool = True,
    **judge: Any,
) -> Evaluation:
    """Grade responses by rubrics, to compare the prompts that led to them.

    Args:
        responses: Responses by the variant of the prompt (zero-shot, few-shot ...),
            equally many of each; or a list of them.
        rubrics: As for ``Judge``.
        prompts: What was asked, one for each place in the lists of responses; for
            ``relevance``, ``helpfulness`` and ``correctness``.
        contexts: What the responses may draw on, one text or several for each place;
            for ``groundedness`` and ``faithfulness``.
        run: Where to log to; see ``Evaluation.log``.
        show_progress: Show a bar on standard error, if that is a terminal.
        judge: The other arguments of ``Judge``, such as ``model``, ``llm``, ``cache``.
            The timeout is 60 seconds by default.

    Raises:
        ConfigError: The lists are not equally long, or an argument of the judge is
            wrong.
        JudgeError: No response could be graded, or the key, the model or what a rubric
            needs is missing. One response that fails is counted and left out.
    """
    # Brings logging along, which nobody needs who only asks for the name.
    from concurrent.futures import ThreadPoolExecutor

    variants = _variants(responses)
    many = len(next(iter(variants.values())))
    for what, given in (("prompts", prompts), ("contexts", contexts)):
        if given is not None and (isinstance(given, str) or len(given) != many):
            raise ConfigError(f"{what} must be a list of {many}, one for each response")
    asked = _grader(rubrics, judge)
    work = [
        (variant, index, text, _history(index, prompts, contexts))
        for variant, texts in variants.items()
        for index, text in enumerate(texts)
    ]
    rows, usage, failure = [], Usage(), None
    with ThreadPoolExecutor(asked.concurrency, "promptguard-evaluate") as pool:
        results: Iterator[Any] = pool.map(lambda row: _graded(asked, *row), work)
        if show_progress:
            results = progress(results, len(work), "judging")
        try:
            for row, used, error in results:
                rows.append(row)
                usage += used
                failure = error or failure
                if error is not None and error.kind in _FOR_ALL:
                    raise error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failure is not None and all(row.error for row in rows):
        raise failure
    names = tuple(rubric.name for rubric in asked.rubrics)
    evaluation = Evaluation(tuple(rows), tuple(variants), names, usage)
    if run is not None:
        evaluation.log(run)
    return evaluation


def _variants(responses: Any) -> dict[str, list[str]]:
    given = responses if isinstance(responses, Mapping) else {"responses": responses}
    variants: dict[str, list[str]] = {}
    for name, texts in given.items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigError("the name of a variant must be a string")
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise ConfigError(f"the responses of {name!r} must be a list of strings")
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"the responses of {name!r} must all be strings")
        variants[name] = list(texts)
    counts = {len(texts) for texts in variants.values()}
    if counts in (set(), {0}):
        raise ConfigError("there are no responses to evaluate")
    if len(counts) > 1:
        said = ", ".join(f"{name}: {len(texts)}" for name, texts in variants.items())
        raise ConfigError(
            "the variants must have equally many responses, place by place of the same "
            f"prompt; they have {said}"
        )
    return variants


def _grader(rubrics: Any, judge: dict[str, Any]) -> Judge:
    """A judge that says each score and stops nothing."""
    for name in ("threshold", "action"):
        if name in judge:
            raise ConfigError(f"evaluate() gives scores and takes no {name}")
    asked = Judge(rubrics, **{"timeout": _TIMEOUT, **judge})
    bare = tuple(
        dataclasses.replace(rubric, label=rubric.name, threshold=None)
        for rubric in asked.rubrics
    )
    return dataclasses.replace(asked, rubrics=bare, threshold=0.0, action=Action.ALLOW)


def _graded(
    judge: Judge, variant: str, index: int, text: str, history: list[tuple[str, str]]
) -> tuple[Graded, Usage, JudgeError | None]:
    try:
        verdict = judge.check(text, "assistant", history)
    except JudgeError as error:
        return Graded(variant, index, error=error.kind), Usage(), error
    scores = {finding.label: 1.0 - finding.score for finding in verdict.findings}
    used = sum((usage for _, usage in verdict.usage), Usage())
    # An empty response is not asked about where only risks are graded: it has none.
    pairs = tuple((r.name, scores.get(r.name, 1.0)) for r in judge.rubrics)
    return Graded(variant, index, pairs), used, None


def _history(
    index: int, prompts: Texts | None, contexts: Sequence[str | Texts] | None
) -> list[tuple[str, str]]:
    history: list[tuple[str, str]] = []
    if contexts is not None:
        given = contexts[index]
        several = [given] if isinstance(given, str) else given
        history += [("retrieved", one) for one in several]
    if prompts is not None:
        history.append(("user", prompts[index]))
    return history


def _mean(values: Sequence[float]) -> Mean | None:
    if not values:
        return None
    spread = None
    if len(values) > 1:
        spread = _Z * statistics.stdev(values) / math.sqrt(len(values))
    return Mean(statistics.fmean(values), spread, len(values))


def _cell(mean: Mean | None) -> str:
    return "" if mean is None else str(mean)


def _signed(mean: Mean | None) -> str:
    return "" if mean is None else f"{'+' if mean.mean >= 0 else ''}{mean}"
