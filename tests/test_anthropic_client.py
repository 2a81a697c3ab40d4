"""guard_client around the real Anthropic client, and every type that it knows."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, guard_client
from promptguard.testing import ChatServer, FakeGuard, Reply, ToolCall

anthropic = pytest.importorskip("anthropic", reason="needs the extra 'clients'")

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
WHOLE = FakeGuard(name="whole", query=pg.Ask(lambda rubric, text: "", "", ""))
EVERYTHING = Reply(
    content="I am Joe.",
    reasoning="Joe asks.",
    tool_calls=(ToolCall("send", r'{"to": "Joe", "cc": ["x", "Joe"]}'),),
    size=2,
)


def masked(text: str) -> str:
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", text)


class Both:
    """The sync and the async client behind one face."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.script: Any = "Hello."
        self.server = ChatServer(
            lambda body: self.script(body) if callable(self.script) else self.script
        ).__enter__()
        make = anthropic.Anthropic if kind == "sync" else anthropic.AsyncAnthropic
        url = self.server.base_url.removesuffix("/v1")
        self.plain: Any = make(base_url=url, api_key="key", max_retries=0)

    def guarded(self, script: Any = None, **options: Any) -> Any:
        if script is not None:
            self.script = script
        return guard_client(self.plain, **options)

    async def of(self, value: Any) -> Any:
        return await value if hasattr(value, "__await__") else value

    async def ask(self, client: Any, text: Any = "x", **options: Any) -> Any:
        """The message, or the list of events."""
        messages = [{"role": "user", "content": text}]
        options = {"model": "m", "max_tokens": 9, "messages": messages, **options}
        answer = await self.of(client.messages.create(**options))
        if not options.get("stream"):
            return answer
        if self.kind == "async":
            return [event async for event in answer]
        return list(answer)

    async def managed(self, client: Any, text: str = "x") -> tuple[list[Any], Any]:
        """The events of a stream manager, and the final message."""
        messages = [{"role": "user", "content": text}]
        made = client.messages.stream(model="m", max_tokens=9, messages=messages)
        if self.kind == "async":
            async with made as stream:
                events = [event async for event in stream]
                return events, await stream.get_final_message()
        with made as stream:
            return list(stream), stream.get_final_message()

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [request.body for request in self.server.requests]


@pytest.fixture(params=["sync", "async"])
async def both(request) -> AsyncIterator[Both]:
    made = Both(request.param)
    yield made
    await made.of(made.plain.close())
    made.server.__exit__(None, None, None)


streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def joined(answer: Any, kind: str) -> str:
    """One text of a message, or of its events: text, thinking or partial_json."""
    if isinstance(answer, list):
        deltas = [event.delta for event in answer if event.type.endswith("block_delta")]
        return "".join(getattr(delta, kind, "") for delta in deltas)
    if kind == "partial_json":
        return "".join(
            json.dumps(block.input)
            for block in answer.content
            if block.type[0] == "t"
            if hasattr(block, "input")
        )
    return "".join(getattr(block, kind, None) or "" for block in answer.content)


@streams
async def test_no_channel_of_an_answer_is_left_out(both, stream):
    client = both.guarded(EVERYTHING, output=NAME)
    plain = await both.ask(both.plain, stream=stream)
    found = await both.ask(client, stream=stream)
    assert joined(plain, "text") == "I am Joe."
    assert "Joe" not in str(found)
    assert masked(joined(found, "text")) == "I am <NAME>."
    assert masked(joined(found, "thinking")) == "<NAME> asks."
    said = json.loads(masked(joined(found, "partial_json")))
    assert said == {"to": "<NAME>", "cc": ["x", "<NAME>"]}


@streams
@pytest.mark.parametrize("channel", ["content", "reasoning", "tool_calls"])
async def test_a_blocked_answer_is_not_given(both, stream, channel):
    call = (ToolCall("f", r'{"a": {"b": ["\u0062ad"]}}'),)
    reply = Reply(**{channel: call if channel == "tool_calls" else "so bad"})
    client = both.guarded(reply, output=BAD)
    with pytest.raises(Blocked):
        await both.ask(client, stream=stream)


@streams
@pytest.mark.parametrize(
    "guard", [BAD | NAME, BAD | NAME | WHOLE], ids=["flow", "hold"]
)
async def test_a_harmless_answer_is_the_same(both, stream, guard):
    reply = Reply(content="Hi.", reasoning="Hm.", tool_calls=(ToolCall("f"),))
    client = both.guarded(reply, input=BAD, output=guard)
    plain = await both.ask(both.plain, stream=stream)
    found = await both.ask(client, stream=stream)
    if not stream:
        assert plain == found
    for kind in ("text", "thinking", "partial_json", "signature"):
        assert joined(plain, kind) == joined(found, kind)
    assert both.sent[0] == both.sent[1]


# What a request may hold, each with the bad word in one more place.
REQUESTS = {
    "text": "so bad",
    "blocks": [{"type": "text", "text": "fine"}, {"type": "text", "text": "bad"}],
    "tool_result": [{"type": "tool_result", "tool_use_id": "1", "content": "bad"}],
    "tool_result blocks": [
        {
            "type": "tool_result",
            "tool_use_id": "1",
            "content": [{"type": "text", "text": "bad"}],
        }
    ],
    "document": [
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "bad"},
        }
    ],
    "title": [
        {
            "type": "document",
            "title": "bad",
            "source": {"type": "url", "url": "https://example.org"},
        }
    ],
    "search_result": [
        {
            "type": "search_result",
            "title": "t",
            "source": "s",
            "content": [{"type": "text", "text": "bad"}],
        }
    ],
    "tool_use": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": "bad"}}],
}


@pytest.mark.parametrize("content", REQUESTS.values(), ids=REQUESTS)
async def test_every_text_of_a_request_is_read(both, content):
    client = both.guarded(input=BAD)
    with pytest.raises(Blocked):
        await both.ask(client, content)
    assert both.sent == []
    counting = client.messages.count_tokens
    with pytest.raises(Blocked):
        await both.of(
            counting(model="m", messages=[{"role": "user", "content": content}])
        )


async def test_results_of_tools_are_checked_as_such_and_the_system_prompt_is_not(both):
    client = both.guarded(input=BAD)
    result = [{"type": "tool_result", "tool_use_id": "1", "content": "fine"}]
    with pg.capture() as verdicts:
        await both.ask(client, result, system="a bad system prompt")
        await both.ask(client, "x", system=[{"type": "text", "text": "bad"}])
    assert len(verdicts) == 2
    assert both.sent[0]["system"] == "a bad system prompt"


async def test_redacted_requests_keep_their_types(both):
    client = both.guarded(input=NAME)
    content = [
        {"type": "text", "text": "I am Joe.", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.org/Joe"}},
        {
            "type": "tool_result",
            "tool_use_id": "1",
            "content": [{"type": "text", "text": "Joe"}],
        },
    ]
    await both.ask(client, content)
    sent = both.sent[0]["messages"][0]["content"]
    assert masked(sent[0]["text"]) == "I am <NAME>."
    assert sent[0]["cache_control"] == {"type": "ephemeral"}
    assert sent[1] == content[1]
    assert masked(sent[2]["content"][0]["text"]) == "<NAME>"


async def test_stream_managers_see_only_what_may_go(both):
    client = both.guarded(EVERYTHING, output=NAME)
    events, final = await both.managed(client)
    assert "Joe" not in str(events) + str(final)
    assert masked(joined(final, "text")) == "I am <NAME>."
    assert masked(final.content[-1].input["to"]) == "<NAME>"
    assert final.stop_reason == "tool_use"


async def test_a_blocked_stream_ends_as_the_client_expects(both):
    reply = Reply(content="Fine words. Then bad ones.", reasoning="Hm.", size=4)
    client = both.guarded(reply, input=BAD, output=BAD, on_block="[removed]")
    events = await both.ask(client, stream=True)
    assert joined(events, "text") == "Fine words. Then [removed]"
    assert events[-1].type == "message_stop"
    _, final = await both.managed(client)
    assert joined(final, "text") == "Fine words. Then [removed]"
    _, final = await both.managed(client, "bad")
    assert joined(final, "text") == "[removed]"
    answer = await both.ask(client, "bad")
    assert type(answer) is anthropic.types.Message
    assert joined(answer, "text") == "[removed]"


async def test_a_block_in_the_middle_of_a_tool_call_ends_its_block(both):
    call = ToolCall("f", json.dumps({"a": "fine and long enough to flow. so bad"}))
    client = both.guarded(
        Reply(tool_calls=(call,), size=3), output=BAD, on_block="[removed]"
    )
    events = await both.ask(client, stream=True)
    kinds = [event.type for event in events if event.type != "content_block_delta"]
    assert kinds[-6:] == [
        "content_block_start",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert joined(events, "text") == "[removed]"


async def test_a_blocked_stream_closes_the_connection(both):
    reply = Reply(content="A fine text. " + "bad " * 300, size=4, delay=0.005)
    client = both.guarded(reply, output=BAD)
    with pytest.raises(Blocked):
        await both.ask(client, stream=True)
    assert not both.server.requests[0].completed


async def test_values_come_back_into_the_text_and_not_into_tool_calls(both):
    def echo(body: dict[str, Any]) -> Reply:
        token = body["messages"][0]["content"]
        call = ToolCall("f", json.dumps({"to": token}))
        return Reply(content=f"Dear {token}.", tool_calls=(call,))

    client = both.guarded(echo, input=NAME, restore=True)
    for stream in (False, True):
        answer = await both.ask(client, "Joe", stream=stream)
        assert joined(answer, "text") == "Dear Joe."
        said = json.loads(joined(answer, "partial_json"))
        assert masked(said["to"]) == "<NAME>"


async def test_derived_clients_and_raw_answers_are_guarded(both):
    client = both.guarded("I am Joe.", output=NAME).with_options(timeout=5)
    answer = await both.of(
        client.messages.with_raw_response.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )
    )
    assert "Joe" not in str(await both.of(answer.parse()))
    with pytest.raises(AttributeError, match="no guard has seen"):
        answer.text  # noqa: B018


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda c: c.messages.batches.create(requests=[]), "messages"),
        (lambda c: c.messages.batches.retrieve("b"), "messages"),
        (lambda c: c.beta.files.list(), "files"),
        (lambda c: c.post("/v1/complete", cast_to=dict, body={"a": "b"}), "complete"),
    ],
)
async def test_an_endpoint_without_guards_is_refused_unless_named(both, call, name):
    client = both.guarded(input=BAD)
    with pytest.raises(ConfigError, match=f"unguarded=\\('{name}',\\)"):
        await both.of(call(client))
    assert both.sent == []


async def test_beta_messages_are_guarded(both):
    client = both.guarded(EVERYTHING, input=BAD, output=NAME)
    ask = client.beta.messages.create
    options = {"model": "m", "max_tokens": 9}
    with pytest.raises(Blocked):
        await both.of(ask(messages=[{"role": "user", "content": "bad"}], **options))
    assert both.sent == []
    answer = await both.of(ask(messages=[{"role": "user", "content": "x"}], **options))
    assert "Joe" not in str(answer)
