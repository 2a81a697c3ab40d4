"""The loopback chat server, spoken to with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from promptguard import ConfigError
from promptguard.testing import ChatServer, Reply, ToolCall


def post(server: ChatServer, **body: Any) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    request = Request(
        f"{server.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": "Bearer key"},
    )
    with urlopen(request, timeout=10) as response:
        data = response.read().decode()
    if not body.get("stream"):
        return json.loads(data)
    events = [event.removeprefix("data: ") for event in data.strip().split("\n\n")]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_string_answers_every_request():
    with ChatServer("Hello!") as server:
        for _ in range(2):
            answer = post(server)
            assert answer["choices"][0]["message"]["content"] == "Hello!"
    assert [request.body["model"] for request in server.requests] == ["m", "m"]
    assert server.requests[0].headers["authorization"] == "Bearer key"
    assert server.requests[0].completed
    assert "Bearer" not in repr(server.requests)


def test_a_list_answers_one_request_each_and_then_fails():
    with ChatServer(["one", Reply(content="two")]) as server:
        assert post(server)["choices"][0]["message"]["content"] == "one"
        assert post(server)["choices"][0]["message"]["content"] == "two"
        with pytest.raises(HTTPError) as raised:
            post(server)
        assert raised.value.code == 500
        raised.value.close()


def test_a_function_answers_by_what_was_asked():
    with ChatServer(lambda body: body["messages"][0]["content"].upper()) as server:
        assert post(server)["choices"][0]["message"]["content"] == "HI"


def test_a_streamed_answer_comes_in_pieces():
    with ChatServer(Reply(content="Hello!", reasoning="Hm", size=4)) as server:
        chunks = post(server, stream=True, stream_options={"include_usage": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"content": "Hell"},
        {"content": "o!"},
        {},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_answer_says_the_tokens_that_it_is_told(stream):
    with ChatServer(Reply(content="Hello!", tokens=(120, 7))) as server:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        answer = post(server, **(options if stream else {}))
    usage = (answer[-1] if stream else answer)["usage"]
    assert usage == {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127}


def test_tool_calls_and_several_choices():
    calls = (ToolCall("f", '{"a": 1}'), ToolCall("g", "{}", id="call_2"))
    with ChatServer(Reply(tool_calls=calls, size=5)) as server:
        answer = post(server, n=2)
        chunks = post(server, n=2, stream=True)
    assert [c["index"] for c in answer["choices"]] == [0, 1]
    assert answer["choices"][1]["message"]["tool_calls"][1]["function"]["name"] == "g"
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    arguments: dict[tuple[int, int], str] = {}
    for chunk in chunks:
        (choice,) = chunk["choices"]
        for call in choice["delta"].get("tool_calls", ()):
            key = choice["index"], call["index"]
            text = call["function"]["arguments"]
            arguments[key] = arguments.get(key, "") + text
    assert arguments[0, 0] == arguments[1, 0] == '{"a": 1}'
    assert arguments[1, 1] == "{}"


def test_errors_on_demand():
    with ChatServer(Reply(status=429, retry_after=0.5)) as server:
        with pytest.raises(HTTPError) as raised:
            post(server)
        assert raised.value.code == 429
        assert raised.value.headers["retry-after"] == "0.5"
        raised.value.close()


@pytest.mark.parametrize("stream", [True, False])
def test_a_connection_can_be_dropped(stream):
    dropped = (http.client.HTTPException, ConnectionError)
    with (
        ChatServer(Reply(content="Hi", drop_after=2)) as server,
        pytest.raises(dropped),
    ):
        post(server, stream=stream)
    assert not server.requests[0].completed


def test_models_are_listed_and_other_paths_are_not_found():
    with ChatServer(models=["a", "b"]) as server:
        with urlopen(f"{server.base_url}/models", timeout=10) as response:
            assert [row["id"] for row in json.load(response)["data"]] == ["a", "b"]
        for url, data in (("/other", None), ("/other", b"{}")):
            with pytest.raises(HTTPError) as raised:
                urlopen(server.base_url + url, data, timeout=10)
            assert raised.value.code == 404
            raised.value.close()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"[" * 100_000])
def test_a_malformed_request_is_refused(data):
    with ChatServer() as server:
        with pytest.raises(HTTPError) as raised:
            urlopen(f"{server.base_url}/chat/completions", data, timeout=10)
        assert raised.value.code == 400
        raised.value.close()


def test_leaving_does_not_wait_for_a_slow_answer():
    with ChatServer(Reply(content="late", delay=60)) as server:
        failed = threading.Event()

        def ask() -> None:
            try:
                post(server)
            except (OSError, http.client.HTTPException):
                failed.set()

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            pass
    assert failed.wait(5)
    thread.join()


def test_the_server_listens_on_loopback_and_is_gone_afterwards():
    server = ChatServer()
    with pytest.raises(ConfigError):
        _ = server.base_url
    with server:
        host, port = server.base_url.split("/")[2].split(":")
        assert host == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=1)


def test_an_error_says_what_it_is_told_to():
    reply = Reply(status=400, error={"code": "too_long", "message": "no"})
    with ChatServer(reply) as server, pytest.raises(HTTPError) as raised:
        post(server)
    with raised.value as response:
        error = json.loads(response.read())["error"]
    assert (error["code"], error["message"], error["param"]) == ("too_long", "no", None)


def test_an_answer_can_be_cut_off():
    with ChatServer(Reply(content="x" * 500, cut=100)) as server:
        with pytest.raises(http.client.IncompleteRead):
            post(server)
        assert not server.requests[0].completed


def test_log_probabilities_are_given_where_they_are_asked_for():
    told = {"content": [], "refusal": None}
    with ChatServer(Reply(content="x", logprobs=told)) as server:
        assert post(server)["choices"][0]["logprobs"] is None
        assert post(server, logprobs=True)["choices"][0]["logprobs"] == told
