"""What is counted of a verdict and of a request, whoever counts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import NamedTuple

from .. import Verdict
from ..prices import Prices
from ..records import Checked, Record
from . import names
from .names import Metric

__all__ = ["Names", "Sample", "library_version", "model_of", "of_record", "of_verdict"]

OTHER = "other"
UNKNOWN = "unknown"
_NAME = re.compile(r"[\w/][\w .:/@+-]{0,99}")


class Sample(NamedTuple):
    """One value for one metric; labels in the order of the metric."""

    metric: Metric
    value: float
    labels: tuple[str, ...]


class Names:
    """Lets so many values of a label pass, and calls the others ``other``.

    Names of models come from callers, those of labels from guards: without a bound each
    of them would be a series of its own for as long as the process lives.

    Args:
        most: How many values one label has.
    """

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._known: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def __call__(self, kind: str, value: str) -> str:
        known = self._known.get(kind, ())
        if value in known:
            return value
        if not _NAME.fullmatch(value):
            return OTHER
        with self._lock:
            values = self._known.setdefault(kind, set())
            if value not in values and len(values) >= self._most:
                return OTHER
            values.add(value)
        return value


def library_version() -> str:
    """The version of this library, or ``unknown`` where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("promptguard-llm")
    except PackageNotFoundError:
        return UNKNOWN


def model_of(record: Record, prices: Prices | None) -> str:
    """The model's name, if it is one: the upstream answered, or it has a price.

    Else it is what a caller wrote there, and that can be anything.
    """
    answered = record.upstream_status is not None and record.upstream_status < 300
    priced = prices is not None and prices.of(record.model) is not None
    return record.model if record.model and (answered or priced) else OTHER


def of_verdict(
    verdict: Verdict | Checked,
    names_: Names,
    direction: str = UNKNOWN,
    role: str = UNKNOWN,
) -> Iterator[Sample]:
    """What one verdict adds to the metrics."""
    dry_run = "true" if verdict.dry_run else "false"
    action = verdict.action.name.lower()
    yield Sample(names.VERDICTS, 1, (direction, role, action, dry_run))
    yield Sample(names.COVERAGE, verdict.coverage, (direction,))
    if verdict.degraded:
        yield Sample(names.DEGRADED, 1, (direction,))
    for found in verdict.findings:
        guard = names_("guard", found.guard)
        act = (found.action or verdict.action).name.lower()
        label = names_("label", found.label)
        yield Sample(names.FINDINGS, 1, (guard, label, act))
    for name, seconds in verdict.timings:
        yield Sample(names.GUARD, seconds, (names_("guard", name),))
    for name, usage in verdict.usage:
        guard = names_("guard", name)
        yield Sample(names.JUDGE_CALLS, usage.calls, (guard,))
        yield Sample(names.JUDGE_TOKENS, usage.prompt_tokens, (guard, "in"))
        yield Sample(names.JUDGE_TOKENS, usage.completion_tokens, (guard, "out"))
        if usage.cost is not None:
            yield Sample(names.JUDGE_COST, usage.cost, (guard,))


def of_record(
    record: Record, names_: Names, prices: Prices | None = None
) -> Iterator[Sample]:
    """What one request adds to the metrics, its verdicts included."""
    endpoint = names_("endpoint", record.endpoint)
    status = str(record.status)
    yield Sample(names.REQUESTS, 1, (endpoint, record.outcome, status))
    if record.error:
        error = names_("error", record.error)
        yield Sample(names.ERRORS, 1, (endpoint, error))
    if record.retries:
        yield Sample(names.RETRIES, 1, (endpoint,))
    took = record.latency
    stream = "true" if record.stream else "false"
    yield Sample(names.REQUEST, took.total, (endpoint, stream))
    directions = {check.direction for check in record.checks}
    if "input" in directions:
        yield Sample(names.CHECK, took.input, (endpoint, "input"))
    if "output" in directions:
        yield Sample(names.CHECK, took.output, (endpoint, "output"))
    if record.upstream_status is not None:
        yield Sample(names.UPSTREAM, took.upstream, (endpoint,))
    for check in record.checks:
        yield from of_verdict(check, names_, check.direction, check.role)
    yield from _tokens(record, names_, prices)


def _tokens(record: Record, names_: Names, prices: Prices | None) -> Iterator[Sample]:
    counts = (("in", record.tokens_in), ("out", record.tokens_out))
    if all(count is None for _, count in counts):
        return
    model = names_("model", model_of(record, prices))
    for kind, count in counts:
        if count is not None:
            yield Sample(names.TOKENS, count, (model, kind))
    if prices is None:
        return
    cost = prices.cost(record.model, record.tokens_in, record.tokens_out)
    if cost is None:
        yield Sample(names.UNPRICED, 1, (model,))
    else:
        yield Sample(names.COST, cost, (model, prices.currency))
