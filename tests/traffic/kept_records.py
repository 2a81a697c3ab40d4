"""What a database holds that records are kept in."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def ask(path: Path, query: str) -> list[tuple]:
    """The rows of a SQLite database, by the driver alone."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def texts(path: Path) -> list[str | None]:
    rows = ask(path, "select text from promptguard_texts order by rowid")
    return [text for (text,) in rows]
