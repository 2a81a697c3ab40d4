"""What Prometheus gets to see, read back by its own parser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest
from records_made import CANARY, TEXT

from promptguard import PII, ConfigError, MissingExtra, Usage, Verdict, on_verdict
from promptguard.prices import Price, Prices
from promptguard.records import Latency
from promptguard.telemetry import names

pytest.importorskip("prometheus_client", reason="needs the extra server")

from prometheus_client.parser import text_string_to_metric_families

from promptguard.telemetry.prometheus import Metrics

PRICES = Prices((Price("gpt-4o*", 2.0, 4.0),), "EUR")


def samples(metrics: Metrics) -> dict[tuple[str, frozenset], float]:
    page, kind = metrics.render()
    assert kind.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def test_verdicts_are_counted_by_guard_label_and_action(record):
    metrics = Metrics()
    metrics.observe(record)
    metrics.observe(record)
    found = {
        tuple(dict(labels)[key] for key in ("guard", "label", "action")): count
        for (name, labels), count in samples(metrics).items()
        if name == "promptguard_findings_total"
    }
    assert found == {
        ("pii", "EMAIL_ADDRESS", "redact"): 2,
        ("keywords", "keyword", "block"): 2,
    }
    assert (
        value(
            metrics,
            "promptguard_verdicts_total",
            direction="input",
            role="user",
            action="block",
            dry_run="false",
        )
        == 2
    )


def test_a_hook_counts_what_the_library_checks():
    metrics = Metrics()
    remove = on_verdict(metrics)
    try:
        PII().check("a@example.com")
        PII().check("nothing")
    finally:
        remove()
    known = {"direction": "unknown", "role": "unknown", "dry_run": "false"}
    name = "promptguard_verdicts_total"
    assert value(metrics, name, **known, action="redact") == 1
    assert value(metrics, name, **known, action="allow") == 1
    assert value(metrics, "promptguard_guard_seconds_count", guard="pii") == 2


def test_latency_goes_into_histograms(record):
    metrics = Metrics()
    metrics.observe(record)
    name = "promptguard_request_seconds"
    where = {"endpoint": "/v1/chat/completions", "stream": "false"}
    assert value(metrics, f"{name}_sum", **where) == 0.25
    assert value(metrics, f"{name}_bucket", **where, le="0.15") == 0
    assert value(metrics, f"{name}_bucket", **where, le="0.25") == 1
    where = {"endpoint": "/v1/chat/completions"}
    assert value(metrics, "promptguard_upstream_seconds_sum", **where) == 0.2
    name = "promptguard_check_seconds_sum"
    assert value(metrics, name, **where, direction="input") == 0.01


def test_a_text_not_looked_at_to_its_end_is_below_one(make_record):
    metrics = Metrics()
    metrics.observe(make_record(Verdict("x", coverage=0.99995)))
    metrics.observe(make_record(Verdict("x", coverage=0.5)))
    metrics.observe(make_record(Verdict("x")))
    name = "promptguard_coverage_ratio_bucket"
    assert value(metrics, name, direction="input", le="0.9999") == 1
    assert value(metrics, name, direction="input", le="1.0") == 3


def test_tokens_and_cost_are_counted_by_model(make_record):
    metrics = Metrics(PRICES)
    metrics.observe(make_record(Verdict("x")))
    model = {"model": "gpt-4o-mini"}
    assert value(metrics, "promptguard_tokens_total", **model, kind="in") == 1000
    assert value(metrics, "promptguard_tokens_total", **model, kind="out") == 500
    cost = value(metrics, "promptguard_cost_total", **model, currency="EUR")
    assert cost == pytest.approx(0.004)
    metrics.observe(make_record(Verdict("x"), model="unknown-1"))
    assert value(metrics, "promptguard_unpriced_total", model="unknown-1") == 1


def test_what_judges_ask_is_counted_by_guard(make_record):
    usage = (("Judge", Usage(2, 300, 20, 0.5)),)
    metrics = Metrics()
    metrics.observe(make_record(Verdict("x", usage=usage)))
    assert value(metrics, "promptguard_judge_calls_total", guard="Judge") == 2
    name = "promptguard_judge_tokens_total"
    assert value(metrics, name, guard="Judge", kind="in") == 300
    assert value(metrics, "promptguard_judge_cost_total", guard="Judge") == 0.5


def test_a_model_that_no_upstream_knows_has_no_series(make_record):
    metrics = Metrics(PRICES)
    wrong = {"upstream_status": 404, "model": CANARY}
    metrics.observe(make_record(Verdict("x"), **wrong))
    page, _ = metrics.render()
    assert CANARY not in page.decode()
    assert value(metrics, "promptguard_tokens_total", model="other", kind="in") == 1000


def test_a_caller_cannot_make_series_without_end(make_record):
    metrics = Metrics(labels=10)
    for number in range(50):
        metrics.observe(make_record(Verdict("x"), model=f"model-{number}"))
    made = {labels for name, labels in samples(metrics) if "tokens" in name}
    assert len(made) == 2 * 11
    assert value(metrics, "promptguard_tokens_total", model="other", kind="out") > 0


@pytest.mark.parametrize("model", ["a\nb", "x" * 101, '"} 1', "", "\x1b[31m"])
def test_what_is_no_name_is_no_label(make_record, model):
    metrics = Metrics()
    metrics.observe(make_record(Verdict("x"), model=model))
    assert value(metrics, "promptguard_tokens_total", model="other", kind="in") == 1000


def test_nothing_of_the_text_is_shown(record):
    metrics = Metrics(PRICES)
    metrics.observe(record)
    page, _ = metrics.render()
    assert CANARY in TEXT
    assert CANARY not in page.decode()
    assert "heliotrope" not in page.decode()


def test_every_name_is_shown_as_the_table_of_names_has_it(record, make_record):
    metrics = Metrics(PRICES)
    counts = SimpleNamespace(written=1, dropped=1, queued=1)
    metrics.watch(SimpleNamespace(counts=counts))
    metrics.observe(record)
    usage = (("Judge", Usage(1, 1, 1, 1.0)),)
    metrics.observe(make_record(Verdict("x", usage=usage, degraded=True)))
    metrics.observe(make_record(Verdict("x"), model="free", retries=2))
    shown = {name for name, _ in samples(metrics)}
    table = (*names.METRICS, *names.WRITER_METRICS, names.INFO)
    assert shown == {series for metric in table for series in metric.series}


def test_a_writers_counts_are_shown_as_they_grow(make_record):
    metrics = Metrics()
    counts = SimpleNamespace(written=3, dropped=0, queued=2)
    metrics.watch(SimpleNamespace(counts=counts))
    counts.written, counts.dropped, counts.queued = 5, 1, 0
    metrics.observe(make_record(Verdict("x"), latency=Latency(0.1)))
    assert value(metrics, "promptguard_capture_written_total") == 5
    assert value(metrics, "promptguard_capture_dropped_total") == 1
    assert value(metrics, "promptguard_capture_queued") == 0
    with pytest.raises(ConfigError, match="already"):
        metrics.watch(SimpleNamespace(counts=counts))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[server\]"):
        Metrics()


FORKED = """
import json, os
from promptguard import Verdict
from promptguard.telemetry.prometheus import Metrics
metrics = Metrics()
for child in range(3):
    if os.fork() == 0:
        metrics(Verdict("x"))
        os._exit(0)
    os.wait()
metrics(Verdict("x"))
print(metrics.render()[0].decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_any_forked_worker_shows_what_all_of_them_counted(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKED)],
        capture_output=True,
        text=True,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    line = (
        'promptguard_verdicts_total{action="allow",direction="unknown",'
        'dry_run="false",role="unknown"} 4.0'
    )
    assert line in done.stdout.splitlines(), json.dumps(done.stdout)


def test_reloads_that_never_came_are_shown_as_none():
    metrics = Metrics()
    metrics.await_reloads()
    metrics.count_reload("refused")
    page = metrics.render()[0].decode()
    for outcome, count in (("reloaded", 0), ("unchanged", 0), ("refused", 1)):
        assert f'promptguard_reloads_total{{outcome="{outcome}"}} {count}.0' in page
