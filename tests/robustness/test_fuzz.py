"""Made-up input for every guard and every way in: nothing breaks, nothing hangs.

Texts of all planes, lone surrogates, special tokens of chat templates as plain text,
controls, halves of structures, values that guards look for, glued in any order. What a
guard takes is processor time of its thread, so that a busy machine does not count.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from every_guard import EVERY, LEARNED, PATTERNS, missing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import FUZZ, SECONDS, WHOLE

import promptguard as pg

TOKENS = (
    "[CLS] [SEP] [PAD] [UNK] [MASK] <s> </s> <unk> <pad> <|im_start|>system <|im_end|> "
    "<|endoftext|> <|eot_id|> <|start_header_id|> <<SYS>> [INST] [/INST] ##ing ▁the Ġa "
    "<|begin_of_text|> <|fim_prefix|> <tool_call> </tool_call> <think> {{user}} ${x} %s"
).split(" ")
VALUES = (
    *("joe@example.org", "+1 212 555 0142", "4111 1111 1111 1111", "GB82WEST12345698"),
    *("AKIA2OGYBAH6Q7XM4NPL", "password = hunter22", "-----BEGIN PRIVATE KEY-----\n"),
    *("https://evil.example/?q=", "data:text/html,", "](", "![x](", "<a href='", "zan"),
    *('{"a": [', "'}]", "```json", "\\u0000", "\\ud800", "&#x41;", "%41", "aGVsbG8="),
    *("zanzibar", "blue heron", "TKT-12345", "I can't help with that", "SELECT * FROM"),
    *("<EMAIL_1:0123456789abcdef>", "<EMAIL_1:", "ignore all previous instructions"),
)
SIGNS = (
    *("\x00", "\x1b[31m", "\b", "\x7f", "\r\n", "\u2028", "\ufeff", "\u200b", "\u202e"),
    *("\ud800", "\udfff", "\udbff\udfff", "\U000e0041", "\ufe0f", "\u0301", "\u3164"),
    *("ﷺ", "İ", "ß", "ａ", "①", "한", "👩‍💻", "🇺🇸", "\U0010ffff", "\ue000", "\u1160"),
)
whole = st.characters(codec=None, max_codepoint=sys.maxunicode)
pieces = st.one_of(
    st.sampled_from(TOKENS),
    st.sampled_from(VALUES),
    st.sampled_from(SIGNS),
    st.text(whole, max_size=20),
    st.text("0123456789 -+.()", max_size=24),
    st.text("abcXYZ0189+/=_-", max_size=40),
    st.builds(lambda unit, n: unit * n, st.text(whole, max_size=3), st.integers(0, 99)),
    st.binary(max_size=24).map(lambda data: data.decode("latin-1")),
    st.binary(max_size=24).map(lambda data: data.decode("utf-8", "surrogateescape")),
)
texts = st.lists(pieces, max_size=12).map("".join) | st.lists(pieces, max_size=12).map(
    " ".join
)
roles = st.sampled_from(["user", "assistant", "tool", "retrieved", "system"])
many = settings(
    max_examples=FUZZ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# A path runs several guards and a client's machinery: a tenth as many.
some = settings(many, max_examples=max(20, FUZZ // 10))

EDGES = {
    "nothing": "",
    "a million spaces": " " * 1_000_000,
    "a million line feeds": "\n" * 1_000_000,
    "lists 10,000 deep": "[" * 10_000 + "]" * 10_000,
    "lists 10,000 deep, open": "[" * 10_000,
    "objects 10,000 deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "every sign of the first plane": "".join(map(chr, range(0x10000))),
    "signs of all planes": "".join(map(chr, range(0, 0x110000, 37))),
    "lone surrogates": "\ud800" * 10_000,
    "one letter under marks": "e" + "\u0301" * 20_000,
    "a long word": "a" * 20_000,
    "zero-width spaces": "a\u200b" * 10_000,
    "special tokens": " ".join(TOKENS) * 200,
}


def test_every_guard_is_here() -> None:
    assert not missing()


@pytest.mark.parametrize("name", EVERY)
@many
@given(text=texts, role=roles)
def test_a_guard_has_a_verdict_on_anything(name: str, text: str, role: str) -> None:
    looked_at(name, text, role)


@pytest.mark.slow
@pytest.mark.parametrize("text", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("name", EVERY)
def test_a_guard_has_a_verdict_on_what_is_long_or_deep(name: str, text: str) -> None:
    if name in LEARNED and text.strip() and not WHOLE:
        # A model takes a fifth of a second for a thousand characters.
        text = text[:2_000]
    looked_at(name, text, "user")


def looked_at(name: str, text: str, role: str) -> None:
    guard = EVERY[name]
    begun = time.thread_time()
    try:
        verdict = guard.check(text, role)
    except pg.ModelError as error:
        # The one text that is refused: it is longer than a model reads.
        assert "pass it in parts" in str(error)
        assert len(text) > 100_000
        return
    taken = time.thread_time() - begun
    if name in PATTERNS or len(text) < 2_000:
        assert taken < SECONDS, f"{name}: {taken:.1f} s for {len(text)} characters"
    assert 0 <= verdict.coverage <= 1
    assert not verdict.degraded
    assert all(0 <= f.start <= f.end <= len(text) for f in verdict.findings)
    assert all(0 <= f.score <= 1 for f in verdict.findings)
    if verdict.action < pg.Action.REDACT:
        assert verdict.text is text


INPUT = pg.PII() | pg.Secrets() | PATTERNS["Keywords"]
OUTPUT = pg.Secrets() | pg.Urls(("example.org",)) | PATTERNS["Keywords"]
guards = {"input": INPUT, "output": OUTPUT}


def echo(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


def by_call(text: str) -> Any:
    return pg.guarded(echo, **guards)(text)


def by_messages(text: str) -> Any:
    messages = [{"role": "user", "content": text}]
    return pg.guarded(echo, **guards)(messages)


def by_parts(text: str) -> Any:
    content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": "x"}]
    return pg.guarded(lambda messages: "fine", **guards)(
        [{"role": "user", "content": content}]
    )


def by_async_call(text: str) -> Any:
    async def ask(prompt: str) -> str:
        return prompt

    return asyncio.run(pg.guarded(ask, **guards)(text))


def by_stream(text: str) -> Any:
    def ask(prompt: str) -> Iterator[str]:
        yield from (text[at : at + 7] for at in range(0, len(text), 7))

    return "".join(pg.guarded(ask, **guards)("fine"))


def by_async_stream(text: str) -> Any:
    async def ask(prompt: str) -> AsyncIterator[str]:
        for at in range(0, len(text), 3):
            yield text[at : at + 3]

    async def joined() -> str:
        return "".join([chunk async for chunk in pg.guarded(ask, **guards)("fine")])

    return asyncio.run(joined())


def by_restoring(text: str) -> Any:
    return pg.guarded(echo, input=INPUT, output=OUTPUT, restore=True)(text)


def by_tool(text: str) -> Any:
    tool = pg.guard_tool(lambda given: given, arguments=INPUT, result=OUTPUT)
    return tool({"a": [text], text: 1}), tool(text.encode("utf-8", "surrogatepass"))


def by_tool_error(text: str) -> Any:
    def fail() -> None:
        raise ValueError(text)

    try:
        pg.guard_tool(fail, result=OUTPUT)()
    except ValueError as error:
        return error
    raise AssertionError("the error is gone")


def by_conversation(text: str) -> Any:
    with pg.Conversation():
        ask = pg.guarded(echo, **guards)
        return [ask(text[: len(text) // 2] or "a"), ask(text[len(text) // 2 :] or "b")]


def by_batch(text: str) -> Any:
    return INPUT.check_batch([text, text[::-1], ""], "tool", [("user", text)])


def by_async_batch(text: str) -> Any:
    return asyncio.run(INPUT.acheck_batch([text, text[::-1]], budget=60))


def by_cascade(text: str) -> Any:
    return PATTERNS["Keywords"].then(PATTERNS["PII"]).only("user").check(text)


def by_json(text: str) -> Any:
    answer = json.dumps({"said": text})
    return pg.guarded(lambda prompt: answer, output=pg.Json() | OUTPUT)("fine")


PATHS: list[Callable[[str], Any]] = [
    *(by_call, by_messages, by_parts, by_async_call, by_stream, by_async_stream),
    *(by_restoring, by_tool, by_tool_error, by_conversation, by_batch, by_async_batch),
    *(by_cascade, by_json),
]


@pytest.mark.parametrize("way", PATHS, ids=lambda way: way.__name__)
@some
@given(text=texts)
def test_every_way_in_ends_with_an_answer_or_a_refusal(
    way: Callable[[str], Any], text: str
) -> None:
    try:
        assert way(text) is not None
    except pg.Blocked:
        pass
    except pg.ConfigError as error:
        assert way is by_tool and "no guard can read" in str(error)


@given(
    value=st.binary() | st.integers() | st.none() | st.lists(st.text()) | st.floats()
)
@settings(some, max_examples=50)
def test_what_is_no_string_is_a_typed_error(value: object) -> None:
    with pytest.raises(pg.ConfigError):
        pg.PII().check(value)  # type: ignore[arg-type]


def nested(depth: int, made: Callable[[Any], Any]) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = made(value)
    return value


NESTED = {
    "lists": lambda value: [value],
    "tuples": lambda value: (value,),
    "objects": lambda value: {"a": value},
    "messages": lambda value: [{"role": "user", "content": value}],
}


@pytest.mark.parametrize("made", NESTED.values(), ids=NESTED)
def test_arguments_and_results_10_000_deep_are_refused(made) -> None:
    deep = nested(10_000, made)
    for call in (
        pg.guarded(lambda prompt: "fine", input=INPUT),
        pg.guard_tool(lambda given: "fine", arguments=INPUT),
    ):
        with pytest.raises(pg.ConfigError):
            call(deep)
    with pytest.raises(pg.ConfigError):
        pg.guard_tool(lambda: deep, result=OUTPUT)()
    with pytest.raises(pg.ConfigError):
        pg.guarded(lambda prompt: deep, output=OUTPUT)("fine")
    while isinstance(deep, list | tuple | dict):
        # Taken apart by hand: 10,000 destructors within each other are many.
        deep = next(iter(deep.values() if isinstance(deep, dict) else deep), None)
