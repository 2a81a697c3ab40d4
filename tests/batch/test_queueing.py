"""The simulated queue is the service's, and the one that theory knows."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from promptguard.server.errors import Refused
from promptguard.server.limits import Places

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def queueing():
    """The benchmark, which is run as a script."""
    before = sys.path[:]
    sys.path.insert(0, str(BENCHMARKS))
    try:
        found = importlib.util.spec_from_file_location(
            "queueing", BENCHMARKS / "queueing.py"
        )
        module = importlib.util.module_from_spec(found)
        sys.modules["queueing"] = module
        found.loader.exec_module(module)
        yield module
    finally:
        sys.path[:] = before
        sys.modules.pop("queueing", None)


def drawn(count: int, load: float, cores: int) -> tuple[list[float], list[float]]:
    dice = np.random.default_rng(1)
    arrivals = np.cumsum(dice.exponential(1 / (load * cores), count))
    return arrivals.tolist(), dice.exponential(1.0, count).tolist()


@pytest.mark.parametrize(("cores", "load"), [(1, 0.6), (4, 0.8)])
def test_the_mean_wait_is_that_of_erlang(queueing, cores, load):
    arrivals, service = drawn(200_000, load, cores)
    found = queueing.simulate(arrivals, service, cores, cores, math.inf)
    # A. K. Erlang, 1917: the chance to wait in M/M/c.
    offered = load * cores
    terms = [offered**n / math.factorial(n) for n in range(cores)]
    last = offered**cores / math.factorial(cores) / (1 - load)
    expected = last / (sum(terms) + last) / (cores * (1 - load))
    assert found.waited.mean() == pytest.approx(expected, rel=0.06)
    assert found.refused == 0


def test_without_a_queue_it_loses_what_erlang_says(queueing):
    cores, load = 4, 1.2
    arrivals, service = drawn(100_000, load, cores)
    found = queueing.simulate(arrivals, service, cores, cores, 0)
    terms = [(load * cores) ** n / math.factorial(n) for n in range(cores + 1)]
    assert found.refused == pytest.approx(terms[-1] / sum(terms), rel=0.03)
    assert not found.late.any()


class Loop(asyncio.SelectorEventLoop):
    """Its clock jumps to what is due next."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()


@pytest.mark.parametrize(
    ("load", "queue", "patience", "kinds"),
    [
        (0.4, 6, 5.0, (False, False)),
        (1.5, 6, 60.0, (True, False)),
        (2.0, 40, 2.0, (False, True)),
        (1.5, 6, 5.0, (True, True)),
    ],
    ids=["calm", "full", "late", "both"],
)
def test_it_does_what_the_places_of_the_service_do(
    queueing, load, queue, patience, kinds
):
    cores, places, count = 2, 8, 1_500
    dice = random.Random(7)
    arrivals, service, now = [], [], 0.0
    for _ in range(count):
        now += dice.expovariate(load * cores)
        arrivals.append(now)
        service.append(dice.expovariate(1.0))
    found = queueing.simulate(arrivals, service, cores, places, queue, patience)

    async def run() -> list[float | None]:
        """Seconds to the answer of each; None where it was refused."""
        at = Places(places, queue, patience)
        free = asyncio.Semaphore(cores)
        loop = asyncio.get_running_loop()

        async def one(number: int) -> float | None:
            begun = loop.time()
            try:
                async with at.place(), free:
                    await asyncio.sleep(service[number])
            except Refused:
                return None
            return loop.time() - begun

        tasks = []
        for number, due in enumerate(arrivals):
            await asyncio.sleep(due - loop.time())
            tasks.append(asyncio.ensure_future(one(number)))
        return list(await asyncio.gather(*tasks))

    loop = Loop()
    try:
        answers = loop.run_until_complete(run())
    finally:
        loop.close()
    refused = found.full | found.late
    assert [answer is None for answer in answers] == refused.tolist()
    for answer, took in zip(answers, found.took, strict=True):
        assert answer is None or answer == pytest.approx(took, abs=1e-6)
    assert (bool(found.full.any()), bool(found.late.any())) == kinds


def test_a_caller_beyond_its_rate_is_refused_what_is_beyond(queueing):
    assert queueing.beyond(0.5)["refused (429)"] == 0
    assert queueing.beyond(3.0)["refused (429)"] == pytest.approx(2 / 3, abs=0.02)


def test_a_plan_has_nodes_for_the_peak(queueing):
    row = queueing.planned("proxy", 8, 1_000.0, 2.0, 0.05)
    assert row["nodes"] == math.ceil(2 * 1e10 / 86_400 / 1_000)
    assert row["core-hours a day"] == row["nodes"] * 8 * 24
