"""Policies and what happens then, around a real client and a server of its own."""

from __future__ import annotations

import inspect
import re
from typing import Any

import openai
import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, guard_client, guard_tool
from promptguard.testing import ChatServer, FakeGuard

BAD = FakeGuard(name="bad", word="bad")
NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
SORRY = "I cannot say that."


MADE: list[Any] = []


@pytest.fixture(autouse=True)
async def no_client_stays_open():
    yield
    while MADE:
        closing = MADE.pop().close()
        if inspect.isawaitable(closing):
            await closing


def sync_client(server: ChatServer) -> openai.OpenAI:
    MADE.append(openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=0))
    return MADE[-1]


class Both:
    """The sync and the async client behind one face."""

    def __init__(self, kind: str, server: ChatServer, **options: Any) -> None:
        make = openai.OpenAI if kind == "sync" else openai.AsyncOpenAI
        client = make(base_url=server.base_url, api_key="key", max_retries=0)
        MADE.append(client)
        self.kind = kind
        self.client: Any = guard_client(client, **options)

    async def ask(self, text: str, stream: bool = False) -> Any:
        """The text of the answer."""
        create = self.client.chat.completions.create
        messages = [{"role": "user", "content": text}]
        answer = create(model="m", messages=messages, stream=stream)
        if self.kind == "async":
            answer = await answer
        if not stream:
            return answer.choices[0].message.content
        if self.kind == "async":
            chunks = [chunk async for chunk in answer]
        else:
            chunks = list(answer)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_follows_a_policy_file(kind, stream, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(
        "on_block = { replace = 'I cannot say that.' }\n[input.keywords]\n"
        "words = ['kettle']\n[output.pii]\n[routes.open.output.pii]\nenabled = false\n"
    )
    with ChatServer("Write to joe@example.com now.") as server:
        guarded = Both(kind, server, policy=path)
        assert await guarded.ask("kettle", stream) == SORRY
        assert len(server.requests) == 0
        said = await guarded.ask("hello", stream)
        assert re.fullmatch(r"Write to <EMAIL_ADDRESS_1:[0-9a-f]{16}> now\.", said)
        open_ = Both(kind, server, policy=path, route="open")
        assert "joe@example.com" in await open_.ask("hello", stream)


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_words_take_the_place_of_what_a_client_gets(kind, stream):
    with ChatServer("so bad") as server:
        guarded = Both(kind, server, output=BAD, on_block=pg.replace(SORRY))
        said = await guarded.ask("hello", stream)
        assert said == (f"so {SORRY}" if stream else SORRY)


@both
async def test_a_client_asks_again_with_a_note(kind):
    with ChatServer(["a bad answer", "fine"]) as server:
        guarded = Both(kind, server, output=BAD, on_block=pg.reask(2))
        assert await guarded.ask("hello") == "fine"
        first, second = [request["messages"] for request in bodies(server)]
        assert second[:-1] == first
        assert second[-1]["role"] == "user"
        assert "bad (bad)" in second[-1]["content"]
        assert "answer" not in second[-1]["content"].partition("found")[2].split(".")[0]


@both
async def test_a_client_does_not_ask_again_for_a_stream(kind):
    with ChatServer("fine") as server:
        guarded = Both(kind, server, output=BAD, on_block=pg.reask())
        with pytest.raises(ConfigError, match="not a stream"):
            await guarded.ask("hello", stream=True)


@both
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Action.ALLOW, "so bad, <NAME>"),
        (Action.REDACT, "so <BAD>, <NAME>"),
        (SORRY, SORRY),
        (None, None),
    ],
    ids=str,
)
async def test_somebody_else_decides_what_a_client_gets(kind, stream, result, expected):
    with ChatServer("so bad, Joe") as server:
        decide = pg.escalate(lambda verdict: result)
        guarded = Both(kind, server, output=BAD | NAME, on_block=decide)
        if expected is None:
            with pytest.raises(Blocked):
                await guarded.ask("hello", stream)
        else:
            said = await guarded.ask("hello", stream)
            assert re.sub(r"<(\w+)_\d+:\w{16}>", r"<\1>", said) == expected


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_dry_run_leaves_a_client_alone(kind, stream):
    with ChatServer("so bad") as server:
        guarded = Both(kind, server, input=BAD, output=BAD, dry_run=True)
        with pg.capture() as verdicts:
            assert await guarded.ask("a bad question", stream) == "so bad"
        assert bodies(server)[0]["messages"][0]["content"] == "a bad question"
        assert [(v.blocked, v.dry_run) for v in verdicts] == [(True, True)] * 2


def test_a_note_finds_its_place_in_the_responses_api():
    with ChatServer(["a bad answer", "fine"]) as server:
        client = sync_client(server)
        guarded = guard_client(client, output=BAD, on_block=pg.reask())
        answer = guarded.responses.create(model="m", input="hello")
        assert answer.output_text == "fine"
        assert bodies(server)[1]["input"].startswith("hello\n\nYour last answer")


def test_a_client_takes_guards_or_a_policy():
    with ChatServer("") as server, pytest.raises(ConfigError, match="not both"):
        guard_client(sync_client(server), input=BAD, policy=pg.Policy(input=BAD))


def test_a_tool_follows_the_guards_of_a_policy(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(
        "[tool.keywords]\nwords = ['kettle']\n[output.secrets]\n[user.pii]\n"
    )
    policy = pg.Policy.load(path)

    @guard_tool(arguments=policy.output, result=policy.input)
    def fetch(url: str) -> str:
        return f"{url} of joe@example.com"

    assert fetch("page") == "page of joe@example.com"
    with pytest.raises(Blocked):
        fetch("kettle")


def test_a_tool_gives_words_and_is_not_asked_again():
    tool = guard_tool(lambda url: {"page": url}, result=BAD, on_block=pg.replace(SORRY))
    assert tool("good") == {"page": "good"}
    assert tool("bad") == SORRY
    with pytest.raises(ConfigError, match="a tool is none"):
        guard_tool(str, result=BAD, on_block=pg.reask())


def bodies(server: ChatServer) -> list[dict[str, Any]]:
    """What the server was sent."""
    found = []
    for request in server.requests:
        body = getattr(request, "body", request)
        found.append(body if isinstance(body, dict) else dict(body))
    return found
