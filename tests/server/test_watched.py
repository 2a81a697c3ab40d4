"""Work for a caller, who may go before it is done."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest

from promptguard import Policy
from promptguard.server import echo
from promptguard.server.app import create_app
from promptguard.server.echo import _EchoEvents
from promptguard.server.proxy import Proxy
from promptguard.server.settings import Settings
from promptguard.server.streaming import Gone, watched


class Caller:
    """Goes after a while; ``waited`` says how often somebody looked."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waited = 0

    async def receive(self) -> Any:
        self.waited += 1
        await asyncio.sleep(self._seconds)
        return {"type": "http.disconnect"}


def test_work_is_given_up_when_the_caller_goes() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            # What it holds is given back before anybody is told.
            await asyncio.sleep(0.01)
            ended.append("closed")
            raise

    async def main() -> None:
        with pytest.raises(Gone):
            await watched(Caller(0.01).receive, work())
        assert ended == ["closed"]
        # The task itself goes on.
        task = asyncio.current_task()
        assert task is not None and not task.cancelling()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_short_work_is_done_before_anybody_looks() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        caller = Caller(0.0)
        assert await watched(caller.receive, work()) == "done"
        await asyncio.sleep(0.1)
        assert caller.waited == 0

    asyncio.run(main())


def test_an_error_of_the_work_is_its_own() -> None:
    async def work() -> None:
        await asyncio.sleep(0.1)
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            await watched(Caller(30).receive, work())
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_who_ends_the_service_is_not_taken_for_a_caller_that_goes() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(watched(Caller(30).receive, asyncio.sleep(30)))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
def test_an_error_of_the_services_own_says_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: Any) -> Any:
        raise RuntimeError("heliotrope")

    monkeypatch.setattr(Proxy, "answer", broken)
    monkeypatch.setattr(Proxy, "models", broken)
    app = create_app(Settings.of({}, {}), policy=Policy())

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        address = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            if path == "/v1/models":
                return await client.get(path)
            return await client.post(path, json={"messages": []})

    with caplog.at_level(logging.ERROR, "promptguard.server"):
        answer = asyncio.run(main())
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "heliotrope" not in answer.text + caplog.text
    assert "RuntimeError in broken" in caplog.text


def test_a_stream_that_breaks_in_the_middle_says_so_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(_EchoEvents):
        async def __aiter__(self) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
            async for event, raw in super().__aiter__():
                yield event, raw
                if event["choices"][0]["delta"].get("content"):
                    raise RuntimeError("heliotrope")

    monkeypatch.setattr(echo, "_EchoEvents", Broken)
    app = create_app(Settings.of({}, {}), policy=Policy())
    messages = [{"role": "user", "content": "Hello."}]

    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        address = "http://localhost/v1"
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            body = {"messages": messages, "stream": True}
            return await client.post("/chat/completions", json=body)

    with caplog.at_level(logging.ERROR, "promptguard.server"):
        answer = asyncio.run(main())
    *_, last = answer.text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "internal_error"
    assert "heliotrope" not in answer.text + caplog.text
    assert "RuntimeError in __aiter__" in caplog.text
