"""Each reason to train again, driven to a promotion or a refusal."""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from continuing import ROOT, Loop, kept

from training.labels.records import Label, write_labels

pytest.importorskip("torch", reason="needs the training environment")
pytest.importorskip("optimum.onnxruntime", reason="needs the training environment")
pytest.importorskip("mlflow", reason="needs the training environment")
pytestmark = [pytest.mark.torch, pytest.mark.mlflow, pytest.mark.slow]

FAIL = {
    "verdict": "fail",
    "kind": "concept",
    "checks": [{"name": "length", "group": "input", "verdict": "fail"}],
    "quality": [],
}


def report(loop: Loop, **changes: Any) -> str:
    file = loop.root / "report.json"
    file.write_text(json.dumps(FAIL | changes))
    return str(file)


def rows(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt") as lines:
        return [json.loads(line) for line in lines]


def write(file: Path, made: list[dict[str, Any]]) -> None:
    with gzip.open(file, "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in made)


def test_code_leads_to_a_promotion_that_can_be_taken_back(loop: Loop) -> None:
    quiet = loop.training("continuous", "--explain")
    assert "nothing to do: no reason to train again" in quiet.stdout
    assert quiet.stdout.count(": no\n") == 3
    state = loop.state
    loop.change("epochs = 3", "epochs = 4")
    dry = loop.training("continuous", "--dry-run", "--explain", expect=3)
    assert "code: yes\n  the configuration is another one" in dry.stdout
    assert loop.state == state and loop.champion == "1"

    held = loop.training("continuous", "--hold", expect=4)
    assert "held: it passed" in held.stdout
    assert (loop.champion, loop.released) == ("1", loop.digest("1"))
    assert any("the challenger may take over" in note for note in loop.notes)
    # The registry goes away before the promotion, and comes back.
    tracking = f"sqlite:///{loop.root.as_posix()}/mlflow.db"
    loop.change(tracking, "http://127.0.0.1:9")
    away = loop.training("continuous", expect=2)
    assert "does not answer" in away.stderr and loop.state["outcome"] == ""
    loop.change("http://127.0.0.1:9", tracking)
    assert (loop.champion, loop.released) == ("1", loop.digest("1"))
    done = loop.training("continuous")
    assert "was not over, and goes on: code" in done.stdout
    assert "promoted: version 2 is the champion" in done.stdout
    assert (loop.champion, loop.released) == ("2", loop.digest("2"))
    (note,) = [n for n in loop.notes if "Champion now: version 2." in n]
    assert "- code: **yes**\n    - the configuration is another one" in note
    assert "| unseen:new_attacks |" in note and "rollback" in note
    assert "no reason" in loop.training("continuous").stdout

    said = loop.training("rollback", "--dry-run").stdout
    assert "would go back from 2 to 1" in said and loop.champion == "2"
    loop.training("rollback", "--why", "blocks our bot")
    assert (loop.champion, loop.released) == ("1", loop.digest("1"))
    # It would be found good once more; somebody has said that it is not.
    done = loop.training("continuous", expect=1)
    assert "version 2 is this model, and somebody went back from it" in done.stdout
    assert "blocks our bot" in done.stdout
    assert "the same was refused before" in loop.training("continuous", expect=1).stdout
    assert loop.champion == "1"
    loop.training("continuous", "--again")
    assert (loop.champion, loop.released) == ("2", loop.digest("2"))


def test_code_that_trains_nothing_is_refused(loop: Loop) -> None:
    before = loop.released
    loop.change("rate = 2e-3\nhead_rate = 1e-2", "rate = 1e-12\nhead_rate = 1e-12")
    done = loop.training("continuous", expect=1)
    assert "refused: " in done.stdout
    assert (loop.champion, loop.released) == ("1", before)
    (note,) = [n for n in loop.notes if "the champion stays" in n]
    assert "mean of 2 figures" in note and "**failed**" in note
    assert "the same was refused before" in loop.training("continuous", expect=1).stdout


def test_data_that_lost_its_texts_is_refused_before_the_training(loop: Loop) -> None:
    file = loop.root / "injection" / "attacks.jsonl.gz"
    write(file, rows(file)[:15])
    done = loop.training("continuous", expect=1)
    assert "training is due: data" in done.stdout
    assert "refused: data: " in done.stdout and "train: " not in done.stdout
    assert loop.champion == "1"


def test_data_that_grew_leads_to_a_promotion_also_after_a_kill(loop: Loop) -> None:
    file = loop.root / "injection" / "attacks.jsonl.gz"
    there = rows(file)
    more = [row | {"text": f"well , {row['text']} now , okay"} for row in there]
    write(file, there + more)
    # Killed as soon as the new version is there: the alias may have moved or not.
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "continuous", str(loop.config)],
        cwd=loop.root,
        env=loop.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 400
    while not any(loop.root.glob("build/.publish*")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert loop.state["outcome"] == ""
    done = loop.training("continuous")
    assert "was not over, and goes on: data" in done.stdout
    assert "train: unchanged" in done.stdout
    assert (loop.champion, loop.released) == ("2", loop.digest("2"))
    assert loop.state["outcome"] == "promoted"
    (note,) = [n for n in loop.notes if "Champion now: version 2." in n]
    assert "injection/attacks.jsonl.gz: " in note
    assert "Champion before: version 1." in note


def test_degradation_without_labels_has_nothing_to_learn_from(loop: Loop) -> None:
    done = loop.training("continuous", "--report", report(loop), expect=1)
    assert "training is due: degradation" in done.stdout
    assert "unchanged: the same code and data give the same model" in done.stdout
    assert "label some of that" in done.stdout
    assert loop.champion == "1"
    again = loop.training("continuous", "--report", report(loop), expect=1)
    assert "the same was refused before" in again.stdout
    # What is about an earlier champion is no reason.
    old = report(loop, current={"last": "2020-01-01T00:00:00Z"})
    done = loop.training("continuous", "--report", old, "--explain")
    assert "before this champion came" in done.stdout


def test_what_cannot_be_read_is_an_error_and_nothing_is_lost(loop: Loop) -> None:
    state, released = loop.state, loop.released
    file = loop.root / "labels.jsonl"
    write_labels(file, [Label("a", "injection", 1, "ann", "2026-01-01T00:00:00")] * 60)
    lines = [
        json.dumps({"id": f"r{n}", "label": "injection", "value": 1, "annotator": "a"})
        for n in range(60)
    ]
    file.write_text("\n".join(lines))
    wrong = loop.root / "wrong.json"
    wrong.write_text('{"verdict": "bad"}')
    cases = [
        (("--report", "none.json"), "none.json cannot be read"),
        (("--report", str(wrong)), "is no report of `promptguard monitor --json`"),
        (("--report", report(loop, verdict="bad")), "the verdict 'bad'"),
        (("--labels", "none.jsonl", "--traffic", "x"), "none.jsonl is not there"),
        (("--labels", str(file)), "name the database with --traffic"),
    ]
    for options, said in cases:
        done = loop.training("continuous", *options, expect=2)
        assert said in done.stderr and "Traceback" not in done.stderr
    tracking = f"sqlite:///{loop.root.as_posix()}/mlflow.db"
    loop.change(tracking, "http://127.0.0.1:9")
    for command in ("continuous", "rollback"):
        done = loop.training(command, expect=2)
        assert "does not answer" in done.stderr and "Traceback" not in done.stderr
    loop.change("http://127.0.0.1:9", tracking)
    assert (loop.champion, loop.released) == ("1", released)
    assert loop.state == state
    done = loop.training("rollback", expect=2)
    assert "does not say what was before it" in done.stderr
    done = loop.training("rollback", "--to", "7", expect=2)
    assert "has no version 7" in done.stderr
    assert str(ROOT) not in done.stderr


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A database that somebody writes to, and does not let go."""
    database = sqlite3.connect(file, isolation_level=None)
    # Of one with a log of its own, readers too.
    database.execute("PRAGMA locking_mode=EXCLUSIVE")
    database.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


def test_a_locked_database_is_told_and_the_same_command_then_goes_on(
    loop: Loop,
) -> None:
    state, released = loop.state, loop.released
    url, ids = kept(loop.root, [f"so the house number {n} is red" for n in range(45)])
    when = "2026-01-01T00:00:00+00:00"
    labels = [Label(name, "injection", 0, "ann", when) for name in ids]
    write_labels(loop.root / "labels.jsonl", labels)
    given = ("--traffic", url, "--labels", "labels.jsonl")
    for command in ("continuous", "rollback"):
        with locked(loop.root / "mlflow.db"):
            done = loop.training(command, expect=2)
        assert "locked" in done.stderr and "Traceback" not in done.stderr
    assert loop.state == state
    with locked(loop.root / "traffic.db"):
        done = loop.training("continuous", *given, expect=2)
    assert "training is due: data" in done.stdout
    assert "who holds it" in done.stderr and "Traceback" not in done.stderr
    assert (loop.champion, loop.released) == ("1", released)
    assert loop.state["outcome"] == ""
    done = loop.training("continuous", *given, "--dry-run", expect=3)
    assert "was not over, and goes on: data" in done.stdout


def test_two_runs_in_one_build_folder_are_refused(loop: Loop) -> None:
    from training.files import alone

    loop.change("epochs = 3", "epochs = 4")
    with alone(loop.build / "continuous"):
        for command in ("continuous", "rollback"):
            done = loop.training(command, expect=2)
            assert "is in use by another run" in done.stderr
    assert loop.champion == "1"
