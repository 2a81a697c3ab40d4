"""Who writes into a database, and who ended without saying so."""

from __future__ import annotations

import os
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any

from .database import Database
from .times import shown

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["begin", "end", "forget", "tell"]

Written = tuple[int, int]
"""How many records were written, and how many dropped."""

# One that has said nothing for so long is taken for dead, if it cannot be asked.
_SILENT = 60.0
# The writers of this process.
_alive: set[str] = set()


def begin(database: Database) -> str:
    """Enter a writer, log which others ended without closing, and return its name."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("promptguard-llm")
    except PackageNotFoundError:
        own = "unknown"
    runs, now, run = database.tables.runs, time.time(), uuid.uuid4().hex[:12]
    row: dict[str, Any] = {
        "run": run,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": own,
        "started": now,
        "beat": now,
        "written": 0,
        "dropped": 0,
    }
    with database.engine.begin() as connection:
        connection.execute(runs.insert(), row)
        others = runs.c.stopped.is_(None) & (runs.c.run != run)
        for other in connection.execute(runs.select().where(others)).all():
            if not _dead(other, row, now):
                continue
            still = runs.c.stopped.is_(None) & (runs.c.run == other.run)
            values = {"stopped": other.beat, "clean": False}
            # Of several that begin at once, one says it.
            if connection.execute(runs.update().where(still).values(**values)).rowcount:
                _tell_end(other)
    _alive.add(run)
    return run


def tell(
    database: Database, connection: Connection, run: str | None, written: Written
) -> None:
    """Say that a writer is there, and how far it has come."""
    _update(database, connection, run, written, beat=time.time())


def end(database: Database, connection: Connection, run: str, written: Written) -> None:
    """Say that a writer has written all that it will."""
    now = time.time()
    _update(database, connection, run, written, beat=now, stopped=now, clean=True)
    _alive.discard(run)


def forget() -> None:
    """The writers of the process that this one was forked from are not its own."""
    _alive.clear()


def _update(
    database: Database,
    connection: Connection,
    run: str | None,
    written: Written,
    **values: object,
) -> None:
    runs = database.tables.runs
    values |= dict(zip(("written", "dropped"), written, strict=True))
    connection.execute(runs.update().where(runs.c.run == run).values(**values))


def _tell_end(other: Any) -> None:
    # Any: a row of the table.
    import logging

    logging.getLogger("promptguard").warning(
        "traffic: the writer that began at %s ended without closing; it last wrote at "
        "%s, and what came in the second before its end is missing",
        shown(other.started),
        shown(other.beat),
    )


def _dead(other: Any, own: dict[str, Any], now: float) -> bool:
    # Any: a row. A process of this machine can be asked; of another, silence tells.
    if other.run in _alive:
        return False
    if other.host == own["host"] and os.name == "posix":
        if other.pid == own["pid"]:
            return True
        try:
            os.kill(other.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    return bool(now - other.beat > _SILENT)
