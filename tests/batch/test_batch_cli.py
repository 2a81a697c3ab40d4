"""The command ``promptguard batch``, as a shell runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batch_guards import numbered

COMMAND = [sys.executable, "-m", "promptguard", "batch"]


def ran(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    rows = [{"id": n, "prompt": text} for n, text in enumerate(numbered(400))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_it_writes_the_verdicts_and_says_what_came_of_it(tmp_path, source):
    policy = tmp_path / "own.toml"
    policy.write_text('[input.pii]\n[input.keywords]\nwords = ["zanzibar"]\n')
    out = tmp_path / "out.jsonl"
    options = ("--column", "prompt", "--policy", policy, "--redacted", "--prefix", "v_")
    done = ran(source, out, *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "400 rows: 266 allow, 67 block, 67 redact"
    assert lines[-1] == f"wrote {out}"
    third = json.loads(out.read_text().splitlines()[2])
    assert third["prompt"] == "Mail joe@example.org about the blue heron. 2"
    assert third["v_redacted"] == "Mail <EMAIL_ADDRESS_1> about the blue heron. 2"
    assert third["v_action"] == "redact"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--column", "promt"), "did you mean 'prompt'"),
        (("--column", "prompt", "--workers", "0"), "at least 1"),
        (("--column", "prompt", "--fpr", "0.3"), "false-positive rate of 0.3"),
        (("--column", "prompt", "--role", "usr"), "did you mean 'user'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, source, words, says):
    done = ran(source, tmp_path / "out.jsonl", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    # No journal either, which would refuse the command when it is mended.
    assert not list(tmp_path.glob("*out.jsonl*"))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_what_ctrl_c_stops_goes_on_with_the_same_command(tmp_path, source):
    out, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    words = [source, out, "--column", "prompt", "--rows", "4", "--workers", "2"]
    process = subprocess.Popen(
        [*COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if journal.exists() and journal.read_bytes().count(b"\n") > 3:
            break
        time.sleep(0.005)
    # As a terminal does: to all of them.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "promptguard: stopped; the same command goes on\n"
    assert not out.exists()
    done = ran(*words)
    assert done.returncode == 0, done.stderr
    assert "of them were checked by an earlier run" in done.stdout
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(400))
