"""Monitoring from end to end: a real service, traffic, drift, labels, the report."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from training.__main__ import main
from training.labels.records import read_labels
from training.traffic.sending import read_sent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(
            find_spec(name) is None
            for name in ("fastapi_offline", "prometheus_client", "sqlalchemy", "openai")
        ),
        reason="needs the extras server, capture and openai",
    ),
]


def test_drift_is_noticed_and_its_absence_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = tmp_path / "drifted", tmp_path / "alike"
    command = ["traffic", "--demo", "--requests", "240", "--rate", "200"]
    command += ["--label-quality", "0.9", "--label-share", "0.5", "--seed", "3"]
    drifted = [*command, "--drift", "language", "--build", str(folder)]
    assert main(drifted) == 0
    assert ": fail\n" in capsys.readouterr().out

    report = json.loads((folder / "report.json").read_text())
    assert report["verdict"] == "fail"
    assert report["kind"] in ("covariate", "both")
    failed = {check["name"] for check in report["checks"] if check["verdict"] == "fail"}
    assert "language" in failed
    assert (folder / "report.html").stat().st_size > 1000
    sent = read_sent(folder / "current.sent.jsonl")
    assert 0.4 < sum(bool(s.drift) for s in sent) / len(sent) < 0.6
    labels = read_labels(folder / "labels.jsonl")
    truth = {f"{s.request}-0": s.truth["injection"] for s in sent}
    right = Counter(x.value == truth[x.id] for x in labels if x.id in truth)
    assert 0.3 < right.total() / len(sent) < 0.7
    assert 0.8 < right[True] / right.total() < 1
    # Labels found their texts: there are figures of quality.
    assert [each for each in report["quality"] if each["label"] == "injection"]

    # What was done is not done again, and comes out as before.
    before = {p.name: p.read_bytes() for p in folder.glob("*.sent.jsonl")}
    assert main(drifted) == 0
    assert {p.name: p.read_bytes() for p in folder.glob("*.sent.jsonl")} == before

    other.mkdir()
    for name in ("reference.db", "reference.sent.jsonl"):
        shutil.copy(folder / name, other)
    alike = [*command, "--drift", "language", "--share", "0", "--build", str(other)]
    assert main(alike) == 0
    assert ": fail\n" not in capsys.readouterr().out.partition("240 requests, 0")[2]


def test_a_service_that_cannot_start_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "reference.db").write_bytes(b"no database at all" * 100)
    assert main(["traffic", "--demo", "--requests", "5", "--build", str(folder)]) == 2
    assert "the service does not start" in capsys.readouterr().err
