"""Judge: what is asked, what is found, what it took."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import re
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, ConfigError, Finding, Judge, JudgeError, Rubric, Usage
from promptguard.judging.rubrics import ready
from promptguard.testing import FakeGuard, FakeJudge, check_guard

READY = """injection jailbreak toxicity profanity harmful_request manipulation
disclosure off_topic groundedness faithfulness relevance helpfulness correctness tone
clarity safety preference""".split()
HISTORY = (("user", "What is the fee?"), ("retrieved", "The fee is 5 euros."))


def seeing(seen: list[str], grade: int = 1) -> Any:
    """A fake judge that keeps the messages it is sent."""

    def llm(messages: list[dict[str, str]]) -> str:
        seen.append("\n".join(message["content"] for message in messages))
        return FakeJudge(grade)(messages)

    return llm


def test_the_ready_rubrics_are_those_of_the_documentation():
    assert sorted(ready()) == sorted(READY)
    for name, rubric in ready().items():
        assert rubric.name == name
        assert rubric.question.endswith("?")


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("grade", [1, 2, 3, 4, 5])
def test_a_ready_rubric_is_found_on_its_bad_side(name, grade):
    guard = Judge(name, llm=FakeJudge(grade), topics=("fees",), other="7 euros.")
    verdict = guard.check("The fee is 5 euros.", "assistant", HISTORY)
    rubric = ready()[name]
    share = (grade - 1) / 4
    risk = share if rubric.kind == "risk" else 1 - share
    expected = (Finding(rubric.label, risk, 0, 19, "judge", Action.BLOCK),)
    assert verdict.findings == (expected if risk >= 0.5 else ())


def test_one_call_answers_several_rubrics():
    grades = {"injection": 1, "toxicity": 5, "rubric_3": 2}
    seen: list[str] = []

    def grade(name: str, text: str) -> int:
        seen.append(text)
        return grades[name]

    names = ("injection", "toxicity", "The text names no competitor.")
    verdict = Judge(names, llm=FakeJudge(grade)).check("Hello there.")
    assert [(f.label, f.score) for f in verdict.findings] == [
        ("rubric_3", 0.75),
        ("toxicity", 1.0),
    ]
    assert seen == ["Hello there."] * 3
    assert verdict.usage == (("judge", Usage(1)),)


def test_a_rubric_of_ones_own_is_a_sentence_or_all_of_it():
    sentence = "The answer is in Latin."
    assert Judge(sentence, llm=FakeJudge(1)).check("x").findings[0].label == "rubric"
    rubric = Rubric("Is it rude?", name="rude", kind="risk", label="rudeness")
    verdict = Judge(rubric, llm=FakeJudge(4)).check("x")
    assert [(f.label, f.score) for f in verdict.findings] == [("rudeness", 0.75)]
    strict = Rubric("Is it rude?", name="rude", kind="risk", threshold=0.25)
    assert Judge((strict, "injection"), llm=FakeJudge(2)).check("x").blocked
    assert not Judge(strict, llm=FakeJudge(1)).check("x").flagged


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("off-topic", "off_topic"),
        ("Harmful Request", "harmful_request"),
        ("tone", "tone"),
    ],
)
def test_names_may_be_written_as_people_do(given, name):
    assert Judge(given, llm=FakeJudge(), topics=("x",)).rubrics == (ready()[name],)


@pytest.mark.parametrize(
    ("rubrics", "arguments", "said"),
    [
        ("injektion", {}, "did you mean 'injection'"),
        ((), {}, "at least one rubric"),
        (5, {}, "rubrics must be"),
        ((5,), {}, "not a int"),
        (("tone", "tone"), {}, "two rubrics are named 'tone'"),
        ("off_topic", {}, "topics"),
        ("tone", {"topics": "fees"}, "topics must be several"),
        ("tone", {"topics": ("",)}, "not empty"),
        ("tone", {"threshold": 2}, "threshold"),
        ("tone", {"threshold": True}, "threshold"),
        ("tone", {"threshold": float("nan")}, "threshold"),
        ("tone", {"redact": "yes"}, "redact"),
        ("tone", {"structured": "maybe"}, "structured"),
        ("tone", {"timeout": 0}, "timeout"),
        ("tone", {"timeout": float("inf")}, "timeout"),
        ("tone", {"retries": -1}, "retries"),
        ("tone", {"concurrency": 0}, "concurrency"),
        ("tone", {"longest": 1.5}, "longest"),
        ("tone", {"prices": 3}, "prices"),
        ("tone", {"prices": (1.0, -1.0)}, "prices"),
        ("tone", {"cache": "disk"}, "cache"),
        ("tone", {"cache": {}}, "model="),
        ("tone", {"cache_key": b"short"}, "cache_key"),
        ("tone", {"key_env": ""}, "key_env"),
        ("tone", {"llm": None}, "somebody to ask"),
        ("tone", {"llm": 5}, "client of the OpenAI shape"),
        ("tone", {"base_url": "http://x"}, "not both"),
        ("tone", {"model": ""}, "model must be a string"),
        ("tone", {"context": ("",)}, "not empty"),
    ],
)
def test_a_wrong_argument_is_named(rubrics, arguments, said):
    with pytest.raises(ConfigError, match=said):
        Judge(rubrics, **{"llm": FakeJudge(), **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"question": ""},
        {"question": "x", "name": "Two Words"},
        {"question": "x", "label": "Two Words"},
        {"question": "x", "kind": "other"},
        {"question": "x", "needs": "context"},
        {"question": "x", "needs": ("contxt",)},
        {"question": "x", "threshold": 3},
        {"question": "x", "low": 1},
    ],
)
def test_a_wrong_rubric_is_named(arguments):
    with pytest.raises(ConfigError):
        Rubric(**arguments)


def test_lists_out_of_a_file_will_do():
    guard = Judge(["tone", "off_topic"], llm=FakeJudge(), topics=["x"], prices=[1, 2])
    assert guard == Judge(
        ("tone", "off_topic"), llm=FakeJudge(), topics=("x",), prices=(1, 2)
    )
    assert hash(guard) is not None


def test_a_judge_keeps_the_rules_of_guards():
    check_guard(Judge("injection", llm=FakeJudge(5)), ["Hello."], long=2_000)
    check_guard(Judge("tone", llm=FakeJudge(1)), ["Hello."], long=2_000)


def test_a_judge_is_a_value():
    guard = Judge("tone", model="m", cache={}, cache_key=b"k" * 16)
    for twin in (copy.copy(guard), pickle.loads(pickle.dumps(guard))):
        assert twin == guard
        assert hash(twin) == hash(guard)
    assert "kkkk" not in repr(guard)


def test_an_empty_text_is_a_risk_to_nobody_and_no_help_either():
    seen: list[str] = []
    assert not Judge("injection", llm=seeing(seen, 5)).check(" \n").flagged
    assert seen == []
    verdict = Judge("tone", llm=seeing(seen, 1)).check("")
    assert verdict.blocked and len(seen) == 1


def test_personal_data_and_secrets_do_not_leave():
    seen: list[str] = []
    text = "Mail ann@example.org or bob@example.org; ann@example.org is faster."
    history = [("user", "Who is ann@example.org?")]
    Judge("relevance", llm=seeing(seen)).check(text, "assistant", history)
    assert "example.org" not in seen[0]
    assert seen[0].count("[EMAIL_ADDRESS_1]") == 1 + 3
    assert seen[0].count("[EMAIL_ADDRESS_2]") == 1
    Judge("tone", llm=seeing(seen), redact=False).check(text)
    assert "ann@example.org" in seen[1]
    only = FakeGuard(word="faster", name="word")
    Judge("tone", llm=seeing(seen), redact=only).check(text)
    assert "faster" not in seen[2] and "[WORD_1]" in seen[2]


def test_a_verdict_points_into_the_text_as_it_was_given():
    text = "Mail ann@example.org."
    (finding,) = Judge("tone", llm=FakeJudge(1)).check(text).findings
    assert (finding.start, finding.end) == (0, len(text))


def test_what_a_rubric_needs_comes_from_the_history():
    seen: list[str] = []
    guard = Judge(("relevance", "groundedness"), llm=seeing(seen, 5), redact=False)
    history = [
        ("user", "Old?"),
        ("retrieved", "One."),
        ("tool", "Two."),
        ("user", "New?"),
    ]
    assert not guard.check("Answer.", "assistant", history).flagged
    for field in ('"question": "New?"', '"context 1": "One."', '"context 2": "Two."'):
        assert field in seen[0]
    assert "Old?" not in seen[0]
    own = Judge("groundedness", llm=seeing(seen, 5), context="Three.", redact=False)
    assert not own.check("Answer.", "assistant", history).flagged
    assert '"context 1": "Three."' in seen[1] and "One." not in seen[1]


@pytest.mark.parametrize("name", ["relevance", "groundedness"])
def test_without_what_a_rubric_needs_nothing_is_asked(name):
    seen: list[str] = []
    guard = Judge(name, llm=seeing(seen))
    with pytest.raises(JudgeError, match="give it in the history") as raised:
        guard.check("Answer.", "assistant")
    assert raised.value.kind == "needs"
    assert seen == []
    guard.warmup()


def test_a_reference_and_another_answer_are_told_apart_from_the_text():
    seen: list[str] = []
    judge = Judge(
        ("correctness", "preference"),
        llm=seeing(seen, 5),
        reference="Five, says jo@example.org.",
        other="Seven, says jo@example.org.",
    )
    assert not judge.check("Five.", "assistant", [("user", "Which?")]).flagged
    # Inside the block of data, without what must not leave, and explained above it.
    block = seen[0][seen[0].index("BEGIN>>>\n") :]
    assert re.search(r'"reference": "Five,.says.\[EMAIL_ADDRESS_1\]\."', block)
    assert re.search(r'"other": "Seven,.says.\[EMAIL_ADDRESS_1\]\."', block)
    assert '"reference": an answer that is known to be right' in seen[0]
    with pytest.raises(JudgeError, match=r"Judge\(\.\.\., other=\.\.\.\)") as raised:
        Judge("preference", llm=FakeJudge(5)).check("Five.", history=[("user", "?")])
    assert raised.value.kind == "needs"
    with pytest.raises(ConfigError, match="reference must be a text"):
        Judge("correctness", llm=FakeJudge(5), reference=" ")
    with pytest.raises(JudgeError, match="119 characters"):
        replace(judge, redact=False, longest=100, other="x" * 80).check(
            "Five.", "assistant", [("user", "Which?..")]
        )


def test_a_text_that_is_too_long_is_not_cut():
    guard = Judge("injection", llm=FakeJudge(1), longest=100)
    assert not guard.check("x" * 100).flagged
    with pytest.raises(JudgeError, match="101 characters") as raised:
        guard.check("x" * 101)
    assert raised.value.kind == "context"


def test_topics_are_told_to_the_judge():
    seen: list[str] = []
    Judge("off_topic", topics=("fees", "opening hours"), llm=seeing(seen)).check("Hi.")
    assert "The allowed topics: fees; opening hours." in seen[0]


def failing(messages: list[dict[str, str]]) -> str:
    raise RuntimeError(messages[1]["content"])


def test_a_function_that_raises_is_a_fault_that_shows_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(JudgeError, match="RuntimeError") as raised:
        Judge("injection", llm=failing).check("canary-5150")
    assert raised.value.kind == "failed"
    assert raised.value.__context__ is None
    assert "canary" not in str(raised.value) + caplog.text
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.kind, str(again)) == ("failed", str(raised.value))


def test_on_error_allow_is_the_way_out():
    ask = pg.guarded(
        lambda prompt: prompt, input=Judge("injection", llm=failing), on_error="allow"
    )
    with pg.capture() as verdicts:
        assert ask("Hello.") == "Hello."
    assert verdicts[0].degraded
    ask = pg.guarded(lambda prompt: prompt, input=Judge("injection", llm=failing))
    with pytest.raises(JudgeError):
        ask("Hello.")


def test_a_function_may_give_a_chat_completion():
    def llm(messages: list[dict[str, str]]) -> dict[str, Any]:
        message = {"role": "assistant", "content": FakeJudge(5)(messages)}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 10},
        }

    verdict = Judge("toxicity", llm=llm, prices=(2.0, 8.0)).check("Hello.")
    ((who, usage),) = verdict.usage
    assert who == "judge"
    assert usage == Usage(1, 1000, 10, pytest.approx(0.00208))
    assert verdict.blocked


def test_what_was_used_adds_up_and_survives_a_pickle():
    total = Usage(1, 10, 2, 0.5) + Usage(2, 5, 1) + Usage(0, 0, 0, 0.25)
    assert total == Usage(3, 15, 3, 0.75)
    assert (Usage() + Usage()).cost is None
    verdict = Judge("toxicity", llm=FakeJudge(1)).check("Hello.")
    assert pickle.loads(pickle.dumps(verdict)).usage == verdict.usage
    assert FakeGuard(word="x").check("x").usage == ()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["function", "async"])
def test_a_slow_judge_is_not_waited_for(asynchronous):
    release = threading.Event()

    def slow(messages: list[dict[str, str]]) -> str:
        release.wait(10)
        return FakeJudge(1)(messages)

    async def aslow(messages: list[dict[str, str]]) -> str:
        await asyncio.sleep(10)
        return FakeJudge(1)(messages)

    guard = Judge("injection", llm=aslow if asynchronous else slow, timeout=0.1)
    begun = time.monotonic()
    for check in (guard.check, lambda text: asyncio.run(guard.acheck(text))):
        with pytest.raises(JudgeError) as raised:
            check("Hello.")
        assert raised.value.kind == "timeout"
    release.set()
    assert time.monotonic() - begun < 8


def test_calls_that_hang_keep_their_slots():
    """No more threads are left behind than may be asked at one time."""
    release, begun = threading.Event(), []

    def hanging(messages: list[dict[str, str]]) -> str:
        begun.append(1)
        release.wait(20)
        return FakeJudge(1)(messages)

    guard = Judge("injection", llm=hanging, timeout=0.1, concurrency=2)
    for _ in range(5):
        with pytest.raises(JudgeError):
            guard.check("Hello.")
    assert len(begun) == 2
    release.set()
    patient = Judge("injection", llm=hanging, timeout=10, concurrency=2)
    assert not patient.check("Hello.").flagged


@pytest.mark.parametrize("asynchronous", [False, True], ids=["function", "async"])
def test_no_more_calls_run_at_one_time_than_allowed(asynchronous):
    lock, running, most = threading.Lock(), 0, 0

    def enter(by: int) -> None:
        nonlocal running, most
        with lock:
            running += by
            most = max(most, running)

    def llm(messages: list[dict[str, str]]) -> str:
        enter(1)
        time.sleep(0.02)
        enter(-1)
        return FakeJudge(1)(messages)

    async def allm(messages: list[dict[str, str]]) -> str:
        enter(1)
        await asyncio.sleep(0.02)
        enter(-1)
        return FakeJudge(1)(messages)

    guard = Judge("injection", llm=allm if asynchronous else llm, concurrency=3)
    texts = [f"text {n}" for n in range(12)]
    assert not any(v.flagged for v in asyncio.run(guard.acheck_batch(texts)))
    assert most == 3
    assert not any(v.flagged for v in guard.check_batch(texts))
    assert most == 3


async def test_two_async_judges_wait_together():
    waiting, most = 0, 0

    async def slow(messages: list[dict[str, str]]) -> str:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.1)
        waiting -= 1
        return FakeJudge(1)(messages)

    both = Judge("injection", llm=slow) | Judge("toxicity", llm=slow, name="second")
    verdict = await both.acheck("Hello.")
    assert most == 2
    assert [who for who, _ in verdict.usage] == ["judge", "second"]


async def test_a_cancelled_check_cancels_the_call():
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(messages: list[dict[str, str]]) -> str:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    guard = Judge("injection", llm=slow, timeout=60)
    task = asyncio.create_task(guard.acheck("Hello."))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
    assert len(asyncio.all_tasks()) == 1


class Counting:
    """A judge that counts how often it is asked."""

    def __init__(self, grade: int = 5) -> None:
        self.asked = 0
        self.grade = grade

    def __call__(self, messages: list[dict[str, str]]) -> str:
        self.asked += 1
        return FakeJudge(self.grade)(messages)


def test_without_a_cache_each_check_asks():
    llm = Counting()
    for _ in range(2):
        assert Judge("injection", llm=llm).check("Hello.").blocked
    assert llm.asked == 2


def test_the_cache_in_memory_answers_the_same_question():
    llm = Counting()
    guard = Judge("injection", llm=llm, cache="memory")
    first, second = guard.check("Hello."), guard.check("Hello.")
    assert first.findings == second.findings
    assert [u.calls for v in (first, second) for _, u in v.usage] == [1, 0]
    assert llm.asked == 1
    guard.check("Hello!")
    guard.check("Hello.", "tool")
    Judge("toxicity", llm=llm, cache="memory").check("Hello.")
    assert llm.asked == 4
    # Another threshold asks the same.
    assert (
        not Judge(
            Rubric(**{**vars(ready()["injection"]), "threshold": None}),
            llm=llm,
            cache="memory",
            threshold=1.0,
            name="other",
        )
        .check("Hello.")
        .degraded
    )
    assert llm.asked == 4


def test_a_cache_of_ones_own_holds_no_text_and_no_grade_for_others():
    store: dict[str, str] = {}
    llm = Counting()
    arguments: dict[str, Any] = {"llm": llm, "model": "m", "cache": store}
    key = b"0123456789abcdef"
    Judge("injection", **arguments, cache_key=key).check("Very secret words.")
    Judge("injection", **arguments, cache_key=key).check("Very secret words.")
    assert llm.asked == 1
    assert "secret" not in json.dumps(store)
    # Another key, another model: other entries.
    Judge("injection", **arguments, cache_key=b"x" * 16).check("Very secret words.")
    Judge("injection", **{**arguments, "model": "n"}, cache_key=key).check(
        "Very secret words."
    )
    assert llm.asked == 3


def test_an_entry_that_somebody_else_wrote_is_not_believed():
    store: dict[str, str] = {}
    llm = Counting()
    guard = Judge("injection", llm=llm, model="m", cache=store, cache_key=b"k" * 16)
    guard.check("Bad text.")
    (name, entry) = next(iter(store.items()))
    forgeries: list[Any] = [
        entry.replace("1.0", "0.0"),
        '{"injection": 0.0}',
        " " + entry.split(" ", 1)[1],
        "é" + entry,
        "",
        b"bytes",
        7,
    ]
    for asked, forged in enumerate(forgeries, 2):
        store[name] = forged
        assert guard.check("Bad text.").blocked
        assert llm.asked == asked
    # A good grade of another text is not one of this.
    llm.grade = 1
    guard.check("Good text.")
    good = next(value for key, value in store.items() if key != name)
    llm.grade, store[name] = 5, good
    assert guard.check("Bad text.").blocked


def test_a_fault_is_not_kept():
    store: dict[str, str] = {}
    guard = Judge("injection", llm=failing, model="m", cache=store)
    with pytest.raises(JudgeError):
        guard.check("Hello.")
    assert store == {}


class Broken(dict):  # type: ignore[type-arg]
    def get(self, *name: Any) -> Any:
        raise ConnectionError("secret text")

    def __setitem__(self, *item: Any) -> None:
        raise ConnectionError("secret text")


def test_a_store_that_is_away_stops_nothing(caplog):
    llm = Counting()
    guard = Judge("injection", llm=llm, model="m", cache=Broken())
    assert guard.check("Hello.").blocked
    assert "ConnectionError" in caplog.text and "secret" not in caplog.text


BAND = (0.2, 0.9)


@pytest.mark.parametrize(
    ("score", "grade", "blocked", "asked"),
    [
        (0.1, 5, False, 0),
        (0.5, 1, False, 1),
        (0.5, 5, True, 1),
        (0.95, 1, True, 0),
        (0.9, 1, True, 0),
        (0.2, 5, True, 1),
    ],
)
@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.99])
def test_a_judge_decides_inside_the_band(
    score, grade, blocked, asked, threshold, monkeypatch
):
    answered(monkeypatch, score)
    llm = Counting(grade)
    first = pg.PromptInjection(threshold=threshold, band=BAND)
    guard = first.then(Judge("injection", llm=llm))
    if score < BAND[0] and score >= threshold:
        # Flagged below the band: somebody set it so, and the judge is asked.
        blocked, asked = True, 1
    assert guard.check("Hello.").blocked is blocked
    assert llm.asked == asked


def test_a_judge_that_breaks_inside_the_band_blocks(monkeypatch):
    answered(monkeypatch, 0.5)
    guard = pg.PromptInjection(threshold=0.99, band=BAND).then(
        Judge("injection", llm=failing)
    )
    with pytest.raises(JudgeError):
        guard.check("Hello.")
    called: list[str] = []
    ask = pg.guarded(called.append, input=guard)
    with pytest.raises(JudgeError):
        ask(prompt="Hello.")
    assert called == []


def answered(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    """Let the model give this score to every text."""
    from promptguard import drivers
    from promptguard.queries import Classify, Scores, Window

    def classify(query: Classify) -> Scores:
        return Scores((Window(0, len(query.text), (("injection", score),)),), 1.0)

    monkeypatch.setattr(drivers, "classify", classify)


async def test_a_long_text_is_asked_about_from_a_thread():
    threads: set[str] = set()

    async def llm(messages: list[dict[str, str]]) -> str:
        return FakeJudge(grade)(messages)

    def grade(rubric: str, text: str) -> int:
        return 5 if len(text) > 9_000 else 1

    class Store(dict):  # type: ignore[type-arg]
        def get(self, *name: Any) -> Any:
            threads.add(threading.current_thread().name)
            return super().get(*name)

    guard = Judge("injection", llm=llm, model="m", cache=Store())
    assert (await guard.acheck("word " * 2_000)).blocked
    assert threads.isdisjoint({threading.current_thread().name})
    assert not (await guard.acheck("word")).blocked
    assert threading.current_thread().name in threads


def test_a_plain_function_may_give_an_awaitable():
    async def reply(messages: list[dict[str, str]]) -> str:
        await asyncio.sleep(0.01)
        return FakeJudge(5)(messages)

    guard = Judge("injection", llm=lambda messages: reply(messages))
    assert guard.check("Hello.").blocked
    assert asyncio.run(guard.acheck("Hello.")).blocked

    cancelled = threading.Event()

    async def hanging() -> str:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()
        return ""

    slow = Judge("injection", llm=lambda messages: hanging(), timeout=0.1)
    with pytest.raises(JudgeError) as raised:
        slow.check("Hello.")
    assert raised.value.kind == "timeout"
    assert cancelled.wait(10)


def test_a_thread_that_cannot_be_started_takes_no_slot(monkeypatch):
    from promptguard.judging import asking

    guard = Judge("injection", llm=FakeJudge(1), concurrency=1, name="alone")
    guard.check("The pool has its threads now.")
    with monkeypatch.context() as patch:
        patch.setattr(asking.threading, "Thread", Unstartable)
        for _ in range(2):
            with pytest.raises(pg.GuardError):
                guard.check("Hello.")
    assert not guard.check("Hello.").flagged


class Unstartable(threading.Thread):
    def start(self) -> None:
        raise RuntimeError("can't start new thread")
