"""Rows on disk, and the command line with a model that says what a row tells it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fake_model
import pytest

import promptguard
from promptguard import drivers
from promptguard.runtime import infer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`promptguard` as a process of its own, in a folder of its own."""

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", fake_model.__file__, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            # The folder of its own is not where a relative path was meant from.
            env=os.environ | {"PYTHONPATH": str(Path(promptguard.__file__).parents[1])},
            timeout=120,
        )

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows to a file, which is packed when its name says so."""

    def write(name: str, rows: Iterable[Any]) -> Path:
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        data = "".join(line + "\n" for line in lines).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterable[None]:
    """The same model in this process."""
    monkeypatch.setattr(infer, "answer", fake_model.answer)
    drivers._memo.clear()
    yield
    drivers._memo.clear()
