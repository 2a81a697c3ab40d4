"""Reading what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import ConfigError
from .database import Database

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Table

__all__ = ["Filters", "Found", "Kept", "Request", "Traffic"]

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What is looked for; what is None does not matter.

    Args:
        since: It came at this time or later, in seconds since the epoch.
        until: It came before this time.
        endpoint: Its path.
        model: The model that was asked for.
        caller: Who asked.
        outcome: What became of the request.
        direction: Of a text: ``input`` or ``output``.
        role: Of a text.
        action: Of a text: the worst action of what was found in it.
        guard: Which guard found something.
        label: What it found.
        min_score: The least score of such a finding.
        max_score: The highest.
    """

    since: float | None = None
    until: float | None = None
    endpoint: str | None = None
    model: str | None = None
    caller: str | None = None
    outcome: str | None = None
    direction: str | None = None
    role: str | None = None
    action: str | None = None
    guard: str | None = None
    label: str | None = None
    min_score: float | None = None
    max_score: float | None = None

    def __post_init__(self) -> None:
        for score in (self.min_score, self.max_score):
            if score is not None and not 0 <= score <= 1:
                raise ConfigError("a score is between 0 and 1")


@dataclass(frozen=True, slots=True)
class Found:
    """A finding; ``kept_start`` and ``kept_end`` are its place in the kept text."""

    guard: str
    label: str
    action: str
    score: float
    start: int
    end: int
    kept_start: int | None
    kept_end: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A text as it was kept, and what was found in it; ``text`` is not in the repr.

    Args:
        about: Its other columns: direction, role, action, coverage, ...
        text: The text, or None where it was not kept.
        findings: What was found.
    """

    about: dict[str, Any]
    text: str | None
    findings: tuple[Found, ...]

    def __repr__(self) -> str:
        return f"Kept({self.about['key']!r}, findings={len(self.findings)})"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was kept.

    Args:
        about: Its columns: key, request, time, endpoint, outcome, seconds, ...
        texts: Its texts, in order.
    """

    about: dict[str, Any]
    texts: tuple[Kept, ...]


class Traffic:
    """What was kept in a database; only ``purge`` changes anything in it.

    Args:
        url: The database, as a Writer takes it.

    Raises:
        ConfigError: There is no such database, or it cannot be read.
        MissingExtra: SQLAlchemy, or the driver of PostgreSQL, is not installed.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url, create=False)
        self._url = url

    def __repr__(self) -> str:
        return f"Traffic({self._database.name!r})"

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def requests(
        self, filters: Filters | None = None, limit: int | None = None
    ) -> Iterator[Request]:
        """The requests that fit, the newest first.

        One that fits by a text or a finding comes with all of its texts.
        """
        from sqlalchemy import and_, or_, select

        r = self._database.tables.requests
        wanted = self._wanted(filters or Filters())
        left, after = limit, None
        while left is None or left > 0:
            query = select(r).where(*wanted).order_by(r.c.time.desc(), r.c.key.desc())
            if after is not None:
                when, key = after
                older = and_(r.c.time == when, r.c.key < key)
                query = query.where(or_(r.c.time < when, older))
            size = _PAGE if left is None else min(_PAGE, left)
            # A page is read at once, so that no slow reader keeps a transaction open.
            with self._database.engine.connect() as connection:
                found = [
                    dict(row._mapping) for row in connection.execute(query.limit(size))
                ]
                texts = self._texts(connection, [row["key"] for row in found])
            for about in found:
                yield Request(about, tuple(texts.get(about["key"], ())))
            if len(found) < size:
                return
            after = found[-1]["time"], found[-1]["key"]
            left = None if left is None else left - len(found)

    def texts(
        self, filters: Filters | None = None, limit: int | None = None
    ) -> Iterator[tuple[Request, Kept]]:
        """The texts that fit, each with its request, the newest first."""
        filters, count = filters or Filters(), 0
        for request in self.requests(filters):
            for text in request.texts:
                if not _fits(text, filters):
                    continue
                if limit is not None and count >= limit:
                    return
                count += 1
                yield request, text

    def show(self, name: str) -> tuple[Request, ...]:
        """The requests of this key, or of this request id.

        Raises:
            ConfigError: There is none.
        """
        from sqlalchemy import or_, select

        r = self._database.tables.requests
        query = select(r).where(or_(r.c.key == name, r.c.request == name))
        with self._database.engine.connect() as connection:
            found = [
                dict(row._mapping) for row in connection.execute(query.limit(_PAGE))
            ]
            texts = self._texts(connection, [row["key"] for row in found])
        if not found:
            raise ConfigError("there is no request with this id in the traffic")
        return tuple(Request(row, tuple(texts.get(row["key"], ()))) for row in found)

    def purge(self, before: float) -> int:
        """Delete what came before this time, and return how many requests it was."""
        database = Database(self._url, create=False, write=True)
        try:
            return database.purge(before)
        finally:
            database.close()

    def stats(self, filters: Filters | None = None) -> dict[str, Any]:
        """Counts, latencies, tokens and cost of the requests that fit."""
        from sqlalchemy import func, or_, select

        t, r = self._database.tables, self._database.tables.requests
        wanted = self._wanted(filters or Filters())
        keys = select(r.c.key).where(*wanted)
        with self._database.engine.connect() as connection:

            def rows(query: Any) -> list[tuple[Any, ...]]:
                # Any: a select of whichever columns.
                return [tuple(row) for row in connection.execute(query)]

            summed = select(func.count(), func.min(r.c.time), func.max(r.c.time)).where(
                *wanted
            )
            ((count, first, last),) = rows(summed)
            outcomes = select(r.c.outcome, func.count()).where(*wanted)
            models = select(
                r.c.model,
                r.c.currency,
                func.count(),
                func.sum(r.c.tokens_in),
                func.sum(r.c.tokens_out),
                func.sum(r.c.cost),
            ).where(
                *wanted, or_(r.c.tokens_in.is_not(None), r.c.tokens_out.is_not(None))
            )
            f = t.findings
            findings = select(
                f.c.guard, f.c.label, f.c.action, func.count(), func.max(f.c.score)
            ).where(f.c.key.in_(keys))
            texts = select(t.texts.c.action, func.count()).where(
                t.texts.c.key.in_(keys)
            )
            return {
                "requests": count,
                "first": first,
                "last": last,
                "outcomes": dict(rows(outcomes.group_by(r.c.outcome))),
                "texts": dict(rows(texts.group_by(t.texts.c.action))),
                "findings": rows(
                    findings.group_by(f.c.guard, f.c.label, f.c.action).order_by(
                        func.count().desc(), f.c.guard, f.c.label, f.c.action
                    )
                ),
                "models": rows(
                    models.group_by(r.c.model, r.c.currency).order_by(r.c.model)
                ),
                "seconds": self._quantiles(connection, "seconds", count, wanted),
                "seconds_added": self._quantiles(connection, None, count, wanted),
                "writers": self._writers(connection),
            }

    def _writers(self, connection: Connection) -> dict[str, Any]:
        from sqlalchemy import func, select

        runs = self._database.tables.runs
        ended = select(func.count()).where(runs.c.clean.is_(False))
        query = select(func.count(), func.sum(runs.c.written), func.sum(runs.c.dropped))
        count, written, dropped = connection.execute(query).one()
        return {
            "writers": count,
            "written": int(written or 0),
            "dropped": int(dropped or 0),
            "ended_without_closing": connection.scalar(ended),
        }

    def _quantiles(
        self, connection: Connection, name: str | None, count: int, wanted: Any
    ) -> dict[str, float]:
        """Nearest-rank quantiles; no name is for the time that checking added."""
        from sqlalchemy import select

        r = self._database.tables.requests
        column: Any = r.c.seconds_input + r.c.seconds_output
        column = column if name is None else r.c[name]
        found = {}
        for share in (0.5, 0.95, 0.99) if count else ():
            rank = max(0, -int(-share * count // 1) - 1)
            query = select(column).where(*wanted).order_by(column)
            value = connection.scalar(query.offset(min(rank, count - 1)).limit(1))
            if value is not None:
                found[f"p{share * 100:.0f}"] = float(value)
        return found

    def _texts(self, connection: Connection, keys: list[str]) -> dict[str, list[Kept]]:
        from sqlalchemy import select

        t = self._database.tables

        def of(table: Table, *order: str) -> list[dict[str, Any]]:
            query = select(table).where(table.c.key.in_(keys))
            query = query.order_by(*(table.c[name] for name in order))
            return [dict(row._mapping) for row in connection.execute(query)]

        findings: dict[tuple[str, int], list[Found]] = {}
        for row in of(t.findings, "key", "position", "number"):
            where = row.pop("key"), row.pop("position")
            row.pop("number")
            findings.setdefault(where, []).append(Found(**row))
        texts: dict[str, list[Kept]] = {}
        for row in of(t.texts, "key", "position"):
            key, text = row["key"], row.pop("text")
            found = tuple(findings.get((key, row["position"]), ()))
            texts.setdefault(key, []).append(Kept(row, text, found))
        return texts

    def _wanted(self, filters: Filters) -> list[ColumnElement[bool]]:
        """The conditions on requests; those on texts and findings as a subquery."""
        from sqlalchemy import select

        t, r = self._database.tables, self._database.tables.requests
        wanted: list[ColumnElement[bool]] = []
        if filters.since is not None:
            wanted.append(r.c.time >= filters.since)
        if filters.until is not None:
            wanted.append(r.c.time < filters.until)
        for name in ("endpoint", "model", "caller", "outcome"):
            if (value := getattr(filters, name)) is not None:
                wanted.append(r.c[name] == value)
        texts = [
            t.texts.c[name] == value
            for name in ("direction", "role", "action")
            if (value := getattr(filters, name)) is not None
        ]
        f = t.findings
        findings: list[ColumnElement[bool]] = [
            f.c[name] == value
            for name in ("guard", "label")
            if (value := getattr(filters, name)) is not None
        ]
        if filters.min_score is not None:
            findings.append(f.c.score >= filters.min_score)
        if filters.max_score is not None:
            findings.append(f.c.score <= filters.max_score)
        if texts or findings:
            fitting = select(t.texts.c.key).where(*texts)
            if findings:
                fitting = fitting.join(
                    f, (f.c.key == t.texts.c.key) & (f.c.position == t.texts.c.position)
                ).where(*findings)
            wanted.append(r.c.key.in_(fitting))
        return wanted


def _fits(text: Kept, filters: Filters) -> bool:
    for name in ("direction", "role", "action"):
        value = getattr(filters, name)
        if value is not None and text.about[name] != value:
            return False
    least, most = filters.min_score, filters.max_score
    if all(v is None for v in (filters.guard, filters.label, least, most)):
        return True
    return any(
        filters.guard in (None, found.guard)
        and filters.label in (None, found.label)
        and (least is None or found.score >= least)
        and (most is None or found.score <= most)
        for found in text.findings
    )
