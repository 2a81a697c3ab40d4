"""Metrics of Ragas and DeepEval, run by those libraries where they are installed.

What they ask is answered by the scripted endpoint in the form that each of them asks
for: it breaks a text into one statement, and believes what says nine miles.
"""

from __future__ import annotations

import gc
import json
import re
import socket
import sys
from typing import Any

import pytest
from scripted_model import GOOD, PLAIN

from promptguard import ConfigError, Judge, MissingExtra
from promptguard.experiments import Experiment, Question
from promptguard.experiments.others import OTHERS, Metric, metrics
from promptguard.testing import FakeJudge, Reply

ASKED = (Question("q", "How far is it?", "9 miles", ("The town is 9 miles off.",)),)
RAGAS = ("ragas/faithfulness", "ragas/answer_accuracy", "ragas/response_groundedness")
DEEPEVAL = ("deepeval/faithfulness", "deepeval/answer_relevancy", "deepeval/toxicity")


def answer(body: dict[str, Any]) -> str:
    right = body["messages"][0]["content"] == "Be of use."
    return "The town is 9 miles off." if right else "The town is 40 miles off."


def ragas(body: dict[str, Any]) -> str:
    """The answer to a prompt of Ragas."""
    asked = body["messages"][-1]["content"]
    # Examples stand before it; the last input is the one that is meant.
    given = json.loads(asked.rpartition("\ninput: ")[2].rpartition("\nOutput:")[0])
    kinds = re.findall(r'"title": "(\w+Output)"', asked)
    if kinds[-1] == "StatementGeneratorOutput":
        return json.dumps({"statements": [given["answer"]]})
    if kinds[-1] == "NLIStatementOutput":
        verdicts = [
            {"statement": s, "reason": "", "verdict": int("9 miles" in s)}
            for s in given["statements"]
        ]
        return json.dumps({"statements": verdicts})
    said = given.get("user_answer") or given["response"]
    best = 4 if "user_answer" in given else 2
    both = "9 miles" in said and "9 miles" in json.dumps(list(given.values())[-1])
    return json.dumps({"rating": best if both else 0})


def deepeval(body: dict[str, Any]) -> str:
    """The answer to a prompt of DeepEval."""
    asked = body["messages"][-1]["content"]
    said = re.findall(r"The town is \d+ miles off\.", asked)
    key = re.findall(r"[\"'](\w+)[\"'] key", asked)[-1]
    if key != "verdicts":
        return json.dumps({key: said[-1:]})
    right = "9 miles" in said[-1]
    # Of toxic opinions they ask whether it is one, of the others whether it holds.
    toxic = "toxic" in asked.lower()
    verdict = "no" if right == toxic else "yes"
    return json.dumps({"verdicts": [{"verdict": verdict, "reason": "so"}]})


@pytest.fixture
def loopback_alone(monkeypatch):
    """Refuses every other address: neither library may send anything home."""
    connect, tried = socket.socket.connect, []

    def checked(self, address):
        inner = self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1")
        if not inner:
            tried.append(address)
            raise OSError("only the loopback interface is here")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)
    yield
    assert tried == []


@pytest.fixture
def run(script, target, judge, tmp_path, monkeypatch, loopback_alone):
    """Runs an experiment with metrics that the endpoint answers for."""
    monkeypatch.chdir(tmp_path)

    def run(names, said):
        def model(body):
            ours = "BEGIN>>>" in body["messages"][0]["content"]
            if ours:
                return FakeJudge(4)(body)
            if "response_format" in body:
                script.judged.append(body)
                return said(body)
            return answer(body)

        script.answer = script.judge = model
        experiment = Experiment(
            ASKED, target, variants=(PLAIN, GOOD), judge=judge, others=names
        )
        return experiment.run(tmp_path / "run", show_progress=False)

    yield run
    # Their connections end here, where a warning about one fails no other test.
    gc.collect()


@pytest.mark.filterwarnings("default")
def test_ragas_grades_beside_ours(run, script, tmp_path):
    pytest.importorskip("ragas", reason="needs the extra ragas, in its own environment")
    results = run(RAGAS, ragas)
    assert results.cost("good").ungraded == ()
    for name in RAGAS:
        assert results.mean("good", name).mean == 1.0, name
        assert results.mean("plain", name).mean == 0.0, name
    assert results.mean("good", "judge/clarity").mean == 0.75
    asked = len(script.judged)
    run(RAGAS, ragas)
    assert len(script.judged) == asked
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.filterwarnings("default")
def test_deepeval_grades_beside_ours(run, script, tmp_path, capfd):
    pytest.importorskip("deepeval", reason="needs the extra deepeval")
    results = run(DEEPEVAL, deepeval)
    assert results.cost("good").ungraded == ()
    for name in DEEPEVAL:
        assert results.mean("good", name).mean == 1.0, name
        assert results.mean("plain", name).mean == 0.0, name
    asked = len(script.judged)
    run(DEEPEVAL, deepeval)
    assert len(script.judged) == asked
    # It leaves no folder where the program was started, and says nothing.
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert capfd.readouterr().out == ""


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("library", "name"),
    [("ragas", "ragas/faithfulness"), ("deepeval", "deepeval/faithfulness")],
)
def test_a_reply_that_they_cannot_read_is_counted(run, library, name):
    pytest.importorskip(library, reason=f"needs the extra {library}")
    results = run((name,), lambda body: "I would say four.")
    ((kind, count),) = results.cost("good").ungraded
    assert kind.startswith(f"{name}: ") and count == 1
    assert name not in results.metrics


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", ["ragas", "deepeval"])
def test_an_endpoint_that_fails_is_counted(run, library):
    pytest.importorskip(library, reason=f"needs the extra {library}")
    name = f"{library}/faithfulness"
    results = run((name,), lambda body: Reply(status=500))
    ((kind, count),) = results.cost("good").ungraded
    assert kind.startswith(f"{name}: ") and count == 1


def test_an_unknown_metric_is_told_with_the_nearest(judge):
    with pytest.raises(ConfigError, match="did you mean 'ragas/faithfulness'"):
        metrics(("ragas/faithfullness",), judge)
    own = Judge("clarity", llm=FakeJudge(5))
    with pytest.raises(ConfigError, match="give the judge a model"):
        metrics(("ragas/faithfulness",), own)


@pytest.mark.parametrize("library", ["ragas", "deepeval"])
def test_a_library_that_is_missing_is_told(library, judge, monkeypatch):
    loaded = [name for name in sys.modules if name.partition(".")[0] == library]
    for name in (library, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"promptguard-llm\[{library}\]"):
        metrics((f"{library}/faithfulness",), judge)


def test_a_metric_is_asked_only_about_what_it_needs(target):
    bare, full = Question("b", "How far?"), ASKED[0]
    for name, needs in OTHERS.items():
        metric = Metric(name, target, lambda asked, answer: 1.0, "0")
        assert metric.fits(full)
        assert metric.fits(bare) is (not needs)
