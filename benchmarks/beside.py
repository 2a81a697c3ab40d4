"""What the page of benchmarks shows of the other libraries: fewer, wider cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .report import Row

__all__ = ["beside", "growth"]

RATIO = "times ours"
SHOWN = (
    "The peers",
    "Import",
    "From a fresh process",
    "Time of a classifier",
    "Time of a call",
    "Quality",
    "What could not be run",
)


def beside(found: Mapping[str, Any]) -> dict[str, Sequence[Row]]:
    """All sections, the quartiles of ratios in the cell of their median."""
    sections = found["results"]
    return {
        heading: [_together(row) for row in sections[heading]]
        for beginning in SHOWN
        for heading in sections
        if heading.startswith(beginning)
    }


def growth(
    beginning: str, value: str
) -> Callable[[Mapping[str, Any]], dict[str, Sequence[Row]]]:
    """Tables of the cost as it grows: a row for each library, a column for a step."""
    across, unit = {
        "Length": ("characters", "milliseconds"),
        "Threads": ("threads", "calls a second"),
    }[beginning]

    def tables(found: Mapping[str, Any]) -> dict[str, Sequence[Row]]:
        shown: dict[str, Sequence[Row]] = {}
        for heading, rows in found["results"].items():
            if not heading.startswith(beginning):
                continue
            peers: dict[str, Row] = {}
            for row in rows:
                peer = peers.setdefault(row["peer"], {"peer": row["peer"]})
                peer[f"{row[across]:,}"] = row.get(value)
            shown[f"{heading}, {unit} by {across}"] = list(peers.values())
        return shown

    return tables


def _together(row: Mapping[str, Any]) -> Row:
    """A row whose median of ratios has its quartiles beside it."""
    new: Row = {}
    for key, value in row.items():
        if key == f"{RATIO} median":
            low, high = row.get(f"{RATIO} p25"), row.get(f"{RATIO} p75")
            spread = f" ({_figure(low)} to {_figure(high)})" if low is not None else ""
            new[RATIO] = _figure(value) + spread
        elif not key.startswith(f"{RATIO} "):
            new[key] = value
    return new


def _figure(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return ""
