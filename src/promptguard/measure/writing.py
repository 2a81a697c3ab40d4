"""Files that say what was measured, with what and when."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import ConfigError
from ..text import READING_VERSION
from .rows import Source
from .scoring import Measured

__all__ = ["check_writable", "header", "library_version", "write_json"]


def header(measured: Sequence[Measured], sources: Sequence[Source]) -> dict[str, Any]:
    """What every such file says first."""
    return {
        "version": library_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "bundle": measured[0].answer.digest if measured else "",
        "reading": READING_VERSION,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "files": [{"name": s.name, "sha256": s.sha256} for s in sources],
    }


def library_version() -> str:
    """The version of this library, as far as it is known."""
    try:
        return version("promptguard-llm")
    except PackageNotFoundError:
        # Run from the source, without having been installed.
        return "unknown"


def check_writable(path: str) -> None:
    """See that a file can be written, before hours are spent.

    Raises:
        ConfigError: It cannot.
    """
    file = Path(path)
    if file.is_dir():
        raise ConfigError(f"{path} is a folder; name a file")
    if not file.parent.is_dir():
        raise ConfigError(f"{path} cannot be written: there is no such folder")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written: permission denied")


def write_json(path: str, values: Mapping[str, Any], *, private: bool = False) -> None:
    """Write a file of JSON, whole or not at all.

    Args:
        path: The file.
        values: What it holds.
        private: Its owner alone may read it.

    Raises:
        ConfigError: It cannot be written.
    """
    data = json.dumps(values, indent=1, allow_nan=False) + "\n"
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            # A pipe or a terminal: there is nothing to replace.
            file.write_text(data, encoding="utf-8")
            return
        # Behind a link, the file is meant and not the link.
        file = file.resolve()
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            part.touch(0o600 if private else 0o666)
            part.write_text(data, encoding="utf-8")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
