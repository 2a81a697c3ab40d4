"""Measures waiting: deadlines, early blocks, judges side by side, the event loop's lag.

    python benchmarks/concurrency.py

The judges are functions that sleep, so that what is measured is the library and not a
provider. Writes results/concurrency.json and .md beside this file.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import promptguard as pg
from promptguard import Ask, Finding, Guard, GuardError, Text
from promptguard.guard import Inspection
from report import Row, arguments, publish

REPEATS = 50
CHECKS = 200
TEXT = "The parcel left the warehouse on Monday and is on its way to you. " * 15


@dataclass(frozen=True)
class Asks(Guard):
    """A judge that takes its time."""

    llm: Callable[[str, str], Any]

    def inspect(self, text: Text) -> Inspection:
        if (yield Ask(self.llm, self.name, text.original)) == "unsafe":
            yield Finding("unsafe", 1.0, 0, len(text.original))


def says(answer: str, seconds: float, is_async: bool) -> Callable[[str, str], Any]:
    """A judge that says this after so long."""

    async def later(rubric: str, text: str) -> str:
        await asyncio.sleep(seconds)
        return answer

    def llm(rubric: str, text: str) -> str:
        time.sleep(seconds)
        return answer

    return later if is_async else llm


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    chosen = parser.parse_args()
    repeats, checks = (5, 50) if chosen.quick else (REPEATS, CHECKS)
    sections = {
        "Waiting": waiting(repeats),
        "Many checks on one loop": [
            asyncio.run(lag(name, guard, checks)) for name, guard in LOADS.items()
        ],
        "What a cancelled check leaves": [asyncio.run(left(repeats))],
    }
    publish("concurrency", "Waiting and cancelling", sections, chosen)
    return 0


def waiting(repeats: int) -> list[Row]:
    """How long a caller waits, against what it should."""
    rows: list[Row] = []
    for way in ("sync", "async"):
        is_async = way == "async"
        hung = says("safe", 0.4, is_async)
        quick = says("unsafe", 0.01, is_async)
        second = says("safe", 1.0, is_async)
        tenth = says("safe", 0.1, is_async)
        beside = Asks(second, name="slow") | Asks(quick, name="quick")
        two = Asks(tenth, name="one") | Asks(tenth, name="two")
        cases: list[tuple[str, Guard, float | None, float]] = [
            ("a budget of 100 ms, a judge of 400 ms", Asks(hung), 0.1, 150),
            ("a block after 10 ms beside a judge of 1 s", beside, None, 20),
            ("two judges of 100 ms", two, None, 120),
        ]
        for name, guard, budget, most in cases:
            taken = [1e3 * timed(guard, budget, is_async) for _ in range(repeats)]
            rows.append(
                {
                    "what": name,
                    "way": way,
                    "unit": "ms",
                    "median": round(statistics.median(taken), 1),
                    "p99": round(_quantile(taken, 0.99), 1),
                    "at most": most,
                }
            )
    return rows


def timed(guard: Guard, budget: float | None, is_async: bool) -> float:
    """Seconds until the caller has an answer."""

    async def check() -> float:
        begun = time.perf_counter()
        with suppress(GuardError):
            await guard.acheck("text", budget=budget)
        return time.perf_counter() - begun

    if is_async:
        return asyncio.run(check())
    begun = time.perf_counter()
    with suppress(GuardError):
        guard.check("text", budget=budget)
    return time.perf_counter() - begun


PATTERNS = pg.PII() | pg.Secrets() | pg.Keywords(("heliotrope",))
LOADS: dict[str, Guard] = {
    "three pattern guards": PATTERNS,
    "and a judge of 50 ms": PATTERNS | Asks(says("safe", 0.05, True)),
    "and a judge of 50 ms on a thread": PATTERNS | Asks(says("safe", 0.05, False)),
    "and the model": PATTERNS | pg.PromptInjection(),
}


async def lag(name: str, guard: Guard, checks: int) -> Row:
    """How late a task is that wants to run every millisecond."""
    guard.warmup()
    await guard.acheck(TEXT)
    late: list[float] = []
    stop = asyncio.Event()

    async def ticks() -> None:
        while not stop.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append(1e3 * (time.perf_counter() - begun - 0.001))

    ticker = asyncio.ensure_future(ticks())
    await asyncio.sleep(0.05)
    idle = _quantile(late, 0.99)
    late.clear()
    begun = time.perf_counter()
    # No two texts are the same: the model would be asked once.
    await asyncio.gather(*(guard.acheck(f"{n}. {TEXT}") for n in range(checks)))
    seconds = time.perf_counter() - begun
    stop.set()
    await ticker
    return {
        "guards": name,
        "checks": checks,
        "characters": len(TEXT),
        "unit": "ms",
        "idle p99": round(idle, 2),
        "median": round(statistics.median(late), 2),
        "p99": round(_quantile(late, 0.99), 2),
        "most": round(max(late), 2),
        "all done after": round(1e3 * seconds),
    }


async def left(repeats: int) -> Row:
    """Tasks, threads and open streams after calls that were cancelled on their way."""
    open_streams: list[int] = []

    async def chunks(prompt: str) -> Any:
        open_streams.append(1)
        try:
            for word in prompt.split():
                await asyncio.sleep(0.002)
                yield word
        finally:
            open_streams.pop()

    guard = Asks(says("safe", 0.02, True))
    ask = pg.guarded(chunks, input=guard, output=guard)

    async def read() -> None:
        stream = ask(TEXT)
        try:
            async for _ in stream:
                pass
        finally:
            await stream.aclose()

    calls: list[Callable[[], Awaitable[object]]] = [
        read,
        lambda: guard.acheck("text"),
        lambda: guard.acheck_batch([str(n) for n in range(20)], budget=10),
    ]
    for call in calls:
        await _cancelled(call, 0.01)
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    for n in range(repeats):
        for call in calls:
            await _cancelled(call, n * 0.001)
    return {
        "calls": repeats * len(calls),
        "tasks": len(asyncio.all_tasks() - tasks),
        "threads": len(set(threading.enumerate()) - threads),
        "open streams": len(open_streams),
    }


async def _cancelled(call: Callable[[], Awaitable[object]], after: float) -> None:
    task = asyncio.ensure_future(call())
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


if __name__ == "__main__":
    sys.exit(main())
