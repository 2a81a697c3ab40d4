"""The official client against the service, by changing base_url and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, OpenAI, RateLimitError
from pydantic import BaseModel
from serving import PATTERNS, Service

from promptguard.testing import ChatServer, Reply, ToolCall

HI = [{"role": "user", "content": "Hi."}]
LONG = "The parcel left on Monday, and it should be with you soon. " * 5
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
REPLIES = {
    "text": Reply(content=LONG),
    "no text": Reply(content=""),
    "refusal": Reply(refusal="No."),
    "reasoning": Reply(content="Yes.", reasoning="Let me see."),
    "tool calls": Reply(
        tool_calls=(
            ToolCall("look", '{"where": "the \\u00fcber box"}'),
            ToolCall("look", "{}", id="call_2"),
        )
    ),
    "many languages": Reply(
        content="Grüße, 世界, 🎉, \u202eabc, \U0001f468\u200d\U0001f467"
    ),
}


@pytest.fixture(scope="module")
def script() -> dict[str, Reply]:
    return {"reply": Reply(content="Hello.")}


@pytest.fixture(scope="module")
def model(script: dict[str, Reply]) -> Iterator[ChatServer]:
    with ChatServer(lambda body: script["reply"]) as server:
        yield server


@pytest.fixture(scope="module")
def service(start: Callable[..., Service], model: ChatServer) -> Service:
    return start(PATTERNS, "--upstream", model.base_url)


@pytest.fixture
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=service.base_url, api_key="the caller's", max_retries=0) as it:
        yield it


def both(model: ChatServer, service: Service, path: str, body: Any) -> list[bytes]:
    """The bytes of an answer, straight from the upstream and through the service."""
    answers = []
    for base in (model.base_url, service.base_url):
        data = json.dumps({"model": "m", **body}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{base}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            answers.append(response.read())
    return answers


BODIES = {
    "/chat/completions": {"messages": HI, "tools": TOOLS},
    "/completions": {"prompt": "Hi."},
    "/responses": {"input": "Hi."},
    "/embeddings": {"input": ["Hi.", "you"]},
}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("path", BODIES)
def test_an_answer_without_findings_is_that_of_the_upstream_to_the_byte(
    model: ChatServer,
    service: Service,
    script: dict[str, Reply],
    path: str,
    reply: str,
) -> None:
    script["reply"] = REPLIES[reply]
    straight, through = both(model, service, path, BODIES[path])
    assert through == straight


@pytest.mark.parametrize("reply", REPLIES)
def test_a_stream_without_findings_says_what_the_upstream_says(
    model: ChatServer, service: Service, script: dict[str, Reply], reply: str
) -> None:
    script["reply"] = REPLIES[reply]
    said = []
    for base in (model.base_url, service.base_url):
        with OpenAI(base_url=base, api_key="key") as client:
            with client.chat.completions.stream(
                model="m", messages=HI, tools=TOOLS
            ) as stream:
                for _ in stream:
                    pass
                said.append(stream.get_final_completion().model_dump())
            with client.responses.stream(model="m", input="Hi.") as stream:
                for _ in stream:
                    pass
                said.append(stream.get_final_response().model_dump())
            pieces = client.completions.create(model="m", prompt="Hi.", stream=True)
            said.append("".join(piece.choices[0].text for piece in pieces))
    assert said[:3] == said[3:]


def test_without_output_guards_a_stream_is_that_of_the_upstream_to_the_byte(
    start: Callable[..., Service], model: ChatServer, script: dict[str, Reply]
) -> None:
    policy = '[input.keywords]\nwords = ["heliotrope"]\n'
    service = start(policy, "--upstream", model.base_url)
    for reply in REPLIES.values():
        script["reply"] = reply
        for path in ("/chat/completions", "/completions", "/responses"):
            body = {**BODIES[path], "stream": True}
            straight, through = both(model, service, path, body)
            assert through == straight


def test_every_method_of_the_client_works(
    client: OpenAI, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(content='{"city": "Paris"}')

    class City(BaseModel):
        city: str

    assert client.models.list().data[0].id == "test-model"
    parsed = client.chat.completions.parse(model="m", messages=HI, response_format=City)
    assert parsed.choices[0].message.parsed == City(city="Paris")
    again = client.responses.parse(model="m", input="Hi.", text_format=City)
    assert again.output_parsed == City(city="Paris")
    rows = client.embeddings.create(model="m", input=["a", "b"]).data
    assert [row.embedding for row in rows] == [[0.5, 0.25]] * 2
    raw = client.chat.completions.with_raw_response.create(model="m", messages=HI)
    assert raw.headers["x-request-id"].startswith("req_")
    usage = {"include_usage": True}
    stream = client.chat.completions.create(
        model="m", messages=HI, stream=True, stream_options=usage, n=2
    )
    chunks = [*stream]
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 2
    assert {c.choices[0].index for c in chunks if c.choices} == {0, 1}


async def test_the_async_client_works(
    service: Service, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(content=LONG)
    async with AsyncOpenAI(base_url=service.base_url, api_key="key") as client:
        asked = [
            client.chat.completions.create(model="m", messages=HI) for _ in range(8)
        ]
        answers = await asyncio.gather(*asked)
        assert {a.choices[0].message.content for a in answers} == {LONG}
        stream = await client.chat.completions.create(
            model="m", messages=HI, stream=True
        )
        said = [c.choices[0].delta.content or "" async for c in stream]
        assert "".join(said) == LONG
        async with client.responses.stream(model="m", input="Hi.") as events:
            async for _ in events:
                pass
            final = await events.get_final_response()
        assert final.output_text == LONG


def test_a_blocked_prompt_is_an_error_that_clients_know(
    client: OpenAI, model: ChatServer
) -> None:
    model.requests.clear()
    for ask in (
        lambda: client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "heliotrope"}]
        ),
        lambda: client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "heliotrope"}],
            stream=True,
        ),
        lambda: client.responses.create(model="m", input="heliotrope"),
        lambda: client.completions.create(model="m", prompt="heliotrope"),
        lambda: client.embeddings.create(model="m", input="heliotrope"),
    ):
        with pytest.raises(BadRequestError) as raised:
            ask()
        assert raised.value.code == "content_filter"
        assert raised.value.type == "invalid_request_error"
        assert "heliotrope" not in str(raised.value)
        assert "keyword (keywords)" in str(raised.value)
    assert model.requests == []


def test_a_blocked_answer_is_cut_off_as_by_a_filter(
    client: OpenAI, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(content="Say: open sesame.")
    answer = client.chat.completions.create(model="m", messages=HI, n=2)
    for choice in answer.choices:
        assert choice.finish_reason == "content_filter"
        assert choice.message.content is None
    text = client.completions.create(model="m", prompt="Hi.").choices[0]
    assert (text.finish_reason, text.text) == ("content_filter", "")
    response = client.responses.create(model="m", input="Hi.")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"
    assert response.output_text == ""


def test_a_blocked_stream_is_cut_off_as_by_a_filter(
    client: OpenAI, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(content=f"{LONG}Say: open sesame. {LONG}")
    chunks = [*client.chat.completions.create(model="m", messages=HI, stream=True)]
    said = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert said.startswith(LONG) and "sesame" not in said
    assert chunks[-1].choices[0].finish_reason == "content_filter"
    pieces = [*client.completions.create(model="m", prompt="Hi.", stream=True)]
    assert pieces[-1].choices[0].finish_reason == "content_filter"
    events = [*client.responses.create(model="m", input="Hi.", stream=True)]
    assert events[-1].type == "response.incomplete"
    assert "sesame" not in json.dumps([event.model_dump() for event in events])


def test_what_is_redacted_is_so_in_every_form(
    client: OpenAI, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(
        content="It is vermilion.", tool_calls=(ToolCall("look", '{"a": "vermilion"}'),)
    )
    answer = client.chat.completions.create(model="m", messages=HI, tools=TOOLS)
    message = answer.choices[0].message
    assert message.content is not None and "<KEYWORD_1:" in message.content
    assert message.tool_calls is not None
    made = json.loads(message.tool_calls[0].function.arguments)  # type: ignore[union-attr]
    assert made["a"].startswith("<KEYWORD_")
    stream = client.chat.completions.create(
        model="m", messages=HI, tools=TOOLS, stream=True
    )
    whole = json.dumps([chunk.model_dump() for chunk in stream])
    assert "vermilion" not in whole and "milion" not in whole


RESTORING = """
restore = true
on_block = { replace = "Let us talk about something else." }

[input.pii]

[input.keywords]
words = ["heliotrope"]

[output.keywords]
words = ["sesame"]
"""


def test_a_policy_restores_and_replaces(
    start: Callable[..., Service], model: ChatServer, script: dict[str, Reply]
) -> None:
    service = start(RESTORING, "--upstream", model.base_url)
    with OpenAI(base_url=service.base_url, api_key="key") as client:
        model.requests.clear()
        words = "Let us talk about something else."
        for text, reply in (("heliotrope", "Hi."), ("Hi.", "open sesame")):
            script["reply"] = Reply(content=reply)
            messages = [{"role": "user", "content": text}]
            answer = client.chat.completions.create(model="m", messages=messages)
            assert answer.choices[0].message.content == words
            assert answer.choices[0].finish_reason == "stop"
            said = client.chat.completions.create(
                model="m", messages=messages, stream=True
            )
            assert words in "".join(c.choices[0].delta.content or "" for c in said)
            assert client.responses.create(model="m", input=text).output_text == words
            events = client.responses.create(model="m", input=text, stream=True)
            assert [*events][-1].response.output_text.endswith(words)

        def echoes(body: dict[str, Any]) -> Reply:
            return Reply(content=body["messages"][-1]["content"])

        model._script = echoes
        messages = [{"role": "user", "content": "I am joe@example.com, and you?"}]
        answer = client.chat.completions.create(model="m", messages=messages)
        assert answer.choices[0].message.content == messages[0]["content"]
        sent = model.requests[-1].body["messages"][0]["content"]
        assert "joe@example.com" not in sent and "<EMAIL_ADDRESS_1:" in sent
        stream = client.chat.completions.create(
            model="m", messages=messages, stream=True
        )
        said = "".join(c.choices[0].delta.content or "" for c in stream)
        assert said == messages[0]["content"]
        model._script = lambda body: script["reply"]


def test_the_upstream_s_errors_are_told_without_its_words(
    client: OpenAI, script: dict[str, Reply], service: Service
) -> None:
    for status, expected, code in (
        (400, 400, "context_length_exceeded"),
        (401, 502, "upstream_key"),
        (404, 404, "context_length_exceeded"),
        (429, 429, "context_length_exceeded"),
        (500, 502, "upstream_error"),
    ):
        script["reply"] = Reply(
            status=status,
            error={"code": "context_length_exceeded", "message": "sk-secret and Hi."},
            retry_after=7,
        )
        for stream in (False, True):
            answer = service.chat("Hi.", stream=stream)
            assert (answer.status, answer.code) == (expected, code)
            assert "secret" not in answer.data.decode()
        if status == 429:
            assert answer.headers["retry-after"] == "7"
            with pytest.raises(RateLimitError):
                client.chat.completions.create(model="m", messages=HI)


def test_a_stream_that_breaks_is_an_error_in_the_stream(
    client: OpenAI, script: dict[str, Reply]
) -> None:
    script["reply"] = Reply(content=LONG, drop_after=10)
    with pytest.raises(APIError) as raised:
        for _ in client.chat.completions.create(model="m", messages=HI, stream=True):
            pass
    assert raised.value.code == "upstream_unreachable"
    with pytest.raises(APIError):
        for _ in client.responses.create(model="m", input="Hi.", stream=True):
            pass


def test_the_caller_s_key_goes_on_where_the_service_has_none(
    client: OpenAI,
    model: ChatServer,
    script: dict[str, Reply],
    start: Callable[..., Service],
) -> None:
    script["reply"] = Reply(content="Hello.")
    client.chat.completions.create(
        model="m", messages=HI, extra_headers={"x-note": "heliotrope"}
    )
    headers = model.requests[-1].headers
    assert headers["authorization"] == "Bearer the caller's"
    assert "x-note" not in headers
    assert set(headers) <= {
        *("accept", "accept-encoding", "authorization", "connection"),
        *("content-length", "content-type", "host", "user-agent"),
    }
    own = start(
        PATTERNS,
        *("--upstream", model.base_url),
        PROMPTGUARD_UPSTREAM_KEY="upstream-key-of-the-service",
        PROMPTGUARD_API_KEYS="first-key-of-a-caller, second-key-of-a-caller",
    )
    for key in ("first-key-of-a-caller", "second-key-of-a-caller"):
        with OpenAI(base_url=own.base_url, api_key=key) as caller:
            caller.chat.completions.create(model="m", messages=HI)
        sent = model.requests[-1].headers["authorization"]
        assert sent == "Bearer upstream-key-of-the-service"
    assert "key-of-the-service" not in own.log + os.linesep


def test_a_policy_asks_again_where_an_answer_is_whole(
    start: Callable[..., Service], model: ChatServer, script: dict[str, Reply]
) -> None:
    policy = '[output.keywords]\nwords = ["sesame"]\n'
    policy = f'on_block = {{ reask = 1, replace = "No." }}\n{policy}'
    service = start(policy, "--upstream", model.base_url)
    answers = iter(["open sesame", "Closed.", "open sesame", "sesame, open"])
    model._script = lambda body: Reply(content=next(answers))
    with OpenAI(base_url=service.base_url, api_key="key") as client:
        said = []
        for _ in range(2):
            answer = client.chat.completions.create(model="m", messages=HI)
            said.append(answer.choices[0].message.content)
        assert said == ["Closed.", "No."]
        assert (
            "keyword (keywords)" in model.requests[-1].body["messages"][-1]["content"]
        )
        model._script = lambda body: Reply(content="open sesame")
        stream = client.chat.completions.create(model="m", messages=HI, stream=True)
        said = "".join(c.choices[0].delta.content or "" for c in stream)
        assert said == "open No."
    model._script = lambda body: script["reply"]
