"""A folder with a champion in it, and the commands of the continuous training there."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import offline
import pytest

from training.testing.world import write_world

__all__ = ["Loop", "copied", "kept", "made"]

ROOT = Path(__file__).parents[2]
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
[train]
batch = 16
epochs = 3
rate = 2e-3
head_rate = 1e-2
checkpoint_every = 50
threads = 1
[calibrate]
least = 5
rates = [0.01, 0.1]
[evaluate]
disguised = 1
long = 60
lengths = [60]
compared = 40
timed = 1
[gate]
tolerance = 0.15
[publish]
tracking = "sqlite:///{root}/mlflow.db"
[continuous]
labels = 40
least = 20
tolerance = 0.1
bias = 0.2
"""


@dataclass(frozen=True)
class Loop:
    """A folder, and what can be done in it."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "run.toml"

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def environment(self) -> dict[str, str]:
        told = {"MLFLOW_TRACKING_URI": f"sqlite:///{self.root}/mlflow.db"}
        told |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PROMPTGUARD_METRICS": "false"}
        clean = offline.environment(self.root / "offline", **told)
        return {k: v for k, v in clean.items() if k not in ("PROMPTGUARD_CAPTURE",)}

    def training(
        self, command: str, *options: str, expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """A command as a process of its own."""
        done = self.process("-m", "training", command, str(self.config), *options)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def change(self, old: str, new: str, file: str = "run.toml") -> None:
        """Change a file; what is changed has to be there."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    @property
    def champion(self) -> str:
        """The number of the version that the alias points at."""
        with sqlite3.connect(self.root / "mlflow.db") as database:
            query = "SELECT version FROM registered_model_aliases WHERE alias=?"
            (found,) = database.execute(query, ("champion",)).fetchall()
        return str(found[0])

    def digest(self, version: str) -> str:
        """The digest of the bundle of a version."""
        with sqlite3.connect(self.root / "mlflow.db") as database:
            query = "SELECT value FROM model_version_tags WHERE version=? AND key=?"
            tag = version, "promptguard.bundle"
            ((found,),) = database.execute(query, tag).fetchall()
        return str(found)

    @property
    def released(self) -> str:
        """The digest of the bundle in the release folder."""
        return str(
            json.loads((self.root / "release/bundle.json").read_bytes())["digest"]
        )

    @property
    def state(self) -> Any:
        return json.loads((self.build / "continuous" / "state.json").read_bytes())

    @property
    def notes(self) -> list[str]:
        """The release notes."""
        folder = self.build / "continuous" / "notes"
        return [path.read_text() for path in sorted(folder.glob("*.md"))]


def made(root: Path) -> Loop:
    """A world in which nothing was trained as yet."""
    write_world(root)
    loop = Loop(root)
    loop.config.write_text(CONFIG.format(root=root.as_posix()))
    return loop


def copied(loop: Loop, root: Path) -> Loop:
    """The same folder elsewhere: what names the old one names the new one."""
    shutil.copytree(loop.root, root, dirs_exist_ok=True)
    old, new = str(loop.root), str(root)
    for pattern in ("run.toml", "mlartifacts/**/MLmodel"):
        for path in root.glob(pattern):
            path.write_text(path.read_text().replace(old, new))
    with sqlite3.connect(root / "mlflow.db") as database:
        query = "SELECT name FROM sqlite_master WHERE type='table'"
        for (table,) in database.execute(query).fetchall():
            for column in database.execute(f"PRAGMA table_info({table})").fetchall():
                name = column[1]
                database.execute(
                    f"UPDATE {table} SET {name} = replace({name}, ?, ?) "
                    f"WHERE typeof({name}) = 'text'",
                    (old, new),
                )
    shutil.rmtree(root / "offline", ignore_errors=True)
    assert os.path.exists(root / "mlflow.db")
    return Loop(root)


def kept(folder: Path, texts: Sequence[str], age: float = 0.0) -> tuple[str, list[str]]:
    """A database with the texts, and the ids of their requests."""
    pytest.importorskip("sqlalchemy", reason="needs the extra 'capture'")
    from promptguard.records import Checked, Record, Said
    from promptguard.traffic import Writer

    url = f"sqlite:///{folder}/traffic.db"
    ids = [f"req_{number}" for number in range(len(texts))]
    with Writer(url, texts="whole", retention=None) as writer:
        for name, text in zip(ids, texts, strict=True):
            writer.write(
                Record(
                    id=name,
                    time=time.time() - age,
                    endpoint="/v1/check",
                    checks=(Checked("input", "user", len(text)),),
                    texts=(Said("input", "user", text, text),),
                )
            )
    return url, ids
