"""Stages: each writes one folder with a manifest, skipped while nothing changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config

__all__ = ["MANIFEST", "Stage", "digest", "run", "write_atomically"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Args:
        name: Also the name of its folder under the build folder.
        purpose: One line for ``--help``.
        work: Writes the results into the folder it is given. It also gets the
            folders of the stages it needs, by name.
        needs: Stages whose results it reads.
        settings: The part of the configuration it depends on.
        files: Files it reads from outside the build folder.
        resumes: Keep a half-finished folder, so that the work can go on from it.
        verdict: Raises where the results in the folder forbid to go on.
    """

    name: str
    purpose: str
    work: Callable[[Config, Mapping[str, Path], Path], None]
    needs: tuple[str, ...] = ()
    settings: Callable[[Config], object] = lambda config: None
    files: Callable[[Config], list[Path]] = lambda config: []
    resumes: bool = False
    verdict: Callable[[Path], None] = lambda folder: None


def run(stage: Stage, config: Config, *, force: bool = False) -> Path:
    """The stage's folder, made now unless an equal one is there already."""
    build = Path(config.build)
    folder = build / stage.name
    needed = {name: build / name for name in stage.needs}
    key = _key(stage, config, needed)
    if not force and _read(folder / MANIFEST).get("key") == key:
        print(f"{stage.name}: unchanged")
        return folder
    print(f"{stage.name}: {stage.purpose}", flush=True)
    scratch = build / f".{stage.name}"
    if not (stage.resumes and _read(scratch / "key.json").get("key") == key):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write_atomically(scratch / "key.json", _dump({"key": key}))
    begin = time.monotonic()
    stage.work(config, needed, scratch)
    (scratch / "key.json").unlink()
    outputs = {
        path.relative_to(scratch).as_posix(): digest(path)
        for path in sorted(scratch.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "stage": stage.name,
        "key": key,
        "outputs": outputs,
        "seconds": round(time.monotonic() - begin, 1),
    }
    write_atomically(scratch / MANIFEST, _dump(manifest))
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
    print(f"{stage.name}: done in {manifest['seconds']} s", flush=True)
    return folder


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(content)
    os.replace(scratch, path)


def _key(stage: Stage, config: Config, needed: Mapping[str, Path]) -> dict[str, Any]:
    from promptguard.text import READING_VERSION

    inputs = {path.name: digest(path) for path in stage.files(config)}
    for name, folder in needed.items():
        outputs = _read(folder / MANIFEST).get("outputs", {})
        inputs |= {f"{name}/{file}": value for file, value in outputs.items()}
    key = {
        "inputs": inputs,
        "settings": stage.settings(config),
        "seed": config.seed,
        "reading": READING_VERSION,
    }
    # As it will be read back: tuples are lists there.
    return json.loads(_dump(key))  # type: ignore[no-any-return]


def _dump(value: object) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, default=dataclasses.asdict)
    return f"{text}\n".encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return {}
