"""Streams of chat completion chunks, chunk by chunk."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, Placeholders
from promptguard.chunks import Chunks
from promptguard.streams import run
from promptguard.testing import FakeGuard

NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
BAD = FakeGuard(name="bad", word="bad")
WHOLE = FakeGuard(name="whole", findings=(), delay=0.0)


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "1", "choices": [choice]}


def tool(number: int, arguments: str, index: int = 0, **head: Any) -> dict[str, Any]:
    function = {**head, "arguments": arguments}
    return chunk(index, tool_calls=[{"index": number, "function": function}])


def sent(source: list[Any], guard: Any = NAME, restore: Any = None) -> list[Any]:
    chunks = Chunks(guard, "block", restore, restore is not None)
    out: list[Any] = []
    for item in source:
        out += run(chunks.feed(item))
    return out + run(chunks.end())


def joined(out: list[Any], field: str = "content", index: int = 0) -> str:
    text = "".join(
        choice["delta"].get(field) or ""
        for item in out
        for choice in item["choices"]
        if choice["index"] == index
    )
    return re.sub(r":[0-9a-f]{16}>", ">", text)


def test_chunks_without_text_pass_as_they_are():
    source = [
        {"choices": [], "prompt_filter_results": []},
        chunk(role="assistant", content=""),
        chunk(content=None),
        chunk(finish="stop"),
        {"choices": [], "usage": {"total_tokens": 1}},
    ]
    out = sent(source)
    assert all(a is b for a, b in zip(out, source, strict=True))


def test_what_is_left_goes_before_the_chunk_that_ends_the_choice():
    source = [chunk(content="I am J"), chunk(content="oe"), chunk(finish="stop")]
    usage = {"choices": [], "usage": {}}
    out = sent([*source, usage], FakeGuard())
    assert joined(out) == "I am Joe"
    assert [c["choices"][0]["delta"] for c in out[:-1]] == [
        {"content": ""},
        {"content": ""},
        {"content": "I am Joe"},
        {},
    ]
    assert out[-1] is usage
    assert out[2]["choices"][0]["finish_reason"] is None


def test_a_last_chunk_with_text_carries_what_is_left():
    source = [chunk(content="I am J"), chunk(finish="stop", content="oe")]
    out = sent(source)
    assert len(out) == 2
    assert joined(out) == "I am <NAME_1>"
    assert out[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_stream_that_just_stops_loses_nothing():
    assert (
        joined(sent([chunk(content="I am J"), chunk(content="oe")])) == "I am <NAME_1>"
    )
    assert "".join(sent(["a", "b", "", "c"], FakeGuard())) == "abc"


def test_choices_and_fields_have_gates_of_their_own():
    source = []
    for i in range(len("I am Joe, hello")):
        piece = "I am Joe, hello"[i]
        source.append(chunk(0, content=piece))
        source.append(chunk(1, content=piece.swapcase()))
        source.append(chunk(0, reasoning_content=piece))
        source.append(chunk(0, refusal=piece))
    source += [chunk(1, finish="stop"), chunk(0, finish="stop")]
    out = sent(source)
    for field in ("content", "reasoning_content", "refusal"):
        assert joined(out, field) == "I am <NAME_1>, hello"
    assert joined(out, index=1) == "i AM jOE, HELLO"


def test_several_choices_in_one_chunk():
    def both(a: str, b: str, finish: str | None = None) -> dict[str, Any]:
        return {
            "choices": [
                {"index": 1, "delta": {"content": b}, "finish_reason": None},
                {"index": 0, "delta": {"content": a}, "finish_reason": finish},
            ]
        }

    out = sent([both("J", "hi "), both("oe", "Jo"), both("!", "e", "stop")])
    assert joined(out, index=0) == "<NAME_1>!"
    assert joined(out, index=1) == "hi <NAME_1>"


def test_arguments_of_tool_calls_are_put_together_call_by_call():
    source = [tool(0, "", name="f"), tool(1, "", name="g")]
    for a, b in zip(r'{"a": "\nJoe"}', r'{"b": "Jo!"}  ', strict=True):
        source += [tool(0, a), tool(1, b)]
    out = sent([*source, chunk(finish="tool_calls")])
    arguments = {0: "", 1: ""}
    for item in out:
        for call in item["choices"][0]["delta"].get("tool_calls", ()):
            arguments[call["index"]] += call["function"]["arguments"]
    assert re.sub(r":\w{16}>", ">", arguments[0]) == r'{"a": "\n<NAME_1>"}'
    assert arguments[1] == r'{"b": "Jo!"}  '
    names = [
        call["function"].get("name")
        for item in out
        for call in item["choices"][0]["delta"].get("tool_calls", ())
    ]
    assert [name for name in names if name] == ["f", "g"]


def test_reasoning_in_lists_is_put_together_by_its_index():
    source = []
    for letter in "I am Joe.":
        detail = {"type": "reasoning.text", "text": letter, "index": 3}
        source.append(chunk(reasoning=letter, reasoning_details=[detail]))
    out = sent([*source, chunk(finish="stop")])
    found = "".join(
        detail["text"]
        for item in out
        for detail in item["choices"][0]["delta"].get("reasoning_details", ())
    )
    assert (
        re.sub(r":\w{16}>", ">", found) == joined(out, "reasoning") == "I am <NAME_1>."
    )
    (rest,) = [
        c for c in out if c["choices"][0]["delta"].keys() == {"reasoning_details"}
    ]
    (detail,) = rest["choices"][0]["delta"]["reasoning_details"]
    assert detail.keys() == {"index", "type", "text"}


def test_redacted_arguments_that_are_json_no_more_block():
    number = FakeGuard(name="number", word="411", action=Action.REDACT)
    with pytest.raises(Blocked):
        sent([tool(0, '{"a": 4'), tool(0, "11}"), chunk(finish="stop")], number)


def test_log_probabilities_go_with_the_text_they_spell():
    probabilities = {"content": [{"token": "Joe"}]}
    source = [chunk(content="Joe"), chunk(finish="stop")]
    source[0]["choices"][0]["logprobs"] = probabilities
    out = sent(source)
    assert "Joe" not in str(out)
    assert source[0]["choices"][0]["logprobs"] is probabilities


def test_objects_stay_objects_and_are_not_changed():
    def make(content: str | None, finish: str | None = None) -> Any:
        delta = SimpleNamespace(content=content, role="assistant")
        choice = SimpleNamespace(index=0, delta=delta, finish_reason=finish)
        return SimpleNamespace(id="1", choices=[choice], usage=None)

    source = [make("I am J"), make("oe"), make(None, "stop")]
    out = sent(source, FakeGuard())
    texts = [item.choices[0].delta.content for item in out]
    assert texts == ["", "", "I am Joe", None]
    assert out[2].choices[0].delta.role is None
    assert source[0].choices[0].delta.content == "I am J"


def test_a_block_in_any_channel_ends_the_stream():
    for source in (
        [chunk(content="ba"), chunk(content="d and more text")],
        [chunk(reasoning_content="ba"), chunk(reasoning_content="d and more")],
        [tool(0, "ba"), tool(0, "d and more text")],
        [chunk(1, content="bad")],
    ):
        with pytest.raises(Blocked):
            sent(source, BAD)


def test_before_a_block_goes_the_text_before_it_and_nothing_else():
    chunks = Chunks(BAD | NAME, "block")
    source = {
        "id": "1",
        "choices": [
            {"index": 0, "delta": {"content": "secret"}, "finish_reason": None},
            {
                "index": 1,
                "delta": {"role": "assistant", "content": "I, Joe, am bad, and bad."},
                "finish_reason": "stop",
            },
        ],
    }
    with pytest.raises(Blocked):
        run(chunks.feed(source))
    (rest,) = chunks.rest
    assert joined([rest], index=1) == "I, <NAME_1>, am "
    assert rest["choices"][0]["finish_reason"] is None
    assert len(rest["choices"]) == 1
    assert rest["choices"][0]["delta"].keys() == {"content"}


@pytest.mark.parametrize(
    "item",
    [
        b"data: {}",
        3,
        None,
        {"type": "content_block_delta"},
        {"choices": [{"index": 0, "text": 3}]},
        {"choices": [{"index": 0, "message": {"content": "whole"}}]},
        chunk(content=3),
        chunk(content=[{"type": "image_url"}]),
        chunk(audio={"transcript": "spoken"}),
        chunk(audio={"data": "AAAA"}),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": {}}}]),
        chunk(content="[", parsed=["held"]),
    ],
    ids=repr,
)
def test_what_cannot_be_checked_is_an_error(item):
    with pytest.raises(ConfigError):
        sent([item])


def test_text_after_the_end_of_a_choice_is_an_error():
    with pytest.raises(ConfigError, match="finish_reason"):
        sent([chunk(content="a", finish="stop"), chunk(content="b")])


def test_every_text_gets_a_verdict():
    source = [chunk(content="I am Joe"), tool(0, "{}"), chunk(1, content="x")]
    with pg.capture() as verdicts:
        sent([*source, chunk(finish="stop")])
    assert [verdict.original for verdict in verdicts] == ["I am Joe", "{}", "x"]


def test_a_placeholder_in_many_chunks_is_restored_in_content_only():
    placeholders = Placeholders()
    token = placeholders.token("name", "Joe")
    source = [chunk(content=c) for c in f"Hi {token}!"]
    source += [chunk(reasoning_content=c) for c in token]
    source += [tool(0, c) for c in token]
    for guard in (None, NAME):
        out = sent([*source, chunk(finish="stop")], guard, placeholders)
        assert joined(out) == "Hi Joe!"
        assert joined(out, "reasoning_content") == "<NAME_1>"
        assert "Joe" not in str(
            [c["choices"][0]["delta"].get("tool_calls") for c in out]
        )
    assert "".join(sent(list(f"Hi {token}"), None, placeholders)) == "Hi Joe"
