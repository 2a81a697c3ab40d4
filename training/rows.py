"""Rows of text with their labels, the table of sources, and their files."""

from __future__ import annotations

import gzip
import io
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import PipelineError
from .stage import write_atomically

__all__ = [
    "Row",
    "Source",
    "Sources",
    "hard",
    "load_sources",
    "read_rows",
    "read_source",
    "write_rows",
]

# Content that a program brought in: its author is not the one who asks.
_TOOL_CATEGORIES = frozenset(
    {
        "benign_document",
        "benign_code",
        "benign_tool_output",
        "benign_tool_spec",
        "benign_conversation",
        "indirect_injection",
        "indirect_injection_bare",
    }
)


# Words that attacks in the training sources use far more often than benign texts do.
_HARD = (
    *("ignore", "instruction", "forget", "override", "bypass", "disregard", "reveal"),
    *("secret", "hidden", "pretend", "password", "restrict", "guideline", "refuse"),
    *("system prompt", "your rules", "previous", "repeat", "filter", "fictional"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One text.

    Args:
        labels: What is known, by head; heads that are absent are not trained by it.
    """

    text: str = field(repr=False)
    role: str
    labels: dict[str, int]
    source: str
    category: str
    lang: str | None = None

    @property
    def attack(self) -> bool:
        return bool(self.labels.get("injection"))


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of rows and how it is used; see the head of sources.toml."""

    origin: str = ""
    licences: tuple[str, ...] = ()
    use: str = "train"
    attacks: int = 1_000_000
    benign: int = 1_000_000
    role: str | None = None
    pieces: str | None = None
    repeat: int = 1
    files: str = ""

    def role_of(self, category: str) -> str:
        """The role a row of this category has by itself."""
        if self.role is not None:
            return self.role
        return "tool" if category in _TOOL_CATEGORIES else "user"


@dataclass(frozen=True)
class Sources:
    """The table of sources."""

    training: dict[str, Source]
    benchmarks: dict[str, Source]

    def used(self, use: str) -> dict[str, Source]:
        return {n: s for n, s in self.training.items() if s.use == use}


def load_sources(path: Path) -> Sources:
    """Read the table; a licence that is not allowed is an error, not a warning."""
    table = tomllib.loads(path.read_text("utf-8"))
    allowed = frozenset(table["allowed"])
    sources = {n: _source(n, value) for n, value in table["sources"].items()}
    for name, source in sources.items():
        if not source.licences or not allowed.issuperset(source.licences):
            raise PipelineError(
                f"{path.name}: the source {name!r} states {list(source.licences)}; "
                f"allowed are {', '.join(sorted(allowed))}"
            )
    benchmarks = {n: _source(n, v) for n, v in table.get("benchmarks", {}).items()}
    return Sources(sources, benchmarks)


def _source(name: str, value: dict[str, Any]) -> Source:
    try:
        return Source(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        )
    except TypeError as error:
        raise PipelineError(f"source {name!r}: {error}") from None


def hard(text: str) -> bool:
    """True for a text that uses words of attacks."""
    folded = text.casefold()
    return any(word in folded for word in _HARD)


def read_source(path: Path, source: Source) -> Iterator[Row]:
    """The rows of a published file, with the role that follows from the category."""
    open_ = gzip.open if path.suffix == ".gz" else open
    try:
        with open_(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield Row(
                    text=row["text"],
                    role=source.role_of(row["category"]),
                    labels={"injection": int(row["label"])},
                    source=row.get("source", path.stem),
                    category=row["category"],
                    lang=row["lang"],
                )
    except FileNotFoundError:
        raise PipelineError(
            f"{path} is not there; the data lives outside this repository: "
            "point --data at its folder"
        ) from None


def read_rows(path: Path) -> list[Row]:
    """Rows that a stage wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [Row(**json.loads(line)) for line in lines]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows; the same rows always give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as file:
        for row in rows:
            line = json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n"
            file.write(line.encode("utf-8", "replace"))
    write_atomically(path, buffer.getvalue())
