"""How results are told: tables, report, files, MLflow, Weights & Biases."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from scripted_model import GOOD, PLAIN

from promptguard import ConfigError
from promptguard.experiments import Experiment, log, write
from promptguard.experiments.page import page
from promptguard.experiments.tables import as_markdown, as_text
from promptguard.prices import Price, Prices
from promptguard.testing import FakeJudge, Reply

CANARY = "canary-4417"


@pytest.fixture
def results(script, target, judge, questions, tmp_path):
    def moody(body):
        # Every third grading is another one.
        grade = 3 if len(script.judged) % 3 == 0 else 5
        return FakeJudge(grade)(body)

    script.judge = moody
    script.answer = lambda body: Reply(
        content=f"{CANARY} <script>alert(1)</script> {script.usual(body).content}",
        tokens=(20, 10),
    )
    first = replace(questions[0], question=f"What is {CANARY} 0")
    experiment = Experiment(
        (first, *questions[1:]),
        target,
        variants=(PLAIN, GOOD),
        judge=judge,
        repeats=2,
        pairs="all",
        prices=Prices((Price("*", 1.0, 1.0),)),
    )
    return experiment.run(tmp_path / "run", show_progress=False)


def test_the_tables_say_what_was_found(results):
    told = as_text(results)
    # More metrics than variants: they stand below each other.
    assert re.search(r"^metric +plain +good$", told, re.M)
    assert re.search(
        r"^helpfulness +\d\.\d\d ±\d\.\d\d +\d\.\d\d ±\d\.\d\d$", told, re.M
    )
    assert re.search(r"^guard/safety +1\.00 ≥0\.57 +1\.00 ≥0\.57$", told, re.M)
    assert "difference from plain" in told
    assert re.search(r"^plain +5 +0 +0 +0 +0 .* 20 +10 +0\.0002$", told, re.M)
    assert re.search(r"^good : plain", told, re.M)
    assert "2 gradings of each answer" in told
    assert "5 questions are few" in told
    assert CANARY not in told


def test_repeated_grades_are_compared(results):
    agreement = results.agreement("judge/clarity")
    assert agreement.count == 10
    assert 0 < agreement.same < 1
    assert agreement.alpha < 1
    assert results.agreement("guard/safety") is None


def test_the_page_of_markdown_has_all_tables(results):
    told = as_markdown(results)
    assert told.startswith("# a-model: 5 questions\n")
    assert told.count("\n## ") == 5
    assert "| metric | plain | good |" in told
    assert CANARY not in told


class Reading(HTMLParser):
    """What a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]


def test_the_report_has_everything_and_loads_nothing(results):
    report = page(results)
    reading = Reading()
    reading.feed(report)
    assert reading.addresses == []
    assert not {"script", "img", "link", "iframe"} & {*reading.tags}
    assert reading.tags.count("svg") == len(results.metrics)
    assert reading.tags.count("circle") == 2 * len(results.metrics)
    assert "default-src 'none'" in report
    assert report.count(CANARY) == 10 + 1
    assert "http" not in report.replace("http-equiv", "")


def test_the_files_are_written(results, tmp_path):
    paths = write(results, tmp_path / "run")
    assert [path.name for path in paths] == [
        *("report.html", "report.md", "results.json")
    ]
    told = json.loads(paths[2].read_text())
    assert told["model"] == "a-model" and told["judge"]["repeats"] == 2
    mean = results.mean("good", "judge/clarity").mean
    assert told["figures"]["good/judge/clarity"] == pytest.approx(mean)
    assert told["figures"]["good/cost"] == pytest.approx(0.00015)
    assert CANARY not in paths[1].read_text() + paths[2].read_text()
    with pytest.raises(ConfigError, match="cannot be written"):
        write(results, tmp_path / "none")


def test_records_have_texts_only_where_asked(results):
    rows = results.records()
    assert len(rows) == 10
    assert {*rows[0]} >= {"variant", "question", "judge/clarity", "guard/safety"}
    assert CANARY not in str(rows) and CANARY not in repr(results)
    assert CANARY in results.records(texts=True)[0]["asked"]


def test_an_unknown_name_is_told_with_the_nearest(results):
    with pytest.raises(ConfigError, match="did you mean 'good'"):
        results.mean("god", "judge/clarity")
    with pytest.raises(ConfigError, match="did you mean 'judge/clarity'"):
        results.difference("good", "clarity")


def test_what_is_no_run_is_refused(results):
    with pytest.raises(ConfigError, match="not SimpleNamespace"):
        log(results, SimpleNamespace())


@pytest.mark.mlflow
@pytest.mark.filterwarnings("default")
def test_a_run_of_mlflow_gets_tables_and_figures(results, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("e", artifact_location=(tmp_path / "a").as_uri())
    mlflow.set_experiment("e")
    for texts in (False, True):
        with mlflow.start_run() as run:
            log(results, mlflow, texts=texts)
        found = mlflow.get_run(run.info.run_id).data
        mean = results.mean("good", "judge/clarity").mean
        assert found.metrics["good/judge/clarity"] == pytest.approx(mean)
        assert found.params["model"] == "a-model"
        assert found.params["judge_repeats"] == "2"
        table = mlflow.load_table("answers.json", run_ids=[run.info.run_id])
        assert len(table) == 10
        assert ("answer" in table.columns) is texts
        scores = mlflow.load_table("scores.json", run_ids=[run.info.run_id])
        assert len(scores) == 2 * len(results.metrics)
        kept = [*(tmp_path / "a" / run.info.run_id).rglob("*.*")]
        assert any(path.name == "report.html" for path in kept) is texts
        held = any(CANARY in path.read_text() for path in kept if path.is_file())
        assert held is texts


@pytest.mark.filterwarnings("default")
def test_a_run_of_weights_and_biases_gets_tables_offline(
    results, tmp_path, monkeypatch
):
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for texts in (False, True):
        folder = tmp_path / f"texts-{texts}"
        folder.mkdir()
        settings = wandb.Settings(console="off")
        with wandb.init(project="p", dir=str(folder), settings=settings) as run:
            log(results, run, texts=texts)
            mean = results.mean("good", "judge/clarity").mean
            assert run.summary["good/judge/clarity"] == pytest.approx(mean)
            assert run.config["model"] == "a-model"
        (answers,) = folder.rglob("answers_*.table.json")
        table = json.loads(answers.read_text())
        assert len(table["data"]) == 10
        assert ("answer" in table["columns"]) is texts
        assert (CANARY in answers.read_text()) is texts
        assert bool([*folder.rglob("report_*.html")]) is texts
        (scores,) = folder.rglob("scores_*.table.json")
        assert len(json.loads(scores.read_text())["data"]) == 2 * len(results.metrics)
