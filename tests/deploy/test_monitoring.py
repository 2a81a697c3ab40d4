"""Alert rules and the dashboard ask for what telemetry gives, and Prometheus agrees."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from promql import grouped_by, matchers_in, metrics_in

from promptguard import Action, Finding, Usage, Verdict
from promptguard.prices import Price, Prices
from promptguard.records import Checked, Latency, Record
from promptguard.telemetry import names

yaml = pytest.importorskip("yaml", reason="needs the extra yaml")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text("utf-8"))
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
}
EXPRESSIONS = QUERIES | {alert["alert"]: alert["expr"] for alert in ALERTS}

TABLE = (*names.METRICS, *names.WRITER_METRICS, names.RELOADS, names.INFO)
SERIES = {series: metric for metric in TABLE for series in metric.series}
# What every scraped series has, and what Prometheus knows of a scrape.
OUTSIDE = {"instance", "job", "le"}


@pytest.mark.parametrize("query", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_query_reads_metrics_that_there_are(query):
    assert metrics_in(query)
    assert metrics_in(query) <= {*SERIES, "up"}


@pytest.mark.parametrize("query", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_a_query_asks_for_labels_and_values_that_there_are(query):
    for metric, label, value in matchers_in(query):
        if metric == "up" or label == "instance":
            continue
        known = SERIES[metric]
        assert label in {*known.labels, "le"}
        if label == "le":
            assert metric.endswith("_bucket")
            assert float(value) in known.buckets
        elif label in VALUES:
            assert any(re.fullmatch(value, one) for one in VALUES[label])
    labels = {label for name in metrics_in(query) for label in _labels(name)}
    assert grouped_by(query) <= labels


def _labels(name: str) -> set[str]:
    return OUTSIDE | ({*SERIES[name].labels} if name in SERIES else set())


VALUES = {
    "action": [action.name.lower() for action in Action],
    "direction": ["input", "output"],
    "dry_run": ["true", "false"],
    "outcome": [
        *("allowed", "flagged", "redacted", "blocked", "refused", "failed"),
        *names.RELOAD_OUTCOMES,
    ],
    "status": [str(status) for status in (200, 400, 401, 403, 429, 502, 503, 504)],
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('sum by (a, b) (rate(x_total{a="b{c"}[5m])) / y', {"x_total", "y"}),
        ("histogram_quantile(0.99, sum by (le) (rate(z_bucket[1d] offset 1h)))",
         {"z_bucket"}),
        ('a{le="1e5"} > 3 * b and on (x) c or vector(0)', {"a", "b", "c"}),
        ("topk(15, sum(made_up_total))", {"made_up_total"}),
    ],
)  # fmt: skip
def test_the_reader_of_queries_sees(query, found):
    assert metrics_in(query) == found


def test_every_metric_is_on_the_dashboard():
    shown = {SERIES[name] for query in QUERIES.values() for name in metrics_in(query)}
    assert {metric.name for metric in TABLE} == {metric.name for metric in shown}


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_reads_the_data_source_that_the_user_chose():
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "instance"}
    for panel in PANELS:
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"


def test_every_alert_has_a_severity_a_summary_and_a_paragraph():
    page = (ROOT / "docs/deploy.md").read_text("utf-8")
    for alert in ALERTS:
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        assert alert["annotations"]["summary"]
        assert f"`{alert['alert']}`" in page, alert["alert"]
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)


PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool")


def promtool(*words: object) -> str:
    done = subprocess.run(
        [PROMTOOL, *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_promtool_takes_the_rules_and_the_configuration():
    assert "SUCCESS" in promtool("check", "rules", DEPLOY / "prometheus/rules.yml")
    promtool("check", "config", DEPLOY / "prometheus/prometheus.yml")


@needs_promtool
@pytest.mark.slow
def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", DEPLOY / "prometheus/rules.test.yml")


def test_every_alert_is_tried_firing_and_silent():
    tests = yaml.safe_load((DEPLOY / "prometheus/rules.test.yml").read_text("utf-8"))
    tried = {
        (case["alertname"], bool(case.get("exp_alerts")))
        for test in tests["tests"]
        for case in test["alert_rule_test"]
    }
    assert tried == {(a["alert"], fires) for a in ALERTS for fires in (True, False)}


def page() -> bytes:
    """A page of /metrics on which every metric has a value that grows."""
    prometheus = pytest.importorskip(
        "promptguard.telemetry.prometheus", reason="needs the extra server"
    )
    if not hasattr(page, "metrics"):
        pytest.importorskip("prometheus_client", reason="needs the extra server")
        prices = Prices((Price("priced", 2.0, 4.0),))
        page.metrics = prometheus.Metrics(prices)
        page.counts = SimpleNamespace(written=0, dropped=0, queued=1)
        page.metrics.watch(SimpleNamespace(counts=page.counts))
    page.metrics.count_reload("refused")
    page.counts.written += 1
    page.counts.dropped += 1
    found = Finding("injection", 0.9, 0, 1, "prompt_injection", Action.BLOCK)
    usage = (("judge", Usage(1, 10, 10, 0.5)),)
    for dry_run in (True, False):
        verdict = Verdict(
            "x",
            (found,),
            Action.BLOCK,
            coverage=0.5,
            timings=(("prompt_injection", 0.01),),
            degraded=True,
            dry_run=dry_run,
            usage=usage,
        )
        checks = tuple(Checked.of(verdict, d, "user") for d in ("input", "output"))
        for model in ("priced", "free"):
            page.metrics.observe(
                Record(
                    id="r",
                    time=time.time(),
                    endpoint="/v1/chat/completions",
                    model=model,
                    status=502,
                    outcome="failed",
                    error="upstream_unreachable",
                    checks=checks,
                    latency=Latency(0.2, 0.01, 0.1, 0.01),
                    upstream_status=200,
                    tokens_in=100,
                    tokens_out=10,
                    retries=1,
                )
            )
    return page.metrics.render()[0]


@contextmanager
def serving():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(port: int, query: str) -> list:
    where = urllib.parse.urlencode({"query": query})
    address = f"http://127.0.0.1:{port}/api/v1/query?{where}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.loads(answer.read())["data"]["result"]


@needs_promtool
@pytest.mark.slow
@pytest.mark.skipif(PROMETHEUS is None, reason="needs prometheus")
def test_a_real_prometheus_answers_every_query_of_the_dashboard(tmp_path):
    page()
    with serving() as target, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus/rules.yml")]
        (scrape,) = config["scrape_configs"]
        scrape["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            PROMETHEUS,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until, left = time.monotonic() + 60, dict(QUERIES)
            while left and time.monotonic() < until:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(1)
                for name, query in [*left.items()]:
                    query = query.replace("$__rate_interval", "30s")
                    query = query.replace("$__range", "1m").replace("$instance", ".*")
                    try:
                        if asked(port, query):
                            del left[name]
                    except OSError:
                        break
            assert not left
        finally:
            process.terminate()
            process.wait(20)
