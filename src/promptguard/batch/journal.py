"""What was told so far, so that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import ConfigError
from .check import Row

__all__ = ["Journal"]

_FORMAT = 1


class Journal:
    """The rows of a check, a line of JSON for each batch, below one that says of what.

    It holds none of the texts but those that are redacted, and its owner alone may
    read it. A batch is on the disk before the next is added; of a last line that was
    cut off nothing is kept.

    Args:
        path: The file; it is made where there is none.
        of: What the rows are of. Those of another file or guard are somebody else's.

    Raises:
        ConfigError: It is of something else, cannot be read or written, or another run
            has it.
    """

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        self.path = path
        self.done = 0
        """Rows that are there."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        self._file = os.fdopen(handle, "r+b")
        try:
            self._locked()
            self._begun({"format": _FORMAT, **of})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and not self.done:
            # It would hold nothing but what was refused, and refuse what is right.
            with suppress(OSError):
                self.remove()
        self._file.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Add the rows of a batch."""
        self._line(rows)
        os.fsync(self._file.fileno())
        self.done += len(rows)

    def rows(self) -> Iterator[list[Any]]:
        """All rows, in order."""
        with self.path.open("rb") as file:
            for line in islice(file, 1, None):
                yield from json.loads(line)

    def remove(self) -> None:
        """Take it away: what it is for is done."""
        self.path.unlink()

    def _locked(self) -> None:
        with suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigError(f"another run is writing {self.path}") from None

    def _begun(self, of: dict[str, Any]) -> None:
        head = self._file.readline()
        if _encoded(of).startswith(head) and not head.endswith(b"\n"):
            # It is new, or was cut off before it had a row.
            self._file.seek(0)
            self._file.truncate()
            self._line(of)
            return
        try:
            known = json.loads(head)
        except (ValueError, RecursionError):
            known = None
        if not isinstance(known, dict) or "format" not in known:
            raise ConfigError(f"{self.path} is no journal of ours; move it")
        if known != of:
            other = [name for name, value in known.items() if of.get(name) != value]
            raise ConfigError(
                f"{self.path} is of a run with another {' and '.join(other) or 'form'};"
                " remove it to begin anew"
            )
        whole = self._file.tell()
        for line in self._file:
            try:
                rows = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                rows = None
            if not isinstance(rows, list):
                break
            self.done += len(rows)
            whole += len(line)
        self._file.seek(whole)
        self._file.truncate()

    def _line(self, value: Any) -> None:
        self._file.write(_encoded(value))
        self._file.flush()


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
