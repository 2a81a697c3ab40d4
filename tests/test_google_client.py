"""guard_client around the real client of google-genai."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from promptguard import Action, Blocked, ConfigError, capture, guard_client
from promptguard.testing import ChatServer, FakeGuard, Reply, ToolCall

genai = pytest.importorskip("google.genai", reason="needs the extra 'clients'")

# Said by a library below the client, about itself.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
EVERYTHING = Reply(
    content="I am Joe.",
    reasoning="Joe asks.",
    tool_calls=(ToolCall("send", r'{"to": "Joe", "cc": ["x", "Joe"]}'),),
    size=2,
)


def masked(value: Any) -> str:
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", str(value))


class Both:
    """The sync and the async side of the client behind one face."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.script: Any = "Hello."
        self.server = ChatServer(
            lambda body: self.script(body) if callable(self.script) else self.script
        ).__enter__()
        url = self.server.base_url.removesuffix("/v1")
        self.plain = genai.Client(api_key="key", http_options={"base_url": url})

    def guarded(self, script: Any = None, **options: Any) -> Any:
        if script is not None:
            self.script = script
        client = guard_client(self.plain, **options)
        return client if self.kind == "sync" else client.aio

    async def of(self, value: Any) -> Any:
        return await value if hasattr(value, "__await__") else value

    async def ask(self, client: Any, contents: Any = "x", **options: Any) -> Any:
        """The answer, or the list of chunks."""
        stream = options.pop("stream", False)
        name = "generate_content_stream" if stream else "generate_content"
        config = {"automatic_function_calling": {"disable": True}}
        config |= options.pop("config", {})
        call = getattr(client.models, name)
        answer = await self.of(call(model="m", contents=contents, config=config))
        if not stream:
            return answer
        if self.kind == "async":
            return [chunk async for chunk in answer]
        return list(answer)

    @property
    def own(self) -> Any:
        return self.plain if self.kind == "sync" else self.plain.aio

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [request.body for request in self.server.requests]


@pytest.fixture(params=["sync", "async"])
async def both(request) -> AsyncIterator[Both]:
    made = Both(request.param)
    yield made
    if made.kind == "async":
        await made.plain.aio.aclose()
    made.plain.close()
    made.server.__exit__(None, None, None)


streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def parts(answer: Any) -> list[Any]:
    chunks = answer if isinstance(answer, list) else [answer]
    return [p for c in chunks for x in c.candidates or () for p in x.content.parts]


def text(answer: Any, thought: bool = False) -> str:
    return "".join(p.text or "" for p in parts(answer) if bool(p.thought) is thought)


def calls(answer: Any) -> list[Any]:
    return [p.function_call.args for p in parts(answer) if p.function_call]


@streams
async def test_no_channel_of_an_answer_is_left_out(both, stream):
    client = both.guarded(EVERYTHING, output=NAME)
    plain = await both.ask(both.own, stream=stream)
    found = await both.ask(client, stream=stream)
    assert text(plain) == "I am Joe."
    assert "Joe" not in str(found)
    assert masked(text(found)) == "I am <NAME>."
    assert masked(text(found, thought=True)) == "<NAME> asks."
    assert masked(calls(found)) == "[{'to': '<NAME>', 'cc': ['x', '<NAME>']}]"


@streams
@pytest.mark.parametrize("channel", ["content", "reasoning", "tool_calls"])
async def test_a_blocked_answer_is_not_given(both, stream, channel):
    call = (ToolCall("f", r'{"a": {"b": ["\u0062ad"]}}'),)
    reply = Reply(**{channel: call if channel == "tool_calls" else "so bad"})
    client = both.guarded(reply, output=BAD)
    with pytest.raises(Blocked):
        await both.ask(client, stream=stream)


@streams
async def test_a_harmless_answer_is_the_same(both, stream):
    reply = Reply(content="Hi.", reasoning="Hm.", tool_calls=(ToolCall("f"),))
    client = both.guarded(reply, input=BAD, output=BAD | NAME)
    plain = await both.ask(both.own, stream=stream)
    found = await both.ask(client, stream=stream)
    for thought in (False, True):
        assert text(plain, thought) == text(found, thought)
    assert calls(plain) == calls(found)
    assert both.sent[0] == both.sent[1]


def response(given: Any) -> Any:
    inner = genai.types.FunctionResponse(name="f", response=given)
    return genai.types.Part(function_response=inner)


REQUESTS: dict[str, Any] = {
    "str": "so bad",
    "list": ["fine", "so bad"],
    "part": genai.types.Part(text="so bad"),
    "content": [genai.types.Content(role="user", parts=[{"text": "so bad"}])],
    "dict": [{"role": "user", "parts": [{"text": "so bad"}]}],
    "result": [
        genai.types.Content(role="user", parts=[{"text": "fine"}]),
        genai.types.Content(role="model", parts=[{"text": "fine"}]),
        genai.types.Content(role="user", parts=[response({"page": ["so bad"]})]),
    ],
}


@streams
@pytest.mark.parametrize("contents", REQUESTS.values(), ids=REQUESTS)
async def test_every_text_of_a_request_is_read(both, contents, stream):
    client = both.guarded(input=BAD)
    with pytest.raises(Blocked):
        await both.ask(client, contents, stream=stream)
    with pytest.raises(Blocked):
        await both.of(client.models.count_tokens(model="m", contents=contents))
    with pytest.raises(Blocked):
        await both.of(client.models.embed_content(model="m", contents=contents))
    assert both.sent == []


async def test_redacted_requests_arrive_and_answers_are_restored(both):
    def echo(body: dict[str, Any]) -> Reply:
        token = body["contents"][0]["parts"][0]["text"]
        call = ToolCall("f", json.dumps({"to": token}))
        return Reply(content=f"Dear {token}.", tool_calls=(call,))

    client = both.guarded(echo, input=NAME, restore=True)
    for stream in (False, True):
        answer = await both.ask(client, "Joe", stream=stream)
        assert text(answer) == "Dear Joe."
        assert masked(calls(answer)) == "[{'to': '<NAME>'}]"
    assert masked(both.sent[0]["contents"][0]["parts"][0]["text"]) == "<NAME>"


async def test_results_of_functions_that_the_client_calls_are_checked(both):
    roles: list[str] = []

    def look() -> str:
        """Look at a page."""
        return "so bad"

    def script(body: dict[str, Any]) -> Reply:
        return Reply(tool_calls=(ToolCall("look"),))

    client = both.guarded(script, input=BAD)
    with capture() as verdicts, pytest.raises(Blocked):
        await both.of(
            client.models.generate_content(
                model="m", contents="x", config={"tools": [look]}
            )
        )
    assert len(both.sent) == 1
    assert verdicts[-1].blocked and not roles


async def test_chats_are_guarded(both):
    client = both.guarded("I am Joe.", input=BAD, output=NAME)
    chat = client.chats.create(model="m")
    answer = await both.of(chat.send_message("x"))
    assert masked(text(answer)) == "I am <NAME>."
    with pytest.raises(Blocked):
        await both.of(chat.send_message("bad"))
    assert len(both.sent) == 1


class Person(BaseModel):
    name: str


async def test_what_was_parsed_is_parsed_again(both):
    client = both.guarded(Reply(content='{"name": "Joe"}'), output=NAME)
    config = {"response_mime_type": "application/json", "response_schema": Person}
    answer = await both.ask(client, config=config)
    assert masked(answer.parsed.name) == "<NAME>"
    assert masked(answer.text) == '{"name": "<NAME>"}'


@pytest.mark.parametrize("given", ["x", "bad"], ids=["answer", "request"])
@streams
async def test_a_text_in_place_of_a_blocked_one_has_the_clients_shape(
    both, given, stream
):
    reply = Reply(content="Fine words. Then bad ones.", size=4)
    client = both.guarded(reply, input=BAD, output=BAD, on_block="[removed]")
    answer = await both.ask(client, given, stream=stream)
    assert text(answer).endswith("[removed]")
    assert "bad" not in text(answer)
    last = answer[-1] if stream else answer
    assert type(last) is genai.types.GenerateContentResponse
    assert last.candidates[0].finish_reason == "STOP"


@pytest.mark.parametrize(
    "name",
    ["models/generate_images", "models/generate_videos", "files", "caches"],
)
async def test_an_endpoint_without_guards_is_refused_unless_named(both, name):
    owner, _, method = name.partition("/")
    client = both.guarded(input=BAD)
    with pytest.raises(ConfigError, match=f"unguarded=\\('{name}',\\)"):
        getattr(getattr(client, owner), method or "x")(model="m", prompt="bad")
    client = both.guarded(input=BAD, unguarded=(name,))
    found = getattr(client, owner, None)
    assert not method or getattr(found, method).__name__ == method


async def test_the_answer_is_not_handed_out_unread(both):
    client = both.guarded("I am Joe.", output=NAME)
    with pytest.raises(ConfigError, match="should_return_http_response"):
        await both.ask(client, config={"should_return_http_response": True})
