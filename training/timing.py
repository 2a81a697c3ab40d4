"""How long a check takes, as far as a busy machine can tell."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

from promptguard import PromptInjection
from promptguard.measure.figures import percentile

from .config import Config
from .rows import Row
from .scoring import pinned

__all__ = ["SIZES", "measure"]

SIZES = (100, 1000, 5000, 20_000)
"""Lengths of the texts that are timed, in characters."""


def measure(
    config: Config, sets: Mapping[str, Sequence[Row]], model: str | None
) -> dict[str, Any]:
    """Median and 95th percentile of ``check``, on one thread, by length.

    The texts are stretches of unseen benign ones, each met for the first time. Whoever
    else works on the machine is in the figures: they are no benchmark.

    Args:
        sets: Rows by source.
    """
    rng = random.Random(f"{config.seed}:timing")
    rows = [row for part in sets.values() for row in part if not row.attack]
    if not rows:
        return {}
    guard = PromptInjection(fpr=config.evaluate.fpr, model=pinned(model))
    guard.check("The first check loads the model.")
    found = {}
    for size in SIZES:
        seconds = []
        for text in _texts(rows, size, config.evaluate.timed, rng):
            begin = perf_counter()
            guard.check(text, role="tool")
            seconds.append(perf_counter() - begin)
        found[str(size)] = {
            "p50 ms": round(1000 * (percentile(seconds, 0.5) or 0), 2),
            "p95 ms": round(1000 * (percentile(seconds, 0.95) or 0), 2),
            "checks": len(seconds),
        }
    return {
        "quiet": False,
        "note": "taken while other work may have run; benchmarks/latency.py is the "
        "measurement",
        "threads": 1,
        "characters": found,
    }


def _texts(
    rows: Sequence[Row], size: int, count: int, rng: random.Random
) -> Iterator[str]:
    """Texts of one length, joined from rows in random order."""
    for _ in range(count):
        text = ""
        while len(text) < size:
            text += rng.choice(rows).text + "\n"
        yield text[:size]
