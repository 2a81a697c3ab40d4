"""What a fresh process pays: an import, and the way to a first answer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from ..report import Row, spread
from .environments import Environment
from .peer import OURS, Peer
from .processes import cold, imports

__all__ = ["first_answers", "importing"]


def importing(
    known: Mapping[str, Peer],
    there: Mapping[str, Environment],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """What an import costs, in rounds over all peers.

    Processor time is what is compared: above that of an interpreter that imports
    nothing, which is started right before.

    Args:
        known: The peers by name.
        there: Their environments; ours is among them.
        rounds: How often each is imported at most; twice at least.
        seconds: After so long no round is begun.
    """
    walls: dict[str, list[float]] = {name: [] for name in there}
    above: dict[str, list[float]] = {name: [] for name in there}
    for name, environment in there.items():
        imports(known[name].imports, environment)  # compiles, and fills the caches
    begun = time.monotonic()
    for number in range(rounds):
        if number > 1 and time.monotonic() - begun > seconds:
            break
        for name, environment in there.items():
            bare = imports("", environment)[1]
            wall, cpu = imports(known[name].imports, environment)
            walls[name].append(wall)
            above[name].append(cpu - bare)
    rows: list[Row] = []
    for name in there:
        row: Row = {"peer": name, "imports": known[name].imports}
        row["wall ms"] = round(statistics.median(walls[name]), 1)
        row |= {f"cpu ms {k}": v for k, v in spread(above[name], 1).items()}
        if name != OURS:
            row |= _ratios(above[name], above[OURS], 1)
        rows.append(row)
    return rows


def first_answers(
    known: Mapping[str, Peer],
    there: Mapping[str, Environment],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """From starting a process to its first answer, and the memory it took, by task."""
    firsts = {name: next(iter(known[name].tasks)) for name in there if name != OURS}
    pairs = [
        (task, name)
        for task in dict.fromkeys(firsts.values())
        for name in there
        if name == OURS or firsts[name] == task
    ]
    walls: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    peaks: dict[tuple[str, str], list[float]] = {pair: [] for pair in pairs}
    begun = time.monotonic()
    for number in range(rounds):
        if number > 1 and time.monotonic() - begun > seconds:
            break
        for task, name in pairs:
            wall, peak = cold(name, there[name], task)
            if peak is not None:
                walls[task, name].append(wall)
                peaks[task, name].append(peak)
    rows: list[Row] = []
    for task, name in pairs:
        row: Row = {"task": task, "peer": name}
        mine, ours = walls[task, name], walls[task, OURS]
        if mine:
            row |= {f"ms {k}": v for k, v in spread(mine, 1).items()}
            row["peak MiB"] = round(statistics.median(peaks[task, name]), 1)
            if name != OURS:
                row |= _ratios(mine, ours, 2)
        rows.append(row)
    return rows


def _ratios(mine: Sequence[float], ours: Sequence[float], digits: int) -> Row:
    """How many times ours, round by round."""
    pairs = [(m, o) for m, o in zip(mine, ours, strict=False) if o > 0]
    if not pairs:
        return {}
    found = spread([m / o for m, o in pairs], digits)
    return {f"times ours {key}": value for key, value in found.items()}
