"""Judge over the real openai client, against the loopback server."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest

import promptguard as pg
from promptguard import ConfigError, Judge, JudgeError, MissingExtra, Usage
from promptguard.judging.endpoint import Endpoint, Manner
from promptguard.judging.faults import fault
from promptguard.testing import ChatServer, FakeJudge, Reply

openai = pytest.importorskip("openai")
KEY = "sk-canary-key-5150"
WAYS = ["address", "client", "async client"]
ways = pytest.mark.parametrize("way", WAYS)
drivers = pytest.mark.parametrize("driver", ["sync", "async"])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def judge(server: ChatServer, way: str, **more: Any) -> Judge:
    arguments: dict[str, Any] = {"model": "test-model", "timeout": 20.0, **more}
    if way == "address":
        arguments["base_url"] = server.base_url
    else:
        kind = openai.OpenAI if way == "client" else openai.AsyncOpenAI
        # No connection is to outlive its request, and with it the event loop.
        once = {"connection": "close"}
        arguments["llm"] = kind(base_url=server.base_url, default_headers=once)
    return Judge(("injection", "toxicity"), **arguments)


def check(guard: pg.Guard, driver: str, text: str = "Hello.") -> pg.Verdict:
    if driver == "sync":
        return guard.check(text)
    return asyncio.run(guard.acheck(text))


@ways
@drivers
def test_the_real_client_is_asked_once_and_by_schema(way, driver):
    with ChatServer(FakeJudge(4)) as server:
        verdict = check(judge(server, way, prices=(1e6, 1e6)), driver)
    assert [(f.label, f.score) for f in verdict.findings] == [
        ("injection", 0.75),
        ("toxicity", 0.75),
    ]
    assert verdict.usage == (("judge", Usage(1, 1, 1, 2.0)),)
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    body = request.body
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["model"] == "test-model"
    assert body["temperature"] == 0
    assert body["max_tokens"] <= 200
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["additionalProperties"] is False
    assert schema["schema"]["required"] == ["nonce", "grades"]
    # What constrained decoding would fill in by itself proves nothing.
    assert set(schema["schema"]["properties"]["nonce"]) <= {"type", "title"}
    grades = schema["schema"]["properties"]["grades"]
    assert grades["required"] == ["injection", "toxicity"]
    assert grades["properties"]["injection"]["enum"] == [1, 2, 3, 4, 5]
    assert "$ref" not in json.dumps(schema)


def test_log_probabilities_of_the_endpoint_are_used():
    def script(body: dict[str, Any]) -> Reply:
        said = FakeJudge(5)(body)
        place = said.rindex("5")
        head, tail = said[:place], said[place + 1 :]
        half = math.log(0.5)
        top = [{"token": "5", "logprob": half}, {"token": "4", "logprob": half}]
        tokens = [
            {"token": head, "logprob": 0.0, "top_logprobs": []},
            {"token": "5", "logprob": half, "top_logprobs": top},
            {"token": tail, "logprob": 0.0, "top_logprobs": []},
        ]
        told = [{"bytes": None, **token} for token in tokens]
        return Reply(content=said, logprobs={"content": told, "refusal": None})

    with ChatServer(script) as server:
        guard = Judge("injection", base_url=server.base_url, model="m")
        (finding,) = guard.check("Hello.").findings
    assert finding.score == pytest.approx(0.875)
    assert server.requests[0].body["top_logprobs"] >= 5


FAULTS = [
    ("key", Reply(status=401), 1),
    ("key", Reply(status=403), 1),
    ("model", Reply(status=404, error={"code": "model_not_found"}), 1),
    ("context", Reply(status=400, error={"code": "context_length_exceeded"}), 1),
    ("context", Reply(status=400, error={"message": "Prompt is too long: 9 > 8"}), 1),
    ("context", Reply(status=413), 1),
    ("refusal", Reply(refusal="I cannot help with that."), 1),
    ("refusal", Reply(content="x", finish_reason="content_filter"), 1),
    ("refusal", Reply(status=400, error={"code": "content_filter"}), 1),
    ("rate", Reply(status=429), 2),
    ("rate", Reply(status=429, error={"code": "insufficient_quota"}), 1),
    ("server", Reply(status=500), 2),
    ("server", Reply(status=503), 2),
    ("request", Reply(status=418), 1),
    ("reply", Reply(content='{"nonce": "', finish_reason="length"), 1),
    ("reply", Reply(content='{"nonce": "'), 1),
    ("reply", Reply(content="All is fine."), 1),
    ("reply", Reply(content=None), 1),
    ("unreachable", Reply(drop_after=0), 2),
    ("unreachable", Reply(content="x" * 500, cut=200), 2),
]


@pytest.mark.parametrize(
    ("kind", "reply", "asked"),
    FAULTS,
    ids=[f"{kind}-{n}" for n, (kind, *_) in enumerate(FAULTS)],
)
@ways
def test_a_fault_of_the_endpoint_is_typed_and_blocks(kind, reply, asked, way, caplog):
    caplog.set_level(logging.DEBUG)
    said = {"message": f"canary {KEY}", **(reply.error or {})}
    with ChatServer(pg_replace(reply, error=said)) as server:
        guard = judge(server, way, retries=1)
        with pytest.raises(JudgeError) as raised:
            guard.check("canary text")
    error = raised.value
    assert error.kind == kind
    assert error.guard == "judge"
    assert len(server.requests) == asked
    ours = [r for r in caplog.records if r.name.startswith("promptguard")]
    for shown in (str(error), repr(error), str(vars(error)), *map(str, ours)):
        assert KEY not in shown and "canary" not in shown
    assert error.__context__ is None and error.__cause__ is None


def pg_replace(reply: Reply, **changes: Any) -> Reply:
    from dataclasses import replace

    return replace(reply, **changes)


@ways
@drivers
def test_nobody_at_the_address_is_a_typed_error(way, driver):
    with ChatServer("x") as server:
        guard = judge(server, way, retries=0)
    with pytest.raises(JudgeError) as raised:
        check(guard, driver)
    assert raised.value.kind == "unreachable"


@ways
@drivers
def test_a_slow_endpoint_is_a_timeout(way, driver):
    with ChatServer(Reply(content="x", delay=30)) as server:
        begun = time.monotonic()
        with pytest.raises(JudgeError) as raised:
            check(judge(server, way, timeout=0.3), driver)
        assert time.monotonic() - begun < 15
    assert raised.value.kind == "timeout"


@ways
@drivers
def test_what_passes_is_asked_again(way, driver):
    replies: list[Any] = [
        Reply(status=503),
        Reply(status=429, retry_after=0.05),
        FakeJudge(1),
    ]
    turn = iter(replies)

    def script(body: dict[str, Any]) -> Any:
        reply = next(turn)
        return reply(body) if callable(reply) else reply

    with ChatServer(script) as server:
        verdict = check(judge(server, way), driver)
    assert not verdict.flagged
    assert verdict.usage[0][1].calls == 1
    # Each attempt has a nonce of its own.
    sent = {request.body["messages"][0]["content"] for request in server.requests}
    assert len(sent) == 3


def test_retry_after_is_honoured():
    turn = iter([Reply(status=429, retry_after=0.6), None])
    at: list[float] = []

    def script(body: dict[str, Any]) -> Any:
        at.append(time.monotonic())
        return next(turn) or FakeJudge(1)(body)

    with ChatServer(script) as server:
        assert not judge(server, "client").check("Hello.").flagged
    assert at[1] - at[0] >= 0.6


def test_a_wait_that_takes_too_long_is_not_begun():
    with ChatServer(Reply(status=429, retry_after=3600)) as server:
        begun = time.monotonic()
        with pytest.raises(JudgeError) as raised:
            judge(server, "address").check("Hello.")
        assert time.monotonic() - begun < 15
    assert raised.value.kind == "rate"
    assert len(server.requests) == 1


class Picky:
    """A script that refuses requests with any of these options."""

    def __init__(self, *options: str, told: bool = True) -> None:
        self.options, self.told = options, told

    def __call__(self, body: dict[str, Any]) -> Any:
        for option in self.options:
            name, _, form = option.partition("=")
            given = body.get(name)
            if given is not None and (not form or given["type"] == form):
                error = {"code": "unsupported", "message": "no"}
                if self.told:
                    error |= {"param": name}
                return Reply(status=400, error=error)
        return FakeJudge(2)(body)


@pytest.mark.parametrize(
    ("options", "without"),
    [
        (("logprobs",), {"logprobs", "top_logprobs"}),
        (("response_format=json_schema",), set()),
        (("response_format",), {"response_format"}),
        (("logprobs", "temperature", "max_tokens"), {"temperature", "max_tokens"}),
    ],
)
@pytest.mark.parametrize("told", [True, False], ids=["named", "not named"])
def test_an_option_that_the_endpoint_does_not_take_is_left_out(options, without, told):
    with ChatServer(Picky(*options, told=told)) as server:
        guard = judge(server, "address")
        assert not guard.check("Hello.").flagged
        first = len(server.requests)
        assert not guard.check("Hello again.").flagged
        # It is remembered.
        assert len(server.requests) == first + 1
    assert not without & set(server.requests[-1].body)
    if "max_tokens" in options:
        # Such a model thinks before it writes.
        assert server.requests[-1].body["max_completion_tokens"] > 2_000


def test_a_limit_that_is_taken_under_neither_name_is_left_out():
    with ChatServer(Picky("max_tokens", "max_completion_tokens")) as server:
        assert not judge(server, "address").check("Hello.").flagged
    assert not [name for name in server.requests[-1].body if name.startswith("max")]


def test_a_schema_that_is_required_is_not_given_up():
    picky = ChatServer(Picky("response_format=json_schema"))
    with picky as server, pytest.raises(JudgeError) as raised:
        judge(server, "address", structured="require").check("Hello.")
    assert raised.value.kind == "request"
    with ChatServer(FakeJudge(1)) as server:
        judge(server, "address", structured="off").check("Hello.")
    assert "response_format" not in server.requests[0].body


def test_a_request_that_is_refused_for_itself_does_not_spoil_the_next():
    refused = [True]

    def script(body: dict[str, Any]) -> Any:
        return Reply(status=400) if refused[0] else FakeJudge(1)(body)

    with ChatServer(script) as server:
        guard = judge(server, "client")
        with pytest.raises(JudgeError):
            guard.check("Hello.")
        refused[0] = False
        guard.check("Hello.")
    assert server.requests[-1].body["response_format"]["type"] == "json_schema"


def test_manners_come_to_an_end():
    for option in ("", "logprobs", "temperature", "max_tokens", "response_format"):
        manner: Manner | None = Manner()
        for _ in range(10):
            if manner is None:
                break
            manner = manner.without(option, "prefer")
        assert manner is None


def test_the_key_is_read_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "other")
    with ChatServer(FakeJudge(1)) as server:
        judge(server, "address", key_env="OTHER_KEY").check("Hello.")
        monkeypatch.delenv("OPENAI_API_KEY")
        judge(server, "address").check("Hello.")
    keys = [request.headers["authorization"] for request in server.requests]
    assert keys == ["Bearer other", "Bearer none"]


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_named_has_to_be_there(monkeypatch, value):
    monkeypatch.setenv("NO_KEY", value or "")
    if value is None:
        monkeypatch.delenv("NO_KEY")
    with ChatServer(FakeJudge(1)) as server:
        with pytest.raises(ConfigError, match="the environment has no NO_KEY"):
            judge(server, "address", key_env="NO_KEY").check("Hello.")
        assert not server.requests


def test_without_a_key_and_an_address_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        Judge("injection", model="m").check("Hello.")


def test_without_the_client_library_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"\[openai\]"):
        Judge("injection", model="m", base_url="http://localhost:1/v1").check("Hello.")


def test_an_address_is_asked_from_any_number_of_event_loops():
    with ChatServer(FakeJudge(1)) as server:
        guard = judge(server, "address")
        for _ in range(3):
            assert not asyncio.run(guard.acheck("Hello.")).flagged
        texts = [f"text {n}" for n in range(20)]
        assert not any(v.flagged for v in asyncio.run(guard.acheck_batch(texts)))
        assert not any(v.flagged for v in guard.check_batch(texts))


async def test_a_check_of_an_address_that_is_cancelled_ends_the_request():
    with ChatServer(Reply(content="x", delay=30)) as server:
        task = asyncio.create_task(judge(server, "address").acheck("Hello."))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.requests[0].completed


def test_a_function_with_a_bound_model_is_a_function():
    async def complete(model: str, messages: list[dict[str, str]]) -> str:
        return FakeJudge(5)(messages)

    llm = partial(complete, "m")
    assert Endpoint(llm=llm).kind == "async function"
    assert Judge("injection", llm=llm).check("Hello.").blocked
    assert asyncio.run(Judge("injection", llm=llm).acheck("Hello.")).blocked


class Refused(Exception):
    """An error with a response, as clients raise it."""

    def __init__(self, status: int, **headers: str) -> None:
        self.response = type(
            "Response", (), {"status_code": status, "headers": headers}
        )()


def test_a_date_says_when_to_ask_again():
    soon = datetime.now(UTC) + timedelta(seconds=100)
    found = fault(Refused(429, **{"Retry-After": format_datetime(soon, usegmt=True)}))
    assert found.after == pytest.approx(100, abs=5)
    past = fault(Refused(503, **{"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert past.after == 0


@pytest.mark.parametrize("said", ["soon", "nan", "inf", "-inf", ""])
def test_a_wait_that_makes_no_sense_is_not_taken(said):
    assert fault(Refused(429, **{"retry-after": said})).after is None


def test_an_error_of_status_200_is_an_unreadable_answer():
    assert fault(Refused(200)).kind == "reply"


def test_a_judge_of_an_address_can_be_built_without_anything_there():
    guard = Judge("injection", model="m", base_url="http://127.0.0.1:9/v1")
    guard.warmup()
    assert "127.0.0.1" not in repr(guard)


def test_connections_of_endpoints_long_unused_are_closed(monkeypatch):
    from promptguard.judging import endpoint

    class Client:
        def __init__(self) -> None:
            self.closed = threading.Event()

        async def close(self) -> None:
            self.closed.set()

    states = endpoint._States()
    monkeypatch.setattr(states, "SIZE", 2, raising=False)
    first = states(Endpoint(model="m0", timeout=0.01))
    first._client = client = Client()
    for n in range(1, 3):
        states(Endpoint(model=f"m{n}", timeout=0.01))
    assert client.closed.wait(10)


@ways
@drivers
def test_loading_the_libraries_is_not_the_judges_time(way, driver, monkeypatch):
    from promptguard.judging import endpoint

    made = endpoint._client

    def slowly(of: Endpoint) -> Any:
        time.sleep(2.5)
        return made(of)

    monkeypatch.setattr(endpoint, "_client", slowly)
    with ChatServer(FakeJudge(1)) as server:
        assert not check(judge(server, way, timeout=2.0), driver).flagged
