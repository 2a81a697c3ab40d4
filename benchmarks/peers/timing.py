"""Times side by side: each text goes to all peers in turn, the first one changing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..report import Row, spread
from .peer import OURS
from .processes import Worker
from .texts import SIZES, texts

__all__ = ["MOST", "side_by_side"]

MOST = 200
LEAST = 5


def side_by_side(task: str, workers: Sequence[Worker], seconds: float) -> list[Row]:
    """Milliseconds of one call by length, and how many times ours they are.

    Args:
        task: What is done.
        workers: The peers that can, ours among them.
        seconds: How long one peer may take over the texts of one length. One that is
            slow gets fewer texts, never fewer than five.
    """
    rows: list[Row] = []
    for size in SIZES:
        runs: dict[str, dict[int, float]] = {worker.name: {} for worker in workers}
        source = texts(task, size)
        for number in range(MOST + 3):
            text = next(source)
            turn = number % len(workers)
            for worker in (*workers[turn:], *workers[:turn]):
                done = runs[worker.name]
                spent = sum(done.values()) / 1000
                if number >= 3 and spent > seconds and len(done) >= LEAST:
                    continue
                answer = worker.ask(task, text)
                # The first three warm up.
                if number >= 3 and "ns" in answer:
                    done[number] = answer["ns"] / 1e6
        rows += [_row(worker, size, runs) for worker in workers]
    return rows


def _row(worker: Worker, size: int, runs: dict[str, dict[int, float]]) -> Row:
    mine, ours = runs[worker.name], runs[OURS]
    row: Row = {"peer": worker.name, "characters": size, "texts": len(mine)}
    if not mine:
        return row
    times = sorted(mine.values())
    row["ms p50"] = round(statistics.median(times), 4)
    row["ms p95"] = round(times[min(len(times) - 1, int(0.95 * len(times)))], 4)
    row["characters a second"] = round(1000 * size / statistics.median(times))
    if worker.name != OURS:
        ratios = [mine[n] / ours[n] for n in mine if n in ours]
        row |= {f"times ours {k}": v for k, v in spread(ratios, 3).items()}
    return row
