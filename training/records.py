"""Records of data files, JSON lines, CSV and Parquet, and where in them they are."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .errors import PipelineError

__all__ = ["SUFFIXES", "Record", "records"]

Record = tuple[str, dict[str, Any]]

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".parquet")


def records(path: Path) -> Iterator[Record]:
    """Each record of a file, and its place, as an error names it.

    Raises:
        PipelineError: The file is absent, damaged, of a kind that is not read, or not
            UTF-8, or a line is no JSON object.
    """
    try:
        if path.suffix == ".parquet":
            yield from _parquet(path)
        elif path.suffix == ".csv":
            yield from _csv(path)
        elif path.name.endswith((".jsonl", ".jsonl.gz")):
            yield from _json_lines(path)
        else:
            known = ", ".join(SUFFIXES)
            raise PipelineError(f"{path} is of no kind that can be read: {known}")
    except FileNotFoundError:
        raise PipelineError(
            f"{path} is not there; the data lives outside this repository: "
            "point --data at its folder"
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise PipelineError(
            f"{path} is damaged ({type(error).__name__}); copy it from its origin again"
        ) from None


def _json_lines(path: Path) -> Iterator[Record]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            place = f"{path}, line {number}"
            try:
                record = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError:
                raise PipelineError(f"{place}: not UTF-8") from None
            except json.JSONDecodeError as error:
                # Without the text that stands there.
                told = f"{error.msg.removesuffix(' at')}, character {error.pos}"
                raise PipelineError(f"{place}: no JSON ({told})") from None
            if not isinstance(record, dict):
                raise PipelineError(f"{place}: no JSON object")
            yield place, record


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _csv(path: Path) -> Iterator[Record]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PipelineError(f"{path}, line {line}: not UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            place = f"{path}, line {reader.reader.line_num}"
            raise PipelineError(f"{place}: {error}") from None
        if record is None:
            return
        place = f"{path}, line {reader.line_num}"
        if None in record or None in record.values():
            raise PipelineError(f"{place}: not as many values as there are columns")
        yield place, record


def _parquet(path: Path) -> Iterator[Record]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise PipelineError(
            f"{path}: pyarrow, which reads Parquet, is not installed; it is part of "
            "the training environment: make train-env"
        ) from None
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for record in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", record
    except pyarrow.ArrowException as error:
        raise PipelineError(
            f"{path} is damaged after row {number} ({type(error).__name__}); copy it "
            "from its origin again"
        ) from None
