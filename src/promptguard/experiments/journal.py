"""What was answered and graded, a line each, so that nothing is asked twice.

A line has the key of what it answers: a hash of everything that could change the
answer. Whoever asks the same again finds the line; whoever changes a prompt asks anew.
"""

from __future__ import annotations

import json
import threading
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import ConfigError

__all__ = ["Journal", "key_of"]


def key_of(*asked: object) -> str:
    """The key of a question, of all that it depends on."""
    data = json.dumps(asked, sort_keys=True).encode()
    return blake2b(data, digest_size=16).hexdigest()


class Journal:
    """A file of JSON lines that only grows; several threads may write it.

    Args:
        path: The file. What stands in it already is read; a line that was cut off, by
            a full disk or a crash, does not count.

    Raises:
        ConfigError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {}
        try:
            whole = path.read_bytes() if path.exists() else b""
            path.touch(0o600)
            self._file = path.open("ab")
            if whole and not whole.endswith(b"\n"):
                self._file.write(b"\n")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be used: {error.strerror}") from None
        for line in whole.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("key"), str):
                self._rows[row["key"]] = row

    def get(self, key: str) -> dict[str, Any] | None:
        """The row of a key, unless it tells of a failure: that is tried again."""
        row = self._rows.get(key)
        return None if row is None or row.get("error") else row

    def put(self, row: dict[str, Any]) -> None:
        """Keep a row, in the file before this returns."""
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        # A lone surrogate has no UTF-8.
        data = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            self._file.write(data)
            self._file.flush()
            self._rows[row["key"]] = row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._file.close()
