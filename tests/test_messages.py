"""Where the texts of a call and of an answer are found, and how they are replaced."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from promptguard import ConfigError
from promptguard.answers import Undeliverable, read_answer, rewritten
from promptguard.arguments import read, read_value
from promptguard.shapes import changed, copied
from promptguard.shapes import only as only_text

CANARY = "canary-42"


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


@dataclasses.dataclass(frozen=True)
class Page:
    page_content: str


@dataclasses.dataclass(frozen=True)
class Message:
    role: str
    content: Any


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


NESTED: list[object] = []
NESTED.append(NESTED)


def texts(*args: Any, names=(), only=None, **kwargs: Any) -> list[tuple[str, str]]:
    found = read(args, kwargs, names, only)
    return [(part.role, part.text) for part in found.parts]


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"prompt": "a"}, [("user", "a")]),
        ({"one": "a", "two": "b"}, [("user", "a"), ("user", "b")]),
        ({"prompt": ""}, [("user", "")]),
        ({"documents": ["a", "b"]}, [("user", "a"), ("user", "b")]),
        ({"documents": ("a", 1, "b")}, [("user", "a"), ("user", "b")]),
        ({"text": "a", "model": "m", "system": "s", "n": 3}, [("user", "a")]),
        ({"request": {"prompt": "a", "o": "b"}}, [("user", "a"), ("user", "b")]),
        ({"request": {"messages": [user("a")], "model": "m"}}, [("user", "a")]),
        ({"messages": [user("a")], "context": "b"}, [("user", "a"), ("user", "b")]),
        ({"messages": [user("a")], "tools": [{"x": "b"}]}, [("user", "a")]),
        ({"messages": [user("a")], "user": "b", "seed": 1}, [("user", "a")]),
        ({"user": "a", "stop": "b"}, [("user", "a"), ("user", "b")]),
        ({"prompt": "a", "hits": [{"text": "b"}]}, [("user", "a"), ("user", "b")]),
        ({"prompt": "a", "hits": [[("b", 0.5)]]}, [("user", "a"), ("user", "b")]),
        ({"prompt": "a", "page": Page("b")}, [("user", "a"), ("user", "b")]),
        ({"prompt": "a", "tags": {"b"}}, [("user", "a"), ("user", "b")]),
        ({"data": {"x": {"y": "a"}}}, [("user", "a")]),
        ({"messages": [user("a")], "model": "m"}, [("user", "a")]),
        ({"messages": [user("a")], "prompt": "b"}, [("user", "a"), ("user", "b")]),
        ({"turns": deque([user("a")])}, [("user", "a")]),
        ({"turns": (Message("user", "a"),)}, [("user", "a")]),
        ({"turns": [Model(role="user", content="a")]}, [("user", "a")]),
        ({"message": user("a"), "model": "m"}, [("user", "a")]),
        ({"message": Message("user", "a")}, [("user", "a")]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_texts_of_a_call_are_found_by_shape(kwargs, expected):
    assert texts(**kwargs) == expected


def test_positional_arguments_take_the_names_of_the_parameters():
    assert texts("m", "a", names=("model", "prompt")) == [("user", "a")]
    assert texts("a", "b", names=("texts",)) == [("user", "a"), ("user", "b")]
    bot = SimpleNamespace(role="assistant", content="mine")
    assert texts(bot, "a", names=("self", "question")) == [("user", "a")]


def test_prompt_names_the_only_parameter_that_is_read():
    assert texts("a", only="x", names=("y",), x="b") == [("user", "b")]
    assert texts(x=[user("a")], y="b", only="x") == [("user", "a")]
    assert texts(x=["a", "b"], y="c", only="x") == [("user", "a"), ("user", "b")]


@pytest.mark.parametrize("value", ["a", ["a"], [user("a")], user("a")], ids=repr)
def test_a_prompt_function_may_return_any_known_shape(value):
    assert [part.text for part in read_value(value).parts] == ["a"]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("a")], "a"),
        ([system("s"), user("a")], "a"),
        ([{"role": "developer", "content": "s"}, user("a")], "a"),
        ([user("a"), assistant("b"), user("c")], "c"),
        ([user("a"), assistant("b"), user("c"), user("d")], "cd"),
        ([user("a"), assistant("b")], "ab"),
        ([user("a"), assistant("b"), assistant("c")], "abc"),
        ([user("a"), assistant("b"), system("s")], "ab"),
        ([user("a"), assistant("b"), user("c"), assistant("d")], "cd"),
        ([user("a"), assistant("b"), user("c"), system("s")], "c"),
    ],
)
def test_messages_after_the_last_answered_turn_are_read(messages, expected):
    assert "".join(text for _, text in texts(messages=messages)) == expected


def test_tool_results_are_read_with_their_role():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "1", "content": "page"}
    old = {"role": "function", "name": "f", "content": [{"type": "text", "text": "x"}]}
    found = texts(messages=[user("a"), turn, result, old])
    assert found == [("tool", "page"), ("function", "x")]


def test_history_is_the_end_of_what_came_before():
    turns = [t for i in range(100) for t in (user(f"q{i}"), assistant(f"a{i}"))]
    found = read((), {"messages": [*turns, user([{"type": "text", "text": "new"}])]})
    assert len(found.history) == 64
    assert found.history[-1] == ("assistant", "a99")
    assert found.history[0] == ("user", "q68")


def test_parts_that_are_not_text_lower_the_coverage():
    text = {"type": "text", "text": "a"}
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    sound = {"type": "input_audio", "input_audio": {"data": ""}}
    paper = {"type": "file", "file": {"file_id": "1"}}

    def coverage(*parts: Any) -> list[float]:
        return [p.coverage for p in read((), {"messages": [user(parts)]}).parts]

    assert coverage(text) == [1.0]
    assert coverage(text, image) == [0.5]
    assert coverage(text, image, text, paper) == [0.5, 0.5]
    assert coverage(sound) == [0.0]


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({}, "found no text"),
        ({"n": 3}, "found no text"),
        ({"data": CANARY.encode()}, "found no text"),
        ({"data": NESTED}, "nested deeper"),
        ({"model": "m"}, "found no text"),
        ({"prompt": None}, "found no text"),
        ({"messages": []}, "found no text"),
        ({"messages": [user(None)]}, "found no text"),
        ({"messages": [system(CANARY)]}, "trusted"),
        ({"prompt": CANARY.encode()}, "bytes"),
        ({"prompt": 3}, "int"),
        ({"input": object()}, "object"),
        ({"messages": CANARY}, "str, not a list"),
        ({"messages": (m for m in [user(CANARY)])}, "generator"),
        ({"messages": [{"content": CANARY}]}, "without a role"),
        ({"messages": [user("a"), CANARY]}, "without a role"),
        ({"messages": [{"role": CANARY * 9, "content": "a"}]}, "unknown"),
        ({"messages": [{"role": "human", "content": "a"}]}, "'human'"),
        ({"messages": [user(CANARY.encode())]}, "bytes"),
        ({"messages": [user(3)]}, "int"),
        ({"messages": [user({"text": CANARY})]}, "dict"),
        ({"messages": [user([{"type": "poem", "text": CANARY}])]}, "'poem'"),
        ({"messages": [user([{"type": CANARY * 9}])]}, "unknown type"),
        ({"messages": [user([{"type": "text", "text": 3}])]}, "int"),
        ({"messages": [user([3])]}, "unknown type"),
        ({"messages": [{**user("a"), "refusal": 3}]}, "refusal"),
        ({"messages": [{**assistant("a"), "tool_calls": 3}]}, "tool_calls"),
        ({"messages": [{**assistant(""), "tool_calls": [{"type": "x"}]}]}, "tool call"),
    ],
)
def test_what_is_not_known_is_an_error_that_says_what_and_never_the_text(kwargs, says):
    with pytest.raises(ConfigError) as raised:
        texts(**kwargs)
    assert says in str(raised.value)
    assert CANARY not in str(raised.value)


def test_a_missing_prompt_parameter_is_an_error():
    with pytest.raises(ConfigError, match="parameter 'x'"):
        texts(y="a", only="x")


def test_very_long_conversations_are_read_in_linear_time():
    messages = [user("a"), assistant("b")] * 25_000 + [user("c")] * 50_000
    begun = time.perf_counter()
    assert len(texts(messages=messages)) == 50_000
    # Seconds, however busy the machine; comparing each with each would take hours.
    assert time.perf_counter() - begun < 60


def test_deeply_nested_content_is_refused_without_recursion():
    content: Any = []
    for _ in range(100_000):
        content = [content]
    with pytest.raises(ConfigError):
        texts(messages=[user(content)])


def replaced(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
    found = read(args, kwargs)
    texts = {part.path: part.text.upper() for part in found.parts}
    new = changed((args, kwargs), texts)
    return new


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "A"),
        (["a", 1], ["A", 1]),
        (("a", "b"), ("A", "B")),
        ([user("a")], [user("A")]),
        ((Message("user", "a"),), (Message("user", "A"),)),
        ([Model(role="user", content="a")], [Model(role="user", content="A")]),
        (
            [user([{"type": "text", "text": "a", "x": 1}, {"type": "file"}])],
            [user([{"type": "text", "text": "A", "x": 1}, {"type": "file"}])],
        ),
        ({"prompt": "a", "n": 1}, {"prompt": "A", "n": 1}),
    ],
    ids=repr,
)
def test_replacing_copies_and_leaves_the_callers_objects_alone(value, expected):
    before = copy.deepcopy(value)
    (new,), _ = replaced(value)
    assert new == expected
    assert type(new) is type(expected)
    assert value == before


def test_replacing_shares_what_it_does_not_change():
    image = {"type": "image_url", "image_url": {"url": "data:" + "A" * 1000}}
    messages = [system("s"), user([{"type": "text", "text": "a"}, image])]
    _, kwargs = replaced(messages=messages)
    assert kwargs["messages"][0] is messages[0]
    assert kwargs["messages"][1]["content"][1] is image


def test_an_object_that_cannot_be_copied_is_an_error():
    class Sealed:
        __slots__ = ()
        role = "user"
        content = "a"

    with pytest.raises(ConfigError, match="Sealed"):
        replaced(messages=[Sealed()])


def test_copying_keeps_named_tuples_and_dict_subclasses():
    class Box(dict):
        pass

    from collections import namedtuple

    Pair = namedtuple("Pair", "a b")
    assert copied(Pair(1, 2), {1: 3}) == Pair(1, 3)
    box = copied(Box(a=1), {"a": 2})
    assert type(box) is Box and box == {"a": 2}
    plain = SimpleNamespace(a=1, b=2)
    assert copied(plain, {"a": 3}) == SimpleNamespace(a=3, b=2)
    assert plain.a == 1


def completion(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}}]}


def test_all_texts_of_an_answer_are_found():
    message = {
        "content": "content",
        "refusal": "refusal",
        "reasoning_content": "thoughts",
        "reasoning": "more",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "d"},
            {"summary": "s"},
        ],
        "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "x"}],
        "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"type": "custom", "custom": {"name": "g", "input": "free"}},
        ],
        "function_call": {"name": "h", "arguments": "{1}"},
        "audio": {"transcript": "spoken", "data": "..."},
    }
    forms = {part.text: part.form for part in read_answer(completion(**message)).parts}
    assert forms == {
        "content": "text",
        "refusal": "text",
        "thoughts": "text",
        "more": "text",
        "d": "text",
        "s": "text",
        "t": "text",
        "{}": "json",
        "free": "text",
        "{1}": "json",
        "spoken": "fixed",
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, []),
        ("a", ["a"]),
        (completion(content=None), []),
        ({"choices": []}, []),
        (assistant("a"), ["a"]),
        (Model(role="assistant", content=[Model(type="text", text="a")]), ["a"]),
        ({"choices": [{"message": assistant(c)} for c in "ab"]}, ["a", "b"]),
    ],
    ids=repr,
)
def test_known_answers(answer, expected):
    assert [part.text for part in read_answer(answer).parts] == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"bytes",
        3,
        ["a"],
        {"answer": "a"},
        object(),
        {"choices": [{"text": 3}]},
        {"choices": [{"delta": {"content": "a"}}]},
        completion(content=3),
        completion(content=None, tool_calls=[{"function": {"arguments": {"a": 1}}}]),
        SimpleNamespace(output_text="a", output=[]),
    ],
    ids=repr,
)
def test_unknown_answers_are_errors(answer):
    with pytest.raises(ConfigError):
        read_answer(answer)


def test_echoes_of_a_rewritten_text_go():
    answer = completion(content="secret")
    answer["choices"][0]["logprobs"] = {"content": [{"token": "secret"}]}
    path = ("choices", 0, "message", "content")
    new = rewritten(answer, {path: "<X>"})
    assert "secret" not in str(new)
    assert answer["choices"][0]["logprobs"]
    assert new["choices"][0]["logprobs"] is None


def test_a_parsed_answer_is_parsed_again():
    class City(BaseModel):
        name: str

    path = ("choices", 0, "message", "content")
    answer = completion(content='{"name": "Rome"}', parsed=City(name="Rome"))
    new = rewritten(answer, {path: '{"name": "<X>"}'})
    assert new["choices"][0]["message"]["parsed"] == City(name="<X>")
    with pytest.raises(Undeliverable) as raised:
        rewritten(answer, {path: '{"name": <X>}'})
    assert raised.value.path == path
    answer = completion(content="[1]", parsed=[1])
    assert rewritten(answer, {path: "[2]"})["choices"][0]["message"]["parsed"] == [2]


def test_only_keeps_one_text_and_its_place():
    call = {"index": 2, "id": "x", "type": "function", "function": {"name": "f"}}
    delta = {"role": "assistant", "content": "a", "tool_calls": [{"index": 1}, call]}
    path = ("tool_calls", 1, "function", "arguments")
    expected = {"tool_calls": [{"index": 2, "function": {"arguments": "rest"}}]}
    assert only_text(delta, path, "rest") == expected
    delta = Model(role="assistant", content="a", extra="b")
    new = only_text(delta, ("content",), "rest")
    assert (new.role, new.content, new.extra) == (None, "rest", None)
