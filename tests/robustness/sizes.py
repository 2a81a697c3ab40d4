"""How much of everything is tried: a part in the suite, all of it by `make robustness`.

A size is set by the environment variable of its name; `make robustness` sets each to
what docs/robustness.md says is the full size.
"""

from __future__ import annotations

import os

__all__ = [
    "CALLS",
    "CHARACTERS",
    "FUZZ",
    "LEARNED_CALLS",
    "PROCESSES",
    "SECONDS",
    "TEXTS",
    "THREADS",
    "WHOLE",
]


def _size(name: str, least: int) -> int:
    return int(os.environ.get(f"PROMPTGUARD_{name}", least))


FUZZ = _size("FUZZ", 30)
"""Made-up texts that every guard is given; full: 100,000."""

THREADS = _size("THREADS", 16)
"""Threads that check at once; full: 64."""

TEXTS = _size("THREAD_TEXTS", 10)
"""Texts that each thread checks; full: 200."""

CALLS = _size("CALLS", 2_000)
"""Calls of patterns over which memory is measured; full: 100,000."""

LEARNED_CALLS = _size("LEARNED_CALLS", 250)
"""The same of a model, which takes ten times as long; full: 100,000."""

CHARACTERS = _size("CHARACTERS", 200_000)
"""Length of the long texts; full: 10,000,000."""

PROCESSES = _size("PROCESSES", 2)
"""Children that are forked at once; full: 8."""

SECONDS = float(os.environ.get("PROMPTGUARD_SECONDS", "5"))
"""Processor time that a guard may take for a fuzzed text; full: 1."""

WHOLE = FUZZ >= 10_000
"""True where models, too, are given texts of their whole length."""
