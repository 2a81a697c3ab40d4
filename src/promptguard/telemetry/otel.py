"""Spans and metrics for OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import Action, MissingExtra, Verdict
from ..prices import Prices
from ..records import Checked, Record
from . import names
from .names import Metric
from .samples import Names, Sample, library_version, model_of, of_record, of_verdict

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetry"]

_NANO = 1_000_000_000
# A request with a long history has a check for every text of it.
_CHECKS = 50


class OpenTelemetry:
    """Gives spans and metrics of verdicts and requests.

        pg.on_verdict(OpenTelemetry())

    Only the API of OpenTelemetry is needed; until the application installs an SDK,
    nothing is sent anywhere. A verdict is a span ``promptguard.check`` below the span
    that is current, with an event ``gen_ai.evaluation.result`` for every guard. A span
    is made when its check is over: it ends then, and begins as much earlier as the
    slowest of its guards took.

    Args:
        tracer_provider: Where spans go; None means the global one.
        meter_provider: Where metrics go; None means the global one.
        prices: What models cost; without it no cost is told.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        prices: Prices | None = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            raise MissingExtra("opentelemetry-api", "otel") from None
        own = "promptguard", library_version()
        self._tracer = trace.get_tracer(*own, tracer_provider)
        meter = metrics.get_meter(*own, meter_provider)
        self._add = {m.name: _instrument(meter, m) for m in names.METRICS}
        self._prices = prices
        self._names = Names()

    def __call__(self, verdict: Verdict) -> None:
        """Tell of one verdict: a hook for ``on_verdict``."""
        for sample in of_verdict(verdict, self._names):
            self._add[sample.metric.name](sample)
        length = len(verdict.original)
        self._check(verdict, length, {}, time.time_ns(), None)

    def observe(self, record: Record) -> None:
        """Tell of one request and its verdicts."""
        from opentelemetry.trace import (
            SpanKind,
            Status,
            StatusCode,
            set_span_in_context,
        )

        for sample in of_record(record, self._names, self._prices):
            self._add[sample.metric.name](sample)
        took, begin = record.latency, int(record.time * _NANO)
        span = self._tracer.start_span(
            f"{names.REQUEST_SPAN} {self._names('endpoint', record.endpoint)}",
            _caller(record),
            SpanKind.SERVER,
            start_time=begin,
        )
        if span.is_recording():
            span.set_attributes(self._about(record))
            if record.outcome == "failed" or record.status >= 500:
                span.set_attribute(names.ERROR_TYPE, record.error or str(record.status))
                span.set_status(Status(StatusCode.ERROR))
            below = set_span_in_context(span)
            ends = {
                "input": begin + int(took.input * _NANO),
                "output": begin + int(took.total * _NANO),
            }
            for check in record.checks[:_CHECKS]:
                where = {
                    names.DIRECTION: check.direction,
                    names.ROLE: check.role,
                }
                end = ends[check.direction]
                self._check(check, check.length, where, end, below)
        span.end(begin + int(took.total * _NANO))

    def _about(self, record: Record) -> dict[str, Any]:
        # Any: the values of attributes are of several types.
        took = record.latency
        about: dict[str, Any] = {
            names.HTTP_ROUTE: record.endpoint,
            names.HTTP_STATUS: record.status,
            names.REQUEST_ID: record.id,
            names.OUTCOME: record.outcome,
            names.STREAM: record.stream,
            names.CHECKS: len(record.checks),
            names.SECONDS_INPUT: took.input,
            names.SECONDS_UPSTREAM: took.upstream,
            names.SECONDS_OUTPUT: took.output,
            names.MODEL: model_of(record, self._prices),
        }
        operation = names.OPERATIONS.get(record.endpoint)
        if self._prices is not None:
            about[names.COST_ATTRIBUTE] = self._prices.cost(
                record.model, record.tokens_in, record.tokens_out
            )
        about |= {
            names.OPERATION: operation,
            names.INPUT_TOKENS: record.tokens_in,
            names.OUTPUT_TOKENS: record.tokens_out,
            names.CALLER: record.caller or None,
            names.ERROR: record.error or None,
            names.RETRIES_ATTRIBUTE: record.retries or None,
        }
        return {name: value for name, value in about.items() if value is not None}

    def _check(
        self,
        verdict: Verdict | Checked,
        length: int,
        where: dict[str, str],
        end: int,
        below: Context | None,
    ) -> None:
        longest = max((seconds for _, seconds in verdict.timings), default=0.0)
        span = self._tracer.start_span(
            names.CHECK_SPAN, below, start_time=end - int(longest * _NANO)
        )
        if span.is_recording():
            span.set_attributes(
                {
                    names.ACTION: verdict.action.name.lower(),
                    names.CHARACTERS: length,
                    names.COVERAGE_ATTRIBUTE: verdict.coverage,
                    names.DEGRADED_ATTRIBUTE: verdict.degraded,
                    names.DRY_RUN: verdict.dry_run,
                    names.FINDINGS_ATTRIBUTE: len(verdict.findings),
                    **where,
                }
            )
            _evaluations(span, verdict, end)
        span.end(end)


def _instrument(meter: Meter, metric: Metric) -> Callable[[Sample], None]:
    keys = [f"promptguard.{label}" for label in metric.labels]
    about = metric.name, metric.unit, metric.help
    if metric.kind == "histogram":
        buckets = list(metric.buckets)
        histogram = meter.create_histogram(
            *about, explicit_bucket_boundaries_advisory=buckets
        )
        return lambda s: histogram.record(
            s.value, dict(zip(keys, s.labels, strict=True))
        )
    counter = meter.create_counter(*about)
    return lambda s: counter.add(s.value, dict(zip(keys, s.labels, strict=True)))


def _caller(record: Record) -> Context | None:
    """The span of whoever sent the request, as the header traceparent names it."""
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    if not record.traceparent:
        return None
    carrier = {"traceparent": record.traceparent}
    return TraceContextTextMapPropagator().extract(carrier)


def _evaluations(span: Span, verdict: Verdict | Checked, end: int) -> None:
    """One event for every guard that ran, in the words of the conventions."""
    timings = dict(verdict.timings)
    guards = dict.fromkeys([*timings, *(found.guard for found in verdict.findings)])
    for guard in guards:
        found = [finding for finding in verdict.findings if finding.guard == guard]
        action = max((f.action or Action.ALLOW for f in found), default=Action.ALLOW)
        about: dict[str, Any] = {
            names.EVALUATION_NAME: guard,
            names.EVALUATION_LABEL: action.name.lower(),
            names.FINDINGS_ATTRIBUTE: len(found),
        }
        if found:
            about[names.EVALUATION_SCORE] = max(finding.score for finding in found)
            about[names.LABELS] = sorted({finding.label for finding in found})
        if guard in timings:
            about[names.SECONDS] = timings[guard]
        span.add_event(names.EVALUATION_EVENT, about, timestamp=end)
