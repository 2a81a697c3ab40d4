"""Monitoring from end to end: a service, traffic, drift, labels, and the report.

Everything is real: a process of ``promptguard serve`` that keeps what it is asked, two
runs of requests over TCP, labels, and ``promptguard monitor`` on what was kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import PipelineError
from ..faults import AGAIN
from ..files import alone, write_atomically
from .plan import Plan, Pool
from .sending import Sent, Service, ServiceDown, noted, read_sent, send
from .truth import Quality, fill

__all__ = ["Demo", "Shown", "asked", "labelled", "monitor", "serving", "show"]

_POLICY = """\
# Scores below the threshold are kept as well, without doing anything.
[input.prompt_injection]
band = [0.0001, 0.9999]
[output.refusal]
"""
_ADDRESS = re.compile(r"running on (http://\S+?)[ )]")
# Exit statuses of `promptguard monitor`.
VERDICTS = {0: "pass", 1: "fail", 3: "warn"}


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What is shown.

    Args:
        plan: The traffic with drift; that of the reference is the same without.
        quality: Of the labels.
        rate: Requests a second.
        workers: Requests under way at a time.
        thresholds: What is taken for drift, a file; None is what is shipped.
    """

    plan: Plan
    quality: Quality
    rate: float = 50.0
    workers: int = 8
    thresholds: Path | None = None

    @property
    def reference(self) -> Plan:
        """Other requests of the same kind, none of them with drift."""
        return replace(self.plan, seed=self.plan.seed + 1, share=0.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it.

    Args:
        verdict: Of the monitor: pass, warn or fail.
        folder: With ``report.html``, ``report.json``, ``labels.jsonl`` and what was
            kept, ``reference.db`` and ``current.db``.
        sent: What was sent with drift.
        summary: What the report says has changed.
    """

    verdict: str
    folder: Path
    sent: tuple[Sent, ...]
    summary: str


def show(demo: Demo, pool: Pool, folder: Path, *, bar: bool = True) -> Shown:
    """Run all of it in a folder; what was done there before is not done again.

    Raises:
        ServiceDown: The service cannot be started, or went away.
        PipelineError: Another run is in the folder, or the monitor decided nothing.
    """
    with alone(folder):
        for name in ("reference", "current"):
            asked(demo, pool, folder, name, bar=bar)
            labelled(demo, folder, name)
        verdict = monitor(folder, demo.thresholds)
        summary = json.loads((folder / "report.json").read_bytes())["summary"]
        sent = read_sent(folder / "current.sent.jsonl")
        return Shown(verdict, folder, tuple(sent[: demo.plan.requests]), summary)


def asked(
    demo: Demo, pool: Pool, folder: Path, name: str, *, bar: bool = True
) -> list[Sent]:
    """Send ``reference`` or ``current`` to a service of its own, as far as need be.

    Raises:
        ServiceDown: The service cannot be started, or went away.
    """
    plan = demo.reference if name == "reference" else demo.plan
    notes = folder / f"{name}.sent.jsonl"
    found = noted(plan, pool, notes)[: plan.requests]
    if len(found) < plan.requests:
        with serving(folder, database(folder, name)) as service:
            found = send(
                plan,
                pool,
                service,
                notes,
                rate=demo.rate,
                workers=demo.workers,
                bar=bar,
            )
    return found


def labelled(demo: Demo, folder: Path, name: str) -> int:
    """Label what was sent, and give how many labels there are of it.

    Raises:
        PipelineError: Requests that were sent are not in the database.
    """
    notes = folder / f"{name}.sent.jsonl"
    # The service has ended: all of it is in the database.
    filled = fill(
        read_sent(notes),
        database(folder, name),
        folder / "labels.jsonl",
        demo.quality,
        patience=0,
    )
    if filled.missing:
        raise PipelineError(
            f"traffic: {filled.missing:,} requests are in {notes} and not in "
            f"{name}.db; remove both files, and {AGAIN}"
        )
    return filled.labels


def database(folder: Path, name: str) -> str:
    """Where the traffic of a run is kept."""
    return f"sqlite:///{(folder / name).resolve()}.db"


@contextlib.contextmanager
def serving(folder: Path, url: str, seconds: float = 180.0) -> Iterator[Service]:
    """A service that keeps what it is asked, for as long as the block runs.

    Raises:
        ServiceDown: It does not start; its last line says why.
    """
    policy, log = folder / "policy.toml", folder / "service.log"
    write_atomically(policy, _POLICY.encode())
    command = [sys.executable, "-m", "promptguard", "serve", "--port", "0"]
    command += ["--policy", str(policy), "--capture", url, "--capture-texts", "whole"]
    environment = {k: v for k, v in os.environ.items() if "PROMPTGUARD" not in k}
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        until = time.monotonic() + seconds
        while not (found := _ADDRESS.search(log.read_text("utf-8"))):
            if process.poll() is not None or time.monotonic() > until:
                (*_, last) = [*log.read_text("utf-8").splitlines(), "it said nothing"]
                raise ServiceDown(f"traffic: the service does not start: {last}")
            time.sleep(0.1)
        yield Service(url=found[1])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def monitor(folder: Path, thresholds: Path | None = None) -> str:
    """Compare what was kept, and give the verdict.

    Raises:
        PipelineError: Nothing was decided.
    """
    command = [sys.executable, "-m", "promptguard", "monitor"]
    command += ["--traffic", database(folder, "current")]
    command += ["--reference", database(folder, "reference")]
    command += ["--labels", str(folder / "labels.jsonl")]
    for form in ("html", "json"):
        command += [f"--{form}", str(folder / f"report.{form}")]
    if thresholds is not None:
        command += ["--thresholds", str(thresholds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in VERDICTS:
        (*_, last) = [*done.stderr.splitlines(), "it said nothing"]
        raise PipelineError(f"traffic: the monitor has not decided: {last}")
    return VERDICTS[done.returncode]
