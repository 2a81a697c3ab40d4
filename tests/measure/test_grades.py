"""evaluate(): which of several prompts gives the better responses."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import promptguard as pg
from promptguard import ConfigError, JudgeError, Usage
from promptguard.measure.grades import Evaluation, Graded, Mean
from promptguard.measure.tables import aligned, markdown
from promptguard.testing import FakeJudge

CANARY = "canary-5150"


def by_length(rubric: str, text: str) -> int:
    """Longer is better; a risk there is none of."""
    return 1 if rubric == "toxicity" else min(5, len(text.split()))


RESPONSES = {
    "zero-shot": ["one", "one two", CANARY],
    "few-shot": ["one two three", "one two three four", "one two"],
}


def evaluated(**more: Any) -> Evaluation:
    return pg.evaluate(
        RESPONSES, ("clarity", "toxicity"), llm=FakeJudge(by_length), **more
    )


def test_each_response_has_a_score_by_rubric():
    evaluation = evaluated()
    assert evaluation.variants == ("zero-shot", "few-shot")
    assert evaluation.rubrics == ("clarity", "toxicity")
    assert evaluation.usage == Usage(6)
    assert evaluation.rows[0] == Graded(
        "zero-shot", 0, (("clarity", 0.0), ("toxicity", 1.0))
    )
    assert [row.scores[0][1] for row in evaluation.rows] == [
        0,
        0.25,
        0,
        0.5,
        0.75,
        0.25,
    ]
    assert CANARY not in repr(evaluation)
    assert evaluation.records()[4] == {
        "variant": "few-shot",
        "index": 1,
        "clarity": 0.75,
        "toxicity": 1.0,
        "error": "",
    }


def test_means_and_differences_have_intervals():
    evaluation = evaluated()
    mean = evaluation.mean("zero-shot", "clarity")
    assert mean is not None
    assert (mean.mean, mean.count) == (pytest.approx(1 / 12), 3)
    # 1.96 standard errors of 0, 0.25, 0.
    assert mean.spread == pytest.approx(1.959964 * 0.1443376 / 3**0.5, rel=1e-5)
    apart = evaluation.difference("few-shot", "clarity")
    assert apart is not None
    assert apart.mean == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    with pytest.raises(pg.ConfigError, match=r"did you mean 'few-shot'\? Known: few"):
        evaluation.mean("few shot", "clarity")
    with pytest.raises(pg.ConfigError, match="unknown rubric 'nothing'"):
        evaluation.difference("few-shot", "nothing")
    assert str(Mean(0.5, None, 1)) == "0.50"


def test_a_table_says_it_all():
    evaluation = evaluated()
    assert evaluation.table().splitlines() == [
        "variant               graded  clarity       toxicity",
        "--------------------  ------  ------------  ------------",
        "zero-shot             3       0.08 ± 0.16   1.00 ± 0.00",
        "few-shot              3       0.50 ± 0.28   1.00 ± 0.00",
        "few-shot − zero-shot          +0.42 ± 0.16  +0.00 ± 0.00",
    ]
    lines = evaluation.table("markdown").splitlines()
    assert lines[0] == "| variant | graded | clarity | toxicity |"
    assert lines[1] == "| --- | --- | --- | --- |"
    assert len(lines) == 5
    with pytest.raises(ConfigError, match="style"):
        evaluation.table("html")  # type: ignore[arg-type]


def test_tables_hold_wide_characters_and_bars():
    rows = [["a|b", "c"], ["日本", "é\u0301"]]
    assert aligned(rows).splitlines() == ["a|b   c", "----  -", "日本  é\u0301"]
    assert markdown(rows).splitlines()[0] == "| a\\|b | c |"


def test_a_list_is_one_variant_without_a_name():
    evaluation = pg.evaluate(["one", "two"], "tone", llm=FakeJudge(5))
    assert evaluation.variants == ("responses",)
    assert "−" not in evaluation.table()


def test_prompts_and_contexts_go_with_their_responses():
    seen: list[str] = []

    def llm(messages: list[dict[str, str]]) -> str:
        seen.append(messages[1]["content"])
        return FakeJudge(5)(messages)

    pg.evaluate(
        {"a": ["A0", "A1"], "b": ["B0", "B1"]},
        ("relevance", "groundedness"),
        prompts=["Q0", "Q1"],
        contexts=["C0", ("C1", "D1")],
        llm=llm,
    )
    for text in ("A0", "B0"):
        (one,) = [said for said in seen if f'"text": "{text}"' in said]
        assert '"question": "Q0"' in one and '"context 1": "C0"' in one
    (last,) = [said for said in seen if '"text": "B1"' in said]
    assert '"question": "Q1"' in last and '"context 2": "D1"' in last


@pytest.mark.parametrize(
    ("responses", "arguments", "said"),
    [
        ([], {}, "no responses"),
        ({}, {}, "no responses"),
        ({"a": ["x"], "b": []}, {}, "a: 1, b: 0"),
        ("x", {}, "must be a list of strings"),
        ({"a": "x"}, {}, "must be a list of strings"),
        ({"a": [1]}, {}, "must all be strings"),
        ({1: ["x"]}, {}, "name of a variant"),
        (["x"], {"prompts": ["a", "b"]}, "prompts must be a list of 1"),
        (["x"], {"prompts": "a"}, "prompts must be a list of 1"),
        (["x"], {"contexts": []}, "contexts must be a list of 1"),
        (["x"], {"threshold": 0.5}, "takes no threshold"),
        (["x"], {"action": pg.Action.FLAG}, "takes no action"),
        (["x"], {"llm": None}, "somebody to ask"),
    ],
)
def test_a_wrong_argument_is_named(responses, arguments, said):
    with pytest.raises(ConfigError, match=said):
        pg.evaluate(responses, "tone", **{"llm": FakeJudge(), **arguments})


def sometimes(messages: list[dict[str, str]]) -> str:
    if "one two three four" in messages[1]["content"].translate(
        {ord(mark): " " for mark in "^~§¶¦¬°†‡ˆ"}
    ):
        return "no grade"
    return FakeJudge(by_length)(messages)


def test_a_response_that_cannot_be_graded_is_counted_and_left_out():
    evaluation = pg.evaluate(RESPONSES, "clarity", llm=sometimes)
    assert evaluation.failed == 1
    assert evaluation.rows[4] == Graded("few-shot", 1, error="reply")
    mean = evaluation.mean("few-shot", "clarity")
    apart = evaluation.difference("few-shot", "clarity")
    assert mean is not None and apart is not None
    assert (mean.count, apart.count) == (2, 2)
    assert evaluation.table().splitlines()[3].split()[:2] == ["few-shot", "2"]


def test_when_nothing_can_be_graded_the_reason_is_told():
    with pytest.raises(JudgeError) as raised:
        pg.evaluate(["x", "y"], "tone", llm=lambda messages: "no grade")
    assert raised.value.kind == "reply"


def test_what_makes_all_fail_is_told_at_once():
    asked: list[int] = []

    def llm(messages: list[dict[str, str]]) -> str:
        asked.append(1)
        raise Refused

    class Refused(Exception):
        status_code = 401

    with pytest.raises(JudgeError) as raised:
        pg.evaluate(["x"] * 200, "tone", llm=llm, concurrency=1)
    assert raised.value.kind == "key"
    assert len(asked) < 200


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("show", [True, False])
def test_a_bar_is_shown_on_a_terminal(show, monkeypatch):
    from promptguard.measure import progress

    monkeypatch.setattr(progress, "_EVERY", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    evaluated(show_progress=show)
    assert ("judging" in sys.stderr.getvalue()) is show


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_plot_is_drawn(ending, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"scores.{ending}"
    evaluated().plot(str(path))
    assert path.stat().st_size > 5_000
    if ending == "svg":
        drawn = path.read_text(encoding="utf-8")
        assert CANARY not in drawn


def test_a_plot_that_cannot_be_written_says_so(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ConfigError, match="cannot be written"):
        evaluated().plot(str(tmp_path / "none" / "scores.png"))
    with pytest.raises(ConfigError, match="cannot be written"):
        evaluated().plot(str(tmp_path / "scores.docx"))


class Module:
    """The shape of the module mlflow."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.texts: dict[str, str] = {}

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.metrics |= metrics

    def log_text(self, text: str, artifact_file: str) -> None:
        self.texts[artifact_file] = text


def test_figures_and_table_are_logged_and_no_text():
    run = Module()
    evaluation = evaluated(run=run, prices=(1.0, 1.0))
    assert run.metrics["judge/few-shot/clarity"] == pytest.approx(0.5)
    assert run.metrics["judge/calls"] == 6
    assert run.metrics["judge/failed"] == 0
    assert run.texts == {"judge.md": evaluation.table("markdown") + "\n"}
    assert CANARY not in str(vars(run))


def test_names_of_variants_become_names_of_metrics():
    run = Module()
    pg.evaluate({"v1: 50%/x": ["a"]}, "tone", llm=FakeJudge(5), run=run)
    assert "judge/v1_ 50__x/tone" in run.metrics


def test_another_kind_of_run_is_refused():
    with pytest.raises(ConfigError, match="not SimpleNamespace"):
        evaluated(run=SimpleNamespace())


@pytest.mark.mlflow
@pytest.mark.filterwarnings("default")
def test_a_run_of_mlflow_gets_the_figures(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("e", artifact_location=(tmp_path / "a").as_uri())
    mlflow.set_experiment("e")
    for given in (lambda run: run, lambda run: mlflow):
        with mlflow.start_run() as run:
            evaluated(run=given(run))
        logged = mlflow.get_run(run.info.run_id).data.metrics
        assert logged["judge/few-shot/clarity"] == pytest.approx(0.5)
        text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/judge.md")
        assert text.startswith("| variant")


@pytest.mark.filterwarnings("default")
def test_a_run_of_weights_and_biases_gets_the_figures(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="offline", project="p", dir=str(tmp_path)) as run:
        evaluated(run=run)
        assert run.summary["judge/few-shot/clarity"] == pytest.approx(0.5)
