"""What the service refuses, and what it never tells."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from serving import PATTERNS, Service, Upstream, chunk, completion

CHAT = "/v1/chat/completions"
HI = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}
KEYS = {"PROMPTGUARD_API_KEYS": "a-key-of-the-first-team,a-key-of-the-second-team"}
FIRST = {"authorization": "Bearer a-key-of-the-first-team"}
SECOND = {"authorization": "Bearer a-key-of-the-second-team"}
LIMITS = (
    *("--max-body", "200000"),
    *("--max-characters", "10000"),
    *("--upstream-seconds", "1"),
    *("--history", "all"),
)


@pytest.fixture(scope="module")
def service(start: Callable[..., Service], upstream: Upstream) -> Service:
    return start(
        PATTERNS,
        *("--upstream", upstream.address, *LIMITS),
        PROMPTGUARD_BODY_SECONDS="1",
        PROMPTGUARD_HEADER_SECONDS="1",
        PROMPTGUARD_UPSTREAM_KEY="upstream-key-of-the-service",
    )


@pytest.fixture(scope="module")
def keyed(start: Callable[..., Service]) -> Service:
    return start(PATTERNS, **KEYS)


def nested(depth: int) -> bytes:
    body = json.dumps(HI)[:-1].encode()
    return body + b', "x": ' + b"[" * depth + b"]" * depth + b"}"


BODIES = {
    "no JSON": (b"{", 400, "not_json"),
    "nothing": (b"", 400, "not_json"),
    "a list": (b"[]", 400, "not_an_object"),
    "a string": (b'"heliotrope"', 400, "not_an_object"),
    "a key twice": (
        b'{"model": "m", "messages": [], "model": "n"}',
        400,
        "duplicate_key",
    ),
    "a key twice inside": (
        b'{"messages": [{"role": "user", "content": "a", "content": "b"}]}',
        400,
        "duplicate_key",
    ),
    "a key twice, escaped": (
        b'{"messages": [], "m\\u0065ssages": []}',
        400,
        "duplicate_key",
    ),
    "NaN": (b'{"messages": [], "top_p": NaN}', 400, "not_json"),
    "infinity": (b'{"messages": [], "top_p": -Infinity}', 400, "not_json"),
    "a number beyond all": (b'{"messages": [], "top_p": 1e999}', 400, "not_json"),
    "a number of 5000 digits": (b'{"n": ' + b"1" * 5000 + b"}", 400, "not_json"),
    "half a character": (b'{"messages": [], "user": "\\ud800"}', 400, "not_unicode"),
    "no UTF-8": (b'{"messages": [], "user": "\xff"}', 400, "not_utf8"),
    "UTF-16": ('{"messages": []}'.encode("utf-16"), 400, "not_utf8"),
    "too deep": (nested(100), 400, "too_deep"),
    "far too deep": (nested(9000), 400, "too_deep"),
    "too many bytes": (
        json.dumps({**HI, "x": "y" * 200_000}).encode(),
        413,
        "too_large",
    ),
    "too many characters": (
        json.dumps({"messages": [{"role": "user", "content": "a " * 6000}]}).encode(),
        400,
        "unreadable",
    ),
    "too many values": (b'{"x": [' + b"1," * 60_000 + b"1]}", 413, "too_many_values"),
    "too many texts": (
        json.dumps({**HI, "x": ["a"] * 3000}).encode(),
        400,
        "unreadable",
    ),
    "too many choices": (json.dumps({**HI, "n": 10**9}).encode(), 400, "unreadable"),
    "no messages": (b'{"messages": "Hi."}', 400, "unreadable"),
    "an empty list of messages": (b'{"messages": []}', 400, "empty_array"),
    "an unknown role": (
        b'{"messages": [{"role": "root", "content": "a"}]}',
        400,
        "unreadable",
    ),
    "an unknown part": (
        b'{"messages": [{"role": "user", "content": [{"type": "a b"}]}]}',
        400,
        "unreadable",
    ),
    "stream that is no boolean": (
        json.dumps({**HI, "stream": "yes"}).encode(),
        400,
        "invalid_request",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_right_is_refused(
    service: Service, upstream: Upstream, name: str
) -> None:
    raw, status, code = BODIES[name]
    upstream.asked.clear()
    answer = service.send(CHAT, raw=raw)
    assert (answer.status, answer.code) == (status, code), answer.data
    error = answer.json["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].endswith(".")
    assert "heliotrope" not in answer.data.decode()
    assert upstream.asked == []


def test_a_body_that_is_not_plain_json_is_refused(service: Service) -> None:
    data = json.dumps(HI).encode()
    for headers, raw in (
        ({"content-type": "text/plain"}, data),
        ({"content-type": "multipart/form-data; boundary=x"}, data),
        ({"content-encoding": "gzip"}, gzip.compress(b"[" * 10**7)),
        ({"content-encoding": "gzip, identity"}, data),
    ):
        answer = service.send(CHAT, raw=raw, headers=headers)
        assert answer.status == 415


def test_ten_megabytes_are_not_read(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\n"
        head += "content-type: application/json\r\n"
        line.sendall(f"{head}content-length: {10**7}\r\n\r\n".encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        # Far more than the limit, and no end to it.
        piece = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
        answered = b""
        with suppress(OSError):
            for _ in range(200):
                line.sendall(piece)
        with suppress(OSError):
            answered = line.recv(4096)
        assert not answered or answered.startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_come_is_not_waited_for(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as line:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n"
        line.sendall(f"{head}content-type: application/json\r\n\r\n{{".encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 408")
        assert service.chat("Hi.").status in (200, 502)


def test_what_goes_on_is_what_was_read(service: Service, upstream: Upstream) -> None:
    upstream.answer = lambda path, body: completion()
    raw = (
        '{ "messages" : [{"role":"user","content":"Gr\\u00fc\\u00dfe \\ud83c\\udf89"}],'
    )
    raw += '"model":"m", "temperature": 1.50, "top_k": 1E2, "seed": null }'
    assert service.send(CHAT, raw=raw.encode()).status == 200
    _, body, _ = upstream.asked[-1]
    assert body == json.loads(raw)
    assert [*body] == [*json.loads(raw)]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", f"/v1/{name}") for name in ("files", "batches", "moderations")),
        *(("POST", f"/v1/{name}") for name in ("audio/speech", "images/generations")),
        *(("POST", path) for path in ("/v1/threads", "/v1/responses/r/cancel")),
        *(("GET", path) for path in ("/v1/responses/r", "/v1/files/f", "/admin")),
        *(("POST", path) for path in ("/v1", "/", "/v1/chat/completions/")),
        *(("POST", path) for path in ("/v1//chat/completions", "/V1/chat/completions")),
        ("POST", "/openai/deployments/m/chat/completions"),
        ("POST", "/v1/chat%2Fcompletions/x"),
        ("GET", "/v1/models/../files"),
        ("GET", "/v1/models/%2e%2e/files"),
        ("GET", "/v1/models/a%3Fb"),
    ],
)
def test_an_endpoint_that_is_not_guarded_is_not_there(
    service: Service, upstream: Upstream, method: str, path: str
) -> None:
    upstream.asked.clear()
    body = HI if method == "POST" else None
    answer = service.send(path, body, method=method)
    assert answer.status == 404
    assert answer.json["error"]["type"] == "not_found_error"
    assert upstream.asked == []


def test_another_method_is_refused(service: Service, upstream: Upstream) -> None:
    upstream.asked.clear()
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"):
        assert service.send(CHAT, method=method).status == 405
    assert upstream.asked == []


def test_nothing_in_a_request_switches_a_guard_off(
    service: Service, upstream: Upstream
) -> None:
    upstream.asked.clear()
    blocked = {**HI, "messages": [{"role": "user", "content": "heliotrope"}]}
    names = ("policy", "route", "guard", "guards", "dry_run", "on_error", "trust")
    for name in names:
        for value in ("off", "none", "allow", False, True, {}, []):
            more = {name: value, "promptguard": {name: value}}
            assert service.send(CHAT, {**blocked, **more}).code == "content_filter"
            query = f"{CHAT}?{name}={value}&promptguard={name}"
            headers = {f"x-promptguard-{name}": str(value), name: str(value)}
            answer = service.send(query, blocked, headers=headers)
            assert answer.code == "content_filter"
    assert upstream.asked == []


def test_there_is_no_cors(service: Service) -> None:
    origin = {"origin": "https://example.org"}
    asked = {**origin, "access-control-request-method": "POST"}
    for answer in (
        service.send(CHAT, method="OPTIONS", headers=asked),
        service.send(CHAT, HI, headers=origin),
        service.send("/openapi.json", headers=origin),
    ):
        assert not [n for n in answer.headers if n.startswith("access-control")]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_cannot_reach_it_under_another_name(service: Service) -> None:
    for name in ("attacker.example", "attacker.example:80", "localhost.example"):
        answer = service.send(CHAT, HI, headers={"host": name})
        assert (answer.status, answer.code) == (403, "unknown_host")
    assert service.send("/healthz", headers={"host": "localhost:1"}).status == 200


def test_the_cookies_of_the_upstream_stay(service: Service, upstream: Upstream) -> None:
    upstream.answer = lambda path, body: completion()
    assert "set-cookie" not in service.send(CHAT, HI).headers


def test_a_key_is_needed_where_there_are_some(keyed: Service) -> None:
    for headers in (
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer a-key-of-the-first-tea"},
        {"authorization": "Bearer a-key-of-the-first-team,a-key-of-the-second-team"},
        {"authorization": "Basic a-key-of-the-first-team"},
        {"authorization": "a-key-of-the-first-team"},
        {"x-api-key": "a-key-of-the-first-team"},
        {"authorization": "Bearer \xff\xfe"},
    ):
        for path in (CHAT, "/v1/check", "/v1/nothing"):
            answer = keyed.send(path, HI, headers=headers)
            assert (answer.status, answer.code) == (401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "first-tea" not in answer.data.decode()
        assert keyed.send("/v1/policy", headers=headers).status == 401
        assert keyed.send("/v1/models", headers=headers).status == 401
    assert keyed.send(CHAT, HI, headers=FIRST).status == 200
    assert keyed.send(CHAT, HI, headers=SECOND).status == 200
    assert keyed.send("/healthz").status == 200


def test_the_conversation_of_one_caller_is_not_that_of_another(
    start: Callable[..., Service],
) -> None:
    service = start("[input.pii]\n", **KEYS)
    text = {"text": "I am joe@example.com."}
    made = service.send("/v1/redact", text, headers=FIRST).json
    asked = {"conversation": made["conversation"], "text": made["texts"][0]}
    assert service.send("/v1/restore", asked, headers=SECOND).status == 404
    restored = service.send("/v1/restore", asked, headers=FIRST).json
    assert restored["texts"] == [text["text"]]
    path = f"/v1/conversations/{made['conversation']}"
    gone = service.send(path, method="DELETE", headers=SECOND)
    assert gone.code == "conversation_not_found"
    assert service.send(path, method="DELETE", headers=FIRST).status == 204
    assert service.send("/v1/restore", asked, headers=FIRST).status == 404


def test_no_key_and_no_text_is_logged_or_told(
    service: Service, keyed: Service, upstream: Upstream
) -> None:
    def echo(path: str, body: Any) -> Any:
        return 401, {"error": {"message": "bad key upstream-key-of-the-service"}}

    upstream.answer = echo
    said = [service.send(CHAT, HI).data]
    upstream.answer = lambda path, body: b"no JSON: zanzibar"
    said += [service.send(CHAT, HI).data]
    upstream.answer = lambda path, body: {"object": "zanzibar"}
    said += [service.send(CHAT, HI).data]
    said += [service.chat("heliotrope zanzibar").data]
    said += [service.send(f"{CHAT}?q=zanzibar", raw=b"zanzibar").data]
    said += [keyed.send(CHAT, HI, headers={"authorization": "Bearer zanzibar"}).data]
    said += [service.send("/metrics").data, service.send("/v1/policy").data]
    logs = service.log + keyed.log
    for text in (b"".join(said).decode(), logs):
        assert "zanzibar" not in text
        assert "upstream-key" not in text
        assert "a-key-of" not in text
        assert "Traceback" not in text


def test_an_answer_that_nobody_can_read_is_not_handed_on(
    service: Service, upstream: Upstream
) -> None:
    for answer in (
        b"sesame",
        b'{"choices": [], "choices": []}',
        b'"sesame"',
        {"object": "sesame"},
        {"choices": [{"index": 0, "sesame": "sesame"}]},
        {"choices": ["sesame"]},
        {"choices": [{"message": {"content": {"a": "sesame"}}}]},
    ):
        upstream.answer = lambda path, body, answer=answer: answer
        got = service.send(CHAT, HI)
        assert (got.status, got.code) == (502, "upstream_unreadable"), answer
        assert "sesame" not in got.data.decode()


def test_a_stream_that_nobody_can_read_is_not_handed_on(
    service: Service, upstream: Upstream
) -> None:
    for event in ("sesame", '{"a": 1, "a": 2}', {"object": "sesame"}, '"sesame"'):
        chunks = [chunk({"content": "Yes."}), event, chunk({}, "stop")]
        upstream.answer = lambda path, body, chunks=chunks: iter(chunks)
        answer = service.chat("Hi.", stream=True)
        assert answer.events[-1]["error"]["code"] == "upstream_unreadable"
        assert "sesame" not in answer.data.decode()
        assert b"[DONE]" not in answer.data


def test_an_upstream_that_is_slow_or_gone_has_a_code_of_its_own(
    service: Service, upstream: Upstream, start: Callable[..., Service]
) -> None:
    def slow(path: str, body: Any) -> Any:
        time.sleep(1.5)
        return completion()

    upstream.answer = slow
    for stream in (False, True):
        answer = service.chat("Hi.", stream=stream)
        assert (answer.status, answer.code) == (504, "upstream_timeout")

    def stops(path: str, body: Any) -> Iterator[Any]:
        yield chunk({"content": "Yes."})
        time.sleep(1.5)
        yield chunk({}, "stop")

    upstream.answer = stops
    events = service.chat("Hi.", stream=True).events
    assert events[-1]["error"]["code"] == "upstream_timeout"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = start(
            PATTERNS, "--upstream", f"http://127.0.0.1:{free.getsockname()[1]}"
        )
        for stream in (False, True):
            answer = nobody.chat("Hi.", stream=stream)
            assert (answer.status, answer.code) == (502, "upstream_unreachable")
        assert answer.json["error"]["type"] == "server_error"


def test_redirects_are_not_followed(service: Service, upstream: Upstream) -> None:
    upstream.answer = lambda path, body: (307, {"to": "http://elsewhere"})
    assert service.chat("Hi.").code == "upstream_error"


def test_whoever_sends_no_request_is_not_waited_for(
    service: Service,
) -> None:
    lines = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(3)]
    lines[1].sendall(b"POST /v1/check HTTP/1.1\r\nhost: local")
    # A whole request first: patience is for each anew.
    lines[2].sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /heal")
    assert lines[2].recv(4096).startswith(b"HTTP/1.1 200")
    begun = time.monotonic()
    for line in lines:
        line.settimeout(20)
        while line.recv(4096):
            pass
        line.close()
    assert time.monotonic() - begun < 15
