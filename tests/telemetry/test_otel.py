"""Spans and metrics as the SDK of OpenTelemetry gets them."""

from __future__ import annotations

import json
import sys
from itertools import chain

import pytest
from records_made import CANARY

from promptguard import PII, Action, Blocked, MissingExtra, Verdict, guarded, on_verdict
from promptguard.prices import Price, Prices
from promptguard.records import Checked, Latency
from promptguard.telemetry import names

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from promptguard.telemetry.otel import OpenTelemetry

PRICES = Prices((Price("gpt-4o*", 2.0, 4.0),), "EUR")


class Collected:
    """A hook, and what it gave."""

    def __init__(self, **options: object) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        meters = MeterProvider([self._reader])
        self.hook = OpenTelemetry(self.tracer_provider, meters, **options)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def span(self, name: str):
        (span,) = (span for span in self.spans if span.name == name)
        return span

    @property
    def points(self) -> dict[str, list]:
        data = self._reader.get_metrics_data()
        scopes = chain.from_iterable(r.scope_metrics for r in data.resource_metrics)
        return {
            metric.name: list(metric.data.data_points)
            for scope in scopes
            for metric in scope.metrics
        }

    @property
    def all(self) -> str:
        data = self._reader.get_metrics_data().to_json()
        return "".join(span.to_json() for span in self.spans) + data


@pytest.fixture
def collected():
    return Collected(prices=PRICES)


def test_a_verdict_is_a_span_below_the_current_one(collected):
    tracer = collected.tracer_provider.get_tracer("application")
    remove = on_verdict(collected.hook)

    @guarded(input=PII(action=Action.BLOCK))
    def ask(prompt: str) -> str:
        return prompt

    try:
        with tracer.start_as_current_span("ask") as outer, pytest.raises(Blocked):
            ask("Mail a@example.com")
    finally:
        remove()
    span = collected.span(names.CHECK_SPAN)
    assert span.parent.span_id == outer.get_span_context().span_id
    assert span.attributes["promptguard.action"] == "block"
    assert span.attributes["promptguard.characters"] == len("Mail a@example.com")
    assert span.attributes["promptguard.coverage"] == 1.0


def test_every_guard_is_an_evaluation_in_the_words_of_the_conventions(collected, guard):
    collected.hook(guard.check(f"Mail {CANARY}@example.com"))
    events = collected.span(names.CHECK_SPAN).events
    assert {event.name for event in events} == {"gen_ai.evaluation.result"}
    found = {e.attributes["gen_ai.evaluation.name"]: e.attributes for e in events}
    assert set(found) == {"pii", "secrets", "keywords"}
    assert found["pii"]["gen_ai.evaluation.score.label"] == "redact"
    assert 0 < found["pii"]["gen_ai.evaluation.score.value"] <= 1
    assert found["pii"]["promptguard.labels"] == ("EMAIL_ADDRESS",)
    assert found["secrets"]["gen_ai.evaluation.score.label"] == "allow"
    # A score that no guard gave is left out.
    assert "gen_ai.evaluation.score.value" not in found["secrets"]


def test_a_check_lasts_as_long_as_its_slowest_guard(collected):
    collected.hook(Verdict("x", timings=(("A", 0.25), ("B", 1.5))))
    span = collected.span(names.CHECK_SPAN)
    assert span.end_time - span.start_time == 1_500_000_000


def test_a_request_is_a_span_with_its_checks_below(collected, record):
    collected.hook.observe(record)
    request = collected.span("promptguard.request /v1/chat/completions")
    check = collected.span(names.CHECK_SPAN)
    assert check.parent.span_id == request.context.span_id
    assert request.start_time == 1_800_000_000 * 10**9
    assert request.end_time - request.start_time == 250_000_000
    assert check.end_time - request.start_time == 10_000_000
    expected = {
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 403,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 500,
        "promptguard.outcome": "blocked",
        "promptguard.request.id": "req-1",
        "promptguard.error": "content_filter",
        "promptguard.cost": 0.004,
    }
    assert {k: request.attributes[k] for k in expected} == expected
    assert request.status.is_unset
    assert check.attributes["promptguard.direction"] == "input"


def test_a_request_is_below_the_span_of_who_sent_it(collected, make_record):
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    sent = f"00-{trace}-{span}-01"
    collected.hook.observe(make_record(Verdict("x"), traceparent=sent))
    made = collected.span("promptguard.request /v1/chat/completions")
    assert made.context.trace_id == int(trace, 16)
    assert made.parent.span_id == int(span, 16)


def test_a_failed_request_is_an_error(collected, make_record):
    failed = {"outcome": "failed", "status": 502, "error": "upstream_unreachable"}
    collected.hook.observe(make_record(Verdict("x"), **failed))
    span = collected.span("promptguard.request /v1/chat/completions")
    assert not span.status.is_ok and not span.status.is_unset
    assert span.attributes["error.type"] == "upstream_unreachable"


def test_a_request_with_a_long_history_has_a_bounded_number_of_spans(
    collected, make_record
):
    check = Checked.of(Verdict("x"), "input", "user")
    collected.hook.observe(make_record(Verdict("x"), checks=(check,) * 500))
    assert len(collected.spans) == 51
    request = collected.span("promptguard.request /v1/chat/completions")
    assert request.attributes["promptguard.checks"] == 500
    (verdicts,) = collected.points["promptguard.verdicts"]
    assert verdicts.value == 500


def test_metrics_have_the_names_and_labels_of_the_table(collected, record):
    collected.hook.observe(record)
    table = {metric.name: metric for metric in names.METRICS}
    points = collected.points
    assert {"promptguard.findings", "promptguard.tokens"} <= set(points) <= set(table)
    for name, found in points.items():
        labels = {f"promptguard.{label}" for label in table[name].labels}
        assert all(set(point.attributes) == labels for point in found)
    (cost,) = points["promptguard.cost"]
    assert cost.value == pytest.approx(0.004)
    (took,) = points["promptguard.request.duration"]
    assert (took.count, took.sum) == (1, 0.25)
    assert took.explicit_bounds == names.LATENCIES


def test_nothing_of_the_text_is_told(collected, record, guard):
    collected.hook.observe(record)
    collected.hook(guard.check(record.texts[0].original))
    collected.hook(guard.check(f"{CANARY} sk-{CANARY * 4}", role="tool"))
    assert "promptguard.verdicts" in collected.all
    assert CANARY not in collected.all
    assert "heliotrope" not in collected.all


def test_without_an_sdk_nothing_happens(record):
    hook = OpenTelemetry()
    hook.observe(record)
    hook(Verdict("x"))


def test_without_the_api_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[otel\]"):
        OpenTelemetry()


def test_the_verdicts_of_the_answer_end_with_the_request(collected, make_record):
    check = Checked.of(Verdict("x", timings=(("PII", 0.02),)), "output", "assistant")
    took = Latency(1.0, 0.1, 0.5, 0.02)
    collected.hook.observe(make_record(Verdict("x"), checks=(check,), latency=took))
    request = collected.span("promptguard.request /v1/chat/completions")
    span = collected.span(names.CHECK_SPAN)
    assert span.end_time == request.end_time
    assert json.loads(span.to_json())["attributes"]["promptguard.role"] == "assistant"
