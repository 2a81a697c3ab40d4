"""Streams that end before their time: blocked, broken, left, drained."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from serving import PATTERNS, Service, Upstream, chunk, completion

CHAT = "/v1/chat/completions"
WORDS = "The parcel left on Monday. "


def body(**more: Any) -> bytes:
    messages = [{"role": "user", "content": "Hi."}]
    return json.dumps({"model": "m", "messages": messages, **more}).encode()


@contextmanager
def opened(service: Service, data: bytes) -> Iterator[http.client.HTTPResponse]:
    """An answer whose body is still to be read."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.request("POST", CHAT, data, {"content-type": "application/json"})
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def read(service: Service, data: bytes) -> bytes:
    with opened(service, data) as answer:
        return answer.read()


def endless(seconds: float = 0.01) -> Iterator[Any]:
    while True:
        yield chunk({"content": WORDS})
        time.sleep(seconds)


def waited(event: threading.Event) -> bool:
    return event.wait(20)


def test_text_leaves_while_the_stream_goes_on(
    guarded: Service, upstream: Upstream
) -> None:
    go = threading.Event()

    def slowly(path: str, body: Any) -> Iterator[Any]:
        yield chunk({"content": WORDS * 4})
        assert go.wait(20)
        yield chunk({"content": WORDS})
        yield chunk({}, "stop")

    upstream.answer = slowly
    with opened(guarded, body(stream=True)) as answer:
        first = b""
        while b"Monday" not in first:
            first += answer.readline()
        go.set()
        assert answer.read().endswith(b"data: [DONE]\n\n")


def test_a_block_closes_the_upstream(guarded: Service, upstream: Upstream) -> None:
    upstream.gone.clear()

    def talks(path: str, body: Any) -> Iterator[Any]:
        yield chunk({"content": "Open ses"})
        yield chunk({"content": "ame. "})
        yield from endless()

    upstream.answer = talks
    answer = guarded.chat("Hi.", stream=True)
    assert answer.events[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert b"sesame" not in answer.data
    assert waited(upstream.gone)


def test_a_caller_who_leaves_a_stream_closes_the_upstream(
    guarded: Service, upstream: Upstream
) -> None:
    upstream.gone.clear()
    upstream.answer = lambda path, body: endless()
    with opened(guarded, body(stream=True)) as answer:
        assert answer.readline()
    assert waited(upstream.gone)
    assert guarded.send("/readyz").status == 200
    assert "Traceback" not in guarded.log


def test_a_caller_who_does_not_wait_closes_the_upstream(
    guarded: Service, upstream: Upstream
) -> None:
    upstream.gone.clear()
    asked = threading.Event()

    def late(path: str, body: Any) -> Any:
        asked.set()

        def pieces() -> Iterator[Any]:
            yield from endless(0.05)

        # Slow to the last byte, so that a closed connection is noticed.
        return pieces()

    upstream.answer = late
    data = body()
    with socket.create_connection(("127.0.0.1", guarded.port)) as line:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        line.sendall(head.encode() + data)
        assert asked.wait(20)
    assert waited(upstream.gone)
    assert "Traceback" not in guarded.log


@pytest.mark.slow
def test_a_caller_who_reads_slowly_slows_the_upstream_down(
    guarded: Service, upstream: Upstream
) -> None:
    sent = 0

    def fast(path: str, body: Any) -> Iterator[Any]:
        nonlocal sent
        for _ in range(50_000):
            sent += 1
            yield chunk({"content": WORDS * 20})

    upstream.answer = fast
    upstream.gone.clear()
    with opened(guarded, body(stream=True)) as answer:
        assert answer.readline()
        # What the sockets and the service hold is bounded, and the upstream waits. How
        # long it takes to fill them depends on what else the machine does.
        before, end = -1, time.monotonic() + 60
        while sent != before and time.monotonic() < end:
            before = sent
            time.sleep(3)
        assert sent == before < 50_000
    assert waited(upstream.gone)


def test_what_is_under_way_is_finished_before_the_end(
    start: Callable[..., Service], upstream: Upstream
) -> None:
    service = start(PATTERNS, "--upstream", upstream.address, "--drain-seconds", "20")
    upstream.gone.clear()
    go = threading.Event()
    asked = threading.Semaphore(0)

    def slowly(path: str, body: Any) -> Any:
        asked.release()
        if not body.get("stream"):
            assert go.wait(20)
            return completion("Done.")

        def pieces() -> Iterator[Any]:
            yield chunk({"content": WORDS * 4})
            assert go.wait(20)
            yield chunk({"content": "Done."})
            yield chunk({}, "stop")

        return pieces()

    upstream.answer = slowly
    with ThreadPoolExecutor(2) as pool:
        stream = pool.submit(read, service, body(stream=True))
        whole = pool.submit(read, service, body())
        for _ in range(2):
            assert asked.acquire(timeout=20)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        go.set()
        said = stream.result()
        assert b"Done." in said and said.endswith(b"[DONE]\n\n")
        assert b"Done." in whole.result()
    assert service.process.wait(30) == 0
    assert "Traceback" not in service.log
