"""Small sources of a task, in the columns and values that its configuration names."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..config import Config
from ..labelled import PLAIN
from ..stage import write_atomically
from .world import Draw

__all__ = ["LEARNT", "told", "write_task"]

_COUNT = 120
_SEED = 11


def told(draw: Draw, count: int) -> Iterator[tuple[str, int]]:
    """Texts that tell apart by their words."""
    for _ in range(count):
        yield draw.attack(), 1
        yield draw.chat(), 0


LEARNT = tuple(text for text, _ in told(Draw(_SEED), 40))
"""Texts of the same kinds, for a tokenizer to learn its pieces from."""


def write_task(folder: Path, config: Config) -> Path:
    """Write a file for each source and each test, and the table of them.

    Args:
        folder: Where they go. The same configuration always gives the same bytes.
        config: A task's. What its table says of columns and values stays as it is.

    Returns:
        The table.
    """
    draw = Draw(_SEED)
    stated = tomllib.loads(config.file.read_text("utf-8"))["task"]
    lines = ["[task]", f"label = {json.dumps(config.target)}"]
    for kind, count in (("sources", _COUNT), ("tests", _COUNT // 4)):
        for name, source in stated.get(kind, {}).items():
            suffix = ".csv" if str(source.get("files", "")).endswith(".csv") else ""
            file = f"{kind}/{name}{suffix or '.jsonl'}"
            rows = [
                row
                for text, label in told(draw, count)
                if (row := _row(text, label, source, config.target)) is not None
            ]
            write = _csv if suffix else _json_lines
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_atomically(folder / file, write(rows))
            lines.append(f"[task.{kind}.{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in _kept(source)]
            lines.append(f"files = {json.dumps(file)}")
    table = folder / "task.toml"
    write_atomically(table, "\n".join([*lines, ""]).encode())
    return table


# Where a source comes from is not where its stand-in does.
_ELSEWHERE = frozenset(
    {"data_files", "files", "folder", "hub", "revision", "sha256", "attacks", "benign"}
)


def _kept(source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((k, v) for k, v in source.items() if k not in _ELSEWHERE)


def _row(
    text: str, label: int, source: Mapping[str, Any], target: str
) -> dict[str, Any] | None:
    """A record, or None where the source knows no value for the label."""
    row: dict[str, Any] = {}
    _set(row, source.get("text", "text"), text)
    meant = source.get("labels") or PLAIN
    marks = source.get("marks") or {target: source.get("label", "label")}
    for name, columns in marks.items():
        # Of several labels, the one that the task is about says the others as well.
        wanted = {label, name if label else ""}
        value = next((v for v, means in meant.items() if means in wanted), None)
        if value is None:
            return None
        for column in [columns] if isinstance(columns, str) else columns:
            _set(row, column, value)
    return row


def _set(row: dict[str, Any], column: str, value: Any) -> None:
    *tables, last = column.split(".")
    for name in tables:
        row = row.setdefault(name, {})
    row[last] = value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return json.dumps(value)


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
