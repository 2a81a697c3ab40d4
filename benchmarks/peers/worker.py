"""Runs a peer inside its own environment: takes texts, gives times and findings.

    python -m benchmarks.peers.worker NAME

Lines of JSON in and out. What the peer prints goes nowhere, so that it is not taken
for an answer. The clock runs around the one call, not around what carries the texts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

from .peer import Find, Missing, peers


def main(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    serve(peers()[name].tasks, sys.stdin, answers)


def serve(
    tasks: Any,
    questions: TextIO,
    answers: TextIO,
    clock: Callable[[], int] | None = None,
) -> None:
    """Answer line by line until there are no more questions."""
    finders: dict[str, Find] = {}
    for line in questions:
        question = json.loads(line)
        try:
            answer = _answer(tasks, finders, question, clock or time.perf_counter_ns)
        except Exception as error:
            # What went wrong goes into the table; the text of a peer may hold folders.
            missing = isinstance(error, Missing)
            answer = {"problem": str(error) if missing else type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(
    tasks: Any,
    finders: dict[str, Find],
    question: dict[str, Any],
    clock: Callable[[], int],
) -> dict[str, object]:
    task = question["task"]
    if task not in finders:
        begun = clock()
        finders[task] = tasks[task]()
        finders[task](question["text"])
        return {"first_ms": (clock() - begun) / 1e6, "peak_mib": peak()}
    if "texts" in question:
        threads = question["threads"]
        with ThreadPoolExecutor(threads) as pool:
            # The threads are there before the clock starts.
            deque(pool.map(finders[task], question["texts"][:threads]), 0)
            begun = clock()
            deque(pool.map(finders[task], question["texts"][threads:]), 0)
            return {"ns": clock() - begun, "peak_mib": peak()}
    begun = clock()
    found = finders[task](question["text"])
    ns = clock() - begun
    return {"ns": ns, "spans": [list(span) for span in found]}


def peak() -> float | None:
    """The most memory of this process in MiB, as Linux counts it.

    What getrusage says begins with what the process that started this one had.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            line = next(line for line in lines if line.startswith("VmHWM"))
            return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return None


if __name__ == "__main__":
    main(sys.argv[1])
