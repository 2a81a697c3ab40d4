"""A check takes no longer than it may, and what is not known by then is not safe."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import promptguard as pg
from promptguard import (
    Action,
    Ask,
    Classify,
    ConfigError,
    Finding,
    Guard,
    GuardError,
    Text,
    drivers,
    engine,
)
from promptguard.guard import Inspection
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard

SOON = 0.05
# What a hung LLM waits for at most, so that a test that fails does not hang.
HANGS = 20


@dataclass(frozen=True)
class Asks(Guard):
    llm: Callable[[str, str], Any]

    def inspect(self, text: Text) -> Inspection:
        if (yield Ask(self.llm, self.name, text.original)) == "unsafe":
            yield Finding("unsafe", 1.0, 0, len(text.original))


@dataclass(frozen=True)
class Scored(Guard):
    def inspect(self, text: Text) -> Inspection:
        yield Classify(None, text.original, text.role)


@pytest.fixture
def hung() -> Iterator[Callable[[str, str], str]]:
    released = threading.Event()

    def llm(rubric: str, text: str) -> str:
        released.wait(HANGS)
        return "safe"

    yield llm
    released.set()


def hung_async(cancelled: list[str]) -> Callable[[str, str], Any]:
    async def llm(rubric: str, text: str) -> str:
        try:
            await asyncio.sleep(HANGS)
        except asyncio.CancelledError:
            cancelled.append(rubric)
            raise
        return "safe"

    return llm


def checked(guard: Guard, way: str, text: str = "text", **options: Any) -> Any:
    if way == "sync":
        return guard.check(text, **options)
    return asyncio.run(guard.acheck(text, **options))


ways = pytest.mark.parametrize("way", ["sync", "async"])


@ways
def test_an_llm_that_does_not_answer_in_time_has_failed(way, hung):
    with pytest.raises(GuardError, match=r"within the budget of 0\.05 s") as caught:
        checked(Asks(hung), way, budget=SOON)
    assert caught.value.guard == "asks"


@ways
def test_an_async_llm_is_cancelled_when_the_time_is_up(way):
    cancelled: list[str] = []
    with pytest.raises(GuardError, match="budget"):
        checked(Asks(hung_async(cancelled)), way, budget=SOON)
    for _ in range(1000):
        if cancelled:
            break
        threading.Event().wait(0.01)
    assert cancelled == ["asks"]


@ways
def test_a_model_that_does_not_answer_in_time_has_failed(way, hung, monkeypatch):
    import promptguard.runtime.infer

    monkeypatch.setattr(
        promptguard.runtime.infer, "answer", lambda query: hung("", query.text)
    )
    drivers._memo.clear()
    with pytest.raises(GuardError, match="budget"):
        checked(Scored(), way, budget=SOON)


@ways
def test_a_check_within_its_budget_is_as_without(way):
    guard = Asks(lambda rubric, text: "unsafe")
    assert checked(guard, way, budget=HANGS).blocked
    assert not checked(Asks(lambda r, t: "safe"), way, budget=HANGS).flagged


@ways
def test_going_on_when_the_time_is_up_is_said_in_the_verdict(way, hung):
    def answer(prompt: str) -> str:
        return f"to {prompt}"

    async def aanswer(prompt: str) -> str:
        return f"to {prompt}"

    options: Any = {"input": Asks(hung), "budget": SOON, "on_error": "allow"}
    with pg.capture() as verdicts:
        if way == "sync":
            assert guarded(answer, **options)("you") == "to you"
        else:
            assert asyncio.run(guarded(aanswer, **options)("you")) == "to you"
    assert [(v.degraded, v.coverage) for v in verdicts] == [(True, 0.0)]
    assert dict(verdicts[0].timings).keys() == {"asks"}


@ways
def test_a_block_that_is_known_does_not_wait_for_the_budget(way, hung):
    guard = Asks(hung, name="slow") | Asks(lambda r, t: "unsafe", name="fast")
    verdict = checked(guard, way, budget=HANGS)
    assert verdict.blocked and not verdict.degraded


@ways
def test_a_block_of_one_text_ends_the_call(way, hung):
    """What the LLM would say of the other one is waited for no more."""

    @dataclass(frozen=True)
    class Picky(Guard):
        def inspect(self, text: Text) -> Inspection:
            asked = hung if "slow" in text.original else (lambda r, t: "unsafe")
            if (yield Ask(asked, "", text.original)) == "unsafe":
                yield Finding("unsafe", 1.0, 0, 1)

    async def aanswer(*prompts: str) -> str:
        return "called"

    with pg.capture() as verdicts, pytest.raises(pg.Blocked):
        if way == "sync":
            guarded(lambda *prompts: "called", input=Picky())("slow", "fast")
        else:
            asyncio.run(guarded(aanswer, input=Picky())("slow", "fast"))
    assert [v.blocked for v in verdicts] == [False, True]
    assert [v.coverage for v in verdicts] == [0.0, 1.0]


@ways
def test_a_guard_may_say_what_it_makes_of_the_time_being_up(way, hung):
    @dataclass(frozen=True)
    class Patient(Guard):
        def inspect(self, text: Text) -> Inspection:
            try:
                yield Ask(hung, "", text.original)
            except GuardError:
                yield Finding("unanswered", 1.0, 0, 1)

    verdict = checked(Patient(), way, budget=SOON)
    assert verdict.blocked and verdict.findings[0].label == "unanswered"


@ways
def test_a_guard_that_only_asks_again_does_not_go_on_for_ever(way, hung):
    @dataclass(frozen=True)
    class Insists(Guard):
        def inspect(self, text: Text) -> Inspection:
            while True:
                try:
                    yield Ask(hung, "", text.original)
                except GuardError:
                    continue

    with pytest.raises(GuardError, match="budget"):
        checked(Insists(), way, budget=SOON)


def test_no_guard_begins_after_the_time_is_up(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(engine, "perf_counter", lambda: clock[0])

    @dataclass(frozen=True)
    class Slow(Guard):
        def inspect(self, text: Text) -> Inspection:
            clock[0] += 2.0
            yield from ()

    began: list[str] = []

    @dataclass(frozen=True)
    class Next(Guard):
        def inspect(self, text: Text) -> Inspection:
            began.append(text.original)
            yield from ()

    with pytest.raises(GuardError) as caught:
        (Slow() | Next()).check("text", budget=1.0)
    assert caught.value.guard == "next" and not began
    assert not (Slow() | Next()).check("text", budget=3.0).flagged


@ways
def test_what_a_failed_answer_took_is_in_the_timings(way):
    waited = threading.Event()

    def fails(rubric: str, text: str) -> str:
        waited.wait(0.01)
        raise ConnectionError

    def answer(prompt: str) -> str:
        return prompt

    async def aanswer(prompt: str) -> str:
        return prompt

    options: Any = {"input": Asks(fails), "on_error": "allow"}
    with pg.capture() as verdicts:
        if way == "sync":
            guarded(answer, **options)("p")
        else:
            asyncio.run(guarded(aanswer, **options)("p"))
    assert dict(verdicts[0].timings)["asks"] >= 0.01


def test_a_stream_that_waits_too_long_for_a_guard_ends_there(hung):
    closed: list[str] = []

    def answer(prompt: str) -> Iterator[str]:
        try:
            yield from ("some ", "text")
        finally:
            closed.append(prompt)

    stream = guarded(answer, output=Asks(hung), budget=SOON)("p")
    with pytest.raises(GuardError, match="budget"):
        list(stream)
    assert closed == ["p"]


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf"), "1", True, ()])
def test_a_budget_is_a_positive_number_of_seconds(budget):
    with pytest.raises(ConfigError, match="budget"):
        guarded(input=FakeGuard(), budget=budget)
    with pytest.raises(ConfigError, match="budget"):
        FakeGuard().check("text", budget=budget)


def test_a_batch_shares_one_budget(hung):
    guard = Asks(hung) | FakeGuard(word="bad", action=Action.FLAG)
    with pytest.raises(GuardError, match="budget"):
        guard.check_batch(["one", "two"], budget=SOON)
    with pytest.raises(GuardError, match="budget"):
        asyncio.run(guard.acheck_batch(["one", "two"], budget=SOON))


def test_a_program_ends_though_an_llm_never_answers():
    program = """
import time
import promptguard as pg
from dataclasses import dataclass

@dataclass(frozen=True)
class Asks(pg.Guard):
    def inspect(self, text):
        yield pg.Ask(lambda rubric, text: time.sleep(1000), "", text.original)

try:
    Asks().check("text", budget=0.05)
except pg.GuardError:
    print("failed closed")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "failed closed", done.stderr


async def test_what_nobody_wants_any_more_is_cancelled_at_once():
    """Though the check of another text of the batch goes on."""
    cancelled, release = asyncio.Event(), asyncio.Event()

    async def llm(rubric: str, text: str) -> str:
        if text == "quick":
            return "unsafe"
        if text == "late":
            await release.wait()
            return "safe"
        try:
            await asyncio.sleep(HANGS)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "safe"

    @dataclass(frozen=True)
    class Twice(Guard):
        def inspect(self, text: Text) -> Inspection:
            yield Ask(llm, "", text.original if text.original != "quick" else "slow")

    guard = Twice() | Asks(llm)
    check = asyncio.ensure_future(guard.acheck_batch(["quick", "late"]))
    await asyncio.wait_for(cancelled.wait(), HANGS)
    assert not check.done()
    release.set()
    assert [verdict.blocked for verdict in await check] == [True, False]


@ways
def test_a_budget_may_say_what_happens_when_it_runs_out(way, hung):
    async def aanswer(prompt: str) -> str:
        return prompt

    def called(guard: Guard, **options: Any) -> Any:
        if way == "sync":
            return guarded(lambda prompt: prompt, input=guard, **options)("p")
        return asyncio.run(guarded(aanswer, input=guard, **options)("p"))

    allows = pg.Budget(SOON, then="allow")
    with pg.capture() as verdicts:
        assert called(Asks(hung), budget=allows) == "p"
    assert verdicts[0].degraded
    # Another fault is no lateness, and the other way round.
    with pytest.raises(GuardError):
        called(FakeGuard(error=ValueError()), budget=allows)
    with pytest.raises(GuardError, match="budget"):
        called(Asks(hung), budget=pg.Budget(SOON, then="block"), on_error="allow")


def test_a_late_guard_is_told_by_a_pickle_too(hung):
    with pytest.raises(GuardError) as caught:
        Asks(hung).check("text", budget=SOON)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    with pytest.raises(ConfigError, match="then"):
        pg.Budget(1.0, then="pass")  # type: ignore[arg-type]
