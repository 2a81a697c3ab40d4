"""Fields of a request that are not as the API has them are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from serving import Service

NEEDED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi."}]},
    "/v1/completions": {"prompt": "Hi."},
    "/v1/responses": {"input": "Hi."},
    "/v1/embeddings": {"input": "Hi."},
}


@pytest.fixture(scope="module")
def service(start: Callable[..., Service]) -> Service:
    return start()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize(
    ("options", "param"),
    [
        ("yes", "stream_options"),
        ("", "stream_options"),
        ([], "stream_options"),
        ([{"include_usage": True}], "stream_options"),
        (0, "stream_options"),
        (True, "stream_options"),
        ({"include_usage": "yes"}, "stream_options.include_usage"),
        ({"include_usage": 1}, "stream_options.include_usage"),
        ({"include_obfuscation": []}, "stream_options.include_obfuscation"),
    ],
    ids=str,
)
def test_options_of_streams_that_are_none_are_refused(
    service: Service, path: str, options: Any, param: str
) -> None:
    body = {"model": "m", **NEEDED[path], "stream": True, "stream_options": options}
    answer = service.send(path, body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["error"]["param"] == param


@pytest.mark.parametrize(
    "options", [None, {}, {"include_usage": True}, {"include_usage": None}], ids=str
)
def test_options_of_streams_go_on(service: Service, options: Any) -> None:
    path = "/v1/chat/completions"
    body = {"model": "m", **NEEDED[path], "stream": True, "stream_options": options}
    answer = service.send(path, body)
    assert answer.status == 200 and answer.data.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "messages"),
        ("/v1/completions", "prompt"),
        ("/v1/embeddings", "input"),
    ],
)
def test_a_list_without_a_text_is_refused(
    service: Service, path: str, name: str
) -> None:
    answer = service.send(path, {"model": "m", name: []})
    assert (answer.status, answer.code) == (400, "empty_array")
    assert answer.json["error"]["param"] == name
