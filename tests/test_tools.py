"""guard_tool: arguments going out, results coming back, tools of real frameworks."""

from __future__ import annotations

import dataclasses
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, GuardError, guard_tool
from promptguard.testing import FakeGuard

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")


def masked(value: Any) -> str:
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", str(value))


class Block(BaseModel):
    """A content block as MCP has it."""

    model_config = ConfigDict(extra="allow")
    type: str


class Result(BaseModel):
    """What a call of an MCP tool gives."""

    content: list[Block]
    structuredContent: dict[str, Any] | None = None
    isError: bool = False


class Row(BaseModel):
    note: str
    tags: list[str] = []


@dataclasses.dataclass
class Page:
    title: str
    body: str


def tool(given: Any, **guards: Any) -> Any:
    """A tool that gives what it is told to, and keeps its arguments."""
    calls: list[Any] = []

    def fn(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return given

    guarded = guard_tool(fn, **guards)
    guarded.calls = calls
    return guarded


ARGUMENTS = {
    "str": (("so bad",), {}),
    "keyword": ((), {"url": "so bad"}),
    "nested": ((), {"filter": {"any": [{"eq": "bad"}]}}),
    "list": ((["fine", "bad"],), {}),
    "model": ((Row(note="x", tags=["bad"]),), {}),
    "dataclass": ((Page("x", "bad"),), {}),
    "key": ((), {"fields": {"so bad a key": 1}}),
    "set": (({"bad"},), {}),
}


@pytest.mark.parametrize(("args", "kwargs"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_every_string_of_the_arguments_is_checked(args, kwargs):
    guarded = tool("fine", arguments=BAD)
    with pytest.raises(Blocked):
        guarded(*args, **kwargs)
    assert guarded.calls == []
    assert guarded("fine", n=3) == "fine"


def test_arguments_are_redacted_in_copies_of_their_own_types():
    guarded = tool("fine", arguments=NAME)
    row = Row(note="Joe", tags=["a", "Joe"])
    guarded("Joe", row, {"to": ["Joe"], "n": 3})
    (text, sent, given), _ = guarded.calls[0]
    assert masked(text) == "<NAME>"
    assert masked(sent.note) == masked(sent.tags[1]) == "<NAME>"
    assert type(sent) is Row and row.note == "Joe"
    assert masked(given["to"][0]) == "<NAME>" and given["n"] == 3


def test_a_long_number_is_a_text_that_cannot_be_redacted():
    guarded = tool("fine", arguments=FakeGuard(word="123", action=Action.REDACT))
    with pytest.raises(Blocked):
        guarded(account=123456789)
    assert guarded(n=123) == "fine"


def test_what_a_framework_adds_is_not_looked_at():
    guarded_calls = []

    @guard_tool(arguments=BAD)
    def fetch(ctx: Any, url: str) -> str:
        guarded_calls.append(ctx)
        return url

    context = Page("bad", "bad")
    assert fetch(context, "fine") == "fine"
    assert guarded_calls == [context]
    assert fetch(SimpleNamespace(secret="bad"), url="fine") == "fine"


RESULTS = {
    "str": "so bad",
    "dict": {"rows": [{"note": "bad"}]},
    "key": {"so bad a key": 1},
    "name": {"name": "bad"},
    "list": ["fine", "bad"],
    "tuple": ("fine", {"a": "bad"}),
    "model": Row(note="bad"),
    "dataclass": Page("x", "bad"),
    "block": [Block(type="text", text="bad")],
    "mcp": Result(content=[Block(type="text", text="bad")]),
    "mcp structured": Result(content=[], structuredContent={"type": "bad"}),
    "mcp resource": Result(
        content=[Block(type="resource", resource={"uri": "x", "text": "bad"})]
    ),
    "mcp link": Result(
        content=[Block(type="resource_link", uri="x", name="bad", description="y")]
    ),
    "mcp dict": {"content": [{"type": "text", "text": "bad"}], "isError": False},
    "message": {"role": "tool", "content": "bad", "tool_call_id": "1"},
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_every_string_of_a_result_is_checked(result):
    with pytest.raises(Blocked):
        tool(result, result=BAD)("x")
    assert tool(result, arguments=BAD)("x") is result


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_results_are_redacted_as_the_same_types(result):
    with pg.capture() as verdicts:
        try:
            found = tool(result, result=FakeGuard(word="bad", action=Action.REDACT))(1)
        except Blocked:
            # The name of a key has no place that another text could take.
            assert list(result) == ["so bad a key"]
            return
    assert type(found) is type(result)
    assert "'bad'" not in str(found) and "so bad" not in str(found)
    assert not any(verdict.blocked for verdict in verdicts)


@pytest.mark.parametrize("result", [None, 3, 2.5, True, "", [], {}, {"n": [1, None]}])
def test_a_result_without_text_passes(result):
    assert tool(result, result=BAD)() == result


def test_images_in_a_result_are_told():
    picture = Block(type="image", data="iVBOR", mimeType="image/png")
    with pg.capture() as verdicts:
        tool(Result(content=[picture]), result=BAD)()
        tool([picture, Block(type="text", text="fine")], result=BAD)()
    assert [verdict.coverage for verdict in verdicts] == [0.0, 0.5]


def test_results_have_the_role_of_a_tool_and_arguments_that_of_the_assistant():
    roles = []

    class Asks(pg.Guard):
        def inspect(self, text):
            roles.append(text.role)
            return
            yield

    tool("page", arguments=Asks(), result=Asks())("url")
    assert roles == ["assistant", "tool"]


async def test_async_tools_stay_async():
    @guard_tool(arguments=BAD, result=NAME)
    async def fetch(url: str) -> str:
        return f"I am Joe at {url}."

    assert masked(await fetch("x")) == "I am <NAME> at x."
    with pytest.raises(Blocked):
        await fetch("bad")


def test_what_blocks_can_be_answered():
    page = "so bad"
    assert tool(page, result=BAD, on_block="[removed]")() == "[removed]"
    assert tool(page, result=BAD, on_block=lambda v: v.findings[0].label)() != page


def test_a_guard_that_breaks_blocks():
    broken = FakeGuard(error=RuntimeError("secret text"))
    for guards in ({"arguments": broken}, {"result": broken}):
        with pytest.raises(GuardError) as raised:
            tool("page", **guards)("x")
        assert "secret text" not in str(raised.value)
    assert tool("page", result=broken, on_error="allow")() == "page"


@pytest.mark.parametrize(
    ("fn", "guards", "says"),
    [
        (len, {}, "checks nothing"),
        (len, {"result": FakeGuard}, "not the class"),
        ("len", {"result": BAD}, "not a str"),
        (BAD, {"result": BAD}, "not a FakeGuard"),
        (Row, {"result": BAD}, "takes a function"),
    ],
)
def test_what_cannot_be_meant_is_refused(fn, guards, says):
    with pytest.raises(ConfigError, match=says):
        guard_tool(fn, **guards)


async def test_a_stream_is_not_a_result():
    with pytest.raises(ConfigError, match="stream"):
        tool(iter("abc"), result=BAD)()

    @guard_tool(result=BAD)
    async def fetch() -> Any:
        return iter("abc")

    with pytest.raises(ConfigError, match="stream"):
        await fetch()


async def test_a_function_tool_of_openai_agents():
    agents = pytest.importorskip("agents", reason="needs the extra 'clients'")
    from agents.tool_context import ToolContext

    @agents.function_tool
    def fetch(url: str) -> str:
        """Fetch a page."""
        return f"I am Joe at {url}."

    guarded = guard_tool(fetch, arguments=BAD, result=NAME)
    assert type(guarded) is type(fetch) and guarded.name == "fetch"
    context = ToolContext(
        context=None, tool_name="fetch", tool_call_id="1", tool_arguments="{}"
    )
    result = await guarded.on_invoke_tool(context, json.dumps({"url": "x"}))
    assert masked(result) == "I am <NAME> at x."
    with pytest.raises(Blocked):
        await guarded.on_invoke_tool(context, r'{"url": "\u0062ad"}')


async def test_tools_of_mcp_on_both_sides():
    pytest.importorskip("mcp", reason="needs the extra 'clients'")
    from mcp.client.client import Client
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("test")

    @server.tool()
    @guard_tool(arguments=FakeGuard(word="worse"))
    def fetch(url: str) -> str:
        """Fetch a page."""
        return f"I am Joe at {url}."

    async with Client(server) as session:
        call = guard_tool(session.call_tool, arguments=BAD, result=NAME)
        result = await call("fetch", {"url": "x"})
        assert masked(result.content[0].text) == "I am <NAME> at x."
        assert "Joe" not in str(result)
        with pytest.raises(Blocked):
            await call("fetch", {"url": "bad"})
        refused = await call("fetch", {"url": "worse"})
        assert refused.is_error


async def test_a_structured_tool_of_langchain():
    pytest.importorskip("langchain_core", reason="needs the extra 'clients'")
    from langchain_core.tools import tool as make

    @make
    def fetch(url: str) -> str:
        """Fetch a page."""
        return f"I am Joe at {url}."

    guarded = guard_tool(fetch, arguments=BAD, result=NAME)
    assert type(guarded) is type(fetch) and guarded.name == "fetch"
    assert masked(guarded.invoke({"url": "x"})) == "I am <NAME> at x."
    assert masked(await guarded.ainvoke({"url": "x"})) == "I am <NAME> at x."
    with pytest.raises(Blocked):
        guarded.invoke({"url": "bad"})
