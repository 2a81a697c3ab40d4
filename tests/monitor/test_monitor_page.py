"""The page: it opens without a network, and says what the report says."""

from __future__ import annotations

import html.parser
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_windows import GARDEN, prompts, sample

from promptguard import ConfigError
from promptguard.monitor import compare, log, page
from promptguard.monitor.report import Quality, Share

sys.path.insert(0, str(Path(__file__).parents[1] / "playground"))
from browser import Browser, needs_browser


@pytest.fixture(scope="module")
def report():
    now = sample(prompts(300, 1, words=GARDEN, share=0.5), 1)
    return compare(now, sample(prompts(300, 2), 2))


class Tags(html.parser.HTMLParser):
    """What a page loads, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href", "data", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.loads += [v for k, v in attrs if k in ("src", "href")]


def test_a_page_is_whole_and_loads_nothing(report):
    made = page(report)
    tags = Tags()
    tags.feed(made)
    assert not tags.open
    assert not tags.loads
    assert not re.search(r"https?://|url\(|@import|<script", made)


def test_names_from_outside_are_text_on_the_page(report):
    check = replace(report.checks[0], group="<script>alert(1)</script>")
    made = page(replace(report, checks=(check,), notes=("<b>",)))
    assert "<script" not in made and "<b>" not in made
    assert "&lt;script&gt;" in made


def test_a_page_shows_the_verdict_and_each_check(report):
    made = page(report)
    assert '<span class="verdict fail">fail</span>' in made
    for check in report.checks:
        assert check.name in made
    assert made.count("<figure>") == len(report.histograms) >= 3


def test_quality_is_drawn_with_its_interval_from_nought_to_one(report):
    found = Share(0.7, 0.5, 0.9)
    row = Quality("current", "injection", "de", 90, 40, found, None, None, None)
    made = page(replace(report, quality=(row, replace(row, window="reference"))))
    assert made.count("0.500 to 0.900") == 2
    for kind in ("now", "before"):
        assert f'<rect class="{kind}" x="45.0" y="3.5" width="36.0"' in made
    assert made.count('<line class="point" x1="63.0" x2="63.0"') == 2


def test_a_bar_has_its_marks_where_the_check_warns_and_fails(report):
    check = replace(report.checks[0], value=0.4, warn=0.1, threshold=0.2, statistic="h")
    made = page(replace(report, checks=(check,)))
    assert '<rect class="now" x="0" y="4" width="90.0" height="4"/>' in made
    for kind, place in (("warns", 22.5), ("fails", 45.0)):
        assert f'<line class="{kind}" x1="{place}" x2="{place}"' in made


@needs_browser
@pytest.mark.slow
def test_a_browser_shows_it_and_asks_nobody(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(report), encoding="utf-8")
    with Browser() as browser:
        browser.open(path.as_uri())
        assert browser.text(".verdict") == "fail"
        loaded = browser.run("return performance.getEntriesByType('resource').length")
        assert loaded == 0
        wide = "return document.documentElement.scrollWidth - innerWidth"
        browser.size(380, 800)
        assert browser.run(wide) <= 0
        assert browser.log() == []


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_run_of_mlflow_holds_the_report(report, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("mlflow", reason="needs MLflow")
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    runs = [client.get_run(log(report, uri)) for _ in range(2)]
    assert runs[0].info.experiment_id == runs[1].info.experiment_id
    data = runs[0].data
    assert data.tags["promptguard.verdict"] == "fail"
    assert data.tags["promptguard.drift"] == "covariate"
    assert data.metrics["verdict"] == 2
    assert data.metrics["checks/vocabulary/input"] > 0.6
    names = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert names == {"report.json", "report.html"}
    assert runs[0].info.status == "FINISHED"


def test_without_mlflow_what_to_install_is_said(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="pip install 'mlflow"):
        log(report, "sqlite:///mlflow.db")
