"""What keeping traffic costs a request, and how much of it a writer keeps up with.

    python benchmarks/capture.py

Taking a record is timed call by call, with the database free and with it locked; what a
writer keeps up with is records of two texts from the first to the last in the database.
The figures are of a SQLite in a temporary folder.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from promptguard import PII, Secrets
from promptguard.records import Checked, Latency, Record, Said
from promptguard.traffic import Writer
from report import Row, arguments, publish, spread

PROMPT = "Please write to jane@example.com about the order, and tell her it is late. "


def record(characters: int) -> Record:
    """A request with a prompt of this length and an answer as long."""
    text = (PROMPT * (characters // len(PROMPT) + 1))[:characters]
    verdict = (PII() | Secrets()).check(text)
    ways = (("input", "user"), ("output", "assistant"))
    return Record(
        id="benchmark",
        time=time.time(),
        endpoint="/v1/chat/completions",
        model="model",
        checks=tuple(Checked.of(verdict, way, role) for way, role in ways),
        latency=Latency(0.1, 0.01, 0.08, 0.01),
        texts=tuple(Said(way, role, text, verdict.text) for way, role in ways),
    )


def taking(folder: Path, texts: str, count: int, *, locked: bool) -> Row:
    """Microseconds that `write` takes."""
    path = folder / f"taking-{texts}-{locked}.db"
    one, took = record(1000), []
    with Writer(f"sqlite:///{path}", texts=texts, queue=count) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        if locked:
            lock.execute("BEGIN IMMEDIATE")
        for _ in range(count):
            begun = time.perf_counter()
            writer.write(one)
            took.append((time.perf_counter() - begun) * 1e6)
            # As at two hundred requests a second, so that the writer's thread runs.
            time.sleep(0.005)
        if locked:
            lock.execute("ROLLBACK")
        lock.close()
    assert writer.counts.dropped == 0
    highest = {"p99": round(statistics.quantiles(took, n=100)[98], 1)}
    state = "locked" if locked else "free"
    return {"database": state, "unit": "µs", **spread(took, 1), **highest}


def keeping_up(folder: Path, texts: str, count: int, rounds: int) -> Row:
    """Records a second that reach the database."""
    rates = []
    for number in range(rounds):
        one = record(1000)
        begun = time.perf_counter()
        path = folder / f"rate-{texts}-{number}.db"
        with Writer(f"sqlite:///{path}", texts=texts, queue=count) as writer:
            for _ in range(count):
                writer.write(one)
        rates.append(count / (time.perf_counter() - begun))
        assert writer.counts.written == count
    return {"texts": texts, "unit": "records/s", **spread(rates, 0)}


def main() -> None:
    chosen = arguments(__doc__.splitlines()[0]).parse_args()
    taken, kept, rounds = (50, 50, 1) if chosen.quick else (2000, 2000, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sections = {
            "Taking a record": [
                taking(folder, "redacted", taken, locked=locked)
                for locked in (False, True)
            ],
            "Keeping up": [
                keeping_up(folder, texts, kept, rounds)
                for texts in ("redacted", "whole", "none")
            ],
        }
    publish("capture", "Capture", sections, chosen)


if __name__ == "__main__":
    main()
