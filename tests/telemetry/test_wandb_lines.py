"""What a run of Weights & Biases gets."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest
from records_made import CANARY

from promptguard import PII, ConfigError
from promptguard.telemetry.wandb import WeightsAndBiases


class Run:
    def __init__(self) -> None:
        self.lines: list[dict[str, float]] = []

    def log(self, line: dict[str, float]) -> None:
        self.lines.append(line)


def test_so_many_verdicts_make_a_line():
    run = Run()
    hook = WeightsAndBiases(run, every=2)
    for text in ("a@example.com", "nothing", "more"):
        hook(PII().check(text))
    assert len(run.lines) == 1
    line = run.lines[0]
    seconds = line.pop("promptguard/seconds/pii")
    assert 0 < seconds < 10
    assert line == {
        "promptguard/texts": 2,
        "promptguard/coverage": 1.0,
        "promptguard/actions/redact": 1,
        "promptguard/actions/allow": 1,
        "promptguard/findings/pii": 1,
    }
    hook.flush()
    hook.flush()
    assert [line["promptguard/texts"] for line in run.lines] == [2, 1]
    assert "promptguard/findings/pii" not in run.lines[1]


def test_the_verdicts_of_a_request_are_taken_in(record):
    run = Run()
    WeightsAndBiases(run, every=1).observe(record)
    assert run.lines[0]["promptguard/actions/block"] == 1
    assert CANARY not in str(run.lines)


def test_what_is_no_run_is_refused():
    with pytest.raises(ConfigError, match="not SimpleNamespace"):
        WeightsAndBiases(SimpleNamespace())
    with pytest.raises(ConfigError, match="at least 1"):
        WeightsAndBiases(Run(), every=0)


OFFLINE = """
import wandb, promptguard as pg
from promptguard.telemetry.wandb import WeightsAndBiases
run = wandb.init(project="guards", settings=wandb.Settings(console="off"))
hook = WeightsAndBiases(run, every=2)
pg.on_verdict(hook)
for _ in range(4):
    pg.PII().check("canary7713@example.com")
hook.flush()
assert run.summary["promptguard/texts"] == 2, dict(run.summary)
run.finish()
"""


@pytest.mark.slow
def test_a_real_run_takes_the_lines_offline(tmp_path):
    pytest.importorskip("wandb", reason="needs the extra wandb")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OFFLINE)],
        capture_output=True,
        text=True,
        env=os.environ | {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)},
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (kept,) = tmp_path.rglob("*.wandb")
    assert CANARY.encode() not in kept.read_bytes()
