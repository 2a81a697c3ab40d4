"""Sync and async driving: order, threads, cancellation."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from promptguard import (
    Action,
    Ask,
    Classify,
    Finding,
    Guard,
    GuardError,
    Text,
    drivers,
)
from promptguard._workers import Shared
from promptguard.guard import Inspection
from promptguard.queries import Scores, Window


@dataclass(frozen=True)
class Asks(Guard):
    """Finds "unsafe" when that is what the LLM says."""

    llm: Callable[[str, str], Any]

    def inspect(self, text: Text) -> Inspection:
        answer = yield Ask(self.llm, self.name, text.original)
        if answer == "unsafe":
            yield Finding("unsafe", 1.0, 0, len(text.original))


@dataclass(frozen=True)
class Scored(Guard):
    """Reports the model's score."""

    def inspect(self, text: Text) -> Inspection:
        scores = yield Classify(None, text.original, text.role)
        yield Finding("scored", scores.windows[0].scores[0][1], 0, 1)


def says(answer: str, after: float = 0.0) -> Callable[[str, str], str]:
    def llm(rubric: str, text: str) -> str:
        time.sleep(after)
        return answer

    return llm


def says_async(answer: str, after: float = 0.0) -> Callable[[str, str], Any]:
    async def llm(rubric: str, text: str) -> str:
        await asyncio.sleep(after)
        return answer

    return llm


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> list[Classify]:
    """A model that always says 0.5; the list holds what it was asked."""
    import promptguard.runtime.infer

    asked: list[Classify] = []

    def answer(query: Classify) -> Scores:
        asked.append(query)
        return Scores((Window(0, 1, (("injection", 0.5),)),), 1.0)

    monkeypatch.setattr(promptguard.runtime.infer, "answer", answer)
    drivers._memo.clear()
    yield asked  # type: ignore[misc]  # a generator fixture
    drivers._memo.clear()


@pytest.mark.parametrize("says", [says, says_async])
def test_llms_of_either_kind_answer_a_sync_check(says: Callable[..., Any]) -> None:
    assert Asks(says("unsafe")).check("x").blocked
    assert not Asks(says("safe")).check("x").blocked


@pytest.mark.parametrize("says", [says, says_async])
async def test_llms_of_either_kind_answer_an_async_check(
    says: Callable[..., Any],
) -> None:
    assert (await Asks(says("unsafe")).acheck("x")).blocked
    assert not (await Asks(says("safe")).acheck("x")).blocked


def test_llms_are_asked_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def llm(rubric: str, text: str) -> str:
        meeting.wait()
        return "safe"

    guard = Asks(llm, name="one") | Asks(llm, name="two")
    assert not guard.check("x").flagged


def test_a_block_does_not_wait_for_a_slower_llm() -> None:
    released = threading.Event()

    def slow(rubric: str, text: str) -> str:
        released.wait(10)
        return "safe"

    guard = Asks(slow, name="slow") | Asks(says("unsafe"), name="fast")
    try:
        assert guard.check("x").blocked
    finally:
        released.set()


async def test_an_async_block_cancels_what_it_does_not_need() -> None:
    cancelled = asyncio.Event()

    async def slow(rubric: str, text: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "safe"

    guard = Asks(slow, name="slow") | Asks(says_async("unsafe"), name="fast")
    assert (await guard.acheck("x")).blocked
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_cancelling_a_check_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    check = asyncio.ensure_future(Asks(says_async("safe", after=60)).acheck("x"))
    await asyncio.sleep(0.05)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("says", [says, says_async])
async def test_an_llm_that_raises_is_a_broken_guard(says: Callable[..., Any]) -> None:
    def broken(rubric: str, text: str) -> str:
        raise ValueError(text)

    for check in (Asks(broken).check, lambda text: asyncio.run(_acheck(broken, text))):
        with pytest.raises(GuardError) as caught:
            await asyncio.to_thread(check, "canary-9911")
        assert "canary" not in str(caught.value)


async def _acheck(llm: Callable[[str, str], Any], text: str) -> None:
    await Asks(llm).acheck(text)


def test_the_model_is_asked_once_for_equal_texts(model: list[Classify]) -> None:
    guard = Scored(action=Action.FLAG)
    verdicts = guard.check_batch(["a", "a", "b"])
    assert [verdict.findings[0].score for verdict in verdicts] == [0.5, 0.5, 0.5]
    assert sorted(query.text for query in model) == ["a", "b"]


def test_the_memo_spares_a_text_that_was_scored_before(model: list[Classify]) -> None:
    for role in ("user", "user", "tool"):
        Scored(action=Action.FLAG).check("history", role)
    assert [query.role for query in model] == ["user", "tool"]


def test_the_memo_is_bounded_and_keeps_no_text(model: list[Classify]) -> None:
    guard = Scored(action=Action.FLAG)
    for number in range(drivers._Memo.SIZE + 10):
        guard.check(f"canary {number}")
    assert len(drivers._memo._scores) == drivers._Memo.SIZE
    assert "canary" not in repr(vars(drivers._memo))


async def test_a_model_run_does_not_block_the_loop(
    model: list[Classify], monkeypatch: pytest.MonkeyPatch
) -> None:
    import promptguard.runtime.infer

    running, ticked = threading.Event(), threading.Event()

    def answer(query: Classify) -> Scores:
        running.set()
        assert ticked.wait(10), "the loop did not run beside the model"
        return Scores((Window(0, 1, (("injection", 0.5),)),), 1.0)

    monkeypatch.setattr(promptguard.runtime.infer, "answer", answer)
    check = asyncio.ensure_future(Scored(action=Action.FLAG).acheck("loop"))
    while not running.is_set():
        await asyncio.sleep(0.001)
    ticked.set()
    assert (await check).flagged


async def test_long_texts_are_scanned_off_the_loop() -> None:
    threads: list[str] = []

    @dataclass(frozen=True)
    class Where(Guard):
        def inspect(self, text: Text) -> Inspection:
            threads.append(threading.current_thread().name)
            return
            yield

    await Where().acheck("short")
    await Where().acheck("x" * (drivers.LONG_TEXT + 1))
    assert threads[0] == "MainThread" and threads[1].startswith("promptguard-model")


async def test_many_short_texts_leave_the_loop_as_one_long_one_does() -> None:
    threads: set[str] = set()

    @dataclass(frozen=True)
    class Where(Guard):
        def inspect(self, text: Text) -> Inspection:
            threads.add(threading.current_thread().name)
            return
            yield

    await Where().acheck_batch(["x"] * 500)
    assert "MainThread" not in threads


async def test_equal_questions_of_checks_at_the_same_time_are_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import promptguard.runtime.infer

    asked: list[str] = []
    go = threading.Event()

    def answer(query: Classify) -> Scores:
        asked.append(query.text)
        assert go.wait(20)
        return Scores((Window(0, 1, (("injection", 0.5),)),), 1.0)

    monkeypatch.setattr(promptguard.runtime.infer, "answer", answer)
    texts = [f"asked once: {number % 2}" for number in range(100)]
    checks = [asyncio.ensure_future(Scored().acheck(text)) for text in texts]
    shared = Shared.on(asyncio.get_running_loop())
    while sum(len(waiting) for _, waiting in shared._asked.values()) < len(texts):
        await asyncio.sleep(0.005)
    go.set()
    assert all(verdict.findings for verdict in await asyncio.gather(*checks))
    assert sorted(asked) == sorted({*texts})
    assert not shared._asked


async def test_a_check_that_is_given_up_leaves_the_question_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import promptguard.runtime.infer

    go = threading.Event()

    def answer(query: Classify) -> Scores:
        assert go.wait(10)
        return Scores((Window(0, 1, (("injection", 0.5),)),), 1.0)

    monkeypatch.setattr(promptguard.runtime.infer, "answer", answer)
    first = asyncio.ensure_future(Scored().acheck("the same"))
    second = asyncio.ensure_future(Scored().acheck("the same"))
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go.set()
    assert (await second).findings


async def test_a_call_with_many_texts_does_not_keep_others_from_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import promptguard.runtime.infer

    def answer(query: Classify) -> Scores:
        time.sleep(0.005)
        return Scores((Window(0, 1, (("injection", 0.5),)),), 1.0)

    monkeypatch.setattr(promptguard.runtime.infer, "answer", answer)
    many = asyncio.ensure_future(Scored().acheck_batch([f"{n}" for n in range(200)]))
    await asyncio.sleep(0.02)
    assert (await Scored().acheck("one alone")).findings
    assert not many.done()
    await many


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_workers_are_made_anew_in_a_forked_child() -> None:
    guard = Asks(says("unsafe"))
    assert guard.check("x").blocked
    child = os.fork()
    if not child:
        os._exit(0 if guard.check("y").blocked else 1)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child hung")
