"""The small world of training.testing, with a configuration to train in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from continuing import Loop, copied, made

from training.config import Config
from training.stage import Stage, run
from training.testing.world import write_world

CONFIG = """
name = "tiny"
data_root = "{root}"
encoder = "{root}/encoder"
build = "{root}/build"
release = "{root}/release"
[data]
sources = "sources.toml"
window = 32
overlap = 8
held_out = 0.2
[augment]
planted = 60
pasted = 10
noticed = 5
questions = 5
snippets = 5
disguised = 12
[train]
batch = 16
epochs = {epochs}
rate = 2e-3
head_rate = 1e-2
checkpoint_every = 5
threads = 1
[calibrate]
least = 5
rates = [0.01, 0.1]
[publish]
tracking = "sqlite:///{root}/mlflow.db"
"""


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(tmp_path: Path, made_world: Path) -> Path:
    """The folder with everything in it; the configuration is run.toml."""
    shutil.copytree(made_world, tmp_path, dirs_exist_ok=True)
    root = tmp_path.as_posix()
    (tmp_path / "run.toml").write_text(CONFIG.format(root=root, epochs=4))
    return tmp_path


@pytest.fixture
def stand_in() -> Callable[[Config, str, Callable[[Path], object]], Path]:
    """Writes what a stage would have, for the stages that need it."""

    def write(config: Config, name: str, fill: Callable[[Path], object]) -> Path:
        stage = Stage(name, "made for a test", lambda config, needed, out: fill(out))
        return run(stage, config, force=True)

    return write


@pytest.fixture(scope="session")
def first_champion(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """A folder in which a champion was made; nobody changes anything in it."""
    loop = made(tmp_path_factory.mktemp("champion"))
    done = loop.training("continuous")
    assert "training is due: first" in done.stdout
    return loop


@pytest.fixture
def loop(first_champion: Loop, tmp_path: Path) -> Loop:
    """A copy of it."""
    return copied(first_champion, tmp_path)
