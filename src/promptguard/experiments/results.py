"""What an experiment found: figures by variant, and how far they can be trusted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .. import Usage
from ..errors import unknown
from ..measure.figures import percentile, spearman
from .asking import Answer
from .bootstrap import Estimate, alpha, estimate, share
from .grading import Grade
from .pairs import Pair

if TYPE_CHECKING:
    from .running import Experiment

__all__ = ["Agreement", "Comparison", "Cost", "Results"]

# Grades 1 to 5 are so far apart; closer scores are the same grade.
_STEP = 0.25


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking by a variant took.

    Args:
        answers: How many answers came.
        refused: How many of them refuse.
        cut: How many were cut off at ``max_tokens``.
        failed: How many requests brought none, by the kind of failure, as pairs.
        ungraded: How many grades the judge, or a metric, did not give, by kind.
        p50: Seconds that half of the answers took at most; None without any.
        p95: Seconds that nineteen in twenty took at most.
        tokens_in: Mean tokens of a prompt; None where the endpoint does not say.
        tokens_out: Mean tokens of a reply.
        total: What all of it cost; None where no price or no count is known.
    """

    answers: int
    refused: int
    cut: int
    failed: tuple[tuple[str, int], ...]
    ungraded: tuple[tuple[str, int], ...]
    p50: float | None
    p95: float | None
    tokens_in: float | None
    tokens_out: float | None
    total: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge agrees with itself about the same answers.

    Args:
        same: Share of the answers that got the same grade each time.
        alpha: Krippendorff's alpha; None where all grades are equal.
        count: Answers that were graded more than once.
    """

    same: float
    alpha: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing the answers of two variants one by one.

    Args:
        first: One variant.
        second: The other.
        wins: How often the first is better in both orders.
        losses: How often the second is.
        ties: How often neither is.
        order: How often it changed with the order, so that nobody has won.
        failed: How often the judge gave no outcome.
        share: Share of the first, ties and changes as halves, with its interval.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    order: int
    failed: int
    share: Estimate | None


@dataclass(frozen=True)
class Results:
    """The outcome of an experiment.

    Args:
        experiment: What was run.
        answers: One for each variant, question and sample.
        grades: By guards, judge and other libraries.
        pairs: The comparisons of two answers.
    """

    experiment: Experiment
    answers: tuple[Answer, ...]
    grades: tuple[Grade, ...]
    pairs: tuple[Pair, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants' names, the baseline first."""
        return tuple(variant.name for variant in self.experiment.variants)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that have a grade: judge, guards, others."""
        found = dict.fromkeys(name for grade in self.grades for name, _ in grade.scores)
        order = {"judge": 0, "guard": 1}
        return tuple(sorted(found, key=lambda n: order.get(n.partition("/")[0], 2)))

    def mean(self, variant: str, metric: str) -> Estimate | None:
        """The mean over questions; None where nothing was graded.

        Raises:
            ConfigError: There is no such variant or metric.
        """
        scores = [*self._scores(variant, metric).values()]
        if metric.startswith("guard/") and {*scores} <= {0.0, 1.0}:
            return share(scores)
        return estimate(scores)

    def difference(self, variant: str, metric: str) -> Estimate | None:
        """How much a variant scores above the baseline, question by question.

        Only questions that both have a grade for count.

        Raises:
            ConfigError: There is no such variant or metric.
        """
        own = self._scores(variant, metric)
        base = self._scores(self.variants[0], metric)
        return estimate([own[q] - base[q] for q in own if q in base])

    def against(self, variant: str, metric: str) -> tuple[int, int, int]:
        """On how many questions a variant is better, equal and worse than the baseline.

        Raises:
            ConfigError: There is no such variant or metric.
        """
        own = self._scores(variant, metric)
        base = self._scores(self.variants[0], metric)
        apart = [round(own[q] - base[q], 6) for q in own if q in base]
        return (
            sum(value > 0 for value in apart),
            sum(value == 0 for value in apart),
            sum(value < 0 for value in apart),
        )

    def cost(self, variant: str) -> Cost:
        """What asking by a variant took.

        Raises:
            ConfigError: There is no such variant.
        """
        self._check(variant)
        own = [a for a in self.answers if a.variant == variant]
        good = [a for a in own if not a.error]
        grades = [g for g in self.grades if g.variant == variant]
        prices, model = self.experiment.prices, self.experiment.target.model
        costs = [prices.cost(model, a.tokens_in, a.tokens_out) for a in good]
        known = [cost for cost in costs if cost is not None]
        seconds = [a.seconds for a in good]
        return Cost(
            len(good),
            sum(g.refusal for g in grades),
            sum(a.cut for a in good),
            _counted(a.error for a in own),
            _counted(g.error for g in grades),
            percentile(seconds, 0.5),
            percentile(seconds, 0.95),
            _mean([a.tokens_in for a in good]),
            _mean([a.tokens_out for a in good]),
            # A sum that leaves some out would be too low without a word.
            sum(known) if known and len(known) == len(costs) else None,
        )

    def agreement(self, metric: str) -> Agreement | None:
        """How far the judge agrees with itself; None where it graded once only."""
        units: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
        for grade in self.grades:
            for name, score in grade.scores:
                if name == metric:
                    key = grade.variant, grade.question, grade.sample
                    units[key].append(score)
        several = [unit for unit in units.values() if len(unit) > 1]
        if not several:
            return None
        same = sum(len({round(s / _STEP) for s in unit}) == 1 for unit in several)
        return Agreement(same / len(several), alpha(several), len(several))

    def comparisons(self) -> tuple[Comparison, ...]:
        """What came of comparing variants two by two."""
        kept: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
        for pair in self.pairs:
            kept[pair.first, pair.second].append(pair)
        return tuple(_compared(*names, pairs) for names, pairs in kept.items())

    @property
    def first_place(self) -> Estimate | None:
        """How far answers are preferred for being shown first: 0.5 is not at all.

        Every two answers were shown in both orders, so that which is better adds
        nothing to it.
        """
        return estimate(
            [
                (pair.forward + 1 - pair.backward) / 2
                for pair in self.pairs
                if not pair.same
                and pair.forward is not None
                and pair.backward is not None
            ]
        )

    def length(self, metric: str) -> float | None:
        """How far scores go with the length of answers, within each question.

        Spearman's correlation, of what lies above and below the mean of the question.
        A longer answer may be the better one: a high figure is a reason to look, no
        proof that the judge counts words.
        """
        sizes, scores = [], []
        by: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        long = {(a.variant, a.question, a.sample): len(a.text) for a in self.answers}
        for grade in self.grades:
            for name, score in grade.scores:
                if name == metric:
                    key = grade.variant, grade.question, grade.sample
                    by[grade.question].append((long[key], score))
        for rows in by.values():
            middle = fmean(size for size, _ in rows), fmean(score for _, score in rows)
            sizes += [size - middle[0] for size, _ in rows]
            scores += [round(score - middle[1], 9) for _, score in rows]
        return spearman(sizes, scores)

    @property
    def longer(self) -> tuple[int, int]:
        """Of the comparisons that one side won, how many the longer answer won."""
        won = [p for p in self.pairs if p.outcome in ("first", "second") and p.longer]
        return sum((p.outcome == "first") == (p.longer > 0) for p in won), len(won)

    @property
    def judging(self) -> Usage:
        """What grading and comparing took, this time."""
        used = [*(g.usage for g in self.grades), *(p.usage for p in self.pairs)]
        return sum(used, Usage())

    def records(self, *, texts: bool = False) -> list[dict[str, Any]]:
        """A row for each answer with its mean scores, for a data frame.

        Args:
            texts: Whether the rows have question and answer.
        """
        asked = {question.id: question for question in self.experiment.questions}
        scores: defaultdict[tuple[str, str, int], dict[str, list[float]]]
        scores = defaultdict(lambda: defaultdict(list))
        for grade in self.grades:
            for name, score in grade.scores:
                key = grade.variant, grade.question, grade.sample
                scores[key][name].append(score)
        rows = []
        for a in self.answers:
            own = scores[a.variant, a.question, a.sample]
            row: dict[str, Any] = {
                "variant": a.variant,
                "question": a.question,
                "sample": a.sample,
                **{n: fmean(own[n]) if n in own else None for n in self.metrics},
                "seconds": a.seconds,
                "tokens_in": a.tokens_in,
                "tokens_out": a.tokens_out,
                "error": a.error,
            }
            if texts:
                row |= {"asked": asked[a.question].question, "answer": a.text}
            rows.append(row)
        return rows

    def _scores(self, variant: str, metric: str) -> dict[str, float]:
        """The score of each question: the mean of its answers and gradings."""
        self._check(variant)
        if metric not in self.metrics:
            raise unknown("metric", metric, self.metrics)
        return self._table[variant, metric]

    @cached_property
    def _table(self) -> dict[tuple[str, str], dict[str, float]]:
        kept: defaultdict[tuple[str, str], defaultdict[str, list[float]]]
        kept = defaultdict(lambda: defaultdict(list))
        for grade in self.grades:
            for name, score in grade.scores:
                kept[grade.variant, name][grade.question].append(score)
        return {
            (variant, metric): {
                question: fmean(scores)
                for question, scores in kept[variant, metric].items()
            }
            for variant in self.variants
            for metric in self.metrics
        }

    def _check(self, variant: str) -> None:
        if variant not in self.variants:
            raise unknown("variant", variant, self.variants)


def _compared(first: str, second: str, pairs: Sequence[Pair]) -> Comparison:
    outcomes = Counter(pair.outcome for pair in pairs)
    worth = {"first": 1.0, "second": 0.0, "tie": 0.5, "order": 0.5}
    kept: defaultdict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.outcome in worth:
            kept[pair.question].append(worth[pair.outcome])
    return Comparison(
        first,
        second,
        outcomes["first"],
        outcomes["second"],
        outcomes["tie"],
        outcomes["order"],
        outcomes["failed"],
        estimate([fmean(values) for values in kept.values()]),
    )


def _counted(errors: Iterator[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(filter(None, errors)).items()))


def _mean(counts: Sequence[int | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return fmean(known) if known else None
