"""Reading a window of traffic: out of a database, of JSON lines, or of Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import ConfigError, MissingExtra
from ..traffic.database import without_password
from ..traffic.times import moment
from .samples import Builder, Sample, Text

__all__ = ["check_source", "sample", "texts"]

# Without these there is nothing to compare; the others of an export may be absent.
_NEEDED = ("id", "length", "action", "findings")
_OPTIONAL = ("key", "time", "text", "position", "direction", "role", "coverage", "kept")
_FOUND = ("guard", "label", "score", "action")
# https://www.sqlite.org/fileformat2.html, 1.3.1
_SQLITE = b"SQLite format 3\0"
_ACTIONS = ("allow", "flag", "redact", "block")


def sample(
    source: str, *, since: str | float | None = None, until: str | float | None = None
) -> Sample:
    """A window of traffic, for comparing.

    Args:
        source: ``sqlite:///traffic.db`` or another database of a Writer, or a file
            that ``promptguard traffic export`` wrote: JSON lines, or ``.parquet``.
        since: Requests that came then or later: ISO 8601 (UTC), ``24h`` for that ago,
            or seconds since the epoch.
        until: Requests that came before.

    Raises:
        ConfigError: It cannot be read, a column is missing, or the window is empty.
        MissingExtra: SQLAlchemy, a driver or pyarrow is not installed.
    """
    builder = Builder(without_password(source))
    window = _moment(since, "since"), _moment(until, "until")
    for text in texts(source, *window):
        builder.add(text)
    return builder.sample()


def texts(source: str, since: float | None, until: float | None) -> Iterator[Text]:
    """The texts of a window, one by one."""
    if "://" in source:
        yield from _kept(source, since, until)
        return
    check_source(source)
    path = Path(source)
    rows = _parquet(path) if path.suffix == ".parquet" else _lines(path)
    for where, row in rows:
        time = _time(row.get("time"), where)
        if since is not None or until is not None:
            if time is None:
                raise ConfigError(
                    f"{where}: the column 'time' is missing, and a window of time was "
                    "asked for; export it again, or leave --since and --until out"
                )
            if (since is not None and time < since) or (
                until is not None and time >= until
            ):
                continue
        yield _text(row, time, where)


def check_source(source: str) -> None:
    """See that a source, if it is a file, is one that may hold traffic.

    Raises:
        ConfigError: It is not there, no ordinary file, or empty.
    """
    if "://" in source:
        return
    path, name = Path(source), without_password(source)
    if not path.exists():
        raise ConfigError(
            f"{name}: there is no such file; a database is written like "
            "sqlite:///traffic.db"
        )
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise ConfigError(
            f"{name}: this is {what}; traffic is read from a database, or from a file "
            "that `promptguard traffic export` wrote"
        )
    if path.stat().st_size == 0:
        raise ConfigError(
            f"{name}: this file is empty; `promptguard traffic export` writes one "
            "that is not, where traffic was kept"
        )
    if _begins(path, _SQLITE):
        raise ConfigError(
            f"{name}: this is a database, and is given as sqlite:///{name}"
        )


def _begins(path: Path, mark: bytes) -> bool:
    # Who cannot read it is told so where it is read.
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(mark)) == mark
    return False


def _moment(value: str | float | None, what: str) -> float | None:
    return moment(value, what) if isinstance(value, str) else value


def _kept(url: str, since: float | None, until: float | None) -> Iterator[Text]:
    from ..traffic.reading import Filters, Traffic

    with Traffic(url) as traffic:
        found = traffic.texts(Filters(since=since, until=until))
        from sqlalchemy.exc import SQLAlchemyError

        while True:
            try:
                request, text = next(found)
            except StopIteration:
                return
            except SQLAlchemyError as error:
                from ..traffic.database import reason

                raise ConfigError(
                    f"{without_password(url)}: the traffic cannot be read "
                    f"({reason(error)}); see who holds the database, and run it "
                    "again: nothing was changed"
                ) from None
            yield Text(
                request.about["key"],
                request.about["request"],
                text.about["position"],
                request.about["time"],
                text.about,
                text.text,
                tuple((f.guard, f.label, f.score, f.action) for f in text.findings),
            )


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                where = f"{path}, line {number}"
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    raise ConfigError(
                        f"{where}: this is no JSON object; `promptguard traffic "
                        "export` writes one a line"
                    )
                yield where, row
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is no file of JSON lines in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "drift") from None
    try:
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            _complete(there, str(path))
            wanted = [name for name in (*_NEEDED, *_OPTIONAL) if name in there]
            for batch in file.iter_batches(1000, columns=wanted):
                for row in batch.to_pylist():
                    yield str(path), row
    except (pa.ArrowInvalid, OSError):
        raise ConfigError(f"{path}: this is no file of Parquet that is whole") from None


def _complete(names: set[str] | Mapping[str, Any], where: str) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise ConfigError(
            f"{where}: the column {missing[0]!r} is missing; the columns are those of "
            "`promptguard traffic export`, of which "
            f"{', '.join(_NEEDED)} are needed"
        )


def _time(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return moment(value, f"{where}: the column 'time'")
    if callable(stamp := getattr(value, "timestamp", None)):
        return float(stamp())
    raise ConfigError(f"{where}: the column 'time' must be a time in ISO 8601")


def _text(row: Mapping[str, Any], time: float | None, where: str) -> Text:
    _complete(row, where)
    text = row.get("text")
    if text is not None and not isinstance(text, str):
        raise ConfigError(f"{where}: the column 'text' must be a text or null")
    if row["action"] not in _ACTIONS:
        raise ConfigError(
            f"{where}: the column 'action' must be one of {', '.join(_ACTIONS)}"
        )
    try:
        position, coverage = int(row.get("position") or 0), row.get("coverage")
        about = {
            **row,
            "length": int(row["length"]),
            "coverage": 1.0 if coverage is None else float(coverage),
        }
        findings = tuple(
            (str(f["guard"]), str(f["label"]), float(f["score"]), str(f["action"]))
            for f in row["findings"] or ()
        )
    except (KeyError, TypeError, ValueError):
        raise ConfigError(
            f"{where}: length, position and coverage must be numbers, and findings a "
            f"list of objects with {', '.join(_FOUND)}"
        ) from None
    request = str(row["id"])
    key = str(row.get("key") or request)
    return Text(key, request, position, time, about, text, findings)
