"""The streams of every API, cut anyhow: nothing leaks, and nothing is lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError
from promptguard.answers import read_answer
from promptguard.arguments import read
from promptguard.chunks import Chunks
from promptguard.streams import run
from promptguard.testing import FakeGuard, Reply, ToolCall
from promptguard.testing.wire import wire_of

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
WHOLE = FakeGuard(name="whole", findings=(), delay=0.0)
CALL = ToolCall("send", json.dumps({"to": "Joe", "text": "Hi\nJoe", "n": 1}))
PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "google": "/v1beta/models/m:streamGenerateContent",
}
paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def stream(path: str, size: int, text: str = "I am Joe, Joe.") -> list[Any]:
    reply = Reply(content=text, reasoning="Joe?", tool_calls=(CALL,), size=size)
    wire = wire_of(path)
    assert wire is not None
    return list(wire.chunks({"n": 2} if "chat" in path else {}, reply))


def sent(source: list[Any], guard: Any) -> list[Any]:
    chunks = Chunks(guard, "block")
    out: list[Any] = []
    for item in source:
        out += run(chunks.feed(item))
    return out + run(chunks.end())


def masked(value: Any) -> str:
    return re.sub(r":[0-9a-f]{16}>", ">", value)


def texts(chunks: list[Any]) -> dict[tuple[Any, ...], str]:
    """The strings of the chunks, by place, put together where they go on."""
    found: dict[tuple[Any, ...], str] = {}

    def walk(value: Any, place: tuple[Any, ...]) -> None:
        if isinstance(value, str):
            found[place] = found.get(place, "") + value
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key not in LABELS:
                    walk(inner, (*place, key))
        elif isinstance(value, list):
            for item in value:
                number = item.get("index") if isinstance(item, dict) else None
                thought = isinstance(item, dict) and bool(item.get("thought"))
                walk(item, (*place, number, thought))

    for chunk in chunks:
        index = chunk.get("index"), chunk.get("output_index")
        walk(chunk, (chunk.get("type"), *index))
    return {place: text for place, text in found.items() if text}


# These stand in every chunk, however many there are.
LABELS = set("id model modelVersion name object role type item_id call_id".split())
LABELS |= set("finish_reason finishReason status tool_choice signature".split())


@paths
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("guard", [NAME, NAME | WHOLE], ids=["flow", "hold"])
def test_every_cut_gives_the_same_texts(path, size, guard):
    whole = texts(sent(stream(path, 1000), guard))
    found = texts(sent(stream(path, size), guard))
    assert "Joe" not in str(whole) + str(found)
    said = {masked(text) for text in found.values()}
    assert "I am <NAME_1>, <NAME_1>." in said or "I am <NAME_2>, <NAME_2>." in said
    names = re.compile(r"<NAME_\d>")
    expected = {names.sub("<N>", masked(text)) for text in whole.values()}
    assert {names.sub("<N>", text) for text in said} == expected


@paths
@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_harmless_stream_passes_whole(path, size):
    source = stream(path, size)
    assert {*texts(sent(source, BAD)).values()} == {*texts(source).values()}


@paths
@pytest.mark.parametrize("size", [1, 4, 50])
def test_nothing_goes_from_the_start_of_a_finding_on(path, size):
    text = "Fine words, and then so bad ones, and more."
    chunks = Chunks(BAD, "block")
    out: list[Any] = []
    with pytest.raises(Blocked):
        for item in stream(path, size, text):
            out += run(chunks.feed(item))
    out += chunks.rest
    shown = "".join(texts(out).values())
    assert "bad" not in shown and "ba" not in shown.replace("parallel", "")
    if size < 50:
        assert "Fine words, and then so " in texts(out).values()


def test_texts_of_items_that_never_streamed_are_checked():
    item = {"type": "mcp_call", "id": "1", "arguments": "{}", "output": "so bad"}
    for event in (
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"output": [item]}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {
                "type": "web_search_tool_result",
                "content": [{"type": "web_search_result", "title": "so bad"}],
            },
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {
                "type": "citations_delta",
                "citation": {"type": "char_location", "cited_text": "so bad"},
            },
        },
    ):
        with pytest.raises(Blocked):
            sent([event], BAD)
        assert masked(str(sent([event], FakeGuard(word="xyz")))) == str([event])


def test_a_text_goes_on_after_it_was_done_is_an_error():
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "a"}
    done = {"type": "response.output_text.done", "output_index": 0, "text": "a"}
    with pytest.raises(ConfigError):
        sent([delta, done, delta], BAD)
    start = {"type": "content_block_start", "index": 0}
    with pytest.raises(ConfigError, match="text of its own"):
        sent([{**start, "content_block": {"type": "text", "text": "a"}}], BAD)
    with pytest.raises(ConfigError, match="audio"):
        sent([{"type": "response.audio.delta", "delta": "AAAA"}], BAD)


def roles(**kwargs: Any) -> list[tuple[str, str]]:
    return [(part.role, part.text) for part in read((), kwargs).parts]


def test_items_of_the_responses_api_are_read_with_their_roles():
    call = {"type": "function_call", "name": "f", "arguments": '{"a": 1}'}
    found = roles(
        input=[
            {"role": "user", "content": "old"},
            {"type": "message", "role": "assistant", "content": "answer"},
            {"role": "developer", "content": "trusted"},
            {"role": "user", "content": [{"type": "input_text", "text": "new"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            call,
            {"type": "function_call_output", "call_id": "1", "output": "page"},
            call,
            {
                "type": "function_call_output",
                "call_id": "2",
                "output": [{"type": "input_text", "text": "other"}],
            },
        ]
    )
    # The calls and results of one turn may alternate, so none of them ends it.
    assert found == [
        ("user", "new"),
        ("assistant", "hm"),
        ("assistant", '{"a": 1}'),
        ("tool", "page"),
        ("assistant", '{"a": 1}'),
        ("tool", "other"),
    ]
    assert roles(input="text", model="m") == [("user", "text")]


def test_blocks_of_a_message_are_read_with_their_roles():
    result = {"type": "tool_result", "tool_use_id": "1", "content": "page"}
    page = {"type": "document", "source": {"type": "text", "data": "paper"}}
    scan = {"type": "document", "source": {"type": "base64", "data": "AAAA"}}
    found = read(
        (),
        {
            "model": "m",
            "system": [{"type": "text", "text": "trusted"}],
            "messages": [{"role": "user", "content": [result, page, scan]}],
        },
    )
    assert [(p.role, p.text) for p in found.parts] == [
        ("tool", "page"),
        ("retrieved", "paper"),
    ]
    assert found.parts[0].coverage == pytest.approx(2 / 3)


def test_names_and_sealed_values_are_not_texts():
    block = {"type": "redacted_thinking", "data": "AAAA"}
    think = {"type": "thinking", "thinking": "hm", "signature": "AAAA"}
    call = {
        "type": "tool_use",
        "id": "x",
        "name": "f",
        "input": {"id": "a", "type": "b"},
    }
    answer = {"role": "assistant", "content": [block, think, call]}
    assert [part.text for part in read_answer(answer).parts] == ["hm", "a", "b"]


def test_what_is_nested_too_deep_is_an_error():
    value: Any = "x"
    for _ in range(100):
        value = [value]
    call = {"type": "tool_use", "input": {"a": value}}
    with pytest.raises(ConfigError, match="nested deeper"):
        read_answer({"role": "assistant", "content": [call]})


def test_guarded_functions_answer_with_every_shape():
    answers = [
        {"object": "response", "output": [{"type": "program", "code": "so bad"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "so bad"}]},
        {"candidates": [{"content": {"parts": [{"text": "so bad"}]}}]},
        {"choices": [{"index": 0, "text": "so bad"}]},
    ]
    for answer in answers:
        with pytest.raises(Blocked):
            pg.guarded(lambda prompt, given=answer: given, output=BAD)("x")
        new = pg.guarded(
            lambda prompt, given=answer: given,
            output=FakeGuard(word="bad", action=Action.REDACT),
        )("x")
        assert "bad" not in str(new) and type(new) is dict
