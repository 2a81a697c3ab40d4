"""Texts with a column that says what they are: the sources of a task.

A file is JSON lines, CSV or Parquet. What cannot be learnt from is told with its file,
line and column, and with what to do; the values themselves are never shown, because a
column that was named by mistake may hold the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import Config
from .errors import PipelineError
from .overlap import folded
from .records import records
from .rows import Row, Source

__all__ = [
    "PLAIN",
    "BadColumn",
    "Conflict",
    "EmptyLabel",
    "OneClass",
    "UnknownLabel",
    "both_classes",
    "read_labelled",
]

PLAIN: Mapping[str, int | str] = {"0": 0, "1": 1, "False": 0, "True": 1}


class BadColumn(PipelineError):
    """A file has no such column, or something else than texts in it."""


class EmptyLabel(PipelineError):
    """A text has no label."""


class UnknownLabel(PipelineError):
    """A text has a label that the configuration does not explain."""


class Conflict(PipelineError):
    """The same text has two labels."""


class OneClass(PipelineError):
    """All texts have the same label, so that there is nothing to tell apart."""


def read_labelled(
    path: Path, name: str, source: Source, config: Config
) -> Iterator[Row]:
    """The rows of a file, by the columns that its source names.

    Texts that only differ in case, punctuation and space are the same text.

    Raises:
        PipelineError: One of the kinds above, or the file cannot be read.
    """
    reader = _Reader(name, source, config)
    rows: list[tuple[str, Row]] = []
    seen: dict[str, tuple[str, Row]] = {}
    both: set[str] = set()
    for place, record in records(path):
        row = reader.row(place, record)
        key = folded(row.text)
        rows.append((key, row))
        first, other = seen.setdefault(key, (place, row))
        if key and other.labels != row.labels:
            if source.conflicts == "error":
                raise Conflict(
                    f"{place}: the text has another label in the column "
                    f"{source.label!r} than the same text in {first}; delete one of "
                    f'them, or set conflicts = "drop" for the source {name!r} to leave '
                    "out both"
                )
            both.add(key)
    yield from (row for key, row in rows if key not in both)


def both_classes(config: Config, rows: Mapping[str, Sequence[Row]]) -> None:
    """See that there is something to tell apart.

    Raises:
        OneClass: All texts to learn from have the label that the task is about, or none
            has it.
    """
    found = {row.labels[config.target] for part in rows.values() for row in part}
    if len(found) < 2:
        whole = sum(map(len, rows.values()))
        word = "have" if found == {1} else "lack"
        raise OneClass(
            f"all {whole:,} texts of {', '.join(rows)} {word} the label "
            f"{config.target!r}: add texts that do not, or see which column `label` "
            "names and how `labels` reads its values"
        )


class _Reader:
    """Makes rows of the records of a source."""

    def __init__(self, name: str, source: Source, config: Config) -> None:
        self.name, self.source, self.target = name, source, config.target
        self.known = [label for part in config.heads.values() for label in part]
        self.meant: Mapping[str, int | str] = source.labels or PLAIN
        if source.marks and self.target not in source.marks:
            raise BadColumn(
                f"source {name!r}: marks names no column for {self.target!r}, which "
                "the task is about"
            )
        for value, label in self.meant.items():
            if label not in (0, 1, "") and label not in self.known:
                raise UnknownLabel(
                    f"source {name!r}: labels reads {value!r} as {label!r}, which is "
                    f"neither 0 nor 1 nor one of the labels: {', '.join(self.known)}"
                )

    def row(self, place: str, record: Mapping[str, Any]) -> Row:
        """The row of a record."""
        text = self._value(place, record, "text", self.source.text)
        if not isinstance(text, str):
            raise BadColumn(
                f"{place}: the column {self.source.text!r} holds "
                f"{type(text).__name__} where a text belongs; name the column of the "
                f"texts as text for the source {self.name!r}"
            )
        labels = self._labels(place, record)
        lang = record.get("lang")
        return Row(
            text=text,
            role=self.source.role or "user",
            labels=labels,
            source=self.name,
            category="positive" if labels[self.target] else "negative",
            lang=lang if isinstance(lang, str) and lang else None,
        )

    def _labels(self, place: str, record: Mapping[str, Any]) -> dict[str, int]:
        if not self.source.marks:
            label = self._read(place, record, self.source.label)
            if isinstance(label, int):
                # Whether it has one of the other labels is not known.
                return {self.target: label}
            return {name: int(name == label) for name in self.known}
        found = {}
        for name, column in self.source.marks.items():
            columns = [column] if isinstance(column, str) else column
            values = [self._read(place, record, one) for one in columns]
            found[name] = int(any(value not in (0, "") for value in values))
        return found

    def _read(self, place: str, record: Mapping[str, Any], column: str) -> int | str:
        """What the value of a column means."""
        value = self._value(place, record, "label", column)
        said = str(value).strip()
        if value is None or not said:
            raise EmptyLabel(
                f"{place}: the column {column!r} is empty; fill it in, or delete the "
                "line"
            )
        label = self.meant.get(said)
        if label is None:
            raise UnknownLabel(
                f"{place}: the column {column!r} has a value that labels does not "
                f"read; it reads {', '.join(map(repr, self.meant))}. Add it there, or "
                f"name another column as label for the source {self.name!r}"
            )
        return label

    def _value(
        self, place: str, record: Mapping[str, Any], what: str, column: str
    ) -> Any:
        """A value of a record; dots lead into tables, as in ``labels.toxic``."""
        found: Any = record
        for part in (column,) if column in record else column.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise BadColumn(
                    f"{place}: there is no column {column!r}; there are "
                    f"{', '.join(map(repr, record))}. Name one of them as {what} for "
                    f"the source {self.name!r}"
                )
            found = found[part]
        return found
