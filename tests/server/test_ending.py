"""What callers and records are told of what the end of the service cuts off."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import PATTERNS, Answered, Service, Upstream, chunk

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

WORDS = "The parcel left on Monday. "
MESSAGES = [{"role": "user", "content": "Hi."}]
RESPONSE = {"id": "r", "object": "response", "model": "m", "output": []}


def pieces(path: str) -> Iterator[Any]:
    if path.endswith("responses"):
        yield {"type": "response.created", "response": RESPONSE}
        return
    while True:
        yield chunk({"content": WORDS * 4})


@pytest.mark.parametrize("how", ["drained", "twice"])
def test_what_is_cut_off_by_the_end_is_told_so(
    start: Callable[..., Service], upstream: Upstream, tmp_path: Path, how: str
) -> None:
    kept = tmp_path / "traffic.db"
    service = start(
        PATTERNS,
        *("--upstream", upstream.address, "--capture", f"sqlite:///{kept}"),
        *("--drain-seconds", "1" if how == "drained" else "20"),
    )
    asked = threading.Semaphore(0)
    over = threading.Event()

    def slowly(path: str, body: Any) -> Any:
        asked.release()
        if not body.get("stream"):
            over.wait(30)
            return {}

        def events() -> Iterator[Any]:
            for event in pieces(path):
                yield event
                if over.wait(0.05):
                    return
            over.wait(30)

        return events()

    upstream.answer = slowly
    chat = {"model": "m", "messages": MESSAGES}
    requests = {
        "/v1/chat/completions": {**chat, "stream": True},
        "/v1/responses": {"model": "m", "input": "Hi.", "stream": True},
        "/v1/completions": {"model": "m", "prompt": "Hi."},
    }
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(service.send, *pair) for pair in requests.items()]
        for _ in requests:
            assert asked.acquire(timeout=20)
        time.sleep(0.5)
        first = signal.SIGTERM if how == "drained" else signal.SIGINT
        service.process.send_signal(first)
        if how == "twice":
            time.sleep(0.5)
            service.process.send_signal(signal.SIGINT)
        try:
            stream, response, whole = (a.result(20) for a in answers)
        finally:
            over.set()
    service.process.wait(30)
    service.stop()
    assert last(stream)["error"]["code"] == "shutting_down"
    assert stream.events[0]["choices"][0]["delta"]["content"]
    assert b"[DONE]" not in stream.data
    assert last(response)["type"] == "error"
    assert last(response)["code"] == "shutting_down"
    assert (whole.status, whole.code) == (503, "shutting_down")
    assert "Traceback" not in service.log, service.log
    with sqlite3.connect(kept) as database:
        rows = database.execute(
            "select outcome, error from promptguard_requests"
        ).fetchall()
    assert rows == [("failed", "shutting_down")] * 3


def last(answer: Answered) -> Any:
    """The last event; the answer was ended as the protocol has it."""
    event = answer.data.decode().removesuffix("\n\n").rpartition("\n\n")[2]
    return json.loads(event.rpartition("data: ")[2])
