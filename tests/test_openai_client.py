"""guarded around the real OpenAI client, against a server on the loopback interface."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import promptguard as pg
from promptguard import Action, Blocked
from promptguard.guarded import guarded
from promptguard.testing import ChatServer, FakeGuard, Reply, ToolCall

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
# Without a reach: a stream is held until it is complete.
WHOLE = FakeGuard(name="whole", query=pg.Ask(lambda rubric, text: "", "", ""))
EMAIL_TOOL = ToolCall("send", r'{"to": "Joe", "text": "Hi\nJoe"}')


def masked(text: str) -> str:
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", text)


class Both:
    """The sync and the async client behind one face."""

    def __init__(self, kind: str, server: ChatServer) -> None:
        client = openai.OpenAI if kind == "sync" else openai.AsyncOpenAI
        self.client: Any = client(
            base_url=server.base_url, api_key="key", max_retries=0
        )
        self.kind = kind

    async def ask(self, text: str = "prompt", stream: bool = False, **options: Any):
        """The completion, or the list of chunks."""
        guards = {
            k: options.pop(k)
            for k in ("input", "output", "restore", "on_block")
            if k in options
        }
        create = self.client.chat.completions.create
        if guards:
            create = guarded(create, **guards)
        messages = [{"role": "user", "content": text}]
        answer = create(model="m", messages=messages, stream=stream, **options)
        if self.kind == "async":
            answer = await answer
        if not stream:
            return answer
        if self.kind == "async":
            return [chunk async for chunk in answer]
        return list(answer)


@pytest.fixture
async def both(request) -> AsyncIterator[Callable[..., Both]]:
    servers: list[ChatServer] = []
    clients: list[Both] = []

    def make(script: Any) -> Both:
        server = ChatServer(script)
        servers.append(server.__enter__())
        clients.append(Both(request.param, server))
        clients[-1].server = server  # type: ignore[attr-defined]
        return clients[-1]

    yield make
    for made in clients:
        closing = made.client.close()
        if made.kind == "async":
            await closing
    for server in servers:
        server.__exit__(None, None, None)


kinds = pytest.mark.parametrize("both", ["sync", "async"], indirect=True)
streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def joined(answer: Any, field: str = "content", index: int = 0) -> str:
    """The text of a choice, from a completion or from chunks."""
    if isinstance(answer, list):
        return "".join(
            getattr(choice.delta, field, None) or ""
            for chunk in answer
            for choice in chunk.choices
            if choice.index == index
        )
    return getattr(answer.choices[index].message, field, None) or ""


def arguments(answer: Any, index: int = 0, number: int = 0) -> str:
    if isinstance(answer, list):
        return "".join(
            call.function.arguments
            for chunk in answer
            for choice in chunk.choices
            if choice.index == index
            for call in choice.delta.tool_calls or ()
            if call.index == number
        )
    return answer.choices[index].message.tool_calls[number].function.arguments


@kinds
@streams
async def test_a_harmless_call_is_the_same_with_guards(both, stream):
    llm = both(Reply(content="Good morning.", reasoning="Hm.", size=4))
    plain = await llm.ask(stream=stream, n=2)
    found = await llm.ask(stream=stream, n=2, input=BAD, output=BAD | NAME)
    for index in (0, 1):
        for field in ("content", "reasoning_content"):
            assert joined(found, field, index) == joined(plain, field, index) != ""
    assert llm.server.requests[0].body == llm.server.requests[1].body
    if not stream:
        assert found == plain
    else:
        assert type(found[0]) is type(plain[0])
        assert [c.finish_reason for x in found for c in x.choices if c.finish_reason]


@kinds
@streams
async def test_a_blocked_prompt_is_not_sent(both, stream):
    llm = both("answer")
    with pytest.raises(Blocked):
        await llm.ask("a bad prompt", stream, input=BAD)
    assert llm.server.requests == []


@kinds
@streams
async def test_values_are_taken_out_on_the_way_there_and_restored_on_the_way_back(
    both, stream
):
    llm = both(lambda body: Reply(content="Dear " + body["messages"][0]["content"]))
    answer = await llm.ask("I am Joe.", stream, input=NAME, output=BAD, restore=True)
    sent = llm.server.requests[0].body["messages"][0]["content"]
    assert masked(sent) == "I am <NAME>."
    assert joined(answer) == "Dear I am Joe."


@kinds
@streams
async def test_answers_are_redacted_in_every_choice_and_field(both, stream):
    llm = both(Reply(content="I am Joe.", refusal="No, Joe.", reasoning="Joe?", size=2))
    answer = await llm.ask(stream=stream, n=3, output=NAME)
    for index in range(3):
        assert masked(joined(answer, "content", index)) == "I am <NAME>."
        assert masked(joined(answer, "refusal", index)) == "No, <NAME>."
        assert masked(joined(answer, "reasoning_content", index)) == "<NAME>?"


@kinds
@streams
@pytest.mark.parametrize("guard", [NAME, NAME | WHOLE], ids=["reach", "whole"])
async def test_tool_arguments_are_redacted_and_stay_json(both, stream, guard):
    other = ToolCall("look", '{"q": "weather"}', id="call_2")
    llm = both(Reply(tool_calls=(EMAIL_TOOL, other), size=1))
    answer = await llm.ask(stream=stream, output=guard)
    found = json.loads(masked(arguments(answer)))
    assert found == {"to": "<NAME>", "text": "Hi\n<NAME>"}
    assert arguments(answer, number=1) == other.arguments
    if stream:
        names = [
            (call.id, call.function.name)
            for chunk in answer
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
            if call.function.name
        ]
        assert names == [("call_1", "send"), ("call_2", "look")]


@kinds
@streams
@pytest.mark.parametrize(
    "reply",
    [
        Reply(content="so bad"),
        Reply(content="fine", reasoning="so bad"),
        Reply(refusal="so bad"),
        Reply(tool_calls=(ToolCall("f", r'{"a": "\u0062ad"}'),)),
    ],
    ids=["content", "reasoning", "refusal", "arguments"],
)
async def test_a_blocked_answer_is_not_given(both, stream, reply):
    llm = both(reply)
    with pytest.raises(Blocked):
        await llm.ask(stream=stream, output=BAD)
    if not stream:
        assert await llm.ask(output=BAD, on_block="sorry") == "sorry"


@kinds
async def test_a_held_stream_keeps_order_usage_and_finish_reason(both):
    llm = both(Reply(content="I am Joe."))
    options = {"include_usage": True}
    chunks = await llm.ask(stream=True, stream_options=options, output=NAME | WHOLE)
    assert masked(joined(chunks)) == "I am <NAME>."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.total_tokens == 2
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert masked(chunks[-3].choices[0].delta.content) == "I am <NAME>."
    assert chunks[-3].choices[0].finish_reason is None


@kinds
@streams
async def test_log_probabilities_do_not_spell_what_was_redacted(both, stream):
    llm = both(Reply(content="I am Joe."))
    answer = await llm.ask(stream=stream, logprobs=True, output=NAME)
    assert "Joe" not in str(answer)
    answer = await llm.ask(logprobs=True, output=BAD)
    assert answer.choices[0].logprobs.content[0].token == "I am Joe."


@kinds
async def test_a_blocked_stream_closes_the_connection(both):
    text = "A fine text. " + "bad " * 300
    llm = both(Reply(content=text, size=4, delay=0.005))
    given: list[str] = []
    create = guarded(llm.client.chat.completions.create, output=BAD)
    messages = [{"role": "user", "content": "prompt"}]
    stream = create(model="m", messages=messages, stream=True)
    with pytest.raises(Blocked) as raised:
        if llm.kind == "async":
            stream = await stream
            async for chunk in stream:
                given.append(chunk.choices[0].delta.content)
        else:
            for chunk in stream:
                given.append(chunk.choices[0].delta.content)
    assert "A fine text. ".startswith("".join(given))
    assert raised.value.verdict.findings[0].start == 13
    assert stream.response.is_closed
    assert not llm.server.requests[0].completed


@kinds
@streams
async def test_errors_of_the_client_pass_through(both, stream):
    llm = both(
        [Reply(status=429, retry_after=0), Reply(content="x" * 30, drop_after=2)]
    )
    with pytest.raises(openai.RateLimitError):
        await llm.ask(stream=stream, input=BAD, output=BAD)
    # The client hands the error of its transport on when a stream breaks.
    with pytest.raises(Exception) as raised:
        await llm.ask(stream=stream, input=BAD, output=BAD)
    assert not isinstance(raised.value, pg.PromptGuardError)


@kinds
async def test_the_clients_stream_can_be_left_early(both):
    llm = both(Reply(content="word and word " * 50, delay=0.002))
    create = guarded(llm.client.chat.completions.create, output=BAD)
    messages = [{"role": "user", "content": "prompt"}]
    stream = create(model="m", messages=messages, stream=True)
    if llm.kind == "async":
        async with await stream as opened:
            async for _ in opened:
                break
    else:
        with stream as opened:
            for _ in opened:
                break
    assert opened.response.is_closed


@kinds
async def test_parsed_answers_are_parsed_again_after_redaction(both):
    class Person(BaseModel):
        name: str

    llm = both(Reply(content='{"name": "Joe"}'))
    parse = guarded(llm.client.chat.completions.parse, output=NAME)
    messages = [{"role": "user", "content": "prompt"}]
    answer = parse(model="m", messages=messages, response_format=Person)
    if llm.kind == "async":
        answer = await answer
    message = answer.choices[0].message
    assert masked(message.content) == '{"name": "<NAME>"}'
    assert masked(message.parsed.name) == "<NAME>"


@kinds
async def test_the_messages_of_an_answer_can_be_sent_again(both):
    llm = both([Reply(content=None, tool_calls=(EMAIL_TOOL,)), Reply(content="done")])
    first = await llm.ask("prompt", input=BAD)
    messages = [
        {"role": "user", "content": "prompt"},
        first.choices[0].message,
        {"role": "tool", "tool_call_id": "call_1", "content": "sent, Joe"},
    ]
    create = guarded(llm.client.chat.completions.create, input=NAME)
    answer = create(model="m", messages=messages)
    if llm.kind == "async":
        answer = await answer
    assert joined(answer) == "done"
    sent = llm.server.requests[1].body["messages"]
    assert masked(sent[2]["content"]) == "sent, <NAME>"
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == EMAIL_TOOL.arguments


def test_a_function_that_returns_the_text_is_guarded_too():
    with (
        ChatServer("I am Joe.") as server,
        openai.OpenAI(base_url=server.base_url, api_key="key") as client,
    ):

        @guarded(input=BAD, output=NAME)
        def ask(prompt: str) -> str | None:
            messages: Any = [{"role": "user", "content": prompt}]
            answer = client.chat.completions.create(model="m", messages=messages)
            return answer.choices[0].message.content

        @guarded(input=BAD, output=NAME)
        def stream(prompt: str) -> Iterator[str]:
            messages: Any = [{"role": "user", "content": prompt}]
            for chunk in client.chat.completions.create(
                model="m", messages=messages, stream=True
            ):
                yield chunk.choices[0].delta.content or ""

        assert masked(ask("prompt") or "") == "I am <NAME>."
        assert masked("".join(stream("prompt"))) == "I am <NAME>."
