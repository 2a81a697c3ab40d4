"""Writes records on a thread of its own, so that no request waits for it."""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import ConfigError, Guard, Verdict
from ..prices import Prices
from ..records import Record
from . import runs
from .database import Database, passes, reason
from .keeping import Keeping, Rows, Texts, record_of
from .times import seconds

if TYPE_CHECKING:
    import logging

__all__ = ["Counts", "Writer"]

# What came is written after so long at the latest; a batch is made for as long.
_PAUSE = 0.2
_BATCH = 0.3
# A writer with nothing to do says that it is there, and looks for what is too old.
_BEAT = 10.0
_PURGE = 3600.0
_MOST = 500
_LONGEST_PAUSE = 1.0
_NOTICE = 60.0


# A record, and how many characters it has.
Item = tuple[Record, int]


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a writer has come.

    Args:
        written: Records that are in the database.
        dropped: Records that are lost: there was no room for them, they could not be
            written, or they came after the end.
        queued: Records that wait.
    """

    written: int
    dropped: int
    queued: int


class Writer:
    """Keeps records of requests, and verdicts, in a database.

        with Writer("sqlite:///traffic.db", retention="30d") as writer:
            pg.on_verdict(writer)

    Taking one is an append to a queue: it never waits and never raises. What comes is
    in the database a quarter of a second later, in whole records. Where the database
    is locked or away the writer waits; when the queue is full, what comes is dropped,
    counted and logged. ``close`` writes what is left. A process that is killed loses
    what came in its last second at most, and the next writer of the database logs so.

    Args:
        url: ``sqlite:///traffic.db``, or ``postgresql://user@host/name``.
        texts: ``"redacted"`` (without personal data, secrets, and what guards took
            for values), ``"hashed"``, ``"whole"`` or ``"none"``.
        retention: How long a record is kept, such as ``"30d"``; None is for ever.
        key: Of the HMAC that stands for a text; ``"hashed"`` needs it.
        prices: What models cost.
        redact: What is taken out of texts on top of what was found already; None is
            ``PII() | Secrets()``. It must ask no model.
        passages: Labels of findings that say something of a passage, such as the
            names of rubrics; of other labels, the passage is taken out. Those of
            the learned guards are known.
        queue: How many records may wait.
        characters: How many characters of text may wait.

    Raises:
        ConfigError: An argument is wrong, or the database cannot be opened.
        MissingExtra: SQLAlchemy, or the driver of PostgreSQL, is not installed.
    """

    _size: int
    _held: int
    _written: int
    _dropped: int
    _told: int

    def __init__(
        self,
        url: str,
        *,
        texts: Texts = "redacted",
        retention: str | float | None = None,
        key: bytes | None = None,
        prices: Prices | None = None,
        redact: Guard | None = None,
        passages: Sequence[str] = (),
        queue: int = 10_000,
        characters: int = 20_000_000,
    ) -> None:
        if queue < 1 or characters < 1:
            raise ConfigError("queue and characters must be at least 1")
        labels = frozenset(passages)
        self._keeping = Keeping(texts, key, redact, labels, prices=prices)
        self._retention = None if retention is None else seconds(retention, "retention")
        self._room = queue, characters
        self._database = Database(url, create=True)
        self._run: str | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._fresh()
        try:
            self._run = runs.begin(self._database)
        except Exception as error:
            self._database.close()
            raise ConfigError(
                f"{self._database.name}: cannot be written ({reason(error)})"
            ) from None
        self._start()
        _after_fork(self)
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"Writer({self._database.name!r}, texts={self._keeping.texts!r})"

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wants_texts(self) -> bool:
        """False when a record needs no texts."""
        return self._keeping.texts != "none"

    @property
    def counts(self) -> Counts:
        """How far it has come."""
        with self._lock:
            return Counts(self._written, self._dropped, len(self._queue) + self._held)

    def __call__(self, verdict: Verdict) -> None:
        """Take a verdict: a hook for ``on_verdict``."""
        self.write(record_of(verdict, uuid.uuid4().hex, time.time()))

    def write(self, record: Record) -> None:
        """Take a record; never waits, never raises."""
        size = sum(len(said.original) for said in record.texts)
        most, characters = self._room
        with self._lock:
            fits = len(self._queue) < most and self._size + size <= characters
            if self._closing or not fits:
                self._dropped += 1
                return
            self._queue.append((record, size))
            self._size += size
            if self._thread is None:
                self._start()
        self._wake.set()

    observe = write

    def close(self, timeout: float = 10.0) -> None:
        """Write what is left, and end.

        Args:
            timeout: Seconds after which it is given up, counted and logged.
        """
        with self._lock:
            first, self._closing = not self._closing, True
            thread = self._thread
        self._wake.set()
        self._end.set()
        if thread is not None:
            thread.join(timeout)
        if not first:
            return
        atexit.unregister(self.close)
        with self._lock:
            left = len(self._queue) + self._held
            self._dropped += left
            self._queue.clear()
            self._held = 0
            self._given_up = True
            lost = self._dropped - self._told - left
        if lost:
            _logger().warning("traffic: %d more records were dropped", lost)
        if left:
            _logger().error(
                "traffic: %d records are lost: the database could not be written "
                "within %g s of the end",
                left,
                timeout,
            )

    # What follows runs on the writer's own thread.

    def _fresh(self) -> None:
        """State of this process, and none of the one it was forked from."""
        self._lock = threading.Lock()
        self._wake, self._end = threading.Event(), threading.Event()
        self._queue: deque[Item] = deque()
        self._size = self._held = self._written = self._dropped = self._number = 0
        self._told = 0
        self._noticed = -_NOTICE
        self._closing = self._given_up = False
        self._run = None
        self._beaten, self._purged = time.time(), 0.0
        self._thread: threading.Thread | None = None

    def _forked(self) -> None:
        self._database.forget()
        self._fresh()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=self._work, name="promptguard-traffic", daemon=True
        )
        # What is too old goes at once, and not after the first beat.
        self._wake.set()
        self._thread.start()

    def _work(self) -> None:
        pause = _PAUSE
        while True:
            # Idle, it wakes for the beat alone.
            self._wake.wait(_BEAT)
            self._wake.clear()
            if not self._closing:
                self._end.wait(pause)
            try:
                self._write_all()
                self._rest()
                pause = _PAUSE
            except Exception as error:
                # The batch was put back: it waits until the database is there again.
                pause = min(pause * 2, _LONGEST_PAUSE)
                time.sleep(_PAUSE)
                self._wake.set()
                self._report(error)
            self._report()
            with self._lock:
                over = self._given_up or (self._closing and not self._queue)
            if over and (self._given_up or self._stopped()):
                self._database.close()
                return

    def _write_all(self) -> None:
        while self._queue and not self._given_up:
            if self._run is None:
                self._run = runs.begin(self._database)
            batch = self._taken(self._run)
            try:
                self._put([rows for _, rows in batch])
            except Exception as error:
                if passes(error):
                    self._back([item for item, _ in batch])
                    raise
                self._put_each(batch)
            with self._lock:
                self._held = 0

    def _taken(self, run: str) -> list[tuple[Item, Rows]]:
        """The next records with their rows, as many as are made in a moment."""
        batch: list[tuple[Item, Rows]] = []
        until = time.monotonic() + _BATCH
        while time.monotonic() < until and len(batch) < _MOST:
            with self._lock:
                if not self._queue:
                    break
                item = self._queue.popleft()
                self._size -= item[1]
                self._held += 1
                self._number += 1
            try:
                key = f"{run}-{self._number:09d}"
                batch.append((item, self._keeping.rows(item[0], key, run)))
            except Exception as error:
                self._lose(error)
        return batch

    def _back(self, items: list[Item]) -> None:
        with self._lock:
            if self._given_up:
                return
            self._queue.extendleft(reversed(items))
            self._size += sum(size for _, size in items)
            self._held = 0

    def _put(self, batch: list[Rows]) -> None:
        t, now = self._database.tables, time.time()
        texts = [row for rows in batch for row in rows.texts]
        findings = [row for rows in batch for row in rows.findings]
        with self._database.engine.begin() as connection:
            if batch:
                requests = [rows.request for rows in batch]
                connection.execute(t.requests.insert(), requests)
            if texts:
                connection.execute(t.texts.insert(), texts)
            if findings:
                connection.execute(t.findings.insert(), findings)
            counts = self._written + len(batch), self._dropped
            runs.tell(self._database, connection, self._run, counts)
        with self._lock:
            self._written += len(batch)
            if self._given_up:
                # It was counted as lost, and came through at the last moment.
                self._dropped -= len(batch)
        self._beaten = now

    def _put_each(self, batch: list[tuple[Item, Rows]]) -> None:
        """One record of them cannot be written; the others can."""
        for number, (_, rows) in enumerate(batch):
            try:
                self._put([rows])
            except Exception as error:
                if passes(error):
                    self._back([item for item, _ in batch[number:]])
                    raise
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self._held -= 1
            self._dropped += 1
            self._told += 1
        _logger().error("traffic: a record cannot be written (%s)", reason(error))

    def _rest(self) -> None:
        """What is done between batches: a beat, and what is too old goes."""
        now = time.time()
        if self._run is not None and now - self._beaten >= _BEAT and not self._closing:
            self._put([])
        if self._retention is not None and now - self._purged >= _PURGE:
            self._database.purge(now - self._retention)
            self._purged = now

    def _report(self, error: Exception | None = None) -> None:
        """Log what is lost and what waits, but not every second."""
        now = time.monotonic()
        with self._lock:
            lost, waiting = self._dropped - self._told, len(self._queue)
            if not (lost or error) or now - self._noticed < _NOTICE:
                return
            self._noticed, self._told = now, self._dropped
        if error is not None:
            _logger().warning(
                "traffic: the database cannot be written (%s); %d records wait",
                reason(error),
                waiting,
            )
        if lost:
            _logger().warning(
                "traffic: %d records were dropped: the queue was full", lost
            )

    def _stopped(self) -> bool:
        """Say that all is written; False to try again."""
        try:
            if self._run is not None:
                counts = self._written, self._dropped
                with self._database.engine.begin() as connection:
                    runs.end(self._database, connection, self._run, counts)
            return True
        except Exception:
            time.sleep(_PAUSE)
            self._wake.set()
            return self._given_up


def _after_fork(writer: Writer) -> None:
    if hasattr(os, "register_at_fork"):
        known = weakref.ref(writer)

        def forked() -> None:
            runs.forget()
            found = known()
            if found is not None:
                found._forked()

        os.register_at_fork(after_in_child=forked)


def _logger() -> logging.Logger:
    import logging

    return logging.getLogger("promptguard")
