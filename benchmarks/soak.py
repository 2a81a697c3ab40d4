"""Memory of the service while it answers very many requests.

    python benchmarks/soak.py                     100,000 requests
    python benchmarks/soak.py --requests 20000 --minutes 30
    python benchmarks/soak.py --write             the results from the notes

One process of ``promptguard serve`` with the echo upstream is asked by callers that
wait for each answer; no two prompts are the same. What matters is that its memory comes
to rest and that nothing fails; how fast it is, benchmarks/server.py measures on a quiet
machine. Each piece is noted in build/soak.jsonl as it ends, so that a run that is cut
short has said what it came to: ``--write`` takes the longest one. Memory is that of one
process, so a run is not taken up again. Writes results/soak.json and .md.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from report import Row, arguments, publish
from server import POLICIES, Client, Service, prompts

NOTES = Path(__file__).parents[1] / "build" / "soak.jsonl"
REQUESTS = 100_000
PIECES = 50
CALLERS = 8
ROWS = 12


async def piece(
    port: int, count: int, callers: int, prompt: Callable[[], str]
) -> Counter[str]:
    """What became of so many requests, by kind."""
    client = Client(port)
    left = count
    kinds: Counter[str] = Counter()

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            kinds[await client.ask(prompt())] += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    await client.close()
    return kinds


def run(policy: str, count: int, minutes: float, callers: int) -> None:
    """Ask, and note after each piece how much memory there is."""
    service = Service(policy)
    begun = time.monotonic()
    name = time.strftime("%Y-%m-%dT%H:%M:%S")
    done = 0
    kinds: Counter[str] = Counter()
    try:
        note(run=name, policy=policy, of=count, requests=0, memory=service.memory)
        prompt = prompts(100, 7)
        size = max(1, count // PIECES)
        while done < count and time.monotonic() - begun < 60 * minutes:
            some = min(size, count - done)
            kinds += asyncio.run(piece(service.port, some, callers, prompt))
            done += some
            note(
                run=name,
                policy=policy,
                of=count,
                requests=done,
                memory=round(service.memory, 1),
                processor=round(service.processor, 1),
                seconds=round(time.monotonic() - begun, 1),
                kinds=dict(kinds),
            )
    finally:
        service.stop()


def note(**line: Any) -> None:
    """Append a line to the notes."""
    NOTES.parent.mkdir(parents=True, exist_ok=True)
    with NOTES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def sections() -> dict[str, list[Row]]:
    """Tables of the longest run of each policy."""
    lines = [json.loads(line) for line in NOTES.read_text().splitlines()]
    runs = [list(group) for _, group in groupby(lines, lambda line: line["run"])]
    longest: dict[str, list[Any]] = {}
    for found in runs:
        known = longest.get(found[0]["policy"])
        if known is None or found[-1]["requests"] > known[-1]["requests"]:
            longest[found[0]["policy"]] = found
    totals: list[Row] = []
    pieces: list[Row] = []
    for policy, found in longest.items():
        last, first = found[-1], found[1:][0]
        half = next(line for line in found if 2 * line["requests"] >= last["requests"])
        since = last["requests"] - half["requests"]
        grown = (last["memory"] - half["memory"]) * 2**20
        kinds = last["kinds"]
        good = kinds.get("answered", 0) + kinds.get("blocked", 0)
        totals.append(
            {
                "policy": policy,
                "requests": last["requests"],
                "of": last["of"],
                "answered": kinds.get("answered", 0),
                "blocked": kinds.get("blocked", 0),
                "errors": last["requests"] - good,
                "which": ", ".join(
                    f"{n} {kind}"
                    for kind, n in kinds.items()
                    if kind not in ("answered", "blocked")
                ),
                "MiB at half": half["memory"],
                "MiB at the end": last["memory"],
                "bytes a request, second half": round(grown / since) if since else None,
                "processor ms a request": round(
                    1e3
                    * (last["processor"] - first["processor"])
                    / max(1, last["requests"] - first["requests"]),
                    1,
                ),
            }
        )
        step = max(1, len(found) // ROWS)
        shown = [*found[1:-1:step], last]
        pieces += [
            {
                "policy": policy,
                "requests": line["requests"],
                "memory, MiB": line["memory"],
                "minutes": round(line["seconds"] / 60, 1),
            }
            for line in shown
        ]
    return {"All of it": totals, "Memory on the way": pieces}


def main() -> int:
    """Run it, and write what came of it."""
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--policy", choices=tuple(POLICIES), default="default")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--minutes", type=float, default=600.0, help="at most")
    parser.add_argument("--callers", type=int, default=CALLERS)
    parser.add_argument("--write", action="store_true", help="from the notes alone")
    chosen = parser.parse_args()
    if not chosen.write:
        count = min(chosen.requests, 200) if chosen.quick else chosen.requests
        run(chosen.policy, count, chosen.minutes, chosen.callers)
    publish("soak", "Memory over very many requests", sections(), chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
