"""The event loop goes on while long texts are checked."""

from __future__ import annotations

import asyncio
import gc
import random
import time

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'server'")
pytest.importorskip("httpx2", reason="needs the extra 'server'")

import httpx2 as httpx

from promptguard import PII, Keywords, Policy, PromptInjection, Secrets
from promptguard.server.app import create_app
from promptguard.server.settings import Settings

WORDS = "parcel monday warehouse street letter under before green seven window".split()


def text(length: int, seed: int) -> str:
    """Prose that no memo knows."""
    dice = random.Random(seed)
    return " ".join(dice.choice(WORDS) for _ in range(length // 7))


@pytest.mark.slow
async def test_the_loop_is_not_blocked_by_long_texts() -> None:
    guard = PromptInjection() | PII() | Secrets() | Keywords(("heliotrope",))
    app = create_app(Settings(), policy=Policy(input=guard, output=Secrets()))
    guard.warmup()
    late: list[float] = []
    done = asyncio.Event()

    async def ticks() -> None:
        while not done.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - begun - 0.002)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://localhost"
    ) as client:

        async def ask(number: int) -> int:
            messages = [{"role": "user", "content": text(12_000, number)}]
            body = {"model": "m", "messages": messages}
            answer = await client.post("/v1/chat/completions", json=body, timeout=300)
            return int(answer.status_code)

        await ask(0)
        ticking = asyncio.ensure_future(ticks())
        begun = time.perf_counter()
        statuses = await asyncio.gather(*(ask(number) for number in range(1, 5)))
        took = time.perf_counter() - begun
        done.set()
        await ticking
    assert statuses == [200] * 4
    # On the loop, one text alone would hold everybody up for a quarter of all this.
    late.sort()
    assert late[-1] < took / 8
    assert late[int(len(late) * 0.95)] < 0.05 + took / 50


async def test_no_request_waits_until_all_modules_are_searched_for_garbage() -> None:
    policy = Policy(input=Keywords(("heliotrope",)))
    app = create_app(Settings(), policy=policy)
    before = gc.get_freeze_count()
    async with app.router.lifespan_context(app):
        assert gc.get_freeze_count() - before > 10_000
    assert gc.get_freeze_count() == 0
