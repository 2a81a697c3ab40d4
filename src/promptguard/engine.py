"""The state machine that runs guards over texts and waits for nothing itself.

A driver starts an engine, answers its queries one at a time as they finish, and
stops when it is done:

    step = engine.start()
    while not engine.done:
        query = ...                          # one of engine.pending
        step = engine.answer(query, ...)     # or engine.fail(query, error)
    engine.verdicts

Cheap guards settle before a model is asked, a model before an LLM, and a BLOCK ends
whatever else was asked about that text. What is cheap is measured. The engine is not
thread-safe: one driver steps it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ._costs import Costs, Limit, limit_of
from ._runs import Case, Event, Run, Step, coverage, label, own, place
from .errors import ConfigError, GuardError, unknown, wrap
from .placeholders import Placeholders, redact
from .queries import Ask, Classify, Query, used
from .text import Text
from .verdict import Action, Finding, Verdict, plausible

if TYPE_CHECKING:
    from .guard import Guard

__all__ = ["Engine", "OnError", "Step"]

OnError = Literal["block", "allow"]


class Engine:
    """Runs a guard over the texts of one call.

    Args:
        guard: What to look for.
        texts: Where to look.
        on_error: ``"block"``: a guard that breaks raises from ``verdicts``, unless
            the text is blocked anyway. ``"allow"``: its verdict is degraded.
        placeholders: Where redacted values are kept; by default every text has its
            own, because texts of one batch may belong to different people.
        budget: Seconds from the start until every guard that is not done has failed,
            with what ``on_error`` or a Budget makes of it; None sets no limit. A guard
            that is at work is not interrupted, one that waits for an answer is.
        together: The texts are of one call, which a block of one of them ends. What
            was not looked at to its end has a coverage of 0.
    """

    def __init__(
        self,
        guard: Guard,
        texts: Sequence[Text],
        *,
        on_error: OnError = "block",
        placeholders: Placeholders | None = None,
        budget: Limit = None,
        together: bool = False,
    ) -> None:
        if on_error != "block" and on_error != "allow":
            raise unknown("on_error", on_error, ("block", "allow"))
        parts = guard.parts
        self._parts = parts if guard.in_order else _costs.ordered(parts)
        self._budget, self._then = limit_of(budget)
        self._together = together
        self._deadline = math.inf
        self._late = False
        self._cases = [Case(index, text) for index, text in enumerate(texts)]
        self._on_error = on_error
        self._placeholders = placeholders
        self._open = len(self._cases)
        self._started = False
        self._waiting: dict[Query, list[Run]] = {}
        self._pending: dict[Query, None] = {}
        self._answers: dict[Query, Any] = {}
        self._verdicts: tuple[Verdict, ...] | None = None

    @property
    def pending(self) -> tuple[Query, ...]:
        """The queries that were handed out and are still to be answered."""
        return tuple(self._pending)

    @property
    def done(self) -> bool:
        """True when nothing more is wanted."""
        return self._started and not self._open

    @property
    def left(self) -> float | None:
        """Seconds that are left of the budget, or None without one."""
        if self._budget is None:
            return None
        return max(0.0, self._deadline - perf_counter())

    @property
    def size(self) -> int:
        """Characters in all texts together."""
        return sum(len(case.text.original) for case in self._cases)

    @property
    def count(self) -> int:
        """How many texts there are."""
        return len(self._cases)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict for each text, in the order of the texts.

        Raises:
            ConfigError: Queries are still pending.
            PromptGuardError: A guard broke and ``on_error`` is ``"block"``: its own
                error if it is one of ours, else a GuardError.
        """
        if not self.done:
            raise ConfigError("the engine is not done: answer its pending queries")
        if self._verdicts is None:
            self._verdicts = tuple(self._verdict(case) for case in self._cases)
        return self._verdicts

    def start(self) -> Step:
        """Run every guard as far as it comes without an answer."""
        if self._started:
            raise ConfigError("the engine has been started already")
        self._started = True
        if self._budget is not None:
            self._deadline = perf_counter() + self._budget
        event = Event()
        for case in self._cases:
            if case.closed:
                continue
            for guard in self._parts:
                run = Run(guard, case)
                case.runs.append(run)
                self._begin(run, event)
                _costs.note(guard, run.seconds, len(case.text.original))
                if case.blocked:
                    break
            self._settle(case, event)
        return event.step()

    def answer(self, query: Query, value: Any, seconds: float = 0.0) -> Step:
        """Give the answer to a query; an answer nobody wants any more is ignored.

        Args:
            query: One of the pending queries.
            value: Its answer.
            seconds: How long it took, for the timings of who asked.
        """
        self._answers[query] = value
        return self._resume(query, value, None, seconds)

    def fail(self, query: Query, error: BaseException, seconds: float = 0.0) -> Step:
        """Say that a query could not be answered; the guards that asked may react."""
        return self._resume(query, None, error, seconds)

    def expire(self) -> Step:
        """Say that the time is up: whoever waits for an answer will get none.

        A guard that waits may still say what it makes of that; asking once more is
        no use. Then the engine is done.
        """
        self._late = True
        event = Event()
        event.dropped = list(self._pending)
        self._pending.clear()
        self._waiting.clear()
        for case in self._cases:
            case.wanted.clear()
            for run in case.runs:
                run.missing.clear()
                if not run.closed and not case.blocked:
                    self._advance(run, None, self._too_late(run), event)
            self._settle(case, event)
        return event.step()

    def _resume(
        self, query: Query, value: Any, error: BaseException | None, seconds: float
    ) -> Step:
        self._pending.pop(query, None)
        event = Event()
        runs = self._waiting.pop(query, [])
        for run in runs:
            run.seconds += seconds
            run.missing.discard(query)
            run.case.wanted.pop(query, None)
        for run in runs:
            if run.closed or run.case.blocked:
                continue
            if error is not None:
                self._forget(run, event)
                self._advance(run, None, error, event)
                continue
            run.case.coverage = min(run.case.coverage, coverage(value))
            run.usage = used(run.usage, value)
            if not run.missing:
                self._advance(run, self._collect(run), None, event)
        for run in runs:
            self._settle(run.case, event)
        return event.step()

    def _begin(self, run: Run, event: Event) -> None:
        if perf_counter() > self._deadline:
            self._break(run, self._too_late(run))
            return
        try:
            steps = run.guard.inspect(run.case.text)
        except BaseException as error:
            self._break(run, own(error))
            return
        if not isinstance(steps, Generator):
            self._break(
                run, GuardError(run.guard.name, "inspect is not a generator function")
            )
            return
        run.steps = steps
        self._advance(run, None, None, event)

    def _advance(
        self, run: Run, value: Any, error: BaseException | None, event: Event
    ) -> None:
        """Run a guard until it asks, ends or breaks."""
        case, steps = run.case, run.steps
        assert steps is not None
        begun = perf_counter()
        try:
            while True:
                if error is not None:
                    item, error = steps.throw(error), None
                else:
                    item = steps.send(value)
                value = None
                if isinstance(item, Finding):
                    finding = plausible(label(run.guard, item), len(case.text.original))
                    case.findings.append(finding)
                    event.findings.append((case.index, finding))
                    if finding.action is Action.BLOCK:
                        case.blocked = True
                    continue
                queries = item if isinstance(item, tuple) else (item,)
                if not queries or not all(isinstance(q, Query) for q in queries):
                    raise GuardError(
                        run.guard.name,
                        f"inspect yielded {type(item).__name__}, which is neither a "
                        "Finding nor a query",
                    )
                run.asked, run.single = queries, item is not queries
                run.missing = {q for q in queries if q not in self._answers}
                if run.missing and self._late:
                    raise self._too_late(run)
                if run.missing:
                    self._want(run)
                    return
                value = self._collect(run)
        except StopIteration:
            self._close(run)
        except BaseException as broken:
            self._break(run, own(broken))
        finally:
            run.seconds += perf_counter() - begun

    def _collect(self, run: Run) -> Any:
        answers = tuple(self._answers[query] for query in run.asked)
        return answers[0] if run.single else answers

    def _want(self, run: Run) -> None:
        for query in run.asked:  # in the order asked; a set has none
            if query in run.missing:
                run.case.wanted[query] = None
                runs = self._waiting.setdefault(query, [])
                if run not in runs:
                    runs.append(run)

    def _settle(self, case: Case, event: Event) -> None:
        """After an event: close a blocked text, hand out what it may ask now."""
        if case.closed:
            return
        if case.blocked:
            for run in case.runs:
                if not run.closed:
                    self._forget(run, event)
                    self._close(run)
        if all(run.closed for run in case.runs):
            case.closed = True
            self._open -= 1
            if case.blocked and self._together:
                self._abandon(event)
            return
        for wide in [q for q in case.wanted if isinstance(q, Classify) and q.names]:
            self._join(replace(wide, names=False), wide)
        # A model is asked before an LLM: many texts need the model only.
        asks = [q for q in case.wanted if isinstance(q, Ask)]
        classifies = [q for q in case.wanted if isinstance(q, Classify)]
        for query in classifies or asks:
            if query not in self._pending:
                self._pending[query] = None
                event.queries.append(query)

    def _join(self, narrow: Query, wide: Query) -> None:
        """Have one run of the model answer a question and one that asks for more."""
        if narrow in self._pending or narrow not in self._waiting:
            return
        for run in self._waiting.pop(narrow):
            run.asked = tuple([wide if q == narrow else q for q in run.asked])
            run.missing.discard(narrow)
            run.missing.add(wide)
            run.case.wanted.pop(narrow, None)
            self._want(run)

    def _abandon(self, event: Event) -> None:
        """The call is blocked: nobody waits for what the other texts come to."""
        for case in self._cases:
            if not case.closed:
                for run in case.runs:
                    if not run.closed:
                        self._forget(run, event)
                        self._close(run)
                case.closed = True
                case.coverage = 0.0
                self._open -= 1

    def _forget(self, run: Run, event: Event) -> None:
        for query in run.missing:
            runs = self._waiting.get(query, [])
            if run in runs:
                runs.remove(run)
            if not any(other.case is run.case for other in runs):
                run.case.wanted.pop(query, None)
            if not runs:
                self._waiting.pop(query, None)
                if query in self._pending:
                    del self._pending[query]
                    event.dropped.append(query)

    def _close(self, run: Run) -> None:
        run.closed = True
        if run.steps is not None:
            try:
                run.steps.close()
            except BaseException as error:
                run.case.errors.append(wrap(run.guard.name, own(error)))
            run.steps = None

    def _too_late(self, run: Run) -> GuardError:
        return GuardError(
            run.guard.name,
            f"it had not come to an end within the budget of {self._budget or 0:g} s",
        )

    def _break(self, run: Run, error: BaseException) -> None:
        wrapped = wrap(run.guard.name, error)
        run.case.errors.append(wrapped)
        if self._late or perf_counter() > self._deadline:
            run.case.late.append(wrapped)
        self._close(run)

    def _verdict(self, case: Case) -> Verdict:
        error = case.fatal(self._on_error, self._then)
        if error is not None:
            raise error from None
        findings: tuple[Finding, ...] = ()
        action = Action.ALLOW
        text = case.text.original
        if case.findings:
            # Two readings of a text can show one thing twice.
            findings = tuple(sorted(dict.fromkeys(case.findings), key=place))
            action = max(finding.action or Action.ALLOW for finding in findings)
        if case.late and self._then == "flag":
            action = max(action, Action.FLAG)
        if action is Action.REDACT:
            values = self._placeholders
            text = redact(text, findings, Placeholders() if values is None else values)
        return Verdict(
            original=case.text.original,
            findings=findings,
            action=action,
            text=text,
            coverage=0.0 if case.errors else case.coverage,
            timings=tuple([(run.guard.name, run.seconds) for run in case.runs]),
            degraded=bool(case.errors),
            usage=tuple([(r.guard.name, r.usage) for r in case.runs if r.usage]),
        )


_costs = Costs()
