"""Rows of JSON lines: texts with what is known about each."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .. import ConfigError
from ..text import ROLES

__all__ = ["FIELDS", "Row", "Source"]

FIELDS = ("text", "label", "role", "category", "lang", "source")
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what its row says about it.

    Args:
        text: The text.
        label: True for an attack, False for a benign text, None where not said.
        role: Whose text it is.
        place: File and line, for messages.
        tags: Category, language and source, where the row names them; a row without
            a source has the name of its file.
    """

    text: str = field(repr=False)
    label: bool | None
    role: str
    place: str
    tags: tuple[tuple[str, str], ...]


class Source:
    """A file of rows, which may be read any number of times.

    Args:
        path: A file of JSON lines, packed by gzip or not; ``-`` is standard input.
        fields: Which field of a row holds what; each is called by its own name
            unless this says otherwise.
        role: The role of rows that name none.
        labelled: Whether a row must have a label.
        limit: Read only so many rows, the first ones.

    Raises:
        ConfigError: The file cannot be read.
    """

    def __init__(
        self,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        role: str = "user",
        labelled: bool = True,
        limit: int | None = None,
    ) -> None:
        self.name = "standard input" if path == "-" else Path(path).name
        self._path = path
        self._names = dict(zip(FIELDS, FIELDS, strict=True)) | dict(fields or {})
        self._role = role
        self._labelled = labelled
        self._limit = limit
        self._held: bytes | None = None
        # A pipe can be read only once.
        if path == "-":
            if sys.stdin is None:
                raise ConfigError("standard input is closed; name a file")
            self._held = sys.stdin.buffer.read()
        elif Path(path).exists() and not Path(path).is_file():
            with self._explained():
                self._held = Path(path).read_bytes()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file as it stands."""
        digest = hashlib.sha256()
        with self._explained(), self._open() as stream:
            while block := stream.read(2**20):
                digest.update(block)
        return digest.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        """Read the rows.

        Raises:
            ConfigError: The file cannot be read, or a row is not as it must be; the
                message names file and line and never the text.
        """
        count = 0
        with self._explained(), self._open() as raw, _unpacked(raw) as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(_BOM)
                if not line.strip():
                    continue
                if count == self._limit:
                    return
                count += 1
                yield self._row(line, f"{self.name}:{number}")

    def _open(self) -> BinaryIO:
        if self._held is not None:
            return io.BytesIO(self._held)
        return open(self._path, "rb")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise ConfigError(
                f"{self.name} is packed by gzip and cut short or damaged; copy it again"
            ) from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError(f"{self._path} cannot be read: {reason}") from None

    def _row(self, line: bytes, place: str) -> Row:
        values = _values(line, place)
        text = values.get(self._names["text"])
        if not isinstance(text, str):
            raise self._wrong(place, "text", text, "a string", values)
        role = self._string(values, "role", place) or self._role
        if role not in ROLES:
            raise ConfigError(
                f"{place}: {self._names['role']!r} must be a role: {', '.join(ROLES)}"
            )
        tags = (
            ("category", self._string(values, "category", place)),
            ("lang", self._string(values, "lang", place)),
            ("source", self._string(values, "source", place) or self.name),
        )
        return Row(
            text,
            self._label(values, place),
            role,
            place,
            tuple((kind, value) for kind, value in tags if value),
        )

    def _label(self, values: dict[str, Any], place: str) -> bool | None:
        label = values.get(self._names["label"])
        if label is None and not self._labelled:
            return None
        # True and False are equal to 1 and 0; so are 1.0 and 0.0.
        if isinstance(label, int | float) and label in (0, 1):
            return bool(label)
        raise self._wrong(place, "label", label, "0 or 1", values)

    def _string(self, values: dict[str, Any], kind: str, place: str) -> str:
        value = values.get(self._names[kind])
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(place, kind, value, "a string", values)
        return value

    def _wrong(
        self, place: str, kind: str, value: object, must: str, values: dict[str, Any]
    ) -> ConfigError:
        name = self._names[kind]
        if name in values:
            given = "" if kind == "label" else _KINDS.get(type(value), "")
            return ConfigError(f"{place}: {name!r} must be {must}{given}")
        # What does not look like a field's name may be text.
        seen = [key for key in values if key.isidentifier() and len(key) <= 30][:8]
        has = f"; the row has {', '.join(seen)}" if seen else ""
        return ConfigError(
            f"{place}: the row has no field {name!r}{has}; "
            f"say which one it is: --field {kind}=NAME"
        )


_KINDS = {
    int: ", not a number",
    float: ", not a number",
    bool: ", not true or false",
    list: ", not a list",
    dict: ", not an object",
    type(None): ", not null",
}


def _values(line: bytes, place: str) -> dict[str, Any]:
    try:
        values = json.loads(line.decode().rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{place}: not UTF-8 at byte {error.start + 1} of the line"
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{place}: not JSON at column {error.colno}; every line holds one object"
        ) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{place}: JSON that is too deep or too large") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{place}: not an object; every line holds one object")
    return values


@contextmanager
def _unpacked(raw: BinaryIO) -> Iterator[BinaryIO]:
    start = raw.read(len(_GZIP))
    raw.seek(0)
    if start != _GZIP:
        yield raw
        return
    with gzip.open(raw) as stream:
        yield stream  # type: ignore[misc]  # a GzipFile reads as any binary file does
