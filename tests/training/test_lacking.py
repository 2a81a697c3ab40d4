"""What is said where the training environment is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.errors import lacking

ROOT = Path(__file__).parents[2]
SAYS = "is not installed; it is part of the training environment: make train-env\n"
# Python imports it first. What an entry of None stands for cannot be imported.
WITHOUT = """
import sys

sys.modules.update(dict.fromkeys(("metaflow", "safetensors", "torch")))
"""


def ran(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    paths = (tmp_path, ROOT / "src", ROOT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_a_run_without_it_says_what_makes_it(tmp_path: Path) -> None:
    own = "training/configs/own-csv.toml"
    words = ("run", own, "--smoke", "--build", str(tmp_path / "build"))
    done = ran(tmp_path, "-m", "training", *words)
    assert done.returncode == 2
    assert done.stderr.endswith(f"\nerror: safetensors {SAYS}"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", ["", "labels", "traffic"])
def test_a_flow_without_it_says_what_makes_it(tmp_path: Path, folder: str) -> None:
    done = ran(tmp_path, str(ROOT / "training" / folder / "flow.py"), "run")
    assert done.returncode == 1
    assert done.stderr == f"error: metaflow {SAYS}"


def test_a_module_of_ours_that_is_missing_is_no_matter_of_it() -> None:
    with pytest.raises(ModuleNotFoundError):
        lacking(ModuleNotFoundError(name="training.no_such"))
