"""Experiment: ask, grade, compare; each step goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .. import ConfigError, Judge
from ..errors import unknown
from ..measure.progress import progress
from ..measure.writing import library_version, write_json
from ..prices import Prices
from .asking import Answer, Asker, Target
from .grading import Grade, Grader, fitting, guarded
from .journal import Journal, key_of
from .others import Metric, metrics
from .pairs import Comparer, Pair, Pairing, pairs_of
from .questions import Question
from .results import Results
from .variants import Variant, starter_variants

__all__ = ["Experiment"]

T = TypeVar("T")
# More than are at work, so that nobody waits for the next, and few enough that an end
# comes at once.
_AHEAD = 2


@dataclass(frozen=True)
class Experiment:
    """Variants of a prompt over questions, and how the answers are graded.

    Args:
        questions: The questions.
        target: The model that is asked.
        variants: The variants; the first is the baseline, which the others are held
            against. Those that are shipped, by default.
        judge: Who grades the answers, with its rubrics; None has only the guards of
            this library grade, which ask nobody.
        repeats: How often the judge grades each answer, to see how far it agrees with
            itself.
        pairs: Whether answers are compared two by two as well, in both orders:
            ``baseline``, each variant with the first; ``all``, each with each.
        samples: Answers to each question by each variant.
        others: Metrics of other libraries, such as ``ragas/faithfulness``. They ask
            the judge's model.
        prices: What models cost.

    Raises:
        ConfigError: An argument is out of range or does not go with the others.
    """

    questions: tuple[Question, ...] = field(repr=False)
    target: Target
    _: KW_ONLY
    variants: tuple[Variant, ...] = field(default_factory=starter_variants)
    judge: Judge | None = None
    repeats: int = 1
    pairs: Pairing = ""
    samples: int = 1
    others: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        for name in ("questions", "variants", "others"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.questions or not self.variants:
            raise ConfigError("an experiment needs questions and variants")
        for what, names in (
            ("variants", [variant.name for variant in self.variants]),
            ("questions", [question.id for question in self.questions]),
        ):
            if len({*names}) < len(names):
                raise ConfigError(f"two {what} have the same name")
        for name in ("repeats", "samples"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number, 1 or more")
        if self.pairs not in ("", "baseline", "all"):
            raise unknown("pairs", self.pairs, ("baseline", "all"))
        if self.judge is None and (self.pairs or self.repeats > 1 or self.others):
            raise ConfigError("repeats, pairs and metrics of others need a judge")

    def run(self, folder: str | Path, *, show_progress: bool = True) -> Results:
        """Ask, grade and compare.

        Args:
            folder: Where answers and grades are kept, the texts among them, for its
                owner alone to read; it is made where there is none. What it holds
                already is not asked again; stop this and call it again, and it goes on.
                What failed is tried again.
            show_progress: Show a bar on standard error, if that is a terminal.

        Raises:
            ConfigError: The folder cannot be used, or the endpoint refuses the key or
                does not know the model.
            MissingExtra: openai is not installed, or the library of a metric.
        """
        place = Path(folder)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be made: {error.strerror}") from None
        # Before anything is asked: what cannot be graded need not be answered.
        if self.judge is not None:
            for question in self.questions:
                fitting(self.judge, question)
        added = metrics(self.others, self.judge)
        write_json(str(place / "experiment.json"), self.settings(), private=True)
        bar = show_progress
        with ExitStack() as stack:
            answers = self._answers(stack, place, bar)
            grades = [guarded(a) for a in _told(answers, "guards", bar) if not a.error]
            if self.judge is not None:
                grades += self._judged(stack, place, answers, bar)
                grades += self._added(stack, place, added, answers, bar)
            compared = self._compared(stack, place, answers, bar)
        return Results(self, tuple(answers), tuple(grades), tuple(compared))

    def settings(self) -> dict[str, Any]:
        """All that the figures depend on, without the questions' texts."""
        target, judge = self.target, self.judge
        return {
            "version": library_version(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": target.model,
            "base_url": target.base_url,
            "temperature": target.temperature,
            "seed": target.seed,
            "max_tokens": target.max_tokens,
            "questions": len(self.questions),
            "questions_hash": key_of(
                [[q.id, q.question, q.reference, q.context] for q in self.questions]
            ),
            "samples": self.samples,
            "variants": {
                variant.name: {
                    "about": variant.about,
                    "hash": key_of(
                        *(variant.system, variant.prompt, variant.with_context),
                        *(variant.examples, variant.answer_after),
                    ),
                    "temperature": variant.temperature,
                }
                for variant in self.variants
            },
            "judge": None
            if judge is None
            else {
                "model": judge.model,
                "base_url": judge.base_url,
                "rubrics": [rubric.name for rubric in judge.rubrics],
                "repeats": self.repeats,
                "pairs": self.pairs,
                "others": list(self.others),
            },
        }

    def _answers(self, stack: ExitStack, place: Path, bar: bool) -> list[Answer]:
        journal = stack.enter_context(Journal(place / "answers.jsonl"))
        asker = Asker(self.target, journal)
        stack.callback(asker.close)
        # Question by question, so that a run that was stopped has whole rows.
        work = [
            (variant, question, sample)
            for question in self.questions
            for sample in range(self.samples)
            for variant in self.variants
        ]
        done = _parallel(asker, work, self.target.concurrency)
        return _told(done, "asking", bar, len(work))

    def _judged(
        self, stack: ExitStack, place: Path, answers: Sequence[Answer], bar: bool
    ) -> list[Grade]:
        assert self.judge is not None
        journal = stack.enter_context(Journal(place / "grades.jsonl"))
        asked = {question.id: question for question in self.questions}
        work = [
            (asked[answer.question], answer, repeat)
            for answer in answers
            if not answer.error
            for repeat in range(self.repeats)
        ]
        grader = Grader(self.judge, journal)
        done = _parallel(grader, work, self.judge.concurrency)
        return _told(done, "judging", bar, len(work))

    def _added(
        self,
        stack: ExitStack,
        place: Path,
        added: Sequence[Metric],
        answers: Sequence[Answer],
        bar: bool,
    ) -> list[Grade]:
        if not added:
            return []
        assert self.judge is not None
        journal = stack.enter_context(Journal(place / "others.jsonl"))
        asked = {question.id: question for question in self.questions}
        work = [
            (metric, asked[answer.question], answer, journal)
            for answer in answers
            for metric in added
            if not answer.error and metric.fits(asked[answer.question])
        ]
        done = _parallel(Metric.grade, work, self.judge.concurrency)
        return _told(done, "others", bar, len(work))

    def _compared(
        self, stack: ExitStack, place: Path, answers: Sequence[Answer], bar: bool
    ) -> list[Pair]:
        if self.judge is None or not self.pairs:
            return []
        journal = stack.enter_context(Journal(place / "pairs.jsonl"))
        found = {(a.variant, a.question, a.sample): a for a in answers if not a.error}
        names = [variant.name for variant in self.variants]
        work = []
        for question in self.questions:
            for sample in range(self.samples):
                for one, two in pairs_of(names, self.pairs):
                    first = found.get((one, question.id, sample))
                    second = found.get((two, question.id, sample))
                    if first is not None and second is not None:
                        work.append((question, first, second))
        comparer = Comparer(self.judge, journal)
        done = _parallel(comparer, work, self.judge.concurrency)
        return _told(done, "comparing", bar, len(work))


def _told(
    items: Iterable[T], what: str, bar: bool, total: int | None = None
) -> list[T]:
    if total is None:
        items = list(items)
        total = len(items)
    return list(progress(items, total, what) if bar else items)


def _parallel(
    work: Callable[..., T],
    items: Sequence[tuple[Any, ...]],
    threads: int,
) -> Iterator[T]:
    """The results in the order of the items, from so many threads.

    Unlike ``Executor.map`` it begins only what will soon be done, so that an error or
    Ctrl+C ends it without asking on. What is at work then is waited for, because it is
    paid for and will be kept; another Ctrl+C ends that, too.
    """
    results: dict[int, T] = {}
    pending: dict[Future[T], int] = {}
    numbered = iter(enumerate(items))
    due = 0
    pool = ThreadPoolExecutor(threads, "promptguard-experiment")
    try:
        while due < len(items):
            free = threads * _AHEAD - len(pending)
            for number, item in islice(numbered, free):
                pending[pool.submit(work, *item)] = number
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                results[pending.pop(future)] = future.result()
            while due in results:
                yield results.pop(due)
                due += 1
    finally:
        pool.shutdown(cancel_futures=True)
