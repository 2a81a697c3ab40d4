"""Frameworks that are handed a guarded client: what they send and get is guarded.

The frameworks are the real ones, the server is on the loopback interface.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from promptguard import Action, Blocked, guard_client, guarded
from promptguard.testing import ChatServer, FakeGuard, Reply, ToolCall

# What the libraries below the frameworks say about each other.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::UserWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
WHY = "needs the extra 'clients'"


def masked(value: Any) -> str:
    return re.sub(r"<NAME_\d+:[0-9a-f]{16}>", "<NAME>", str(value))


@pytest.fixture
async def server(monkeypatch) -> AsyncIterator[ChatServer]:
    # Asked for at import: a price list from the network, and a tracing service.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    with ChatServer(lambda body: script(body)) as running:
        yield running
    for client in _OPEN:
        if isinstance(client, openai.AsyncOpenAI):
            await client.close()
        else:
            client.close()
    _OPEN.clear()


_OPEN: list[Any] = []


def script(body: dict[str, Any]) -> Reply:
    """Ask for the weather when there is a tool for it and no answer yet."""
    said = json.dumps(body)
    if "look_at_page" in said and "PAGE" not in said:
        return Reply(tool_calls=(ToolCall("look_at_page", '{"url": "x"}'),), size=2)
    return Reply(content="I am Joe.", size=2)


def clients(server: ChatServer, **guards: Any) -> tuple[Any, Any]:
    """The sync and the async client, guarded."""
    given = {"base_url": server.base_url, "api_key": "key", "max_retries": 0}
    both = openai.OpenAI(**given), openai.AsyncOpenAI(**given)
    _OPEN.extend(both)
    return guard_client(both[0], **guards), guard_client(both[1], **guards)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def test_litellm(server):
    litellm = pytest.importorskip("litellm", reason=WHY)
    client, aclient = clients(server, input=BAD, output=NAME)
    options = {"model": "openai/gpt-4o", "client": client}
    answer = litellm.completion(messages=user("x"), **options)
    assert masked(answer.choices[0].message.content) == "I am <NAME>."
    with pytest.raises(Exception, match="blocked"):
        litellm.completion(messages=user("bad"), num_retries=0, **options)
    chunks = list(litellm.completion(messages=user("x"), stream=True, **options))
    assert masked("".join(c.choices[0].delta.content or "" for c in chunks)) == (
        "I am <NAME>."
    )
    answer = await litellm.acompletion(
        model="openai/gpt-4o", messages=user("x"), client=aclient
    )
    assert masked(answer.choices[0].message.content) == "I am <NAME>."
    assert len(server.requests) == 3


async def test_functions_of_litellm(server):
    litellm = pytest.importorskip("litellm", reason=WHY)
    options = {
        "model": "openai/gpt-4o",
        "api_base": server.base_url,
        "api_key": "key",
    }
    completion = guarded(litellm.completion, input=BAD, output=NAME)
    answer = completion(messages=user("x"), **options)
    assert masked(answer.choices[0].message.content) == "I am <NAME>."
    assert type(answer) is litellm.ModelResponse
    chunks = list(completion(messages=user("x"), stream=True, **options))
    assert masked("".join(c.choices[0].delta.content or "" for c in chunks)) == (
        "I am <NAME>."
    )
    with pytest.raises(Blocked):
        completion(messages=user("bad"), **options)
    acompletion = guarded(litellm.acompletion, input=BAD, output=NAME)
    answer = await acompletion(messages=user("x"), **options)
    assert masked(answer.choices[0].message.content) == "I am <NAME>."
    stream = await acompletion(messages=user("x"), stream=True, **options)
    text = "".join([c.choices[0].delta.content or "" async for c in stream])
    assert masked(text) == "I am <NAME>."
    with pytest.raises(Blocked):
        await acompletion(messages=user("bad"), **options)


async def test_langchain(server):
    lc = pytest.importorskip("langchain_openai", reason=WHY)
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    heard: list[str] = []

    class Ear(BaseCallbackHandler):
        def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
            heard.append(str(token))

        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            heard.append(str(response))

    client, aclient = clients(server, input=BAD, output=NAME)
    model = lc.ChatOpenAI(
        model="m",
        client=client.chat.completions,
        async_client=aclient.chat.completions,
        root_client=client,
        root_async_client=aclient,
        callbacks=[Ear()],
    )
    chain = ChatPromptTemplate.from_template("Say {what}") | model | StrOutputParser()
    assert masked(chain.invoke({"what": "x"})) == "I am <NAME>."
    assert masked(await chain.ainvoke({"what": "x"})) == "I am <NAME>."
    assert masked("".join(chain.stream({"what": "x"}))) == "I am <NAME>."
    text = "".join([piece async for piece in chain.astream({"what": "x"})])
    assert masked(text) == "I am <NAME>."
    assert [masked(t) for t in chain.batch([{"what": "x"}])] == ["I am <NAME>."]
    for call in (chain.invoke, lambda given: list(chain.stream(given))):
        with pytest.raises(Blocked):
            call({"what": "bad"})
    assert heard and "Joe" not in "".join(heard)
    assert len(server.requests) == 5


def test_runnables_of_langchain_are_functions(server):
    lc = pytest.importorskip("langchain_openai", reason=WHY)
    from langchain_core.messages import HumanMessage, SystemMessage

    model = lc.ChatOpenAI(model="m", base_url=server.base_url)
    _OPEN.extend((model.root_client, model.root_async_client))
    invoke = guarded(model.invoke, input=BAD, output=NAME)
    messages = [SystemMessage("You are bad."), HumanMessage("x")]
    answer = invoke(messages)
    assert type(answer).__name__ == "AIMessage"
    assert masked(answer.content) == "I am <NAME>."
    with pytest.raises(Blocked):
        invoke([SystemMessage("fine"), HumanMessage("so bad")])
    with pytest.raises(Blocked):
        invoke("so bad")


async def test_llama_index(server):
    li = pytest.importorskip("llama_index.llms.openai", reason=WHY)
    from llama_index.core.llms import ChatMessage

    client, aclient = clients(server, input=BAD, output=NAME)
    llm = li.OpenAI(
        model="gpt-4o", openai_client=client, async_openai_client=aclient, max_retries=0
    )
    messages = [ChatMessage(role="user", content="x")]
    answer = llm.chat(messages)
    assert masked(answer.message.content) == "I am <NAME>."
    assert "Joe" not in str(answer.raw)
    chunks = list(llm.stream_chat(messages))
    assert masked("".join(chunk.delta or "" for chunk in chunks)) == "I am <NAME>."
    assert "Joe" not in str([chunk.raw for chunk in chunks])
    assert masked((await llm.achat(messages)).message.content) == "I am <NAME>."
    assert masked(llm.complete("x").text) == "I am <NAME>."
    with pytest.raises(Blocked):
        llm.chat([ChatMessage(role="user", content="so bad")])
    with pytest.raises(Blocked):
        llm.complete("so bad")


def look_at_page(url: str) -> str:
    """Look at a page."""
    return "PAGE: so bad"


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_pydantic_ai(server, api):
    pytest.importorskip("pydantic_ai", reason=WHY)
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    _, aclient = clients(server, input=BAD, output=NAME)
    make = OpenAIChatModel if api == "chat" else OpenAIResponsesModel
    fields = openai.types.responses.Response.model_fields
    if api == "responses" and "prompt_cache_diagnostics" not in fields:
        pytest.skip("this release of pydantic-ai reads fields of a newer openai")
    model = make("gpt-4o", provider=OpenAIProvider(openai_client=aclient))
    agent = Agent(model, instructions="A bad system prompt.")
    result = await agent.run("x")
    assert masked(result.output) == "I am <NAME>."
    assert "Joe" not in str(result.all_messages())
    async with agent.run_stream("x") as stream:
        text = "".join([piece async for piece in stream.stream_text(delta=True)])
    assert masked(text) == "I am <NAME>."
    with pytest.raises(Blocked):
        await agent.run("so bad")
    # What a tool brought is in the next request, and stops it.
    before = len(server.requests)
    with pytest.raises(Blocked):
        await Agent(model, tools=[look_at_page]).run("x")
    assert len(server.requests) == before + 1


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_openai_agents(server, api):
    agents = pytest.importorskip("agents", reason=WHY)
    agents.set_tracing_disabled(True)
    _, aclient = clients(server, input=BAD, output=NAME)
    name = "ChatCompletions" if api == "chat" else "Responses"
    make = getattr(agents, f"OpenAI{name}Model")
    model = make(model="gpt-4o", openai_client=aclient)
    agent = agents.Agent(name="a", instructions="A bad system prompt.", model=model)
    result = await agents.Runner.run(agent, "x")
    assert masked(result.final_output) == "I am <NAME>."
    streamed = agents.Runner.run_streamed(agent, "x")
    events = [event async for event in streamed.stream_events()]
    assert masked(streamed.final_output) == "I am <NAME>."
    assert events and "Joe" not in str(events)
    with pytest.raises(Blocked):
        await agents.Runner.run(agent, "so bad")
    before = len(server.requests)
    tool = agents.function_tool(look_at_page)
    with pytest.raises(Blocked):
        await agents.Runner.run(agent.clone(tools=[tool]), "x")
    assert len(server.requests) == before + 1
