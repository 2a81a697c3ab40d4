"""A few shapes as SVG: enough for the pictures of the documents, the same every time.

Pictures have a light ground of their own, so that they can be read on a dark page too,
and name only fonts that are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["COLOURS", "Drawing", "Line", "bars", "chart"]

# Told apart also by those who do not tell red from green (Okabe and Ito).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
INK, QUIET, GROUND, GRID = "#1f2933", "#5b6770", "#fbfcfd", "#dde3e8"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


@dataclass
class Drawing:
    """Shapes on a ground; ``str()`` is the SVG.

    Args:
        title: What the picture shows, for those who cannot see it.
    """

    width: int
    height: int
    title: str
    shapes: list[str] = field(default_factory=list)

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        edge: str = "none",
        round: float = 0,
    ) -> None:
        self.shapes.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
            f'rx="{_n(round)}" fill="{fill}" stroke="{edge}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 13,
        fill: str = INK,
        anchor: str = "start",
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        family = f' font-family="{MONO}"' if mono else ""
        self.shapes.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{fill}" '
            f'text-anchor="{anchor}"{weight}{family}>{escape(words)}</text>'
        )

    def line(
        self,
        points: Iterable[tuple[float, float]],
        stroke: str = INK,
        width: float = 1.5,
        dash: str = "",
        arrow: bool = False,
    ) -> None:
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        head = ' marker-end="url(#arrow)"' if arrow else ""
        self.shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" '
            f'stroke-width="{_n(width)}"{dashed}{head}/>'
        )

    def dot(self, x: float, y: float, fill: str, radius: float = 4) -> None:
        self.shapes.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{fill}"/>'
        )

    def __str__(self) -> str:
        shapes = "\n".join(self.shapes)
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" \
width="{self.width}" height="{self.height}" role="img" font-family="{FONT}">
<title>{escape(self.title)}</title>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" \
markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{QUIET}"/></marker></defs>
<rect width="{self.width}" height="{self.height}" rx="10" fill="{GROUND}"/>
{shapes}
</svg>
"""


@dataclass(frozen=True)
class Line:
    """A line of a chart: points, and what the legend calls it."""

    name: str
    points: Sequence[tuple[float, float]]
    dash: str = ""


def bars(
    title: str,
    note: str,
    series: Sequence[str],
    rows: Sequence[tuple[str, Sequence[float]]],
    unit: str,
    left: int = 200,
) -> Drawing:
    """Horizontal bars, one for each series in each row, on a logarithmic scale."""
    right, top, step = 90, 84, 16 * len(series) + 12
    height = top + step * len(rows) + 40
    drawing = Drawing(760, height, title)
    _head(drawing, title, note)
    _legend(drawing, series, 66)
    most = max(value for _, values in rows for value in values)
    least = min(value for _, values in rows for value in values if value > 0)
    low = 10 ** math.floor(math.log10(least))
    high = most * 1.05
    across = drawing.width - left - right

    def place(value: float) -> float:
        share = math.log(max(value, low) / low) / math.log(high / low)
        return left + across * share

    for tick in _ticks(low, high):
        drawing.line([(place(tick), top - 4), (place(tick), height - 34)], GRID, 1)
        drawing.text(place(tick), height - 16, f"{tick:,g}", 11, QUIET, "middle")
    drawing.text(drawing.width - 24, height - 16, unit, 11, QUIET, "end")
    for number, (name, values) in enumerate(rows):
        y = top + number * step
        drawing.text(left - 10, y + step / 2 - 1, name, 13, INK, "end")
        for which, value in enumerate(values):
            at = y + 16 * which
            width = max(place(value) - left, 1.5)
            drawing.rectangle(left, at, width, 13, COLOURS[which], round=2)
            drawing.text(left + width + 6, at + 11, _figure(value), 11, QUIET)
    return drawing


def chart(
    title: str,
    note: str,
    lines: Sequence[Line],
    across: str,
    up: str,
    low: float = 1e-3,
    dots: bool = True,
) -> Drawing:
    """Lines over a logarithmic share from ``low`` to 1; upwards a share from 0 to 1."""
    drawing = Drawing(760, 470, title)
    _head(drawing, title, note)
    left, right, top, bottom = 64, 290, 92, 416
    wide = drawing.width - left - right

    def place(x: float, y: float) -> tuple[float, float]:
        share = math.log(max(x, low) / low) / math.log(1 / low)
        return left + wide * share, bottom - (bottom - top) * y

    for tick in _ticks(low, 1):
        drawing.line([place(tick, 0), place(tick, 1)], GRID, 1)
        x, y = place(tick, 0)
        drawing.text(x, y + 18, f"{100 * tick:g} %", 11, QUIET, "middle")
    for tenth in range(0, 11, 2):
        drawing.line([place(low, tenth / 10), place(1, tenth / 10)], GRID, 1)
        x, y = place(low, tenth / 10)
        drawing.text(x - 8, y + 4, f"{10 * tenth} %", 11, QUIET, "end")
    drawing.text(left + wide / 2, bottom + 40, across, 12, INK, "middle")
    drawing.text(left, top - 10, up, 12, INK)
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in line.points]
        drawing.line(places, colour, 2, line.dash)
        for x, y in places if dots else ():
            drawing.dot(x, y, colour)
        y = top + 8 + 24 * number
        drawing.line(
            [(left + wide + 20, y), (left + wide + 44, y)], colour, 2.5, line.dash
        )
        drawing.text(left + wide + 52, y + 4, line.name, 11.5)
    return drawing


def _head(drawing: Drawing, title: str, note: str) -> None:
    drawing.text(20, 28, title, 16, INK, bold=True)
    drawing.text(20, 47, note, 11, QUIET)


def _legend(drawing: Drawing, series: Sequence[str], y: float) -> None:
    x = 20.0
    for number, name in enumerate(series):
        drawing.rectangle(x, y - 9, 11, 11, COLOURS[number], round=2)
        drawing.text(x + 17, y + 1, name, 12)
        x += 34 + 7.2 * len(name)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ticks(low: float, high: float) -> list[float]:
    first = math.ceil(math.log10(low) - 1e-9)
    last = math.floor(math.log10(high) + 1e-9)
    return [10.0**power for power in range(first, last + 1)]


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
