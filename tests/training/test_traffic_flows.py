"""Traffic, labels and monitoring as Metaflow flows, run by Metaflow itself."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import offline
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.metaflow,
    pytest.mark.slow,
    pytest.mark.skipif(
        any(
            find_spec(name) is None
            for name in (
                *("metaflow", "fastapi_offline", "prometheus_client", "sqlalchemy"),
                "openai",
            )
        ),
        reason="needs Metaflow, and the extras server, capture and openai",
    ),
    # What Metaflow warns about is not ours to mend.
    pytest.mark.filterwarnings("default"),
]
CLIENT = """
import json, sys
from metaflow import Flow, namespace
from metaflow.cards import get_cards

namespace(None)
name, steps, artefacts = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
run = Flow(name).latest_run
cards = {step: get_cards(run[step].task)[0].get() for step in steps}
data = {each: getattr(run.data, each) for each in artefacts}
print(json.dumps({"successful": run.successful, "cards": cards, "data": data}))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One without a user's name, and without anybody's settings of Metaflow."""
    made = offline.environment(
        tmp_path / "offline", METAFLOW_HOME=str(tmp_path / "home")
    )
    for name in ("METAFLOW_USER", "USER", "USERNAME", "SUDO_USER"):
        made.pop(name, None)
    return made


def python(
    folder: Path, environment: dict[str, str], *arguments: str, ends: int = 0
) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout


def texts_of(card: str) -> str:
    """What a card shows: it lies there as JSON in base64."""
    for found in re.findall(r"[A-Za-z0-9+/]{200,}=*", card):
        try:
            table = json.loads(base64.b64decode(found))
        except ValueError:
            continue
        if "components" in table:
            return json.dumps(table["components"])
    raise AssertionError("the card holds no components")


def answered(task: dict[str, Any]) -> dict[str, Any]:
    """The task with the answers of two annotators, as Label Studio exports it."""
    said = {"from_name": "injection", "type": "choices", "value": {"choices": ["no"]}}
    annotations = [
        {"completed_by": who, "result": [said], "updated_at": "2026-02-01T10:00:00Z"}
        for who in (1, 2)
    ]
    return task | {"annotations": annotations}


def test_traffic_is_monitored_labelled_and_learnt_from_in_two_flows(
    tmp_path: Path, environment: dict[str, str], world: Path
) -> None:
    folder = tmp_path / "monitoring"
    flow = str(ROOT / "training" / "traffic" / "flow.py")
    options = ["--folder", str(folder), "--drift", "language", "--requests", "200"]
    options += ["--rate", "200", "--label-quality", "0.9"]
    python(tmp_path, environment, flow, "run", *options)
    names = "sent,drifted,labels,verdict"
    client = ["-c", CLIENT, "MonitoringFlow", "monitor", names]
    found = json.loads(python(tmp_path, environment, *client))
    assert found["successful"]
    assert found["data"]["sent"] == 200
    assert 70 < found["data"]["drifted"] < 130
    assert found["data"]["labels"] == 400
    assert found["data"]["verdict"] == "fail"
    shown = texts_of(found["cards"]["monitor"])
    assert "# fail" in shown
    assert "language" in shown

    # What was sent goes out to people, and comes back.
    labels = tmp_path / "labels"
    flow = str(ROOT / "training" / "labels" / "flow.py")
    options = ["--traffic", f"sqlite:///{folder}/current.db", "--folder", str(labels)]
    options += ["--rescore", "false", "--limit", "20"]
    python(tmp_path, environment, flow, "run", *options)
    tasks = json.loads((labels / "tasks.json").read_text())
    assert tasks
    export = tmp_path / "export.json"
    export.write_text(json.dumps([*map(answered, tasks), "heliotrope"]))
    options += ["--export", str(export), "--config", str(world / "run.toml")]
    python(tmp_path, environment, flow, "run", *options)
    client = ["-c", CLIENT, "LabellingFlow", "start,agree,merge"]
    names = "chosen,labels,problems,merged"
    found = json.loads(python(tmp_path, environment, *client, names))
    assert found["data"]["labels"] == 2 * len(tasks)
    assert len(found["data"]["problems"]) == 1
    assert sum(found["data"]["merged"].values()) == len(tasks)
    added = found["data"]["merged"]["added"]
    rows = (labels / "labelled.jsonl").read_text().splitlines()
    assert len(rows) == added > 0
    assert "Krippendorff" in texts_of(found["cards"]["agree"])
    assert "added" in texts_of(found["cards"]["merge"])
    # No text of the traffic is in a card.
    text = json.loads(rows[0])["text"]
    assert not any(text in texts_of(card) for card in found["cards"].values())
    assert offline.attempts(tmp_path / "offline") == []


def test_a_mistake_ends_the_flow_with_a_word(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    flow = str(ROOT / "training" / "traffic" / "flow.py")
    options = ["--folder", str(tmp_path / "m"), "--drift", "weather"]
    out = python(tmp_path, environment, flow, "run", *options, ends=1)
    assert "no drift 'weather'" in out
