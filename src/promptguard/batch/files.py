"""Files of texts: Parquet, CSV, JSON lines; read a few rows at a time."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from .. import ConfigError, MissingExtra
from .check import ABSENT
from .frames import absent, arrow_fields

__all__ = ["Table", "table"]

_BLOCK = 2**20
# Rows of an output that are held in memory at a time.
_GROUP = 10_000


class Table(ABC):
    """A file, or a folder of files, with a column of texts.

    Args:
        path: Where it is.
        column: The column that has the texts.
    """

    suffix = ""

    def __init__(self, path: Path, column: str) -> None:
        self.path = path
        self.column = column

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The columns."""

    @abstractmethod
    def count(self) -> int:
        """How many rows there are; what is wrong with one is told now."""

    @abstractmethod
    def texts(self, start: int, size: int) -> Iterator[list[object]]:
        """The texts from a row on, so many at a time."""

    @abstractmethod
    def write(self, out: Path, types: Mapping[str, type], told: Iterator[Any]) -> None:
        """Write the rows with what was told of each behind it."""

    @property
    def files(self) -> list[Path]:
        """The files, in their order."""
        return [self.path]

    def sha256(self) -> str:
        """Of the files as they stand."""
        digest = hashlib.sha256()
        for path in self.files:
            with reading(path), path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        return digest.hexdigest()


class _Rows(Table):
    """A file that is read row by row."""

    @abstractmethod
    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, in their order."""

    def count(self) -> int:
        return sum(1 for _ in self.rows())

    def texts(self, start: int, size: int) -> Iterator[list[object]]:
        rows = islice(self.rows(), start, None)
        while part := [row.get(self.column, ABSENT) for row in islice(rows, size)]:
            yield part


class CsvTable(_Rows):
    """A CSV file with a header, in UTF-8."""

    suffix = ".csv"

    @property
    def names(self) -> list[str]:
        names = next(self._fields(), [])
        if len(names) > len(set(names)):
            raise ConfigError(f"{self.path} has two columns of one name")
        return names

    def rows(self) -> Iterator[dict[str, Any]]:
        fields = self._fields()
        names = next(fields, [])
        number = 0
        for row in fields:
            if not row:
                # An empty line is a row where there is one column, else none at all.
                if len(names) != 1:
                    continue
                row = [""]
            number += 1
            if len(row) != len(names):
                kind = "more" if len(row) > len(names) else "fewer"
                raise ConfigError(
                    f"{self.path}: row {number} has {kind} fields than the header"
                )
            yield dict(zip(names, row, strict=True))

    def write(self, out: Path, types: Mapping[str, type], told: Iterator[Any]) -> None:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*self.names, *types])
            for row, more in zip(self.rows(), told, strict=True):
                # Lower case, as JSON and SQL have it.
                values = [str(v).lower() if isinstance(v, bool) else v for v in more]
                writer.writerow([*row.values(), *values])

    def _fields(self) -> Iterator[list[str]]:
        """The header and the rows; a quote that never ends would take rows along."""
        csv.field_size_limit(2**31 - 1)
        with (
            reading(self.path),
            self.path.open(encoding="utf-8-sig", newline="") as file,
        ):
            reader = csv.reader(file, strict=True)
            while True:
                line = reader.line_num + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    raise ConfigError(
                        f"{self.path}:{line}: the row that begins here has a quote "
                        "that is not closed, or text behind a closed one"
                    ) from None
                yield row


class _Twice(ValueError):
    """An object of JSON has a name twice, and one of the values would be lost."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Twice
    return made


class JsonTable(_Rows):
    """A file of JSON lines."""

    suffix = ".jsonl"

    @property
    def names(self) -> list[str]:
        return list(next(self.rows(), {self.column: None}))

    def rows(self) -> Iterator[dict[str, Any]]:
        with reading(self.path), self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line, object_pairs_hook=_object)
                except _Twice:
                    raise ConfigError(
                        f"{self.path}:{number}: an object has two values of one name"
                    ) from None
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise ConfigError(
                        f"{self.path}:{number}: every line holds one JSON object"
                    )
                yield row

    def write(self, out: Path, types: Mapping[str, type], told: Iterator[Any]) -> None:
        with out.open("wb") as file:
            for row, more in zip(self.rows(), told, strict=True):
                whole = row | dict(zip(types, more, strict=True))
                line = json.dumps(whole, ensure_ascii=False)
                try:
                    data = line.encode()
                except UnicodeEncodeError:
                    # Half of a surrogate pair has no UTF-8, but an escape.
                    data = json.dumps(whole).encode()
                file.write(data + b"\n")


class ParquetTable(Table):
    """A Parquet file, or a folder of them in the order of their names."""

    suffix = ".parquet"

    def __init__(self, path: Path, column: str) -> None:
        super().__init__(path, column)
        try:
            from pyarrow import parquet
        except ImportError:
            raise MissingExtra("pyarrow", "parquet") from None
        self._parquet = parquet

    @property
    def files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        # Spark and its kin put marks of their own beside the data.
        found = sorted(
            path
            for path in self.path.rglob("*.parquet")
            if not path.name.startswith((".", "_"))
        )
        if not found:
            raise ConfigError(f"{self.path} has no file that ends with .parquet")
        return found

    @property
    def names(self) -> list[str]:
        return list(self._schema.names)

    def count(self) -> int:
        import pyarrow as pa

        schema = self._schema
        absent(self.column, schema.names)
        kind = schema.field(self.column).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
        if not any(known(inner) for known in kinds):
            raise ConfigError(
                f"{self.path}: column {self.column!r} holds {kind}, not texts"
            )
        count = 0
        for path in self.files:
            with reading(path):
                count += self._parquet.read_metadata(path).num_rows
        return count

    def texts(self, start: int, size: int) -> Iterator[list[object]]:
        for batch in self._batches(start, size, [self.column]):
            yield batch.column(0).to_pylist()

    def write(self, out: Path, types: Mapping[str, type], told: Iterator[Any]) -> None:
        import pyarrow as pa

        fields = arrow_fields(types)
        read = self._schema
        schema = pa.schema([*read, *fields], read.metadata)
        with self._parquet.ParquetWriter(out, schema) as writer:
            for batch in self._batches(0, _GROUP, None):
                rows = list(islice(told, len(batch)))
                added = [
                    pa.array([row[place] for row in rows], field.type)
                    for place, field in enumerate(fields)
                ]
                # Of nulls alone a part does not say what they are.
                own = [
                    pa.nulls(len(batch), field.type)
                    if pa.types.is_null(column.type)
                    else column
                    for field, column in zip(read, batch.columns, strict=True)
                ]
                arrays = [*own, *added]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        if next(told, None) is not None:
            raise ConfigError(f"{self.path} has changed since it was checked")

    @cached_property
    def _schema(self) -> Any:
        """The columns of all files: one that is all null in some is what others say."""
        import pyarrow as pa

        first, *others = self.files
        with reading(first):
            whole = self._parquet.read_schema(first)
        for path in others:
            with reading(path):
                schema = self._parquet.read_schema(path)
            pairs = zip(whole, schema, strict=False)
            fields = [field for pair in pairs if (field := _either(*pair)) is not None]
            if not len(fields) == len(whole) == len(schema):
                raise ConfigError(f"{path} has other columns than {first}")
            whole = pa.schema(fields, whole.metadata)
        return whole

    def _batches(
        self, start: int, size: int, columns: list[str] | None
    ) -> Iterator[Any]:
        for path in self.files:
            with reading(path), self._parquet.ParquetFile(path) as file:
                if start >= file.metadata.num_rows:
                    start -= file.metadata.num_rows
                    continue
                for batch in file.iter_batches(size, columns=columns):
                    if start >= len(batch):
                        start -= len(batch)
                        continue
                    yield batch.slice(start)
                    start = 0


def _either(one: Any, other: Any) -> Any:
    """The field that holds the values of both, or None where there is none."""
    import pyarrow as pa

    if one.name != other.name:
        return None
    if one.type == other.type:
        return one.with_nullable(one.nullable or other.nullable)
    if pa.types.is_null(one.type):
        return other.with_nullable(True)
    if pa.types.is_null(other.type):
        return one.with_nullable(True)
    return None


_KINDS: tuple[type[Table], ...] = (ParquetTable, CsvTable, JsonTable)


def table(path: str | os.PathLike[str], column: str) -> Table:
    """The table of a file, by the end of its name; a folder holds Parquet.

    Raises:
        ConfigError: There is no such file, it is of no kind that is known, or it has
            no such column.
        MissingExtra: It is Parquet, and pyarrow is not installed.
    """
    file = Path(path)
    if not file.exists():
        raise ConfigError(f"there is no file {path}")
    kinds = {kind.suffix: kind for kind in _KINDS}
    suffix = ParquetTable.suffix if file.is_dir() else file.suffix.lower()
    if suffix not in kinds:
        raise ConfigError(f"{path} must end with one of {', '.join(kinds)}")
    made = kinds[suffix](file, column)
    absent(column, made.names)
    return made


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make what goes wrong while a file is read an error that names the file.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        # Of a decoding error, the message has bytes of the text.
        strange = isinstance(error, UnicodeDecodeError)
        why = "not UTF-8" if strange else getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read: {why}") from None
    except ValueError as error:
        if type(error).__module__.partition(".")[0] != "pyarrow":
            raise
        kind = type(error).__name__
        raise ConfigError(f"{path} is damaged or no Parquet file ({kind})") from None
