"""guarded, as a user meets it: every kind of function, every option."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, Finding
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard

BAD = FakeGuard(name="bad", word="bad")
NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
TOKEN = re.compile(r"<NAME_\d+:[0-9a-f]{16}>")


def masked(text: str) -> str:
    return TOKEN.sub("<NAME>", text)


# Every kind of function that the decorator knows: given what to return, a function of a
# prompt; and given such a function and a prompt, all it gives.


class Stream:
    """A stream as clients have them: an iterator with attributes of its own."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = iter(chunks)
        self.response = "headers"
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def close(self) -> None:
        self.closed = True


class AsyncStream(Stream):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self  # type: ignore[return-value]

    async def __anext__(self) -> Any:
        try:
            return Stream.__next__(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:  # type: ignore[override]
        self.closed = True


AsyncStream.__next__ = property()  # type: ignore[assignment]


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def plain(answer, calls):
    def ask(prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    return ask


def method(answer, calls):
    class Bot:
        def ask(self, prompt: str) -> str:
            calls.append(prompt)
            return answer(prompt)

    return Bot().ask


def partial(answer, calls):
    def ask(model: str, prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    return functools.partial(ask, "bad model")


def builtin(answer, calls):
    class Ask:
        def __call__(self, prompt: str) -> str:
            calls.append(prompt)
            return answer(prompt)

    return Ask()


def coroutine(answer, calls):
    async def ask(prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    return ask


def async_callable(answer, calls):
    class Ask:
        async def __call__(self, prompt: str) -> str:
            calls.append(prompt)
            return answer(prompt)

    return Ask()


def async_partial(answer, calls):
    async def ask(model: str, prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    return functools.partial(ask, "model")


def returns_awaitable(answer, calls):
    async def ask(prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    return lambda prompt: ask(prompt)


def wrapped_coroutine(answer, calls):
    async def ask(prompt: str) -> str:
        calls.append(prompt)
        return answer(prompt)

    @functools.wraps(ask)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return ask(*args, **kwargs)

    return outer


def generator(answer, calls):
    def ask(prompt: str) -> Iterator[str]:
        calls.append(prompt)
        yield from halves(answer(prompt))

    return ask


def returns_stream(answer, calls):
    def ask(prompt: str) -> Stream:
        calls.append(prompt)
        return Stream(halves(answer(prompt)))

    return ask


def async_generator(answer, calls):
    async def ask(prompt: str) -> AsyncIterator[str]:
        calls.append(prompt)
        for half in halves(answer(prompt)):
            yield half

    return ask


def returns_async_stream(answer, calls):
    async def ask(prompt: str) -> AsyncStream:
        calls.append(prompt)
        return AsyncStream(halves(answer(prompt)))

    return ask


def plain_async_stream(answer, calls):
    def ask(prompt: str) -> AsyncStream:
        calls.append(prompt)
        return AsyncStream(halves(answer(prompt)))

    return ask


KINDS = [
    plain,
    method,
    partial,
    builtin,
    coroutine,
    async_callable,
    async_partial,
    returns_awaitable,
    wrapped_coroutine,
    generator,
    returns_stream,
    async_generator,
    returns_async_stream,
    plain_async_stream,
]
STREAMS = [k for k in KINDS if "stream" in k.__name__ or "generator" in k.__name__]
ASYNC = [k for k in KINDS if "async" in k.__name__ or "cor" in k.__name__]

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


async def whole(result: Any) -> Any:
    """All that a call gives, awaited and joined."""
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__anext__"):
        return "".join([chunk async for chunk in result])
    if hasattr(result, "__next__"):
        return "".join(result)
    return result


@kinds
async def test_what_is_harmless_goes_through(kind):
    calls: list[str] = []
    ask = guarded(kind(str.upper, calls), input=BAD | NAME, output=BAD | NAME)
    assert await whole(ask("good morning")) == "GOOD MORNING"
    assert calls == ["good morning"]


@kinds
async def test_a_blocked_prompt_never_reaches_the_function(kind):
    calls: list[str] = []
    ask = guarded(kind(str.upper, calls), input=BAD)
    with pytest.raises(Blocked) as raised:
        await whole(ask("a bad prompt"))
    assert calls == []
    assert raised.value.verdict.findings == (
        Finding("bad", 1.0, 2, 5, "bad", Action.BLOCK),
    )


@kinds
async def test_a_redacted_prompt_reaches_the_function_with_placeholders(kind):
    calls: list[str] = []
    ask = guarded(kind(lambda prompt: "ok", calls), input=NAME)
    assert await whole(ask("I am Joe, Joe!")) == "ok"
    assert masked(calls[0]) == "I am <NAME>, <NAME>!"
    assert len(set(TOKEN.findall(calls[0]))) == 1


@kinds
async def test_a_blocked_answer_is_not_given(kind):
    ask = guarded(kind(lambda prompt: "so bad it is", []), output=BAD)
    with pytest.raises(Blocked):
        await whole(ask("prompt"))


@kinds
async def test_a_redacted_answer_is_given_with_placeholders(kind):
    ask = guarded(kind(lambda prompt: "I am Joe, Joe!", []), output=NAME)
    assert masked(await whole(ask("prompt"))) == "I am <NAME>, <NAME>!"


@kinds
async def test_restored_values_come_back_in_the_answer_only(kind):
    calls: list[str] = []
    answer = "Hi {0}, see https://x.example/{0}".format
    ask = guarded(kind(lambda p: answer(p), calls), input=NAME, restore=True)
    given = await whole(ask("Joe"))
    assert masked(calls[0]) == "<NAME>"
    assert masked(given) == "Hi Joe, see https://x.example/<NAME>"


@kinds
async def test_restoring_does_not_undo_the_redaction_of_the_answer(kind):
    ask = guarded(
        kind(lambda p: f"{p} and Joe", []), input=NAME, output=NAME, restore=True
    )
    assert masked(await whole(ask("Joe"))) == "Joe and <NAME>"


@kinds
async def test_guards_find_nothing_in_the_placeholders_of_the_call(kind, monkeypatch):
    # A nonce may spell anything; here a word that the output guard looks for.
    monkeypatch.setattr(secrets, "token_hex", lambda size: "bad" * 5 + "0")
    for restore, expected in ((True, "Joe, hi"), (False, "<NAME>, hi")):
        ask = guarded(
            kind(lambda p: f"{p}, hi", []), input=NAME, output=BAD, restore=restore
        )
        assert masked(await whole(ask("Joe"))) == expected
        with pytest.raises(Blocked):
            await whole(ask("Joe bad"))


@kinds
async def test_on_block_gives_the_answer(kind):
    calls: list[str] = []
    for on_block in ("sorry", lambda verdict: "sorry"):
        ask = guarded(kind(str.upper, calls), input=BAD, on_block=on_block)
        result = ask("a bad prompt")
        assert await whole(result) == "sorry"
        ask = guarded(kind(lambda p: "bad", []), output=BAD, on_block=on_block)
        assert await whole(ask("prompt")) == "sorry"
    assert calls == []


@pytest.mark.parametrize("kind", ASYNC, ids=lambda kind: kind.__name__)
async def test_on_block_may_be_async_in_async_calls(kind):
    async def on_block(verdict: pg.Verdict) -> str:
        await asyncio.sleep(0)
        return f"sorry, {verdict.findings[0].label}"

    ask = guarded(kind(lambda p: "bad", []), output=BAD, on_block=on_block)
    assert await whole(ask("prompt")) == "sorry, bad"
    if kind is not returns_awaitable and kind is not plain_async_stream:
        ask = guarded(kind(lambda p: "good", []), input=BAD, on_block=on_block)
        assert await whole(ask("bad")) == "sorry, bad"


def test_an_async_on_block_in_a_sync_call_is_an_error_and_no_pass():
    async def on_block(verdict: pg.Verdict) -> str:
        return "sorry"

    ask = guarded(lambda prompt: prompt, input=BAD, on_block=on_block)
    with pytest.raises(ConfigError, match="async"):
        ask("bad")


@pytest.mark.parametrize("kind", STREAMS, ids=lambda kind: kind.__name__)
async def test_on_block_may_end_a_stream_without_a_last_chunk(kind):
    ask = guarded(
        kind(lambda p: "good " * 50 + "bad", []), output=BAD, on_block=lambda v: None
    )
    given = await whole(ask("prompt"))
    assert "bad" not in given
    assert ("good " * 50).startswith(given)


@kinds
async def test_the_kind_of_the_function_stays(kind):
    fn = kind(str.upper, [])
    ask = guarded(fn, input=BAD)
    for test in (
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.iscoroutinefunction,
    ):
        if test(fn):
            assert test(ask)
    assert ask.__wrapped__ is fn


def test_name_docstring_and_signature_stay():
    @guarded(input=BAD)
    def ask(prompt: str, *, temperature: float = 0.0) -> str:
        """Ask the model."""
        return prompt

    assert ask.__name__ == "ask"
    assert ask.__doc__ == "Ask the model."
    assert str(inspect.signature(ask)).startswith("(prompt")


def test_methods_are_decorated_in_the_class():
    class Bot:
        @guarded(input=BAD)
        def ask(self, prompt: str) -> str:
            return prompt

        @classmethod
        @guarded(input=BAD)
        def make(cls, prompt: str) -> str:
            return cls.__name__ + prompt

        @staticmethod
        @guarded(input=BAD)
        def help(prompt: str) -> str:
            return prompt

        @guarded(input=BAD)
        async def later(self, prompt: str) -> str:
            return prompt

    bot = Bot()
    assert bot.ask("a") == bot.help("a") == asyncio.run(bot.later("a")) == "a"
    assert bot.make(" a") == "Bot a"
    for call in (bot.ask, bot.help, bot.make):
        with pytest.raises(Blocked):
            call("bad")


def test_arguments_are_not_changed_in_place():
    seen: list[Any] = []

    @guarded(input=NAME)
    def ask(messages, model="m"):
        seen.append(messages)
        return "ok"

    messages = [{"role": "user", "content": [{"type": "text", "text": "I am Joe"}]}]
    before = copy.deepcopy(messages)
    assert ask(messages, model="Joe") == "ok"
    assert messages == before
    assert masked(seen[0][0]["content"][0]["text"]) == "I am <NAME>"


def test_all_texts_of_a_call_are_checked():
    ask = guarded(lambda a, b: "ok", input=BAD)
    for call in (("good", "bad"), ("bad", "good")):
        with pytest.raises(Blocked):
            ask(*call)
    with pg.capture() as verdicts:
        ask("one", "two")
    assert [verdict.original for verdict in verdicts] == ["one", "two"]


def test_prompt_says_where_the_text_is():
    def ask(prompt: str, note: str) -> str:
        return prompt + note

    assert guarded(ask, input=BAD, prompt="prompt")("good ", "bad") == "good bad"
    with pytest.raises(Blocked):
        guarded(ask, input=BAD, prompt="note")("good ", note="bad")


def test_prompt_may_be_a_function_of_the_call():
    request = SimpleNamespace(body="bad")
    ask = guarded(lambda r: "ok", input=BAD, prompt=lambda r: r.body)
    with pytest.raises(Blocked):
        ask(request)
    request.body = "good"
    assert ask(request) == "ok"


def test_a_redaction_that_cannot_be_delivered_is_a_block():
    ask = guarded(lambda r: "ok", input=NAME, prompt=lambda r: r["body"])
    with pytest.raises(Blocked):
        ask({"body": "I am Joe"})


def test_a_call_without_text_is_an_error_and_the_function_is_not_called():
    calls: list[Any] = []
    ask = guarded(calls.append, input=BAD)
    with pytest.raises(ConfigError, match="no text"):
        ask(3)
    assert calls == []


def test_images_lower_the_coverage_of_the_verdict():
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    content = [{"type": "text", "text": "What is this?"}, image]
    ask = guarded(lambda messages: "ok", input=BAD)
    with pg.capture() as verdicts:
        ask([{"role": "user", "content": content}])
        ask([{"role": "user", "content": [image]}])
    assert [verdict.coverage for verdict in verdicts] == [0.5, 0.0]


def test_an_answer_of_unknown_shape_is_an_error():
    with pytest.raises(ConfigError, match="bytes"):
        guarded(lambda p: b"bytes", output=BAD)("prompt")
    with pytest.raises(ConfigError, match="chunk"):
        list(guarded(lambda p: iter([b"bytes"]), output=BAD)("prompt"))


def test_none_is_an_answer_without_text():
    assert guarded(lambda p: None, output=BAD)("prompt") is None


def test_without_output_guards_any_answer_goes_through():
    answer = object()
    assert guarded(lambda p: answer, input=BAD)("prompt") is answer


@dataclass(frozen=True)
class Reply:
    role: str
    content: str


def test_answers_come_back_as_the_same_type():
    ask = guarded(lambda p: Reply("assistant", "I am Joe"), output=NAME)
    answer = ask("prompt")
    assert type(answer) is Reply
    assert masked(answer.content) == "I am <NAME>"
    same = Reply("assistant", "hello")
    assert guarded(lambda p: same, output=NAME)("prompt") is same


def completion(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}}]}


def test_all_texts_of_an_answer_are_checked():
    call = {"function": {"name": "f", "arguments": '{"to": "bad"}'}}
    for message in (
        {"content": "bad"},
        {"content": None, "refusal": "bad"},
        {"content": "good", "reasoning_content": "bad"},
        {"content": None, "tool_calls": [call]},
        {"content": None, "audio": {"transcript": "bad"}},
    ):
        with pytest.raises(Blocked):
            guarded(lambda p, m=message: completion(**m), output=BAD, prompt=None)("p")


def test_redacted_tool_arguments_stay_json_or_the_call_is_blocked():
    def ask(arguments: str) -> Any:
        call = {"function": {"name": "f", "arguments": arguments}}
        answer = completion(content=None, tool_calls=[call])
        answer = guarded(lambda p: answer, output=NAME)("prompt")
        call = answer["choices"][0]["message"]["tool_calls"][0]
        return masked(call["function"]["arguments"])

    assert ask(r'{"a": "x\nJoe"}') == r'{"a": "x\n<NAME>"}'
    assert ask(r'{"a": "\u004aoe"}') == r'{"a": "<NAME>"}'
    assert ask("Joe {") == "<NAME> {"
    number = FakeGuard(name="name", word="411", action=Action.REDACT)
    call = {"function": {"name": "f", "arguments": '{"card": 411}'}}
    with pytest.raises(Blocked):
        guarded(lambda p: completion(tool_calls=[call]), output=number)("prompt")


def test_a_parsed_answer_that_cannot_be_parsed_again_is_blocked_or_left():
    answer = completion(content='{"age": 411}', parsed={"age": 411})
    number = FakeGuard(name="name", word="411", action=Action.REDACT)
    with pytest.raises(Blocked):
        guarded(lambda p: answer, output=number)("prompt")

    def ask(prompt: str) -> Any:
        return completion(content=f'{{"a": "{prompt}"}}', parsed={"a": prompt})

    quoted = FakeGuard(name="name", word='J"e', action=Action.REDACT)
    answer = guarded(ask, input=quoted, restore=True)('J"e')
    assert masked(answer["choices"][0]["message"]["content"]) == '{"a": "<NAME>"}'
    answer = guarded(ask, input=NAME, restore=True)("Joe")
    assert answer["choices"][0]["message"]["parsed"] == {"a": "Joe"}


def test_a_spoken_answer_cannot_be_redacted_and_is_blocked():
    answer = completion(content=None, audio={"transcript": "I am Joe", "data": ""})
    with pytest.raises(Blocked):
        guarded(lambda p: answer, output=NAME)("prompt")


def test_restoring_goes_into_content_and_not_into_tool_arguments():
    def ask(prompt: str) -> Any:
        call = {"function": {"name": "f", "arguments": f'{{"a": "{prompt}"}}'}}
        return completion(content=f"Hi {prompt}", tool_calls=[call])

    answer = guarded(ask, input=NAME, restore=True)("Joe")
    message = answer["choices"][0]["message"]
    assert message["content"] == "Hi Joe"
    assert "Joe" not in str(message["tool_calls"])


def test_a_stream_keeps_its_attributes_but_not_the_ways_around_the_gate():
    stream = Stream(["a"])
    given = guarded(lambda p: stream, output=BAD)("prompt")
    assert given.response == "headers"
    with given as same:
        assert same is given
        assert next(given, "") + next(given, "") == "a"
    assert stream.closed
    stepped = guarded(lambda p: (c for c in "ab"), output=BAD)("prompt")
    for name in ("send", "throw", "gi_frame", "_iterator", "get_final_message"):
        with pytest.raises(AttributeError):
            getattr(stepped, name)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_a_blocked_stream_ends_with_what_stands_before_the_finding(size):
    text = "My name is Joe and this is bad, so very bad."
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    expected = "My name is <NAME> and this is [removed]"
    options: dict[str, Any] = {"output": BAD | NAME, "on_block": "[removed]"}
    for stream in (Stream(pieces), AsyncStream(pieces)):
        given = guarded(lambda p, s=stream: s, **options)("prompt")
        assert masked(await whole(given)) == expected
        assert stream.closed
    seen: list[str] = []
    with pytest.raises(Blocked):
        for piece in guarded(lambda p: iter(pieces), output=BAD | NAME)("prompt"):
            seen.append(piece)
    assert masked("".join(seen)) == "My name is <NAME> and this is "


def test_a_blocked_stream_is_closed_and_stays_empty():
    stream = Stream(["this is ", "bad", " and more"])
    given = guarded(lambda p: stream, output=BAD)("prompt")
    assert next(given) == "this is "
    assert stream.closed
    with pytest.raises(Blocked):
        next(given)
    assert list(given) == []


async def test_a_blocked_async_stream_is_closed_and_stays_empty():
    stream = AsyncStream(["this is ", "bad", " and more"])
    given = guarded(lambda p: stream, output=BAD)("prompt")
    with pytest.raises(Blocked):
        await whole(given)
    assert stream.closed
    assert await whole(given) == ""


async def test_a_cancelled_stream_closes_and_gives_nothing_more():
    closed = asyncio.Event()

    async def ask(prompt: str) -> AsyncIterator[str]:
        try:
            yield "held "
            await asyncio.sleep(60)
        finally:
            closed.set()

    given = guarded(ask, output=FakeGuard())("prompt")
    task = asyncio.create_task(whole(given))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert await whole(given) == ""


def test_an_error_of_the_stream_is_the_callers_and_drops_what_was_held():
    def ask(prompt: str) -> Iterator[str]:
        yield "held"
        raise KeyError("upstream")

    given = guarded(ask, output=FakeGuard())("prompt")
    with pytest.raises(KeyError, match="upstream"):
        next(given)
    assert list(given) == []


def test_leaving_a_generator_closes_the_one_inside():
    closed: list[bool] = []

    def ask(prompt: str) -> Iterator[str]:
        try:
            yield from ["many words ", "to come"]
        finally:
            closed.append(True)

    given = guarded(ask, output=FakeGuard(word="x"))("prompt")
    next(given)
    given.close()
    assert closed == [True]


async def test_leaving_an_async_generator_closes_the_one_inside():
    closed: list[bool] = []

    async def ask(prompt: str) -> AsyncIterator[str]:
        try:
            for piece in ("many words to ", "come"):
                yield piece
        finally:
            closed.append(True)

    for options in ({"output": FakeGuard(word="x")}, {"input": BAD}):
        given = guarded(ask, **options)("prompt")
        await given.__anext__()
        await given.aclose()
    assert closed == [True, True]


def test_errors_of_the_function_pass_unchanged():
    def ask(prompt: str) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        guarded(ask, input=BAD, output=BAD)("prompt")


def test_all_verdicts_reach_capture_and_hooks():
    seen: list[pg.Verdict] = []
    remove = pg.on_verdict(seen.append)
    try:
        with pg.capture() as verdicts:
            guarded(lambda p: "out", input=BAD, output=BAD)("in")
            list(guarded(lambda p: iter("out"), output=BAD)("in"))
            with pytest.raises(Blocked):
                list(guarded(lambda p: iter(["bad"]), output=BAD)("in"))
    finally:
        remove()
    assert [verdict.original for verdict in verdicts] == ["in", "out", "out", "bad"]
    assert [verdict.blocked for verdict in verdicts] == [False, False, False, True]
    assert seen == verdicts


def test_a_stream_that_is_left_early_has_a_verdict_on_what_went_out():
    with pg.capture() as verdicts:
        pieces = ["Joe writes " + "many words " * 20, "and more"]
        stream = guarded(lambda p: iter(pieces), output=NAME)("p")
        assert masked(next(stream)).startswith("<NAME> writes many words")
        stream.close()
        stream.close()
    (verdict,) = verdicts
    assert verdict.action is Action.REDACT
    assert 0.5 < verdict.coverage < 1


async def test_parallel_calls_do_not_mix():
    @guarded(input=NAME, output=BAD, restore=True)
    async def ask(prompt: str) -> str:
        await asyncio.sleep(0)
        return f"{prompt}!"

    given = await asyncio.gather(*(ask(f"{i} Joe") for i in range(64)))
    assert given == [f"{i} Joe!" for i in range(64)]


async def test_the_loop_is_not_blocked_by_a_wrapped_coroutine():
    slow = FakeGuard(delay=0.3)
    ask = guarded(wrapped_coroutine(str.upper, []), input=slow)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    task = asyncio.create_task(tick())
    assert await ask("a") == "A"
    task.cancel()
    assert ticks > 5


def test_a_wrapped_coroutine_is_checked_where_no_loop_runs_too():
    ask = guarded(wrapped_coroutine(str.upper, []), input=BAD, output=BAD)
    with pytest.raises(Blocked):
        ask("bad")
    assert asyncio.run(ask("good")) == "GOOD"


def test_functions_without_a_signature_are_guarded_too():
    assert guarded(max, input=BAD)("a", "b") == "b"
    with pytest.raises(Blocked):
        guarded(max, input=BAD)("a", "bad")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, r"@guarded\(input="),
        ({"input": FakeGuard}, r"FakeGuard\(\)"),
        ({"input": [BAD]}, r"\|"),
        ({"output": "bad"}, "str"),
        ({"input": BAD, "on_error": "alow"}, "did you mean 'allow'"),
        ({"input": BAD, "prompt": 3}, "int"),
        ({"input": BAD, "prompt": "promt"}, "did you mean 'prompt'"),
        ({"input": BAD, "restore": "yes"}, "restore"),
        ({"output": BAD, "restore": True}, "input"),
        ({"output": BAD, "prompt": "prompt"}, "input"),
    ],
)
def test_wrong_options_fail_at_once_and_say_what_to_write(options, says):
    def ask(prompt: str) -> str:
        return prompt

    with pytest.raises(ConfigError, match=says):
        guarded(ask, **options)
    with pytest.raises(ConfigError, match=says):
        guarded(**options)(ask)


@pytest.mark.parametrize("fn", [3, BAD, classmethod(str)], ids=["int", "guard", "cls"])
def test_only_functions_are_guarded(fn):
    with pytest.raises(ConfigError):
        guarded(fn, input=BAD)


def test_bare_guarded_says_what_to_write():
    with pytest.raises(ConfigError, match="PromptInjection"):

        @guarded
        def ask(prompt: str) -> str:
            return prompt


class Asked(pydantic.BaseModel):
    question: str
    tags: list[str] = []


@dataclass
class Wish:
    words: str


@pytest.mark.parametrize(
    "value", [Asked(question="heliotrope"), Wish("heliotrope"), [Wish("heliotrope")]]
)
def test_fields_of_models_are_texts_whatever_they_are_called(value: object) -> None:
    told = pg.guarded(lambda user, value: "ran", input=pg.Keywords(("heliotrope",)))
    with pytest.raises(pg.Blocked):
        told("u1", value)


def test_a_field_of_a_model_is_redacted_in_a_copy() -> None:
    guard = pg.Keywords(("heliotrope",), action=pg.Action.REDACT)
    given = Asked(question="what is heliotrope?", tags=["heliotrope"])
    got = pg.guarded(lambda user, value: value, input=guard)("u1", given)
    assert "heliotrope" not in got.question + got.tags[0]
    assert given.question == "what is heliotrope?"
