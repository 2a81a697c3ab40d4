"""The engine, stepped by hand: what is asked, in which order, and what is dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from promptguard import (
    Action,
    Ask,
    Blocked,
    Classify,
    ConfigError,
    Engine,
    Finding,
    Guard,
    GuardError,
    ModelError,
    Placeholders,
    Text,
)
from promptguard.guard import Inspection
from promptguard.queries import Scores, Window

SCORES = Scores((Window(0, 4, (("injection", 0.9),)),), coverage=0.75)


def llm(rubric: str, text: str) -> str:
    return "unused: the tests answer by hand"


@dataclass(frozen=True)
class Sees(Guard):
    """Finds a word where it stands."""

    word: str

    def inspect(self, text: Text) -> Inspection:
        start = text.original.find(self.word)
        if start >= 0:
            yield Finding(self.word, 1.0, start, start + len(self.word))


@dataclass(frozen=True)
class Scored(Guard):
    """Asks the model and finds whatever it says."""

    model: str | None = None

    def inspect(self, text: Text) -> Inspection:
        scores = yield Classify(self.model, text.original, text.role)
        yield Finding("scored", scores.windows[0].scores[0][1], 0, 1)


@dataclass(frozen=True)
class Judged(Guard):
    """Asks an LLM and finds what it calls unsafe."""

    rubric: str = "safe?"

    def inspect(self, text: Text) -> Inspection:
        answer = yield Ask(llm, self.rubric, text.original)
        if answer == "unsafe":
            yield Finding("judged", 1.0, 0, len(text.original))


def started(guard: Guard, *texts: str, **options: object) -> Engine:
    engine = Engine(guard, [Text(text) for text in texts], **options)
    engine.start()
    return engine


def test_a_guard_without_queries_is_done_at_once() -> None:
    engine = started(Sees("bad"), "a bad word", "a good word")
    assert engine.done
    first, second = engine.verdicts
    assert (first.blocked, second.blocked) == (True, False)
    assert first.original[first.findings[0].start : first.findings[0].end] == "bad"


def test_the_model_is_asked_before_the_llm() -> None:
    engine = started(Judged() | Scored(action=Action.FLAG), "text")
    assert [type(query) for query in engine.pending] == [Classify]
    step = engine.answer(engine.pending[0], SCORES)
    assert [type(query) for query in step.queries] == [Ask]
    engine.answer(step.queries[0], "safe")
    assert engine.verdicts[0].action is Action.FLAG


def test_a_block_by_a_cheap_guard_asks_nothing() -> None:
    engine = Engine(Judged() | Scored() | Sees("bad"), [Text("bad")])
    step = engine.start()
    assert step.queries == () and engine.done and engine.verdicts[0].blocked


def test_a_slow_query_does_not_delay_a_block() -> None:
    engine = started(Judged("slow") | Judged("fast"), "text")
    slow, fast = engine.pending
    step = engine.answer(fast, "unsafe")
    assert engine.done and engine.verdicts[0].blocked
    assert step.dropped == (slow,)
    assert engine.answer(slow, "safe").findings == ()


def test_equal_queries_are_asked_once_and_answered_to_all() -> None:
    engine = started(
        Judged(name="one", action=Action.FLAG) | Judged(name="two", action=Action.FLAG),
        "text",
        "text",
    )
    assert len(engine.pending) == 1
    engine.answer(engine.pending[0], "unsafe")
    assert [len(verdict.findings) for verdict in engine.verdicts] == [2, 2]


def test_a_query_somebody_else_still_wants_is_not_dropped() -> None:
    engine = started(Judged() | Scored(), "text", "other")
    engine.answer(Classify(None, "other", "user"), SCORES)
    assert engine.pending == (Classify(None, "text", "user"),)


def test_several_queries_are_answered_together_in_their_order() -> None:
    @dataclass(frozen=True)
    class Both(Guard):
        def inspect(self, text: Text) -> Inspection:
            first, second = yield (Ask(llm, "1", "t"), Ask(llm, "2", "t"))
            yield Finding(f"{first}-{second}", 1.0, 0, 0)

    engine = started(Both(), "text")
    one, two = engine.pending
    assert not engine.answer(two, "b").findings
    engine.answer(one, "a")
    assert engine.verdicts[0].findings[0].label == "a-b"


def test_an_answer_known_from_another_text_is_not_asked_again() -> None:
    @dataclass(frozen=True)
    class Twice(Guard):
        def inspect(self, text: Text) -> Inspection:
            yield Ask(llm, "first", text.original)
            yield Ask(llm, "same", "shared")

    engine = started(Twice(), "a", "b")
    first_a, first_b = engine.pending
    (shared,) = engine.answer(first_a, None).queries
    engine.answer(shared, None)
    assert engine.answer(first_b, None).queries == ()
    assert engine.done


def test_coverage_is_the_least_that_a_model_states() -> None:
    engine = started(Scored(action=Action.FLAG) | Sees("absent"), "text")
    engine.answer(engine.pending[0], SCORES)
    assert engine.verdicts[0].coverage == 0.75


def test_timings_name_every_guard_and_count_the_answers() -> None:
    engine = started(Scored(action=Action.FLAG) | Sees("absent"), "text")
    engine.answer(engine.pending[0], SCORES, seconds=2.0)
    timings = dict(engine.verdicts[0].timings)
    assert timings["scored"] >= 2.0 > timings["sees"]


def test_redaction_shares_placeholders_only_where_told_to() -> None:
    guard = Sees("secret", action=Action.REDACT)
    apart = started(guard, "secret", "secret").verdicts
    assert apart[0].text != apart[1].text
    together = started(guard, "secret", "secret", placeholders=Placeholders()).verdicts
    assert together[0].text == together[1].text != "secret"


@dataclass(frozen=True)
class Broken(Guard):
    """Breaks in one of many ways."""

    fault: str

    def inspect(self, text: Text) -> Inspection:
        canary = text.original
        if self.fault == "raises":
            raise ValueError(canary)
        if self.fault == "recursion":
            return (yield from self.inspect(text))
        if self.fault == "memory":
            raise MemoryError(canary)
        if self.fault == "after the answer":
            yield Ask(llm, "r", "t")
            raise ValueError(canary)
        yield {  # type: ignore[misc]  # faults are what this guard is for
            "nan": Finding("x", math.nan, 0, 1),
            "score above one": Finding("x", 1.5, 0, 1),
            "outside": Finding("x", 1.0, 0, 10**6),
            "backwards": Finding("x", 1.0, 2, 1),
            "fractional": Finding("x", 1.0, 0.0, 0.5),  # type: ignore[arg-type]
            "text for a score": Finding("x", "1", 0, 1),  # type: ignore[arg-type]
            "the text for a label": Finding(canary * 20, 1.0, 0, 1),
            "none": None,
            "string": canary,
            "empty tuple": (),
            "tuple of strings": (canary,),
            "action": Finding("x", 1.0, 0, 1, action="block"),  # type: ignore[arg-type]
        }[self.fault]


FAULTS = [
    "raises",
    "recursion",
    "memory",
    "after the answer",
    "nan",
    "score above one",
    "outside",
    "backwards",
    "fractional",
    "text for a score",
    "the text for a label",
    "none",
    "string",
    "empty tuple",
    "tuple of strings",
    "action",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_guard_that_breaks_blocks_and_tells_nothing_of_the_text(fault: str) -> None:
    engine = started(Broken(fault) | Sees("absent"), "canary-5512")
    for query in engine.pending:
        engine.answer(query, "whatever")
    with pytest.raises(GuardError) as caught:
        _ = engine.verdicts
    assert caught.value.guard == "broken"
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "canary-5512" not in str(chain) + repr(chain)
        chain = chain.__cause__ or chain.__context__


@pytest.mark.parametrize("fault", FAULTS)
def test_going_on_after_a_fault_is_said_in_the_verdict(fault: str) -> None:
    engine = started(Broken(fault), "canary-5512", on_error="allow")
    for query in engine.pending:
        engine.answer(query, "whatever")
    (verdict,) = engine.verdicts
    assert verdict.degraded and verdict.coverage == 0.0


def test_a_block_is_not_lost_when_another_guard_breaks() -> None:
    for guard in (Broken("raises") | Sees("bad"), Broken("raises") | Judged()):
        engine = started(guard, "bad")
        for query in engine.pending:
            engine.answer(query, "unsafe")
        assert engine.verdicts[0].blocked and engine.verdicts[0].degraded


def test_the_same_finding_twice_is_one() -> None:
    @dataclass(frozen=True)
    class Stutters(Guard):
        def inspect(self, text: Text) -> Inspection:
            yield Finding("x", 1.0, 0, 1)
            yield Finding("x", 1.0, 0, 1)

    engine = started(Stutters(action=Action.FLAG), "text")
    assert len(engine.verdicts[0].findings) == 1


def test_a_failed_query_breaks_the_guards_that_asked() -> None:
    engine = started(Scored() | Sees("absent"), "text")
    engine.fail(engine.pending[0], ModelError("model.onnx is missing"))
    with pytest.raises(ModelError, match="missing"):
        _ = engine.verdicts


def test_a_guard_may_recover_from_a_failed_query() -> None:
    @dataclass(frozen=True)
    class Patient(Guard):
        def inspect(self, text: Text) -> Inspection:
            try:
                yield Ask(llm, "r", text.original)
            except TimeoutError:
                yield Finding("unanswered", 1.0, 0, 1)

    engine = started(Patient(), "text")
    engine.fail(engine.pending[0], TimeoutError())
    assert engine.verdicts[0].blocked


def test_a_mistake_in_the_configuration_always_shows() -> None:
    @dataclass(frozen=True)
    class Misconfigured(Guard):
        def inspect(self, text: Text) -> Inspection:
            raise ConfigError("unknown label 'x'")
            yield

    engine = started(Misconfigured(), "text", on_error="allow")
    with pytest.raises(ConfigError, match="unknown label"):
        _ = engine.verdicts


def test_an_inspect_that_is_no_generator_is_an_error() -> None:
    @dataclass(frozen=True)
    class Returns(Guard):
        def inspect(self, text: Text) -> Inspection:
            return [Finding("x", 1.0, 0, 1)]  # type: ignore[return-value]  # the fault

    with pytest.raises(GuardError, match="generator"):
        _ = started(Returns(), "text").verdicts


def test_verdicts_are_not_given_before_the_end() -> None:
    engine = started(Scored(), "text")
    with pytest.raises(ConfigError, match="pending"):
        _ = engine.verdicts


def test_unknown_error_policies_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'allow'"):
        Engine(Sees("absent"), [], on_error="alow")  # type: ignore[arg-type]  # the mistake


def test_blocked_carries_the_verdict_and_not_the_text() -> None:
    (verdict,) = started(Sees("bad"), "a bad canary").verdicts
    with pytest.raises(Blocked) as caught:
        verdict.raise_if_blocked()
    assert caught.value.verdict is verdict
    assert "canary" not in str(caught.value) + repr(caught.value) + repr(verdict)


def test_thousands_of_texts_are_stepped_in_linear_work() -> None:
    texts = [f"text {n}" for n in range(3000)]
    engine = started(Scored(action=Action.FLAG), *texts)
    for query in engine.pending:
        engine.answer(query, SCORES)
    assert len(engine.verdicts) == 3000
