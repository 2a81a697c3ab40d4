"""Simulates the queue before the guards of the service, and plans 10^10 texts a day.

    python benchmarks/queueing.py
    python benchmarks/queueing.py --price 0.05       what a core costs in an hour

Requests come at random (Poisson), to nodes whose cores each check one text at a time. A
worker of the service takes four of them at most and has a queue of its own, so that a
node of more has several, and a request goes to one of these whatever the others do:
M/G/c for each. What a check takes is drawn from what was
measured: seconds of the processor of this thread for prompts of many lengths, and what
the proxy takes besides, from results/server.json. As in promptguard.server.limits four
requests a core have a place, some more wait, nobody longer than a limit, and what comes
beyond is refused at once with 503; a caller beyond a rate is refused with 429, by the
class that does it in the service. Everything is seeded. Writes results/queueing.json
and .md.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.texts import SENTENCES
from promptguard import InvisibleText, PromptInjection
from promptguard.server.errors import Refused
from promptguard.server.limits import Rate
from report import RESULTS, Row, arguments, publish

# Of the service: places for each core, those who may wait, and how long.
PLACES, QUEUE, PATIENCE = 4, 64, 5.0
# Nodes by their cores and workers; the last is what no service of ours does.
NODES = {
    "2 cores": (2, 1),
    "4 cores": (4, 1),
    "32 cores, 8 workers": (32, 8),
    "32 cores, if they had one queue": (32, 1),
}
BATCH_CORES = 32
LOADS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.3)
REQUESTS, TEXTS = 100_000, 600
# Characters of a prompt: half are shorter than the first, and few very long.
MEDIAN, SPREAD, LONGEST = 300, 0.9, 4_000
# What is promised: so many ms of waiting in 99 of 100, and no more refused than this.
MOST_WAIT, MOST_REFUSED = 50.0, 1e-3
A_DAY = 10_000_000_000
SECONDS = 86_400
# Of a day's busiest hour, beside its mean.
PEAK = 2.0
BATCH_LOAD = 0.9


@dataclass(frozen=True)
class Outcome:
    """What became of each request.

    Args:
        waited: Seconds until a core took it; NaN where none did.
        took: Seconds until it was answered, refusals too.
        full: Refused at once, since the queue was full.
        late: Refused after a while, since no place was free for so long.
    """

    waited: np.ndarray[tuple[int], np.dtype[np.float64]]
    took: np.ndarray[tuple[int], np.dtype[np.float64]]
    full: np.ndarray[tuple[int], np.dtype[np.bool_]]
    late: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def refused(self) -> float:
        """Share of the requests that were refused."""
        return float((self.full | self.late).mean())


def simulate(
    arrivals: Sequence[float],
    service: Sequence[float],
    cores: int,
    places: int,
    queue: float,
    patience: float = math.inf,
) -> Outcome:
    """Requests through a node, in the order in which they come.

    Args:
        arrivals: When each comes, in seconds, ascending.
        service: How long each keeps a core.
        cores: How many are checked at a time.
        places: How many may be begun; at least as many as cores.
        queue: How many more may wait for a place.
        patience: How long one waits for a place.
    """
    free = [0.0] * cores
    # When each place is left, and when each request is gone.
    left: list[float] = []
    gone: list[float] = []
    count = len(arrivals)
    waited, took = np.full(count, math.nan), np.zeros(count)
    full, late = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for number, (now, seconds) in enumerate(zip(arrivals, service, strict=True)):
        while gone and gone[0] <= now:
            heapq.heappop(gone)
        if len(gone) >= places + queue:
            full[number] = True
            continue
        place = now if len(left) < places else max(now, left[0])
        if place - now > patience:
            late[number], took[number] = True, patience
            heapq.heappush(gone, now + patience)
            continue
        begun = max(place, free[0])
        done = begun + seconds
        heapq.heapreplace(free, done)
        if len(left) < places:
            heapq.heappush(left, done)
        else:
            heapq.heapreplace(left, done)
        heapq.heappush(gone, done)
        waited[number], took[number] = begun - now, done - now
    return Outcome(waited, took, full, late)


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--price", type=float, default=0.0425, help="of a core in an hour"
    )
    chosen = parser.parse_args()
    count, texts = (10_000, 50) if chosen.quick else (REQUESTS, TEXTS)
    service = measured(texts)
    load = loads(service, count)
    nodes = promised(load)
    sections = {
        "What a request takes": [told(service)],
        "Load": load,
        "What a node can promise": nodes,
        "A caller beyond its rate": [beyond(share) for share in (0.5, 0.9, 1.5, 3.0)],
        "10^10 texts a day": plan(nodes, chosen.price),
    }
    publish("queueing", "The queue before the guards", sections, chosen)
    return 0


def measured(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds of the processor that requests take, prompts of all lengths."""
    guard = PromptInjection() | InvisibleText()
    guard.warmup()
    dice = random.Random(0)
    taken = []
    for number in range(count + 5):
        size = min(LONGEST, max(20, dice.lognormvariate(math.log(MEDIAN), SPREAD)))
        text = f"{number}."
        while len(text) < size:
            text += f" {dice.choice(SENTENCES)}"
        begun = time.thread_time()
        guard.check(text[: int(size)])
        taken.append(time.thread_time() - begun)
    return np.array(taken[5:]) + proxy()


def proxy() -> float:
    """Seconds of the processor that the service takes but for the guards."""
    found = json.loads((RESULTS / "server.json").read_text(encoding="utf-8"))
    rows = found["results"]["Latency in an open loop"]
    return min(row["processor"] for row in rows if row["policy"] == "one word") / 1e3


def told(service: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    return {
        "prompts": len(service),
        "unit": "ms",
        "mean": round(1e3 * float(service.mean()), 2),
        "p50": round(1e3 * float(np.quantile(service, 0.5)), 2),
        "p99": round(1e3 * float(np.quantile(service, 0.99)), 2),
        "variance / mean^2": round(float(service.var() / service.mean() ** 2), 2),
        "the proxy's part": round(1e3 * proxy(), 2),
    }


def loads(
    service: np.ndarray[tuple[int], np.dtype[np.float64]], count: int
) -> list[Row]:
    """What callers see at each load of a node."""
    rows: list[Row] = []
    for name, (of_node, workers) in NODES.items():
        cores = of_node // workers
        for load in LOADS:
            dice = np.random.default_rng((cores, round(100 * load)))
            rate = load * cores / float(service.mean())
            arrivals = np.cumsum(dice.exponential(1 / rate, count))
            drawn = dice.choice(service, count)
            # Each worker goes by the cores of the machine.
            places = PLACES * of_node
            found = simulate(
                arrivals.tolist(), drawn.tolist(), cores, places, QUEUE, PATIENCE
            )
            answered = ~np.isnan(found.waited)
            waits = 1e3 * found.waited[answered]
            rows.append(
                {
                    "node": name,
                    "load": load,
                    "a second": round(workers * rate, 1),
                    "unit": "ms",
                    "wait p50": round(float(np.quantile(waits, 0.5)), 2),
                    "wait p99": round(float(np.quantile(waits, 0.99)), 2),
                    "answer p99": round(
                        1e3 * float(np.quantile(found.took[answered], 0.99)), 2
                    ),
                    "refused": round(found.refused, 5),
                    "at once": round(float(found.full.mean()), 5),
                }
            )
    return rows


def promised(load: Sequence[Row]) -> list[Row]:
    """The highest load of each node at which the promise is kept."""
    rows: list[Row] = []
    for name in NODES:
        kept = [
            row
            for row in load
            if row["node"] == name
            and float(str(row["wait p99"])) <= MOST_WAIT
            and float(str(row["refused"])) <= MOST_REFUSED
        ]
        best = kept[-1] if kept else {}
        rows.append(
            {
                "node": name,
                "load": best.get("load"),
                "a second": best.get("a second"),
                "wait p99 ms": best.get("wait p99"),
                "refused": best.get("refused"),
            }
        )
    return rows


def beyond(share: float, rate: float = 10.0, burst: int = 20) -> Row:
    """A caller that asks so many times as often as it may, by the service's class."""
    clock = 0.0
    limit = Rate(rate, burst, now=lambda: clock)
    dice = random.Random(f"beyond {share}")
    refused, waits = 0, []
    for _ in range(20_000):
        clock += dice.expovariate(share * rate)
        try:
            limit.take("caller")
        except Refused as error:
            refused += 1
            waits.append(error.retry_after or 0.0)
    return {
        "of its rate": share,
        "rate": rate,
        "burst": burst,
        "refused (429)": round(refused / 20_000, 4),
        "told to wait s": round(sum(waits) / len(waits), 3) if waits else None,
    }


def plan(nodes: Sequence[Row], price: float) -> list[Row]:
    """Nodes for 10^10 texts a day: at the proxy by its promise, and as a batch."""
    rows: list[Row] = []
    for node in nodes:
        if node["a second"] is None:
            continue
        name, rate = str(node["node"]), float(str(node["a second"]))
        row = planned(f"proxy, {name}", NODES[name][0], rate, PEAK, price)
        rows.append(row | {"load": node["load"]})
    if (cost := batch_cost()) is not None:
        rate = BATCH_LOAD * BATCH_CORES / cost
        row = planned("batch, 30 tokens", BATCH_CORES, rate, 1.0, price)
        rows.append(row | {"load": BATCH_LOAD})
    return rows


def planned(way: str, cores: int, rate: float, peak: float, price: float) -> Row:
    nodes = math.ceil(peak * A_DAY / SECONDS / rate)
    hours = nodes * cores * 24
    return {
        "way": way,
        "cores of a node": cores,
        "a second and node": round(rate, 1),
        "peak / mean": peak,
        "nodes": nodes,
        "core-hours a day": hours,
        "price of a core-hour": price,
        "a day": round(hours * price),
        "a million texts": round(hours * price / A_DAY * 1e6, 3),
    }


def batch_cost() -> float | None:
    """Seconds of the processor of a text in a batch, where that was measured."""
    path = RESULTS / "batch.json"
    if not path.exists():
        return None
    rows = json.loads(path.read_text(encoding="utf-8"))["results"]["Throughput"]
    (row,) = [row for row in rows if row["engine"] == "file"]
    return float(row["processor ms a text"]) / 1e3


if __name__ == "__main__":
    sys.exit(main())
