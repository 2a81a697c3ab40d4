"""What happens to a blocked text: replace, reask, escalate, and the dry run."""

from __future__ import annotations

import inspect
import logging
import pickle
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, Finding
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard

BAD = FakeGuard(name="bad", word="bad")
NAME = FakeGuard(name="name", word="Joe", action=Action.REDACT)
SORRY = "I cannot say that."


def completion(*texts: str, calls: str | None = None) -> ChatCompletion:
    choices = [
        {"index": i, "finish_reason": "stop", "message": message(text, calls)}
        for i, text in enumerate(texts)
    ]
    return ChatCompletion.model_validate(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": choices,
        }
    )


def message(text: str, calls: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": text}
    if calls is not None:
        function = {"name": "send", "arguments": calls}
        said["tool_calls"] = [{"id": "c", "type": "function", "function": function}]
    return said


def chunks(text: str) -> list[ChatCompletionChunk]:
    return [
        ChatCompletionChunk.model_validate(
            {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )
        for delta, finish in [
            ({"role": "assistant", "content": ""}, None),
            *(({"content": letter}, None) for letter in text),
            ({}, "stop"),
        ]
    ]


class Asked:
    """A function of each kind around one script of answers; keeps its arguments."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[Any] = []

    def next(self, prompt: Any) -> Any:
        self.calls.append(prompt)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def plain(self) -> Callable[..., Any]:
        def ask(prompt):
            return self.next(prompt)

        return ask

    def coroutine(self) -> Callable[..., Any]:
        async def ask(prompt):
            return self.next(prompt)

        return ask

    def awaitable(self) -> Callable[..., Any]:
        ask = self.coroutine()
        return lambda prompt: ask(prompt)

    def generator(self) -> Callable[..., Any]:
        def ask(prompt) -> Iterator[Any]:
            yield from self.next(prompt)

        return ask

    def async_generator(self) -> Callable[..., Any]:
        async def ask(prompt) -> AsyncIterator[Any]:
            for piece in self.next(prompt):
                yield piece

        return ask


async def whole(result: Any) -> Any:
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__anext__"):
        return [piece async for piece in result]
    return list(result) if hasattr(result, "__next__") else result


VALUES = ["plain", "coroutine", "awaitable"]
STREAMS = ["generator", "async_generator"]
values = pytest.mark.parametrize("kind", VALUES)
streams = pytest.mark.parametrize("kind", STREAMS)
kinds = pytest.mark.parametrize("kind", VALUES + STREAMS)


# replace


@values
async def test_words_take_the_place_of_a_blocked_answer(kind):
    asked = Asked("a bad answer")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.replace(SORRY))
    assert await whole(ask("hello")) == SORRY


@kinds
async def test_words_take_the_place_of_a_call_that_is_blocked(kind):
    asked = Asked("fine")
    ask = guarded(getattr(asked, kind)(), input=BAD, on_block=pg.replace(SORRY))
    said = await whole(ask("a bad question"))
    assert said == (SORRY if kind in VALUES else [SORRY])
    assert asked.calls == []


@streams
async def test_words_are_the_last_chunk_of_a_blocked_stream(kind):
    asked = Asked("so far good, now bad, and more")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.replace(SORRY))
    said = await whole(ask("hello"))
    assert said[-1] == SORRY
    assert "".join(said[:-1]) == "so far good, now "


@streams
async def test_words_end_a_stream_of_chat_chunks_as_a_chunk(kind):
    asked = Asked(chunks("so bad"))
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.replace(SORRY))
    said = await whole(ask("hello"))
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in said)
    assert said[-1].choices[0].delta.content == SORRY
    assert said[-1].choices[0].finish_reason == "stop"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in said)
    assert text == f"so {SORRY}"


@values
async def test_a_completion_stays_one_and_says_the_words_alone(kind):
    answer = completion("fine", "bad", calls='{"to": "bad"}')
    ask = guarded(getattr(Asked(answer), kind)(), output=BAD, on_block=pg.replace("No"))
    said = await whole(ask("hello"))
    assert isinstance(said, ChatCompletion)
    assert said.id == answer.id
    for choice in said.choices:
        assert choice.message.content == "No"
        assert choice.message.tool_calls is None
        assert choice.finish_reason == "stop"
    assert "bad" not in said.model_dump_json()
    assert answer.choices[1].message.content == "bad"


def test_a_message_stays_a_message_with_nothing_beside_the_words():
    answer = {**message("ok", calls='{"a": "bad"}'), "reasoning": "bad", "name": "x"}
    ask = guarded(Asked(answer).plain(), output=BAD, on_block=pg.replace(SORRY))
    assert ask("hello") == {
        "role": "assistant",
        "content": SORRY,
        "tool_calls": None,
        "reasoning": None,
        "name": "x",
    }


# reask


@values
async def test_the_model_is_asked_again_until_its_answer_passes(kind):
    asked = Asked("bad once", "bad twice", "fine")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.reask(3))
    with pg.capture() as verdicts:
        assert await whole(ask("hello")) == "fine"
    assert len(asked.calls) == 3
    assert [verdict.blocked for verdict in verdicts] == [True, True, False]


@values
async def test_the_note_names_what_was_found_and_nothing_of_the_answer(kind):
    secret = "The bad secret is 5150."
    asked = Asked(secret, "fine")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.reask())
    await whole(ask("hello"))
    first, second = asked.calls
    assert first == "hello"
    assert second.startswith("hello\n\nYour last answer was not delivered")
    assert "bad (bad)" in second
    assert "5150" not in second and "secret" not in second


@values
async def test_notes_do_not_pile_up(kind):
    asked = Asked("bad", "bad", "fine")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.reask(2))
    await whole(ask("hello"))
    assert asked.calls[1] == asked.calls[2]


@values
async def test_when_no_answer_passes_the_last_word_is_a_block(kind):
    asked = Asked("bad")
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=pg.reask(2))
    with pytest.raises(Blocked):
        await whole(ask("hello"))
    assert len(asked.calls) == 3


@values
async def test_when_no_answer_passes_then_says_what_happens(kind):
    asked = Asked("bad")
    handler = pg.reask(1, then=pg.replace(SORRY))
    ask = guarded(getattr(asked, kind)(), output=BAD, on_block=handler)
    assert await whole(ask("hello")) == SORRY
    assert len(asked.calls) == 2


def test_then_may_be_a_function_or_an_answer():
    asked = Asked("bad")
    ask = guarded(asked.plain(), output=BAD, on_block=pg.reask(then=lambda v: v.action))
    assert ask("hello") is Action.BLOCK
    assert guarded(asked.plain(), output=BAD, on_block=pg.reask(then=7))("hello") == 7


def test_a_call_that_is_blocked_is_not_asked_again():
    asked = Asked("fine")
    ask = guarded(asked.plain(), input=BAD, output=BAD, on_block=pg.reask(2))
    with pytest.raises(Blocked):
        ask("bad")
    assert asked.calls == []


def test_the_model_is_asked_again_with_what_was_redacted():
    asked = Asked("bad", "fine")
    ask = guarded(asked.plain(), input=NAME, output=BAD, on_block=pg.reask())
    ask("I am Joe")
    assert not any("Joe" in prompt for prompt in asked.calls)
    assert all(prompt.startswith("I am <NAME_1:") for prompt in asked.calls)


@dataclass(frozen=True)
class Message:
    role: str
    content: str
    name: str = "somebody"


@pytest.mark.parametrize(
    ("messages", "last"),
    [
        (
            [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            lambda m: m["role"] == "user" and "not delivered" in m["content"],
        ),
        (
            ({"role": "tool", "content": "t", "tool_call_id": "1"},),
            lambda m: m.keys() == {"role", "content"} and m["role"] == "user",
        ),
        (
            [Message("user", "u", "Ada")],
            lambda m: (m.role, m.name) == ("user", "Ada") and "deliv" in m.content,
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "u"}]}],
            lambda m: isinstance(m["content"], str),
        ),
    ],
    ids=["mappings", "tuple of tool results", "objects", "parts"],
)
def test_chat_messages_get_a_message_of_their_kind(messages, last):
    asked = Asked("bad", "fine")
    ask = guarded(
        lambda messages: asked.next(messages), output=BAD, on_block=pg.reask()
    )
    before = list(messages)
    assert ask(messages=messages) == "fine"
    again = asked.calls[1]
    assert type(again) is type(messages)
    assert list(again[:-1]) == before == list(messages)
    assert last(again[-1])


def test_objects_without_a_user_message_cannot_be_added_to():
    ask = guarded(lambda messages: "bad", output=BAD, on_block=pg.reask())
    with pytest.raises(ConfigError, match="no user message"):
        ask([Message("tool", "t")])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda f: f("context", question="why"), {"question"}),
        (lambda f: f(context="context", question="why"), {"question"}),
        (lambda f: f("context", "why"), {"question"}),
    ],
    ids=["by position and name", "by name", "by position"],
)
def test_of_several_texts_the_question_gets_the_note(call, expected):
    calls = []

    def ask(context, question):
        calls.append({"context": context, "question": question})
        return "bad" if len(calls) == 1 else "fine"

    call(guarded(ask, output=BAD, on_block=pg.reask()))
    changed = {name for name in calls[0] if calls[0][name] != calls[1][name]}
    assert changed == expected


def test_prompt_says_which_text_gets_the_note():
    calls = []

    def ask(first, second):
        calls.append((first, second))
        return "bad" if len(calls) == 1 else "fine"

    guarded(ask, input=NAME, output=BAD, prompt="first", on_block=pg.reask())("a", "b")
    assert calls[1][0].startswith("a\n\nYour last") and calls[1][1] == "b"


def test_texts_without_a_question_are_an_error():
    ask = guarded(lambda a, b: "bad", output=BAD, on_block=pg.reask())
    with pytest.raises(ConfigError, match="which text of the call is the question"):
        ask("one", "two")


@streams
def test_a_function_that_streams_cannot_be_asked_again(kind):
    with pytest.raises(ConfigError, match="not a stream"):
        guarded(getattr(Asked(""), kind)(), output=BAD, on_block=pg.reask())


class Stream:
    closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return "x"

    def close(self):
        self.closed = True


class AsyncStream:
    closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        return "x"

    async def close(self):
        self.closed = True


async def test_a_stream_that_comes_back_is_closed_and_an_error():
    stream, later, mixed = Stream(), AsyncStream(), Stream()
    with pytest.raises(ConfigError, match="not a stream"):
        guarded(lambda prompt: stream, output=BAD, on_block=pg.reask())("hello")

    async def ask(prompt):
        return later if prompt == "later" else mixed

    for prompt in ("later", "mixed"):
        with pytest.raises(ConfigError, match="not a stream"):
            await guarded(ask, output=BAD, on_block=pg.reask())(prompt)
    assert stream.closed and later.closed and mixed.closed


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: pg.reask(0), "1 to 10"),
        (lambda: pg.reask(11), "1 to 10"),
        (lambda: pg.reask(True), "1 to 10"),
        (lambda: pg.reask("2"), "1 to 10"),
        (lambda: pg.reask(then=pg.reask()), "cannot ask again"),
        (lambda: pg.replace(3), "takes a text"),
        (lambda: pg.escalate("me"), "a function of the verdict"),
        (
            lambda: guarded(str, input=BAD, on_block=pg.reask()),
            "no meaning without output",
        ),
        (
            lambda: guarded(
                str, input=BAD, output=BAD, prompt=lambda *a: "", on_block=pg.reask()
            ),
            "name of a parameter",
        ),
        (lambda: guarded(str, input=BAD, dry_run=1), "dry_run must be"),
    ],
)
def test_handlers_that_cannot_be_are_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_handlers_are_values():
    handler = pg.reask(2, then=pg.replace(SORRY))
    assert handler == pg.reask(2, then=pg.replace(SORRY)) != pg.reask(1)
    assert hash(handler) == hash(pickle.loads(pickle.dumps(handler)))
    assert "times=2" in repr(handler)


# escalate


def deciding(result: Any, seen: list[pg.Verdict]) -> Callable[[pg.Verdict], Any]:
    def decide(verdict):
        seen.append(verdict)
        return result

    return decide


def deciding_later(result: Any, seen: list[pg.Verdict]) -> Callable[[pg.Verdict], Any]:
    async def decide(verdict):
        seen.append(verdict)
        return result

    return decide


RESULTS = [
    (Action.ALLOW, "a bad answer"),
    (Action.FLAG, "a bad answer"),
    (Action.REDACT, "a <BAD> answer"),
    (SORRY, SORRY),
    (Action.BLOCK, None),
    (None, None),
]
results = pytest.mark.parametrize(
    ("result", "expected"), RESULTS, ids=[str(result) for result, _ in RESULTS]
)


def masked(text: str) -> str:
    return re.sub(r"<([A-Z]+)_\d+:[0-9a-f]{16}>", r"<\1>", text)


@kinds
@results
async def test_the_result_of_an_escalation_decides_on_an_answer(kind, result, expected):
    for decide in (deciding, deciding_later):
        if decide is deciding_later and kind in ("plain", "generator"):
            continue
        seen: list[pg.Verdict] = []
        ask = guarded(
            getattr(Asked("a bad answer"), kind)(),
            output=BAD,
            on_block=pg.escalate(decide(result, seen)),
        )
        if expected is None:
            with pytest.raises(Blocked):
                await whole(ask("hello"))
        else:
            said = await whole(ask("hello"))
            assert masked("".join(said)) == expected
        assert [verdict.blocked for verdict in seen] == [True]


@kinds
@results
async def test_the_result_of_an_escalation_decides_on_a_call(kind, result, expected):
    seen: list[pg.Verdict] = []
    asked = Asked("fine")
    ask = guarded(
        getattr(asked, kind)(),
        input=BAD,
        on_block=pg.escalate(deciding(result, seen)),
    )
    prompt = "a bad answer"
    if expected is None:
        with pytest.raises(Blocked):
            await whole(ask(prompt))
    else:
        said = "".join(await whole(ask(prompt)))
        assert said == (SORRY if result == SORRY else "fine")
    assert len(seen) == 1
    if isinstance(result, Action) and result < Action.BLOCK:
        assert [masked(call) for call in asked.calls] == [expected]
    else:
        assert asked.calls == []


@pytest.mark.parametrize("chunked", [False, True])
def test_the_verdict_that_is_reported_is_the_one_decided(chunked):
    asked = Asked("a bad answer")
    ask = guarded(
        asked.generator() if chunked else asked.plain(),
        output=BAD,
        on_block=pg.escalate(lambda verdict: Action.FLAG),
    )
    with pg.capture() as verdicts:
        list(ask("hello"))
    assert [verdict.action for verdict in verdicts] == [Action.FLAG]
    assert verdicts[0].findings[0].action is Action.FLAG


@kinds
@pytest.mark.parametrize("first", [True, False])
async def test_what_another_guard_redacts_stays_redacted(kind, first):
    # The block would have kept the guard behind it from looking.
    guards = BAD | NAME if first else NAME | BAD
    ask = guarded(
        getattr(Asked("a bad Joe"), kind)(),
        output=guards,
        on_block=pg.escalate(lambda verdict: Action.ALLOW),
    )
    assert masked("".join(await whole(ask("hello")))) == "a bad <NAME>"


@kinds
async def test_the_one_who_decides_sees_all_that_was_found(kind):
    seen: list[pg.Verdict] = []
    worse = FakeGuard(name="worse", word="worse")
    ask = guarded(
        getattr(Asked("bad and worse, Joe"), kind)(),
        output=BAD | worse | NAME,
        on_block=pg.escalate(deciding(None, seen)),
    )
    with pytest.raises(Blocked):
        await whole(ask("hello"))
    assert [finding.label for finding in seen[0].findings] == ["bad", "worse", "name"]


@kinds
async def test_nobody_decides_where_a_guard_broke(kind):
    broken = FakeGuard(name="broken", error=ValueError("bad"))
    seen: list[pg.Verdict] = []
    decide = pg.escalate(deciding(Action.ALLOW, seen))
    for side in ("input", "output"):
        asked = Asked("a bad answer")
        guards = {side: BAD | broken}
        ask = guarded(getattr(asked, kind)(), **guards, on_block=decide)
        with pytest.raises((Blocked, pg.GuardError)):
            await whole(ask("a bad question"))
    assert seen == []


def test_each_blocked_text_is_decided_until_one_stays_blocked():
    seen: list[pg.Verdict] = []

    def decide(verdict):
        seen.append(verdict)
        return Action.ALLOW if "first" in verdict.original else None

    asked = Asked("fine")
    ask = guarded(
        lambda *texts: asked.next(texts), input=BAD, on_block=pg.escalate(decide)
    )
    with pytest.raises(Blocked):
        ask("bad first", "bad second", "bad third")
    assert [verdict.original for verdict in seen] == ["bad first", "bad second"]
    assert asked.calls == []
    ask("bad first", "good")
    assert asked.calls == [("bad first", "good")]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_redaction_that_cannot_be_made_stays_a_block(chunked):
    # A placeholder in place of a key's colon would leave no JSON.
    colon = FakeGuard(name="colon", word='": ')
    answer = completion("fine", calls='{"a": "b"}')
    decide = pg.escalate(lambda verdict: Action.REDACT)
    with pytest.raises(Blocked):
        guarded(lambda prompt: answer, output=colon, on_block=decide)("hello")
    with pytest.raises(Blocked):
        guarded(lambda p: "fine", input=BAD, prompt=lambda p: p, on_block=decide)("bad")


def test_an_async_callback_in_a_sync_call_is_an_error_and_no_pass():
    async def decide(verdict):
        return Action.ALLOW

    ask = guarded(Asked("bad").plain(), output=BAD, on_block=pg.escalate(decide))
    with pytest.raises(ConfigError, match="on_block is async"):
        ask("hello")


@pytest.mark.parametrize("result", [True, False, 0, 3, b"ok", object()], ids=repr)
async def test_a_result_of_another_kind_is_an_error_and_no_pass(result):
    for kind in VALUES + STREAMS:
        ask = guarded(
            getattr(Asked("bad"), kind)(),
            output=BAD,
            on_block=pg.escalate(lambda verdict: result),
        )
        with pytest.raises(ConfigError, match="must give an Action"):
            await whole(ask("hello"))


@kinds
async def test_what_a_callback_raises_is_the_callers_and_nothing_passes(kind):
    def decide(verdict):
        raise KeyError("queue is down")

    ask = guarded(
        getattr(Asked("bad"), kind)(), output=BAD, on_block=pg.escalate(decide)
    )
    with pytest.raises(KeyError, match="queue is down"):
        await whole(ask("hello"))


def test_an_escalation_may_follow_on_asking_again():
    seen: list[pg.Verdict] = []
    asked = Asked("bad one", "bad two")
    decide = pg.escalate(deciding(Action.ALLOW, seen))
    ask = guarded(asked.plain(), output=BAD, on_block=pg.reask(then=decide))
    assert ask("hello") == "bad two"
    assert [verdict.original for verdict in seen] == ["bad two"]


def test_allowed_values_come_back_with_the_rest_restored():
    asked = Asked("")
    asked.next = lambda prompt: f"bad: {prompt}"  # type: ignore[method-assign]
    ask = guarded(
        asked.plain(),
        input=NAME,
        output=BAD,
        restore=True,
        on_block=pg.escalate(lambda verdict: Action.ALLOW),
    )
    assert ask("I am Joe") == "bad: I am Joe"


# dry run


@kinds
async def test_a_dry_run_reports_and_changes_nothing(kind):
    asked = Asked("a bad answer of Joe")
    ask = guarded(
        getattr(asked, kind)(), input=BAD | NAME, output=BAD | NAME, dry_run=True
    )
    with pg.capture() as verdicts:
        said = await whole(ask("a bad question of Joe"))
    assert "".join(said) == "a bad answer of Joe"
    assert asked.calls == ["a bad question of Joe"]
    assert [verdict.action for verdict in verdicts] == [Action.BLOCK] * 2
    assert all(verdict.dry_run for verdict in verdicts)


@kinds
async def test_verdicts_of_a_dry_run_say_what_would_have_been_redacted(kind):
    asked = Asked("of Joe")
    ask = guarded(getattr(asked, kind)(), input=NAME, output=NAME, dry_run=True)
    with pg.capture() as verdicts:
        said = await whole(ask("from Joe"))
    assert ("".join(said), asked.calls) == ("of Joe", ["from Joe"])
    assert [masked(v.text) for v in verdicts] == ["from <NAME>", "of <NAME>"]


def test_a_dry_run_gives_the_very_answer():
    answer = completion("bad")
    assert guarded(lambda p: answer, output=BAD, dry_run=True)("hello") is answer


@pytest.mark.parametrize("handler", [pg.replace("no"), pg.escalate(print), print, 7])
def test_a_dry_run_hands_nothing_to_on_block(handler, capsys):
    ask = guarded(Asked("bad").plain(), output=BAD, on_block=handler, dry_run=True)
    assert ask("hello") == "bad"
    assert capsys.readouterr().out == ""


@streams
async def test_a_dry_run_holds_no_chunk(kind):
    # A guard without a reach holds a stream to its end, but here nothing is held.
    slow = FakeGuard(name="slow", query=pg.Ask(lambda rubric, text: "", "", ""))
    arrived = []
    asked = Asked(["one ", "two"])
    inner = getattr(asked, kind)()

    if kind == "generator":
        for piece in guarded(inner, output=slow, dry_run=True)("hello"):
            arrived.append(piece)
            break
    else:
        stream = guarded(inner, output=slow, dry_run=True)("hello")
        async for piece in stream:
            arrived.append(piece)
            break
        await stream.aclose()
    assert arrived == ["one "]


def test_a_dry_run_keeps_the_attributes_of_a_stream():
    class Source(Stream):
        text_stream = "all of it"

    ask = guarded(lambda prompt: Source(), output=BAD, dry_run=True)
    assert ask("hello").text_stream == "all of it"


class Unknown:
    """No answer that anybody knows."""


@kinds
async def test_what_cannot_be_checked_in_a_dry_run_goes_on_and_is_told(kind, caplog):
    broken = FakeGuard(name="broken", error=ValueError("the secret"))
    asked = Asked(["a", "b"] if kind in STREAMS else "ab")
    ask = guarded(getattr(asked, kind)(), input=broken, output=broken, dry_run=True)
    with caplog.at_level(logging.CRITICAL), pg.capture() as verdicts:
        assert "".join(await whole(ask("hello"))) == "ab"
    assert [verdict.degraded for verdict in verdicts] == [True, True]
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text


@pytest.mark.parametrize("answer", [Unknown(), [Unknown()], [3.5]], ids=repr)
def test_an_answer_of_unknown_shape_goes_on_in_a_dry_run(answer, caplog):
    stream = isinstance(answer, list)
    asked = Asked(answer)
    ask = guarded(
        asked.generator() if stream else asked.plain(), output=BAD, dry_run=True
    )
    said = ask("hello")
    assert (list(said) if stream else said) == answer
    assert "dry run: a text could not be checked" in caplog.text
    assert caplog.records[0].levelno == logging.CRITICAL


def test_a_call_without_text_goes_on_in_a_dry_run(caplog):
    assert guarded(lambda n: n, input=BAD, dry_run=True)(3) == 3
    assert "found no text" in caplog.text


def test_logs_of_a_dry_run_say_so(caplog):
    with caplog.at_level(logging.INFO, "promptguard"):
        guarded(Asked("bad").plain(), output=BAD, dry_run=True)("hello")
    assert "dry run: block (bad: bad 1.00 at 0..3)" in caplog.text


def test_a_pickled_verdict_keeps_that_it_was_a_dry_run():
    with pg.capture() as verdicts:
        guarded(Asked("bad").plain(), output=BAD, dry_run=True)("hello")
    assert pickle.loads(pickle.dumps(verdicts[0])).dry_run


def test_findings_of_an_action_allow_are_no_block_to_decide_on():
    seen: list[pg.Verdict] = []
    allowed = FakeGuard(findings=(Finding("x", 1.0, 0, 1, action=Action.ALLOW),))
    ask = guarded(
        Asked("fine").plain(),
        output=allowed,
        on_block=pg.escalate(deciding(None, seen)),
    )
    assert ask("hello") == "fine"
    assert seen == []
