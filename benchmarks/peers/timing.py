"""Times side by side: each text goes to all peers in turn, the first one changing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from ..report import Row, spread
from .peer import OURS
from .processes import Worker
from .texts import SIZES, TOKENS, of_tokens, texts

__all__ = ["MOST", "by_tokens", "side_by_side"]

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
        runs = _runs(task, workers, texts(task, size), seconds)
        for worker in workers:
            row = _row(worker, "characters", size, runs)
            times = list(runs[worker.name].values())
            if times:
                row["characters a second"] = round(1000 * size / statistics.mean(times))
            rows.append(row)
    return rows


def by_tokens(
    workers: Sequence[Worker], seconds: float, count: Callable[[str], int]
) -> list[Row]:
    """The same for classifiers, by the number of tokens that a text has."""
    rows: list[Row] = []
    for tokens in TOKENS:
        runs = _runs("tokens", workers, of_tokens(tokens, count), seconds)
        rows += [_row(worker, "tokens", tokens, runs) for worker in workers]
    return rows


def _runs(
    task: str, workers: Sequence[Worker], source: Iterator[str], seconds: float
) -> dict[str, dict[int, float]]:
    """Milliseconds by the number of the text, for each worker."""
    runs: dict[str, dict[int, float]] = {worker.name: {} for worker in workers}
    warm = {worker.name: 0.0 for worker in workers}
    for number in range(MOST + 3):
        text = next(source)
        turn = number % len(workers)
        for worker in (*workers[turn:], *workers[:turn]):
            done = runs[worker.name]
            if sum(done.values()) > 1000 * seconds and len(done) >= LEAST:
                continue
            # The first three warm up, unless that takes too long.
            if number < 3 and number and warm[worker.name] > 1000 * seconds:
                continue
            answer = worker.ask(task, text)
            if number < 3:
                warm[worker.name] += answer.get("ns", 0) / 1e6
            elif "ns" in answer:
                done[number] = answer["ns"] / 1e6
    return runs


def _row(
    worker: Worker, unit: str, size: int, runs: dict[str, dict[int, float]]
) -> Row:
    mine, ours = runs[worker.name], runs[OURS]
    row: Row = {"peer": worker.name, unit: size, "texts": len(mine)}
    if not mine:
        return row
    times = sorted(mine.values())
    row["ms p50"] = round(statistics.median(times), 4)
    row["ms p95"] = round(times[min(len(times) - 1, int(0.95 * len(times)))], 4)
    if worker.name != OURS:
        ratios = [mine[n] / ours[n] for n in mine if n in ours]
        row |= {f"times ours {k}": v for k, v in spread(ratios, 3).items()}
    return row
