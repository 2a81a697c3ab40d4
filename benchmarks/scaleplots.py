"""Draws how the cost grows: with the length of a text, and with threads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .drawing import COLOURS, GRID, INK, QUIET, Drawing

__all__ = ["lengths", "threads"]

OURS = "promptguard"
# Ours is drawn through; other libraries that do the same are of the same colour.
DASHES = ("6 4", "2 3", "9 3 2 3", "1 5")


@dataclass(frozen=True)
class Curve:
    """One line: what it is called, how it is drawn, and its points."""

    name: str
    colour: str
    dash: str
    points: Sequence[tuple[float, float]]


def lengths(found: Any) -> Drawing:
    """Milliseconds of a call over the characters of its text."""
    return _logarithmic(
        "Time of a call, from a line to a book",
        _note(found),
        _curves(found["results"], "Length: ", "characters", "ms median"),
        "characters of the text",
        "milliseconds",
    )


def threads(found: Any) -> Drawing:
    """Calls a second over the threads that call."""
    return _logarithmic(
        "Calls a second, by threads",
        f"One process, texts of 1,000 characters; {_note(found)}",
        _curves(found["results"], "Threads", "threads", "a second median"),
        "threads that call at once",
        "calls a second",
        powers_of=2,
    )


def _note(found: Mapping[str, Any]) -> str:
    machine = found["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {found['date']}"
    return f"Logarithmic both ways; whole lines: {OURS}; {where}"


def _curves(
    sections: Mapping[str, Any], beginning: str, across: str, up: str
) -> list[Curve]:
    curves = []
    chosen = [heading for heading in sections if heading.startswith(beginning)]
    for number, heading in enumerate(chosen):
        what = heading.partition(": ")[2]
        colour = COLOURS[number % len(COLOURS)]
        points: dict[str, list[tuple[float, float]]] = {}
        for row in sections[heading]:
            if row.get(up):
                points.setdefault(row["peer"], []).append((row[across], row[up]))
        others = [name for name in points if name != OURS]
        for name, line in points.items():
            dash = "" if name == OURS else DASHES[others.index(name) % len(DASHES)]
            label = what if name == OURS else f"the same, {name}"
            curves.append(Curve(label, colour, dash, line))
    return curves


def _logarithmic(
    title: str,
    note: str,
    curves: Sequence[Curve],
    across: str,
    up: str,
    powers_of: int = 10,
) -> Drawing:
    """Lines with both scales logarithmic, named beside the last of their points."""
    bottom = max(440, 92 + 20 * len(curves))
    drawing = Drawing(760, bottom + 58, title)
    drawing.text(20, 28, title, 16, INK, bold=True)
    drawing.text(20, 47, note, 11, QUIET)
    left, right, top = 70, 250, 84
    wide = drawing.width - left - right
    points = [point for curve in curves for point in curve.points]
    if not points:
        drawing.text(left, top + 20, "not measured yet", 13, QUIET)
        return drawing
    x_ticks = _ticks([x for x, _ in points], powers_of)
    y_ticks = _ticks([y for _, y in points], 10)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + wide * _share(x, x_ticks),
            bottom - (bottom - top) * _share(y, y_ticks),
        )

    for tick in x_ticks:
        low, high = place(tick, y_ticks[0]), place(tick, y_ticks[-1])
        drawing.line([low, high], GRID, 1)
        drawing.text(low[0], low[1] + 18, f"{tick:,.0f}", 11, QUIET, "middle")
    for tick in y_ticks:
        low, high = place(x_ticks[0], tick), place(x_ticks[-1], tick)
        drawing.line([low, high], GRID, 1)
        words = f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"
        drawing.text(low[0] - 8, low[1] + 4, words, 11, QUIET, "end")
    drawing.text(left + wide / 2, bottom + 42, across, 12, INK, "middle")
    drawing.text(left, top - 12, up, 12, INK)
    for number, curve in enumerate(curves):
        line = [place(x, y) for x, y in curve.points]
        drawing.line(line, curve.colour, 2.5 if not curve.dash else 1.5, curve.dash)
        for x, y in line:
            drawing.dot(x, y, curve.colour, 3.5 if not curve.dash else 2)
        y = top + 8 + 20 * number
        start = left + wide + 18
        drawing.line([(start, y), (start + 26, y)], curve.colour, 2, curve.dash)
        drawing.text(start + 33, y + 4, curve.name, 11)
    return drawing


def _share(value: float, ticks: Sequence[float]) -> float:
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    return (math.log(value) - low) / (high - low)


def _ticks(values: Sequence[float], base: int) -> list[float]:
    """Powers from just below the least value to just above the greatest."""
    first = math.floor(math.log(min(values), base) + 1e-9)
    last = math.ceil(math.log(max(values), base) - 1e-9)
    return [float(base) ** power for power in range(first, max(last, first + 1) + 1)]
