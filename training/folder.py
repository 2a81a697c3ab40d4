"""Bundle folders: what the library loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptguard.runtime.bundle import FORMAT, digest_of
from promptguard.text import READING_VERSION

from .stage import digest, write_atomically

__all__ = ["read_statement", "stripped", "write_statement"]


def stripped(tokenizer: bytes) -> bytes:
    """A tokenizer.json that neither pads nor cuts what it reads."""
    table = json.loads(tokenizer)
    table["padding"] = table["truncation"] = None
    return json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()


def write_statement(folder: Path, values: Mapping[str, Any]) -> None:
    """Write bundle.json over the other files of a folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name in _FILES)
    table = dict(values)
    table |= {
        "format": FORMAT,
        "reading": READING_VERSION,
        "files": {path.name: digest(path) for path in files},
    }
    table["digest"] = digest_of(table)
    text = json.dumps(table, indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_atomically(folder / "bundle.json", text.encode())


def read_statement(folder: Path) -> dict[str, Any]:
    """What a bundle.json states, without what depends on the folder."""
    table: dict[str, Any] = json.loads((folder / "bundle.json").read_bytes())
    for key in ("format", "reading", "files", "digest"):
        table.pop(key, None)
    return table


_FILES = ("MODEL_CARD.md", "model.onnx", "tokenizer.json")
