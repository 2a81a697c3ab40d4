"""How the cost grows: with the length of a text, and with threads at work at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import islice

from ..report import Row, spread
from .peer import OURS
from .processes import Worker
from .texts import texts

__all__ = ["GROWING", "LENGTHS", "THREADS", "by_length", "by_threads"]

LENGTHS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
THREADS = (1, 2, 4, 8, 16)
GROWING = ("injection", "pii_common", "secrets", "profanity")
REPEATS = 5


def by_length(
    task: str,
    workers: Sequence[Worker],
    seconds: float,
    lengths: Sequence[int] = LENGTHS,
) -> list[Row]:
    """Milliseconds of one call, from a line to a book.

    Args:
        task: What is done.
        workers: The peers that can.
        seconds: How long one call may take: a peer is asked for longer texts until the
            next one would probably take longer. The first is always asked.
    """
    rows: list[Row] = []
    last: dict[str, float] = {}
    for before, length in zip((0, *lengths), lengths, strict=False):
        some = list(islice(texts(task, length, "length"), REPEATS))
        runs: dict[str, list[float]] = {worker.name: [] for worker in workers}
        for text in some:
            for worker in workers:
                done = runs[worker.name]
                if before and _next(last.get(worker.name), length / before) > seconds:
                    continue
                if sum(done) > 1000 * seconds / 4:
                    continue
                answer = worker.ask(task, text)
                if "ns" in answer:
                    done.append(answer["ns"] / 1e6)
        for name, times in runs.items():
            row: Row = {"peer": name, "characters": length, "texts": len(times)}
            if times:
                last[name] = statistics.median(times)
                row |= {f"ms {k}": v for k, v in spread(times, 4).items()}
                row["µs a character"] = round(1000 * last[name] / length, 4)
            else:
                last.pop(name, None)
                row["note"] = f"not asked: more than {seconds:g} s"
            rows.append(row)
    return rows


def _next(milliseconds: float | None, times: float) -> float:
    """Seconds that a text so many times as long may take, if the cost is linear."""
    return float("inf") if milliseconds is None else times * milliseconds / 1000


def by_threads(
    task: str, workers: Sequence[Worker], seconds: float, size: int = 1_000
) -> list[Row]:
    """Calls a second of one process whose threads call it at once.

    Args:
        task: What is done.
        workers: The peers that can.
        seconds: About how long one measurement takes.
        size: Characters of a text.
    """
    rows: list[Row] = []
    source = texts(task, size, "threads")
    for worker in workers:
        one = [worker.ask(task, text) for text in islice(source, 6)][1:]
        if not all("ns" in answer for answer in one):
            continue
        call = statistics.median(answer["ns"] for answer in one) / 1e9
        alone: float | None = None
        for threads in THREADS:
            many = min(5_000, max(2 * threads, round(seconds / call)))
            rates = []
            begun = time.monotonic()
            while len(rates) < 3 and time.monotonic() - begun < 3 * seconds:
                some = list(islice(source, threads + many))
                answer = worker.ask(task, "", texts=some, threads=threads)
                if "ns" not in answer:
                    break
                rates.append(many / answer["ns"] * 1e9)
            if not rates:
                break
            rate = statistics.median(rates)
            alone = alone or rate
            row: Row = {"peer": worker.name, "threads": threads, "calls": many}
            row |= {f"a second {k}": v for k, v in spread(rates, 1).items()}
            row["times one thread"] = round(rate / alone, 2)
            rows.append(row)
    ours = {row["threads"]: row for row in rows if row["peer"] == OURS}
    for row in rows:
        mine = row["a second median"]
        if row["peer"] != OURS and row["threads"] in ours:
            best = ours[row["threads"]]["a second median"]
            assert isinstance(best, int | float) and isinstance(mine, int | float)
            row["ours times as many"] = round(best / mine, 2) if mine else None
    return rows
