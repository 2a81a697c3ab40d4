"""The command ``promptguard experiment``."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from promptguard.cli import main
from promptguard.testing import Reply

VARIANTS = """
[variants.plain]
prompt = "{question}"

[variants.good]
system = "Be of use."
prompt = "{question}"
"""


@pytest.fixture
def run(server, file, tmp_path, capsys):
    """Runs the command, and gives its status and what it said."""
    variants = tmp_path / "variants.toml"
    variants.write_text(VARIANTS)

    def run(*more):
        status = main(
            [
                *("experiment", str(file), "--model", "a-model"),
                *("--base-url", server.base_url, "--variants", str(variants)),
                *("--out", str(tmp_path / "out"), "--retries", "0", *more),
            ]
        )
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_a_command_asks_grades_and_reports(run, script, tmp_path):
    judge = ("--judge-model", "a-judge", "--rubrics", "helpfulness, clarity", "--pairs")
    status, out, err = run(*judge, "--repeats", "2", "--seed", "5")
    assert (status, err) == (0, "")
    assert re.search(r"^helpfulness +0\.25 ±0\.00 +1\.00 ±0\.00$", out, re.M)
    assert re.search(r"^good : plain +5 +0 +0 +0 +0 +1\.00", out, re.M)
    assert "wrote" in out and (tmp_path / "out" / "report.html").exists()
    assert {body["model"] for body in script.judged} == {"a-judge"}
    assert {body["seed"] for body in script.answers} == {5}
    asked = len(script.answers), len(script.judged)
    assert run(*judge, "--repeats", "2", "--seed", "5")[0] == 0
    assert (len(script.answers), len(script.judged)) == asked


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX modes")
def test_what_holds_texts_is_for_its_owner_alone(run, tmp_path):
    assert run("--judge-model", "a-judge", "--pairs", "--limit", "1")[0] == 0
    folder = tmp_path / "out"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert len(modes) == 7 and set(modes.values()) == {0o600}, modes


def test_the_command_of_the_readme_works(server, script, file, tmp_path, monkeypatch):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^promptguard (experiment .*?) +#", readme, re.M)
    monkeypatch.chdir(tmp_path)
    Path("questions.jsonl").write_bytes(file.read_bytes())
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert main([*shlex.split(line), "--limit", "1"]) == 0
    assert {body["model"] for body in script.answers} == {"gpt-4o-mini"}


def test_help_says_what_is_required(capsys):
    with pytest.raises(SystemExit):
        main(["experiment", "--help"])
    said = capsys.readouterr().out
    first, second = said.splitlines()[:2]
    assert "QUESTIONS --model NAME --out FOLDER [" in first
    assert second.endswith("promptguard experiment --print-variants")
    assert said.count("; required") == 3


def test_a_key_that_is_missing_is_told_in_options(capsys, file, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    out = str(tmp_path / "out")
    assert main(["experiment", str(file), "--model", "m", "--out", out]) == 2
    said = capsys.readouterr().err
    assert "name another variable with --key-env" in said and "key_env" not in said


def test_a_judges_key_that_is_missing_is_told_in_options(run):
    _, _, err = run("--judge-model", "a-judge", "--judge-key-env", "NO_SUCH_KEY")
    assert "or name another variable with --judge-key-env" in err


def test_without_a_judge_nobody_else_is_asked(run, script):
    status, out, _ = run("--variant", "good", "--limit", "2")
    assert status == 0 and "guard/safety" in out and "plain" not in out
    assert len(script.answers) == 2 and script.judged == []


def test_prices_make_a_cost(run, tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\n[models]\n"a-*" = { in = 100, out = 100 }')
    _, out, _ = run("--prices", str(prices))
    assert "EUR" in out and "0.0150" in out


def test_the_shipped_variants_are_printed(capsys):
    assert main(["experiment", "--print-variants"]) == 0
    assert "few-shot" in tomllib.loads(capsys.readouterr().out)["variants"]


def test_an_endpoint_that_never_answers_is_an_error(run, script):
    script.answer = lambda body: Reply(status=500)
    status, out, err = run()
    assert status == 2
    assert "no request brought an answer" in err
    assert "5 server" in out


def test_a_judge_that_grades_nothing_is_an_error(run, script):
    script.judge = lambda body: "Four out of five."
    status, out, err = run("--judge-model", "a-judge")
    assert status == 2
    assert "the judge gave no grade" in err
    assert "10 gradings failed and are left out: 10 reply." in out


@pytest.mark.mlflow
@pytest.mark.filterwarnings("default")
def test_a_run_is_logged_to_mlflow(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(address)
    status, _, _ = run("--mlflow", "prompts")
    assert status == 0
    (logged,) = mlflow.search_runs(experiment_names=["prompts"], output_format="list")
    assert logged.data.metrics["good/guard/safety"] == 1.0


@pytest.mark.filterwarnings("default")
def test_a_run_is_logged_to_weights_and_biases(run, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs the extra wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    status, _, _ = run("--wandb", "prompts")
    assert status == 0
    (table,) = (tmp_path / "wandb").glob("offline-run-*/**/answers_*.table.json")
    assert len(json.loads(table.read_text())["data"]) == 10


def test_a_place_to_log_to_that_is_missing_is_told_first(run, script, monkeypatch):
    for name in ("mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
        status, _, err = run(f"--{name}", "prompts")
        assert status == 2 and f"{name} is not installed" in err
    assert script.answers == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--variant", "god"), "did you mean 'good'"),
        (("--variants", "none.toml"), "none.toml: cannot be read"),
        (("--rubrics", "clearness", "--judge-model", "j"), "unknown rubric"),
        (("--metric", "ragas/faith", "--judge-model", "j"), "unknown metric"),
        (("--prices", "none.toml"), "none.toml: cannot be read"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(run, script, more, said):
    status, _, err = run(*more)
    assert status == 2 and said in err
    assert script.answers == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "QUESTIONS is missing"),
        (("q.jsonl",), "--model is missing"),
        (("q.jsonl", "--model", "m"), "--out is missing"),
        (
            tuple("q.jsonl --model m --out o --rubrics clarity".split()),
            "--rubrics goes with --judge-model",
        ),
        (
            tuple("q.jsonl --model m --out o --judge-base-url http://x".split()),
            "--judge-base-url goes with --judge-model",
        ),
        (("q.jsonl", "--temperature", "3"), "from 0 to 2, or none"),
        (("q.jsonl", "--timeout", "0"), "number of seconds"),
        (("q.jsonl", "--pairs", "some"), "unknown pairs"),
        (("q.jsonl", "--field", "question"), "say KIND=NAME"),
        (("q.jsonl", "--samples", "0"), "at least 1"),
    ],
)
def test_words_that_are_wrong_are_told(capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        main(["experiment", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_keeps_what_was_answered(server, script, tmp_path):
    script.answer = lambda body: Reply(content="Yes.", delay=0.05)
    questions = tmp_path / "many.jsonl"
    rows = [json.dumps({"question": f"What is {n}"}) for n in range(400)]
    questions.write_text("\n".join(rows))
    command = [
        *(sys.executable, "-m", "promptguard", "experiment", str(questions)),
        *("--model", "m", "--base-url", server.base_url, "--variant", "zero-shot"),
        *("--concurrency", "2", "--out", str(tmp_path / "out")),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    end = time.monotonic() + 90
    while len(script.answers) < 6:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    folder = str(tmp_path / "out")
    assert said.decode().splitlines() == [
        f"promptguard: stopped; what was answered is kept in {folder}, and the same "
        "command goes on"
    ]
    kept = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    # All that was asked is kept, and far from all was asked.
    assert len(kept) == len(script.answers) < 400
