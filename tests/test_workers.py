"""Threads and loops that the drivers wait on: few, gone when idle, never trusted."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

import pytest

from promptguard import Ask, Classify, Finding, Guard, GuardError, Text, drivers
from promptguard._workers import Callers, Turns
from promptguard.guard import Inspection


@dataclass(frozen=True)
class Asks(Guard):
    llm: Any

    def inspect(self, text: Text) -> Inspection:
        if (yield Ask(self.llm, self.name, text.original)) == "unsafe":
            yield Finding("unsafe", 1.0, 0, len(text.original))


def settled(name: str) -> None:
    """Wait until no thread of that name is left."""
    for _ in range(2000):
        if not [t for t in threading.enumerate() if t.name == name]:
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"a thread {name} is left")


def test_threads_of_llms_end_with_their_work():
    assert Asks(lambda rubric, text: "unsafe").check("x").blocked
    settled("promptguard-llm")


def test_no_more_calls_run_at_a_time_than_may():
    callers, release = Callers(2), threading.Event()
    running: list[int] = []
    most: list[int] = []

    def call(number: int) -> int:
        running.append(number)
        most.append(len(running))
        release.wait(20)
        running.remove(number)
        return number

    futures = [callers.submit(call, number) for number in range(6)]
    release.set()
    assert [future.result(20) for future in futures] == [*range(6)]
    assert max(most) <= 2
    settled("promptguard-llm")


def test_a_call_that_nobody_wants_any_more_is_not_made():
    callers, release, made = Callers(1), threading.Event(), []
    first = callers.submit(release.wait, 20)
    second = callers.submit(made.append, 2)
    third = callers.submit(made.append, 3)
    assert second.cancel()
    release.set()
    assert first.result(20)
    third.result(20)
    assert made == [3]


def test_what_a_call_raises_comes_out_of_its_future():
    def call() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        Callers(1).submit(call).result(20)


def no_thread(*_: Any) -> Any:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("room", ["llms", "models"])
async def test_a_thread_that_cannot_be_started_is_a_broken_guard(room, monkeypatch):
    @dataclass(frozen=True)
    class Wants(Guard):
        def inspect(self, text: Text) -> Inspection:
            if room == "llms":
                yield Ask(str, "", text.original)
            yield Classify(None, text.original, "user")

    monkeypatch.setattr(drivers._workers, room, no_thread)
    with pytest.raises(GuardError, match="RuntimeError"):
        await asyncio.to_thread(Wants().check, "x", budget=20)
    with pytest.raises(GuardError, match="RuntimeError"):
        await Wants().acheck("x")


def test_threads_that_run_out_are_not_counted_as_running(monkeypatch):
    callers = Callers(1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(RuntimeError):
            callers.submit(str)
    assert callers.submit(str).result(20) == ""


def test_a_loop_whose_thread_has_died_is_made_anew():
    async def llm(rubric: str, text: str) -> str:
        return "unsafe"

    assert Asks(llm).check("x").blocked
    workers = drivers._workers
    loop, thread = workers._loop, workers._thread
    assert loop is not None and thread is not None
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()
    assert not thread.is_alive()
    assert Asks(llm).check("x", budget=20).blocked


@pytest.mark.parametrize("error", [asyncio.CancelledError, CancelledError, SystemError])
def test_an_llm_that_says_it_was_cancelled_is_a_broken_guard(error):
    def llm(rubric: str, text: str) -> str:
        raise error

    async def allm(rubric: str, text: str) -> str:
        raise error

    for asked in (llm, allm):
        with pytest.raises(GuardError):
            Asks(asked).check("x")
        with pytest.raises(GuardError):
            asyncio.run(Asks(asked).acheck("x"))


@pytest.mark.parametrize("way", ["sync", "async"])
def test_an_end_of_the_program_is_not_held_up(way):
    @dataclass(frozen=True)
    class Ends(Guard):
        def inspect(self, text: Text) -> Inspection:
            raise KeyboardInterrupt
            yield

    with pytest.raises(KeyboardInterrupt):
        if way == "sync":
            Ends().check("x")
        else:
            asyncio.run(Ends().acheck("x"))


async def test_checks_on_a_loop_take_turns_with_everything_else(monkeypatch):
    monkeypatch.setattr(Turns, "SLICE", 0.0)
    rounds, seen = 0, []

    async def ticks() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    @dataclass(frozen=True)
    class Notes(Guard):
        def inspect(self, text: Text) -> Inspection:
            seen.append(rounds)
            yield from ()

    ticker = asyncio.ensure_future(ticks())
    await asyncio.gather(*(Notes().acheck("x") for _ in range(20)))
    ticker.cancel()
    # Something else ran between any two of them.
    assert len(set(seen)) == 20


async def test_a_check_that_is_cancelled_while_it_waits_gives_its_turn_away(
    monkeypatch,
):
    monkeypatch.setattr(Turns, "SLICE", 0.0)
    guard = Asks(lambda rubric, text: "safe")
    checks = [asyncio.ensure_future(guard.acheck(str(n))) for n in range(8)]
    await asyncio.sleep(0)
    for check in checks[1::2]:
        check.cancel()
    done = await asyncio.wait_for(asyncio.gather(*checks, return_exceptions=True), 20)
    assert [isinstance(d, asyncio.CancelledError) for d in done] == [False, True] * 4
    assert not (await guard.acheck("again")).flagged


def test_loops_that_are_closed_are_not_kept():
    guard = Asks(lambda rubric, text: "safe")
    for _ in range(3):
        asyncio.run(guard.acheck("x"))
    assert len([loop for loop in Turns._of if loop.is_closed()]) <= 1


def test_the_outcome_of_a_future_that_was_cancelled_is_a_failure():
    from promptguard import Engine

    engine = Engine(Asks(str), [Text("x")])
    (query,) = engine.start().queries
    future: Future[Any] = Future()
    future.cancel()
    drivers._feed(engine, query, future)
    with pytest.raises(GuardError):
        _ = engine.verdicts
