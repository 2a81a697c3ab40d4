"""Seeing, before anything is read, that what is written destroys nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .. import ConfigError

__all__ = ["check_outputs"]

_SQLITE = b"SQLite format 3\x00"
# What SQLite keeps beside a database.
_BESIDE = ("", "-wal", "-shm", "-journal")


def check_outputs(
    outputs: Mapping[str, str | None], inputs: Mapping[str, str | None]
) -> None:
    """See that files can be written, and are not what is read or written besides.

    Args:
        outputs: By option, a file or ``-``; a database, which is added to, may be
            there. None and what is elsewhere is passed over.
        inputs: By option, a file or a database.

    Raises:
        ConfigError: An output is an input or another output, a database, no ordinary
            file, or in a folder that is not there or that may not be written.
    """
    used: list[tuple[str, Path]] = []
    for name, value in inputs.items():
        if (path := _path(value)) is not None:
            used += [(name, path.with_name(path.name + end)) for end in _BESIDE]
    printed = ""
    for name, value in outputs.items():
        if value == "-":
            if printed:
                raise ConfigError(f"{printed} and {name} cannot both be printed")
            printed = name
        if value == "-" or (path := _path(value)) is None:
            continue
        for other, taken in used:
            if _same(path, taken):
                raise ConfigError(
                    f"{name} would write over {path}, which {other} names; name "
                    "another file"
                )
        used.append((name, path))
        if value is not None and "://" not in value:
            _writable(name, path)


def _path(value: str | None) -> Path | None:
    """The file that is meant; None where it is none of this machine."""
    scheme, mark, rest = (value or "").partition("://")
    if not mark:
        return Path(value) if value and Path(value).name else None
    if not scheme.startswith("sqlite"):
        return None
    file = rest.partition("?")[0].removeprefix("/")
    return Path(file) if Path(file).name else None


def _same(one: Path, other: Path) -> bool:
    try:
        # Links of either kind, and names in other cases where these are one file.
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _writable(name: str, path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; {name} wants a file")
    if not path.parent.is_dir():
        raise ConfigError(f"{path} cannot be written: there is no such folder")
    if path.exists() and not path.is_file():
        # A file takes its place when it is whole; a device would be gone.
        raise ConfigError(f"{path} is no ordinary file; {name} wants one")
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written: permission denied")
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError:
        # Not there yet, or not to be read.
        return
    if start == _SQLITE:
        raise ConfigError(
            f"{name} would write over {path}, a database of SQLite; name another file"
        )
