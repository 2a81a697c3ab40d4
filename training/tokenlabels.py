"""Texts in which names are marked, and the label of each token that follows from them.

A mark of ``UNSURE`` is a stretch whose annotators meant something else by a name than
others do: its tokens are read, and nothing is learned from them.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from promptguard.runtime.encode import Encoder

from .stage import write_atomically

__all__ = [
    "IGNORED",
    "NAMES",
    "UNSURE",
    "Marked",
    "columns",
    "read_marked",
    "tags",
    "write_marked",
]

NAMES = "names"
"""The token head, as an output of the model and in ``[train.shares]``."""

UNSURE = "?"
IGNORED = -100

Mark = tuple[int, int, str]
"""Start, end and label of a name, in characters of its text."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the names in it."""

    text: str = field(repr=False)
    marks: tuple[Mark, ...]
    source: str
    lang: str | None = None


def columns(labels: Sequence[str]) -> tuple[str, ...]:
    """What each column of a token head stands for: outside, first of a name, rest."""
    return ("O", *(f"{part}-{label}" for label in labels for part in "BI"))


def tags(
    encoder: Encoder, row: Marked, labels: Sequence[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids of a text's first window, and the column of each token.

    The first piece of a word speaks for the word, as it does when texts are read; the
    others, the frame, and what is unsure are ``IGNORED``.
    """
    encoded = encoder.encode(row.text)
    if not encoded.pieces:
        return (), ()
    ids = encoded.pieces[0].ids
    spans = encoded.spans[: len(ids) - 2]
    begins = encoder.begins(ids[1:-1])
    found = []
    marks = sorted(row.marks)
    before = -1
    for (start, end), first in zip(spans, begins, strict=True):
        inside = next(
            (n for n, mark in enumerate(marks) if mark[0] < end and start < mark[1]), -1
        )
        if not first:
            found.append(IGNORED)
        elif inside < 0:
            found.append(0)
        elif marks[inside][2] == UNSURE:
            found.append(IGNORED)
        else:
            column = 1 + 2 * labels.index(marks[inside][2])
            found.append(column + int(inside == before))
        before = inside
    return ids, (IGNORED, *found, IGNORED)


def read_marked(path: Path) -> list[Marked]:
    """Texts that a stage wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Marked(
            row["text"],
            tuple((start, end, label) for start, end, label in row["marks"]),
            row["source"],
            row["lang"],
        )
        for row in rows
    ]


def write_marked(path: Path, rows: Iterable[Marked]) -> None:
    """Write texts; the same ones always give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as file:
        for row in rows:
            # Escaped, because a lone surrogate could not be written otherwise.
            file.write((json.dumps(asdict(row), sort_keys=True) + "\n").encode())
    write_atomically(path, buffer.getvalue())
