"""Draws what callers see as a node fills up: how long they wait, and who is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .drawing import COLOURS, GRID, INK, QUIET, Drawing

__all__ = ["queue"]

Place = Callable[[float, float], tuple[float, float]]


def queue(found: Mapping[str, Any]) -> Drawing:
    """Waiting and refusals over the load of a node."""
    rows = found["results"]["Load"]
    title = "A node of the service as it fills up"
    drawing = Drawing(760, 400, title)
    drawing.text(20, 28, title, 16, INK, bold=True)
    took = found["results"]["What a request takes"][0]
    note = (
        f"Simulated: Poisson arrivals, {took['mean']} ms a request on a core in the "
        f"mean; {found['machine']['cpu']}, {found['date']}"
    )
    drawing.text(20, 47, note, 11, QUIET)
    loads = sorted({row["load"] for row in rows})
    nodes = list(dict.fromkeys(row["node"] for row in rows))
    waits = [max(row["wait p99"], 0.1) for row in rows]
    low = math.floor(math.log10(min(waits)))
    high = math.ceil(math.log10(max(waits)))
    ticks = [10.0**power for power in range(low, high + 1)]
    left = _panel(drawing, 70, "milliseconds waited by 1 in 100", loads, low, high)
    for tick in ticks:
        x, y = left(loads[0], math.log10(tick))
        drawing.text(x - 8, y + 4, f"{tick:,g}", 11, QUIET, "end")
    right = _panel(drawing, 420, "share that is refused", loads, 0.0, 0.5)
    for tenth in range(6):
        x, y = right(loads[0], tenth / 10)
        drawing.text(x - 8, y + 4, f"{10 * tenth} %", 11, QUIET, "end")
    x = 70.0
    for number, name in enumerate(nodes):
        colour = COLOURS[number]
        own = [row for row in rows if row["node"] == name]
        drawing.line(
            [left(r["load"], math.log10(max(r["wait p99"], 10.0**low))) for r in own],
            colour,
            2.5,
        )
        drawing.line(
            [right(r["load"], min(0.5, r["refused"])) for r in own], colour, 2.5
        )
        drawing.line([(x, 384), (x + 20, 384)], colour, 2.5)
        drawing.text(x + 26, 388, name, 12)
        x += 56 + 6.6 * len(name)
    return drawing


def _panel(
    drawing: Drawing,
    left: float,
    up: str,
    loads: Sequence[float],
    low: float,
    high: float,
) -> Place:
    """A grid; what is returned says where a load and a value are in it."""
    wide, top, bottom = 300, 90, 330

    def place(load: float, value: float) -> tuple[float, float]:
        share = (load - loads[0]) / (loads[-1] - loads[0])
        return left + wide * share, bottom - (bottom - top) * (value - low) / (
            high - low
        )

    for load in loads:
        if round(10 * load, 6) % 2 and load != 1:
            continue
        x, _ = place(load, low)
        drawing.line([(x, top), (x, bottom)], GRID, 1)
        drawing.text(x, bottom + 18, f"{100 * load:.0f} %", 11, QUIET, "middle")
    for step in range(6):
        y = bottom - (bottom - top) * step / 5
        if high == 0.5:
            drawing.line([(left, y), (left + wide, y)], GRID, 1)
    if high != 0.5:
        for power in range(round(low), round(high) + 1):
            _, y = place(loads[0], power)
            drawing.line([(left, y), (left + wide, y)], GRID, 1)
    drawing.text(left, top - 12, up, 12, INK)
    drawing.text(left + wide / 2, bottom + 38, "load of the cores", 12, INK, "middle")
    return place
