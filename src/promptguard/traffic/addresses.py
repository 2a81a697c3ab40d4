"""Addresses of databases, and the files of SQLite that stand behind them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["logs_ahead", "parse", "see_the_file", "to_read", "without_password"]

# PostgreSQL's own ways to give a password in a URL.
_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """A URL as it may be shown, also one that is not written right.

    What stands between the user and the last @ is hidden: a password may have an @ of
    its own, or a slash, that nobody escaped.
    """
    scheme, mark, rest = url.partition("://")
    if mark and rest.startswith("/") and scheme.startswith("sqlite"):
        # A file, whatever its name has in it.
        return url
    before = f"{scheme}{mark}" if mark else ""
    user, at, host = (rest if mark else url).rpartition("@")
    if at:
        name, colon, _ = user.partition(":")
        before += f"{name}{':***' if colon else ''}@"
    return before + _QUERY.sub(r"\1***", host)


def parse(url: str) -> URL:
    """The URL of a database that traffic can be kept in."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "the URL of the database cannot be read; it is written like "
            "sqlite:///traffic.db or postgresql://user:password@host/name"
        ) from None
    if "@" in (parsed.host or ""):
        # Half of a password would be looked up as the name of a host.
        raise ConfigError(
            f"{without_password(url)}: there are two @ in this URL; in a password, "
            "write %40 for @, %2F for / and %3A for :"
        )
    name = parsed.get_backend_name()
    if name in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise ConfigError(f"traffic is kept in sqlite or postgresql, not in {name!r}")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError("traffic needs a file: sqlite:///traffic.db")
    return parsed


def see_the_file(url: URL, create: bool) -> None:
    """See that there is a file, which only its owner may read."""
    path = Path(str(url.database))
    try:
        if create:
            path.touch(mode=0o600)
        elif not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    if not os.access(path, os.R_OK):
        raise ConfigError(f"{path}: cannot be read: permission denied")


def to_read(url: URL) -> URL:
    """The URL of a file that SQLite opens to be read alone.

    Beside a file in WAL mode it still needs, and may make, the -shm and -wal files.
    """
    path = quote(os.path.abspath(str(url.database)))
    return url.set(
        database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"}
    )


def logs_ahead(path: Path) -> bool:
    """Whether a file of SQLite is in WAL mode (file format, 1.3.3)."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"
