"""guard_client around the real OpenAI client: every endpoint, every way to call it."""

from __future__ import annotations

import json
import re
import types
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, guard_client
from promptguard.testing import ChatServer, FakeGuard, Reply, ToolCall

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
# Without a reach: a stream is held until it is complete.
WHOLE = FakeGuard(name="whole", query=pg.Ask(lambda rubric, text: "", "", ""))
TOOL = ToolCall("send", r'{"to": "Joe", "text": "Hi\nJoe"}')
EVERYTHING = Reply(
    content="I am Joe.",
    refusal="No, Joe.",
    reasoning="Joe asks.",
    tool_calls=(TOOL,),
    size=2,
)


def masked(value: Any) -> str:
    text = value if isinstance(value, str) else value.model_dump_json()
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", text)


class Both:
    """The sync and the async client behind one face."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.script: Any = "Hello."
        self.server = ChatServer(lambda body: self.answer(body)).__enter__()
        make = openai.OpenAI if kind == "sync" else openai.AsyncOpenAI
        self.plain: Any = make(
            base_url=self.server.base_url, api_key="key", max_retries=0
        )

    def answer(self, body: Any) -> Any:
        return self.script(body) if callable(self.script) else self.script

    def guarded(self, script: Any = None, **options: Any) -> Any:
        if script is not None:
            self.script = script
        return guard_client(self.plain, **options)

    async def of(self, value: Any) -> Any:
        """What a call gives, in both worlds."""
        return await value if hasattr(value, "__await__") else value

    async def chunks(self, value: Any) -> list[Any]:
        stream = await self.of(value)
        if self.kind == "async":
            return [chunk async for chunk in stream]
        return list(stream)

    async def managed(self, manager: Any) -> tuple[list[Any], Any]:
        """The events of a stream manager, and the final object."""
        names = ("get_final_completion", "get_final_response")
        if self.kind == "async":
            async with manager as stream:
                events = [event async for event in stream]
                final = next(getattr(stream, n) for n in names if hasattr(stream, n))
                return events, await final()
        with manager as stream:
            events = list(stream)
            final = next(getattr(stream, n) for n in names if hasattr(stream, n))
            return events, final()

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [request.body for request in self.server.requests]


@pytest.fixture(params=["sync", "async"])
async def both(request) -> AsyncIterator[Both]:
    made = Both(request.param)
    yield made
    await made.of(made.plain.close())
    made.server.__exit__(None, None, None)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


# Every guarded endpoint: how to call it with a text, and whether it streams.
ENDPOINTS: dict[str, Any] = {
    "chat": lambda c, text, **o: c.chat.completions.create(
        model="m", messages=user(text), **o
    ),
    "completions": lambda c, text, **o: c.completions.create(
        model="m", prompt=text, **o
    ),
    "responses": lambda c, text, **o: c.responses.create(model="m", input=text, **o),
    "responses-items": lambda c, text, **o: c.responses.create(
        model="m",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": text},
        ],
        **o,
    ),
    "embeddings": lambda c, text, **o: c.embeddings.create(
        model="m", input=[text], encoding_format="float", **o
    ),
}
endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS)
talking = pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e[0] != "e"])
streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@endpoints
async def test_a_blocked_request_is_not_sent(both, endpoint):
    client = both.guarded(input=BAD)
    with pytest.raises(Blocked):
        await both.of(ENDPOINTS[endpoint](client, "a bad text"))
    assert both.sent == []


@endpoints
async def test_values_are_taken_out_of_a_request(both, endpoint):
    client = both.guarded(input=NAME)
    await both.of(ENDPOINTS[endpoint](client, "I am Joe."))
    sent = masked(json.dumps(both.sent[0]))
    assert "I am <NAME>." in sent
    assert "Joe" not in sent


@talking
@streams
async def test_no_channel_of_an_answer_is_left_out(both, endpoint, stream):
    client = both.guarded(EVERYTHING, output=NAME)
    plain = await both.chunks_or(ENDPOINTS[endpoint](both.plain, "x", stream=stream))
    found = await both.chunks_or(ENDPOINTS[endpoint](client, "x", stream=stream))
    assert "Joe" in "".join(texts_of(plain))
    shown = masked("".join(texts_of(found)))
    assert "Joe" not in shown
    assert "I am <NAME>." in shown
    if endpoint != "completions":
        for text in ("No, <NAME>.", "<NAME> asks.", r'"Hi\n<NAME>"'):
            assert text in shown


def texts_of(answer: Any) -> list[str]:
    """Every string in an answer; of chunks, the pieces of one text side by side."""
    found: dict[tuple[Any, ...], list[str]] = {}
    items = answer if isinstance(answer, list) else [answer]
    for item in items:
        data = item.model_dump()
        place: tuple[Any, ...] = (data.get("type"), data.get("output_index"))
        for path, text in strings(data):
            found.setdefault((*place, *path), []).append(text)
    return ["".join(texts) + "\n" for texts in found.values()]


def strings(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, str]]:
    if isinstance(value, str):
        return [(path, value)]
    if not isinstance(value, dict | list):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [found for key, inner in items for found in strings(inner, (*path, key))]


async def chunks_or(self: Both, value: Any) -> Any:
    """The answer, or the list of chunks."""
    value = await self.of(value)
    if hasattr(value, "__next__") or hasattr(value, "__anext__"):
        return await self.chunks(value)
    return value


Both.chunks_or = chunks_or  # type: ignore[attr-defined]


@talking
@streams
@pytest.mark.parametrize("channel", ["content", "refusal", "reasoning", "tool_calls"])
async def test_a_blocked_answer_is_not_given(both, endpoint, stream, channel):
    if endpoint == "completions" and channel != "content":
        return
    text = (ToolCall("f", r'{"a": "\u0062ad"}'),)
    reply = Reply(**{channel: text if channel == "tool_calls" else "so bad"})
    client = both.guarded(reply, output=BAD)
    with pytest.raises(Blocked):
        await both.chunks_or(ENDPOINTS[endpoint](client, "x", stream=stream))


@talking
@streams
@pytest.mark.parametrize(
    "guard", [BAD | NAME, BAD | NAME | WHOLE], ids=["flow", "hold"]
)
async def test_a_harmless_answer_is_the_same(both, endpoint, stream, guard):
    client = both.guarded(
        Reply(content="Good day.", reasoning="Hm.", tool_calls=(ToolCall("f"),)),
        input=BAD,
        output=guard,
    )
    plain = await both.chunks_or(ENDPOINTS[endpoint](both.plain, "x", stream=stream))
    found = await both.chunks_or(ENDPOINTS[endpoint](client, "x", stream=stream))
    if stream:
        assert {type(chunk) for chunk in plain} == {type(chunk) for chunk in found}
        assert plain[-1] == found[-1] or endpoint == "completions"
        one, other = set(texts_of(plain)), set(texts_of(found))
        assert one - {"\n"} == other - {"\n"} or guard is not (BAD | NAME)
    else:
        assert plain == found
    assert both.sent[0] == both.sent[1]


@talking
async def test_values_come_back_into_the_text_of_the_answer(both, endpoint):
    def echo(body: dict[str, Any]) -> Reply:
        token = re.search(r"<NAME_\d+:\w+>", json.dumps(body))
        assert token
        call = ToolCall("f", json.dumps({"to": token.group()}))
        return Reply(content=f"Dear {token.group()}.", tool_calls=(call,))

    client = both.guarded(echo, input=NAME, restore=True)
    for stream in (False, True):
        answer = await both.chunks_or(ENDPOINTS[endpoint](client, "Joe", stream=stream))
        shown = "".join(texts_of(answer))
        assert "Dear Joe." in shown
        assert '"to": "Joe"' not in shown


async def test_several_choices_have_gates_of_their_own(both):
    client = both.guarded(Reply(content="I am Joe.", size=1), output=NAME)
    options = {"n": 3, "stream": True, "stream_options": {"include_usage": True}}
    chunks = await both.chunks(ENDPOINTS["chat"](client, "x", **options))
    for index in range(3):
        text = "".join(
            choice.delta.content or ""
            for chunk in chunks
            for choice in chunk.choices
            if choice.index == index
        )
        assert masked(text) == "I am <NAME>."
    assert chunks[-1].usage.total_tokens == 2


async def test_stream_managers_see_only_what_may_go(both):
    client = both.guarded(EVERYTHING, input=NAME, output=NAME)
    events, final = await both.managed(
        client.chat.completions.stream(model="m", messages=user("I am Joe."))
    )
    assert "Joe" not in str(events) + str(final) + str(both.sent)
    assert masked(final.choices[0].message.content) == "I am <NAME>."
    events, final = await both.managed(
        client.responses.stream(model="m", input="I am Joe.")
    )
    assert "Joe" not in str(events) + str(final) + str(both.sent)
    assert masked(final.output_text) == "I am <NAME>."


class Person(BaseModel):
    name: str


async def test_parsed_answers_are_parsed_from_what_may_go(both):
    client = both.guarded(Reply(content='{"name": "Joe"}'), output=NAME)
    answer = await both.of(
        client.chat.completions.parse(
            model="m", messages=user("x"), response_format=Person
        )
    )
    assert masked(answer.choices[0].message.parsed.name) == "<NAME>"
    answer = await both.of(
        client.responses.parse(model="m", input="x", text_format=Person)
    )
    assert masked(answer.output_parsed.name) == "<NAME>"
    assert masked(answer.output_text) == '{"name": "<NAME>"}'


async def test_derived_clients_are_guarded_too(both):
    client = both.guarded("I am Joe.", input=BAD, output=NAME)
    for derived in (
        client.with_options(timeout=5),
        client.copy(),
        client.with_options(max_retries=1).copy(timeout=3),
        guard_client(client, output=FakeGuard(name="other", word="xyz")),
    ):
        assert isinstance(derived, type(both.plain))
        answer = await both.of(ENDPOINTS["chat"](derived, "x"))
        assert masked(answer.choices[0].message.content) == "I am <NAME>."
        with pytest.raises(Blocked):
            await both.of(ENDPOINTS["chat"](derived, "bad"))
    assert len(both.sent) == 4


async def test_raw_answers_give_only_what_a_guard_has_seen(both):
    client = both.guarded("I am Joe.", input=BAD, output=NAME)
    for owner in (client.chat.completions, client.with_raw_response.chat.completions):
        create = getattr(owner, "with_raw_response", owner).create
        answer = await both.of(create(model="m", messages=user("x")))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        parsed = await both.of(answer.parse())
        assert masked(parsed.choices[0].message.content) == "I am <NAME>."
        for name in ("text", "content", "http_response", "json", "read", "iter_lines"):
            with pytest.raises(AttributeError, match="no guard has seen"):
                getattr(answer, name)
        assert "Joe" not in repr(answer)
        with pytest.raises(Blocked):
            await both.of(create(model="m", messages=user("bad")))
    raw = client.chat.completions.with_raw_response.create
    answer = await both.of(raw(model="m", messages=user("x"), stream=True))
    chunks = await both.chunks(answer.parse())
    assert masked("".join(texts_of(chunks))).count("I am <NAME>.")


async def test_streaming_responses_give_only_what_a_guard_has_seen(both):
    client = both.guarded("I am Joe.", output=NAME)
    create = client.responses.with_streaming_response.create
    if both.kind == "async":
        async with create(model="m", input="x") as answer:
            parsed = await answer.parse()
            with pytest.raises(AttributeError, match="no guard has seen"):
                answer.iter_text()
    else:
        with create(model="m", input="x") as answer:
            parsed = answer.parse()
            with pytest.raises(AttributeError, match="no guard has seen"):
                answer.iter_text()
    assert masked(parsed.output_text) == "I am <NAME>."


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda c: c.images.generate(prompt="bad"), "images"),
        (lambda c: c.moderations.create(input="bad"), "moderations"),
        (lambda c: c.audio.speech.create(input="a", model="m", voice="v"), "audio"),
        (lambda c: c.files.list(), "files"),
        (lambda c: c.files.create(file=b"bad", purpose="batch"), "files"),
        (lambda c: c.batches.list(), "batches"),
        (lambda c: c.post("/threads", cast_to=dict, body={"x": "bad"}), "threads"),
        (lambda c: c.vector_stores.search("v", query="bad"), "vector_stores"),
        (lambda c: c.chat.completions.list(), "chat"),
        (lambda c: c.chat.completions.messages.list("id"), "chat"),
        (lambda c: c.responses.input_items.list("id"), "responses"),
        (lambda c: c.realtime.client_secrets.create(), "realtime"),
        (lambda c: c.post("/anything/new", cast_to=dict, body={"a": "b"}), "anything"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_endpoint_without_guards_is_refused_unless_named(both, call, name):
    client = both.guarded(input=BAD)
    with pytest.raises(ConfigError, match=f"unguarded=\\('{name}',\\)"):
        await both.of(paged(call(client)))
    assert both.sent == []
    client = both.guarded(input=BAD, unguarded=(name,))
    with pytest.raises(openai.NotFoundError):
        await both.of(paged(call(client)))


def paged(value: Any) -> Any:
    """A list of the async client is asked for when it is awaited."""
    return value


async def test_named_endpoints_do_not_open_others(both):
    client = both.guarded(input=BAD, unguarded=("images/generations", "chat/x"))
    with pytest.raises(ConfigError):
        await both.of(client.images.edit(image=b"", prompt="x"))
    with pytest.raises(Blocked):
        await both.of(ENDPOINTS["chat"](client, "bad"))


async def test_endpoints_without_text_stay_open(both):
    client = both.guarded(input=BAD)
    models = await both.of(client.models.list())
    assert models.data[0].id == "test-model"


def test_connections_past_the_requests_are_refused():
    client = openai.OpenAI(api_key="key", base_url="http://127.0.0.1:9/v1")
    plain = [r for r in resources(client) if hasattr(type(r), "connect")]
    assert plain
    guarded = guard_client(client, input=BAD)
    for resource in resources(guarded):
        if hasattr(type(resource), "connect"):
            with pytest.raises(ConfigError, match="unguarded="):
                resource.connect(model="m")
    for name in ("realtime", "live"):
        if hasattr(client, name):
            with pytest.raises(ConfigError, match=f"unguarded=\\('{name}',\\)"):
                getattr(guarded, name).connect  # noqa: B018
    open_one = guard_client(client, input=BAD, unguarded=("realtime",))
    assert open_one.realtime.connect(model="m")
    assert "connect" not in vars(client.responses)


def resources(owner: Any, depth: int = 3) -> list[Any]:
    """The resources of a client, and theirs."""
    found: list[Any] = []
    for name in dir(type(owner)):
        if name.startswith(("_", "with_")) or not depth:
            continue
        try:
            inner = getattr(owner, name)
        except Exception:
            continue
        if hasattr(inner, "_client") and ".resources" in type(inner).__module__:
            found += [inner, *resources(inner, depth - 1)]
    return found


@talking
async def test_a_text_in_place_of_a_blocked_one_has_the_clients_shape(both, endpoint):
    client = both.guarded("so bad", input=BAD, output=BAD, on_block="[removed]")
    for text in ("x", "bad"):
        plain = await both.of(ENDPOINTS[endpoint](both.plain, text))
        found = await both.of(ENDPOINTS[endpoint](client, text))
        assert type(found) is type(plain)
        assert "[removed]" in "".join(texts_of(found))
        assert "bad" not in "".join(texts_of(found))


@talking
@pytest.mark.parametrize("text", ["x", "bad"], ids=["answer", "request"])
async def test_a_blocked_stream_ends_as_the_client_expects(both, endpoint, text):
    client = both.guarded(
        Reply(content="Fine words. Then bad ones.", size=4),
        input=BAD,
        output=BAD,
        on_block="[removed]",
    )
    found = await both.chunks(ENDPOINTS[endpoint](client, text, stream=True))
    shown = "".join(texts_of(found))
    assert "[removed]" in shown
    assert "bad" not in shown.replace("[removed]", "")
    if text == "x":
        assert "Fine words. Then [removed]" in shown
    if endpoint.startswith("responses"):
        assert found[-1].type == "response.completed"
        assert found[-1].response.output_text.endswith("[removed]")
    else:
        assert found[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("text", ["x", "bad"], ids=["answer", "request"])
async def test_a_blocked_stream_manager_ends_with_the_text(both, text):
    client = both.guarded(
        Reply(content="Fine words. Then bad ones.", reasoning="Hm.", size=4),
        input=BAD,
        output=BAD,
        on_block="[removed]",
    )
    _, final = await both.managed(
        client.chat.completions.stream(model="m", messages=user(text))
    )
    assert final.choices[0].message.content.endswith("[removed]")
    _, final = await both.managed(client.responses.stream(model="m", input=text))
    assert final.output_text.endswith("[removed]")


async def test_a_text_cannot_stand_for_an_embedding(both):
    client = both.guarded(input=BAD, on_block="[removed]")
    with pytest.raises(Blocked):
        await both.of(ENDPOINTS["embeddings"](client, "bad"))


@talking
async def test_a_blocked_stream_closes_the_connection(both, endpoint):
    client = both.guarded(
        Reply(content="A fine text. " + "bad " * 300, size=4, delay=0.005), output=BAD
    )
    with pytest.raises(Blocked):
        await both.chunks(ENDPOINTS[endpoint](client, "x", stream=True))
    assert not both.server.requests[0].completed


async def test_stored_responses_are_checked_when_they_are_fetched(both):
    client = both.guarded("so bad", input=NAME, output=BAD)
    with pytest.raises(Blocked):
        await both.of(client.responses.retrieve("resp_1"))
    calm = both.guarded("so bad", output=BAD, on_block="[removed]")
    answer = await both.of(calm.responses.retrieve("resp_1"))
    assert answer.output_text == "[removed]"


async def test_extra_bodies_are_read(both):
    client = both.guarded(input=BAD)
    with pytest.raises(Blocked):
        await both.of(ENDPOINTS["chat"](client, "x", extra_body={"hint": "so bad"}))
    await both.of(ENDPOINTS["chat"](client, "x", extra_body={"hint": "fine"}))
    assert both.sent[0]["hint"] == "fine"


async def test_requests_without_a_readable_text_are_errors(both):
    client = both.guarded(input=BAD)
    for call in (
        lambda: client.embeddings.create(model="m", input=[1, 2, 3]),
        lambda: client.post("/chat/completions", cast_to=dict, body=[1]),
        lambda: client.chat.completions.create(
            model="m", messages=[{"role": "system", "content": "s"}]
        ),
        lambda: client.responses.create(model="m", input=[{"type": "hologram"}]),
    ):
        with pytest.raises(ConfigError):
            await both.of(call())
    assert both.sent == []


async def test_the_client_that_was_given_stays_as_it_was(both):
    both.guarded(input=BAD)
    answer = await both.of(ENDPOINTS["chat"](both.plain, "bad"))
    assert answer.choices[0].message.content == "Hello."
    assert "request" not in vars(both.plain)


class Lazy(types.ModuleType):
    """A module that makes what it has on first use, as that of openai 2 does."""

    def __getattr__(self, name: str) -> object:
        raise openai.OpenAIError("The api_key client option must be set")


@pytest.mark.parametrize(
    ("client", "options", "says"),
    [
        (object(), {"input": BAD}, "does not know a object"),
        (openai, {"input": BAD}, "does not know a module"),
        (Lazy("lazy"), {"input": BAD}, "does not know a Lazy"),
        (None, {}, "found no policy"),
        (None, {"input": BAD, "unguarded": "files"}, "tuple of names"),
        (None, {"input": BAD, "on_error": "x"}, "on_error"),
        (None, {"output": BAD, "restore": True}, "restore"),
        (None, {"input": FakeGuard}, "not the class"),
    ],
)
def test_what_cannot_be_meant_is_refused(client, options, says):
    client = client or openai.OpenAI(api_key="key")
    with pytest.raises(ConfigError, match=says):
        guard_client(client, **options)
