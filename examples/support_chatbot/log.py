"""The log: one JSON line for each message, without its text; and what it adds up to."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

Row = dict[str, Any]


class Log:
    """A file that lines are added to, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, row: Row) -> None:
        line = json.dumps(row) + "\n"
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line)


def rows_of(path: Path) -> Iterator[Row | None]:
    """The rows of a log; None for a line that is none, such as one cut off."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield row if isinstance(row, dict) else None


def summary(path: Path) -> Iterator[str]:
    """What a log adds up to, by variant of the prompt, in lines to print."""
    rows = [*rows_of(path)]
    good = [row for row in rows if row is not None]
    by_variant: dict[str, list[Row]] = defaultdict(list)
    for row in good:
        by_variant[row["variant"]].append(row)
    columns = {name: [*_column(part)] for name, part in sorted(by_variant.items())}
    columns["all"] = [*_column(good)]
    yield f"{len(good):,} messages, {len({row['session'] for row in good}):,} sessions"
    if len(good) < len(rows):
        yield f"{len(rows) - len(good)} lines are no rows, and were left out"
    yield ""
    yield f"{'':<22}" + "".join(f"{name:>12}" for name in columns)
    for number, (what, _) in enumerate(columns["all"]):
        cells = [column[number][1] for column in columns.values()]
        yield f"{what:<22}" + "".join(f"{cell:>12}" for cell in cells)
    labels = Counter(label for row in good for label in row["labels"])
    yield ""
    yield "found: " + (", ".join(f"{n} {x}" for x, n in labels.most_common()) or "none")


def _column(rows: list[Row]) -> Iterator[tuple[str, str]]:
    outcomes = Counter(row["outcome"] for row in rows)
    yield "messages", f"{len(rows)}"
    for outcome in ("answered", "blocked_in", "blocked_out", "failed"):
        yield outcome, f"{outcomes[outcome]}"
    for name, what in (
        ("ms", "ms"),
        ("model_ms", "of that the model"),
        ("guard_ms", ""),
    ):
        title = what or "of that the guards"
        times = [row[name] for row in rows]
        yield f"{title}, p50", _number(_share(times, 0.5))
        yield f"{title}, p95", _number(_share(times, 0.95))
    yield "tokens read", f"{_total(rows, 'tokens_read'):,.0f}"
    yield "tokens written", f"{_total(rows, 'tokens_written'):,.0f}"
    yield "cost", f"{_total(rows, 'cost'):.6f}"
    yield "cost of the judge", f"{_total(rows, 'judge_cost'):.6f}"
    for rubric in ("relevance", "helpfulness", "tone"):
        scores = [row["scores"][rubric] for row in rows if "scores" in row]
        yield rubric, f"{mean(scores):.2f}" if scores else "-"


def _total(rows: Iterable[Row], name: str) -> float:
    return sum(row.get(name, 0) for row in rows)


def _share(values: list[float], share: float) -> float | None:
    """The value below which this share of them lies (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
