"""The pipeline as a Metaflow flow, run in small by Metaflow itself."""

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

from training.__main__ import STAGES

ROOT = Path(__file__).parents[2]
NAMES = [stage.name for stage in STAGES]
pytestmark = [
    pytest.mark.metaflow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("metaflow", "torch", "mlflow")),
        reason="needs the training environment",
    ),
    # What Metaflow warns about is not ours to mend.
    pytest.mark.filterwarnings("default"),
]
# Reads what a run left, with Metaflow's client: a card's components and the artefacts.
CLIENT = """
import json, sys
from metaflow import Flow, namespace
from metaflow.cards import get_cards

namespace(None)
run = Flow("TrainingFlow").latest_run
cards = {name: get_cards(run[name].task)[0].get() for name in ("evaluate", "gate")}
data = {"done": run.data.done, "digest": run.data.digest, "smoke": run.data.smoke}
print(json.dumps({"successful": run.successful, "cards": cards, "data": data}))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One without a user's name, and without anybody's settings of Metaflow."""
    made = offline.environment(
        tmp_path / "offline",
        METAFLOW_HOME=str(tmp_path / "home"),
        MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/elsewhere.db",
    )
    for name in ("METAFLOW_USER", "USER", "USERNAME", "SUDO_USER"):
        made.pop(name, None)
    return made


def python(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """What a program prints that runs in this folder, where Metaflow keeps records."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def components(card: str) -> list[dict[str, Any]]:
    """What is in a card: it lies there as JSON in base64."""
    for found in re.findall(r"[A-Za-z0-9+/]{200,}=*", card):
        try:
            table = json.loads(base64.b64decode(found))
        except ValueError:
            continue
        if "components" in table:
            return list(_inside(table["components"]))
    raise AssertionError("the card holds no components")


def _inside(value: Any) -> Any:
    for each in value:
        yield each
        yield from _inside(each.get("contents", ()))


@pytest.mark.slow
@pytest.mark.torch
def test_metaflow_runs_every_stage_and_shows_plots_and_gate(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    settings = str(ROOT / "training" / "configs" / "release.toml")
    build = tmp_path / "build"
    flow = str(ROOT / "training" / "flow.py")
    options = ["--config", settings, "--smoke", "true", "--build", str(build)]
    out = python(tmp_path, environment, flow, "run", *options)
    lines = [line.rpartition("] ")[2].split() for line in out.splitlines()]
    assert [line[0] for line in lines if line[1:2] == ["done"]] == [
        f"{name}:" for name in NAMES
    ]

    found = json.loads(python(tmp_path, environment, "-c", CLIENT))
    assert found["successful"]
    assert found["data"]["smoke"] is True
    assert [done["stage"] for done in found["data"]["done"]] == NAMES
    released = json.loads((build / "release" / "bundle.json").read_text())
    assert found["data"]["digest"] == released["digest"]

    shown = components(found["cards"]["evaluate"])
    plots = sorted(path.stem for path in (build / "evaluate").glob("*.png"))
    assert plots
    assert [c["label"] for c in shown if c["type"] == "image"] == plots
    text = (build / "evaluate" / "report.md").read_text()
    assert text in [c["source"] for c in shown if c["type"] == "markdown"]
    shown = components(found["cards"]["gate"])
    (tables,) = [c for c in shown if c["type"] == "table"]
    assert tables["columns"][:2] == ["figure", "demand"]
    assert any("The gate is passed" in str(c.get("source")) for c in shown)

    # It is the same pipeline: what one of the two has made, the other one has as well.
    command = ["-m", "training", "run", settings, "--smoke", "--build", str(build)]
    out = python(tmp_path, environment, *command)
    assert out.splitlines() == [f"{name}: unchanged" for name in NAMES]
    assert offline.attempts(tmp_path / "offline") == []


def test_the_steps_are_the_stages_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAFLOW_USER", "tests")
    monkeypatch.setenv("METAFLOW_HOME", str(tmp_path))
    from training.flow import TrainingFlow

    graph = TrainingFlow(use_cli=False)._graph
    order, name = [], "start"
    while name != "end":
        (name,) = graph[name].out_funcs
        order.append(name)
    assert order == [*NAMES, "end"]
