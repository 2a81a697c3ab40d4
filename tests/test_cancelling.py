"""Whoever is cancelled, wherever it waits, leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from promptguard import Ask, Finding, Guard, Text
from promptguard.guard import Inspection
from promptguard.guarded import guarded

# More rounds of the loop than any of the calls below takes.
ROUNDS = 120


@dataclass(frozen=True)
class Asks(Guard):
    llm: Callable[[str, str], Any]

    def inspect(self, text: Text) -> Inspection:
        first = self.llm, "first", text.original
        if (yield (Ask(*first), Ask(self.llm, "second", text.original)))[0] == "unsafe":
            yield Finding("unsafe", 1.0, 0, len(text.original))


class World:
    """LLMs and streams that note what was begun and not cleaned up."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.begun = 0

    async def llm(self, rubric: str, text: str) -> str:
        self.open.append(rubric)
        self.begun += 1
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return "safe"
        finally:
            await self.close(rubric)

    async def chunks(self, prompt: str) -> AsyncIterator[str]:
        self.open.append("upstream")
        self.begun += 1
        try:
            for word in ("some ", "words ", "of ", "an ", "answer"):
                await asyncio.sleep(0)
                yield word
        finally:
            await self.close("upstream")

    async def close(self, what: str) -> None:
        """Closing a connection takes a round or two as well."""
        try:
            await asyncio.sleep(0)
        finally:
            self.open.remove(what)


class Stream:
    """A client's stream: an object with a close of its own."""

    def __init__(self, world: World) -> None:
        self._chunks = world.chunks("p")

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str:
        return await anext(self._chunks)

    async def close(self) -> None:
        await self._chunks.aclose()


def check(world: World) -> Awaitable[Any]:
    return Asks(world.llm).acheck("text")


def budgeted(world: World) -> Awaitable[Any]:
    return Asks(world.llm).acheck("text", budget=20)


def batch(world: World) -> Awaitable[Any]:
    return Asks(world.llm).acheck_batch(["one", "two"])


def long_text(world: World) -> Awaitable[Any]:
    return Asks(world.llm).acheck("x" * 30_000)


def call(world: World) -> Awaitable[Any]:
    async def answer(prompt: str) -> str:
        await asyncio.sleep(0)
        return "answer"

    return guarded(answer, input=Asks(world.llm), output=Asks(world.llm))("p")


def generator(world: World) -> Awaitable[Any]:
    guard = Asks(world.llm)
    return _read(guarded(world.chunks, input=guard, output=guard)("p"))


def stream(world: World) -> Awaitable[Any]:
    async def answer(prompt: str) -> Any:
        return Stream(world)

    async def read() -> None:
        await _read(await guarded(answer, output=Asks(world.llm))("p"))

    return read()


def flowing(world: World) -> Awaitable[Any]:
    from promptguard import Keywords

    return _read(guarded(world.chunks, output=Keywords(("absent",)))("p"))


async def _read(stream: Any) -> None:
    # As for any stream: whoever stops in the middle of it closes it.
    async with aclosing(stream):
        async for _ in stream:
            await asyncio.sleep(0)


def _threads() -> set[threading.Thread]:
    """But those of the pool for models, which is bounded and stays."""
    threads = threading.enumerate()
    return {t for t in threads if not t.name.startswith("promptguard-model")}


CALLS = [check, budgeted, batch, long_text, call, generator, stream, flowing]


@pytest.mark.parametrize("way", CALLS, ids=lambda way: way.__name__)
async def test_a_cancelled_call_leaves_nothing(way):
    tasks, cancelled, begun = asyncio.all_tasks(), 0, 0
    await asyncio.ensure_future(way(World()))
    threads = _threads()
    for rounds in range(ROUNDS):
        world = World()
        task = asyncio.ensure_future(way(world))
        for _ in range(rounds):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            cancelled += 1
        begun += world.begun
        assert world.open == [], rounds
        assert asyncio.all_tasks() == tasks, rounds
        assert _threads() <= threads, rounds
    assert cancelled > 5 and begun > 5
