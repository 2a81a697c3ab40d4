"""Tables for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

__all__ = ["aligned", "markdown"]

Rows = Sequence[Sequence[str]]


def aligned(rows: Rows) -> str:
    """Columns under each other; the first row is the head."""
    widths = [max(_width(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def markdown(rows: Rows) -> str:
    """A Markdown table; the first row is the head."""
    shown = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in shown]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(cell: str) -> int:
    """Columns of a terminal that a text takes (Unicode Standard Annex 11)."""
    return sum(
        0 if combining(c) else 2 if east_asian_width(c) in "FW" else 1 for c in cell
    )
