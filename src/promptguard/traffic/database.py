"""The tables that traffic is kept in, in SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import ConfigError, MissingExtra
from .addresses import logs_ahead, parse, see_the_file, to_read, without_password

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, MetaData, Table

__all__ = [
    "VERSION",
    "Database",
    "Tables",
    "passes",
    "reason",
    "tables",
    "without_password",
]

VERSION = 1
"""Of the tables; a database of another version is refused."""

_PAGE = 500
# Seconds to wait for a locked SQLite, before trying anew.
_WAIT = 5.0
# Of PostgreSQL, while the tables are made.
_LOCK = 0x70726F6D


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables, as SQLAlchemy has them."""

    all: MetaData
    meta: Table
    runs: Table
    requests: Table
    texts: Table
    findings: Table


@cache
def tables() -> Tables:
    """The tables; made on first use, because SQLAlchemy is an extra."""
    from sqlalchemy import (
        JSON,
        Boolean,
        Column,
        Double,
        ForeignKey,
        ForeignKeyConstraint,
        Integer,
        MetaData,
        String,
        Table,
        Text,
    )

    data = MetaData()
    meta = Table(
        "promptguard_meta",
        data,
        Column("name", String(40), primary_key=True),
        Column("value", Text, nullable=False),
    )
    runs = Table(
        "promptguard_runs",
        data,
        Column("run", String(16), primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("version", String(40), nullable=False),
        Column("started", Double, nullable=False),
        Column("beat", Double, nullable=False),
        Column("stopped", Double),
        Column("clean", Boolean),
        Column("written", Integer, nullable=False),
        Column("dropped", Integer, nullable=False),
    )
    requests = Table(
        "promptguard_requests",
        data,
        Column("key", String(32), primary_key=True),
        Column("run", ForeignKey(runs.c.run), nullable=False),
        Column("request", String(200), nullable=False, index=True),
        Column("time", Double, nullable=False, index=True),
        Column("endpoint", String(200), nullable=False),
        Column("model", String(200), nullable=False),
        Column("caller", String(200), nullable=False),
        Column("stream", Boolean, nullable=False),
        Column("status", Integer, nullable=False),
        Column("outcome", String(20), nullable=False),
        Column("error", String(200), nullable=False),
        Column("retries", Integer, nullable=False),
        Column("seconds", Double, nullable=False),
        Column("seconds_input", Double, nullable=False),
        Column("seconds_upstream", Double, nullable=False),
        Column("seconds_output", Double, nullable=False),
        Column("seconds_first", Double),
        Column("upstream_status", Integer),
        Column("tokens_in", Integer),
        Column("tokens_out", Integer),
        Column("cost", Double),
        Column("currency", String(10)),
    )
    texts = Table(
        "promptguard_texts",
        data,
        Column("key", ForeignKey(requests.c.key, ondelete="CASCADE"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("direction", String(10), nullable=False),
        Column("role", String(20), nullable=False),
        Column("action", String(10), nullable=False),
        Column("coverage", Double, nullable=False),
        Column("degraded", Boolean, nullable=False),
        Column("dry_run", Boolean, nullable=False),
        Column("length", Integer, nullable=False),
        Column("timings", JSON, nullable=False),
        Column("judge_tokens", Integer, nullable=False),
        Column("judge_cost", Double),
        # What became of the text: whole, redacted, hashed, none or failed.
        Column("kept", String(10), nullable=False),
        Column("text", Text),
        Column("digest", String(64), index=True),
    )
    findings = Table(
        "promptguard_findings",
        data,
        Column("key", String(32), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("number", Integer, primary_key=True),
        Column("guard", String(100), nullable=False),
        Column("label", String(100), nullable=False),
        Column("action", String(10), nullable=False),
        Column("score", Double, nullable=False),
        # In the text as it came, and in the text as it was kept.
        Column("start", Integer, nullable=False),
        Column("end", Integer, nullable=False),
        Column("kept_start", Integer),
        Column("kept_end", Integer),
        ForeignKeyConstraint(
            ["key", "position"], [texts.c.key, texts.c.position], ondelete="CASCADE"
        ),
    )
    return Tables(data, meta, runs, requests, texts, findings)


class Database:
    """A database of traffic.

    Args:
        url: ``sqlite:///traffic.db``, or ``postgresql://user@host/name``. A password
            in it is in no message and no repr.
        create: Make it where it is not there.
        write: What is in it may be changed; a file of SQLite is opened to be read
            alone otherwise. It is None where that goes with ``create``.

    Raises:
        ConfigError: The URL cannot be read, or the database not be opened, or it is of
            another version, or a file of SQLite is another program's.
        MissingExtra: SQLAlchemy, or the driver of PostgreSQL, is not installed.
    """

    def __init__(self, url: str, *, create: bool, write: bool | None = None) -> None:
        try:
            import sqlalchemy
        except ImportError:
            raise MissingExtra("sqlalchemy", "capture") from None
        parsed = parse(url)
        self.name = without_password(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self.tables = tables()
        writes = create if write is None else write
        if self.sqlite:
            see_the_file(parsed, create)
            # Whose it is has to be known before the first setting changes it.
            self._look(parsed, writes)
            if not writes:
                parsed = to_read(parsed)
        # Parameters hold texts; an error of a database must not show them.
        options: dict[str, Any] = {"hide_parameters": True}
        options["connect_args"] = (
            {"timeout": _WAIT} if self.sqlite else {"connect_timeout": 5}
        )
        if self.sqlite:
            # No connection is open when a process forks: SQLite's must not be shared.
            options["poolclass"] = sqlalchemy.NullPool
        else:
            options |= {"pool_size": 1, "pool_pre_ping": True}
        try:
            self.engine = sqlalchemy.create_engine(parsed, **options)
        except ModuleNotFoundError:
            raise MissingExtra("psycopg", "postgres") from None
        if self.sqlite and writes:
            sqlalchemy.event.listen(self.engine, "connect", _settings)
        self._prepare(create)

    def __repr__(self) -> str:
        return f"Database({self.name!r})"

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def forget(self) -> None:
        """Leave connections to the process that this one was forked from."""
        self.engine.dispose(close=False)

    def purge(self, before: float) -> int:
        """Delete the requests that came before this time, and return how many."""
        from sqlalchemy import delete, select

        t, count = self.tables, 0
        old = select(t.requests.c.key).where(t.requests.c.time < before).limit(_PAGE)
        while True:
            with self.engine.begin() as connection:
                keys = list(connection.scalars(old))
                for table in (t.findings, t.texts, t.requests):
                    connection.execute(delete(table).where(table.c.key.in_(keys)))
            count += len(keys)
            if len(keys) < _PAGE:
                break
        if self.sqlite and count:
            # What was deleted stands in the log until that is written over.
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def _look(self, url: URL, writes: bool) -> None:
        """See whose a file of SQLite is, without a change to it or beside it."""
        import sqlalchemy

        path = Path(str(url.database))
        if not path.stat().st_size:
            return
        # To read a file in WAL mode makes two more beside it that stay there. Where
        # nobody has it open, everything is in the file itself.
        if not Path(f"{path}-wal").exists() and logs_ahead(path):
            url = url.update_query_dict({"immutable": "1"})
        options = {"poolclass": sqlalchemy.NullPool, "connect_args": {"timeout": _WAIT}}
        engine = sqlalchemy.create_engine(to_read(url), **options)
        try:
            with engine.connect() as connection:
                names = sqlalchemy.inspect(connection).get_table_names()
                if self.tables.meta.name in names:
                    self._known(self._version(connection))
                elif names and writes:
                    raise ConfigError(
                        f"{self.name}: this database is another program's; name a "
                        "file of its own for the traffic, which is made where it is "
                        "not there"
                    )
                elif names:
                    raise self._other()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._unopened(error) from None
        finally:
            engine.dispose()

    def _prepare(self, create: bool) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.engine.begin() as connection:
                if create:
                    self._create(connection)
                self._known(self._version(connection))
        except SQLAlchemyError as error:
            self.close()
            raise self._unopened(error) from None
        except ConfigError:
            self.close()
            raise

    def _unopened(self, error: BaseException) -> ConfigError:
        return ConfigError(
            f"{self.name}: the database cannot be opened ({reason(error)}); see "
            "that it is there, that it may be written, and who holds it"
        )

    def _other(self) -> ConfigError:
        return ConfigError(f"{self.name}: there is no traffic in this database")

    def _known(self, version: str) -> None:
        if version != str(VERSION):
            raise ConfigError(
                f"{self.name}: the tables are of version {version}, and this "
                f"promptguard knows version {VERSION}; use the one that wrote them, "
                "or another database"
            )

    def _create(self, connection: Connection) -> None:
        from sqlalchemy import inspect

        name = self.tables.meta.name
        if inspect(connection).has_table(name):
            return
        # Somebody else may be about to make them, too.
        if self.sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not inspect(connection).has_table(name):
            self.tables.all.create_all(connection)
            row = {"name": "version", "value": str(VERSION)}
            connection.execute(self.tables.meta.insert(), row)

    def _version(self, connection: Connection) -> str:
        from sqlalchemy import inspect, select

        meta = self.tables.meta
        if not inspect(connection).has_table(meta.name):
            raise self._other()
        found = select(meta.c.value).where(meta.c.name == "version")
        return str(connection.scalar(found))


def reason(error: BaseException) -> str:
    """What went wrong, by name: the message of a database may quote a text."""
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlite_errorname", None) or getattr(
        origin, "sqlstate", None
    )
    return f"{type(origin).__name__}{f' {code}' if code else ''}"


def passes(error: BaseException) -> bool:
    """True when it may go well later: the database is locked, full, or away."""
    from sqlalchemy.exc import DBAPIError, OperationalError

    away = isinstance(error, DBAPIError) and error.connection_invalidated
    return away or isinstance(error, OperationalError)


def _settings(connection: Any, _: object) -> None:
    # Any: the connection of a driver. Readers do not hold up the writer in WAL; what
    # is deleted is written over, because it may have been a secret.
    cursor, end = connection.cursor(), time.monotonic() + _WAIT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Some locks are waited for, and some refused at once.
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
        else:
            break
    for pragma in ("synchronous=NORMAL", "secure_delete=ON", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
