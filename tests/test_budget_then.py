"""What follows when the time of a check is up: as the budget says."""

from __future__ import annotations

import pytest

import promptguard as pg
from promptguard import Action, Budget, ConfigError, GuardError
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard

# It waits for an answer that does not come in time.
SLOW = FakeGuard(name="slow", delay=2.0)
SOON = 0.05
BAD = FakeGuard(name="bad", word="bad")
BROKEN = FakeGuard(name="broken", error=ValueError("x"))


@pytest.mark.parametrize(
    ("then", "action"), [("allow", Action.ALLOW), ("flag", Action.FLAG)]
)
def test_a_late_guard_lets_the_text_go_on_where_the_budget_says_so(then, action):
    verdict = (SLOW | BAD).check("fine", budget=Budget(SOON, then))
    assert (verdict.action, verdict.degraded, verdict.coverage) == (action, True, 0.0)
    assert verdict.text == "fine"


@pytest.mark.parametrize("budget", [SOON, Budget(SOON), Budget(SOON, "block")])
def test_a_late_guard_fails_by_default(budget):
    with pytest.raises(GuardError, match="within the budget"):
        SLOW.check("fine", budget=budget)


@pytest.mark.parametrize("then", ["allow", "flag", "block"])
def test_a_block_that_is_known_stands(then):
    verdict = (BAD | SLOW).check("bad", budget=Budget(SOON, then))
    assert verdict.blocked
    assert verdict.findings[0].guard == "bad"


@pytest.mark.parametrize("then", ["allow", "flag"])
def test_a_guard_that_breaks_in_time_is_no_late_one(then):
    with pytest.raises(GuardError, match="'broken' failed"):
        (BROKEN | SLOW).check("fine", budget=Budget(SOON, then))


def test_the_budget_goes_before_on_error():
    ask = guarded(str, input=SLOW, on_error="allow", budget=Budget(SOON, "block"))
    with pytest.raises(GuardError):
        ask("fine")
    # Seconds alone leave it to on_error.
    assert guarded(str, input=SLOW, on_error="allow", budget=SOON)("fine") == "fine"


def test_what_other_guards_redact_is_redacted_all_the_same():
    name = FakeGuard(name="name", word="Joe", action=Action.REDACT)
    verdict = (name | SLOW).check("I am Joe", budget=Budget(SOON, "flag"))
    assert verdict.action is Action.REDACT
    assert "Joe" not in verdict.text


@pytest.mark.parametrize("then", ["allow", "flag", "block"])
@pytest.mark.parametrize("side", ["input", "output"])
async def test_calls_and_streams_follow_the_budget(then, side):
    options = {side: SLOW, "budget": Budget(SOON, then)}

    @guarded(**options)
    def ask(prompt):
        return prompt

    @guarded(**options)
    async def ask_later(prompt):
        return prompt

    @guarded(**options)
    def stream(prompt):
        yield from prompt

    @guarded(**options)
    async def stream_later(prompt):
        for letter in prompt:
            yield letter

    async def last(prompt):
        return "".join([letter async for letter in stream_later(prompt)])

    async def first(call):
        return call("fine")

    for call in (
        lambda p: first(ask),
        ask_later,
        lambda p: first(lambda p: "".join(stream(p))),
        last,
    ):
        with pg.capture() as verdicts:
            if then == "block":
                with pytest.raises(GuardError):
                    await call("fine")
                continue
            assert await call("fine") == "fine"
        (verdict,) = verdicts
        assert verdict.degraded
        assert verdict.flagged == (then == "flag")


@pytest.mark.parametrize("then", ["allow", "flag"])
def test_turns_of_a_conversation_follow_it_too(then):
    talk = pg.Conversation()
    talk.add("user", "before")
    wide = FakeGuard(name="wide", delay=2.0).only("user")
    verdict = talk.check(wide | BAD, "fine", budget=Budget(SOON, then))
    assert (verdict.flagged, verdict.degraded) == (then == "flag", True)


def test_a_policy_has_a_budget(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("budget = { seconds = 0.5, then = 'flag' }\n[input.pii]")
    assert pg.Policy.load(path).budget == Budget(0.5, "flag")
    policy = pg.Policy(input=SLOW, budget=Budget(SOON, "allow"))
    assert guarded(str, policy=policy)("fine") == "fine"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Budget(0), "positive number of seconds"),
        (lambda: Budget(float("nan")), "positive number of seconds"),
        (lambda: Budget(True), "positive number of seconds"),
        (lambda: Budget("1"), "positive number of seconds"),
        (lambda: Budget(1, "blok"), "did you mean 'block'"),
        (lambda: guarded(str, input=BAD, budget="1"), "positive number of seconds"),
    ],
)
def test_what_is_no_budget_is_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_only_keeps_what_streams_and_conversations_ask_of_a_guard():
    for guard in (
        pg.PII(),
        pg.PromptInjection(),
        pg.Keywords(("kettle",)),
        pg.Refusal(),
    ):
        only = guard.only("assistant")
        assert (only.reach, only.across) == (guard.reach, guard.across)
        assert only.window == guard.window
        for text in ("", "some words that", "joe@exam", "AKIA", "kettl"):
            assert only.undecided(text) == guard.undecided(text)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_split_over_turns_is_seen_by_who_decides(allowed):
    seen = []

    def decide(verdict):
        seen.append({finding.label for finding in verdict.findings})
        return Action.ALLOW if allowed else None

    guards = pg.Keywords(("zanzibar",)) | pg.Keywords(
        ("blue kettle",), name="split", label="split", action=Action.FLAG
    )

    @guarded(input=guards, on_block=pg.escalate(decide))
    def ask(prompt):
        return "fine"

    with pg.Conversation():
        ask("tell me about the blue")
        if allowed:
            assert ask("kettle of zanzibar") == "fine"
        else:
            with pytest.raises(pg.Blocked):
                ask("kettle of zanzibar")
    assert seen == [{"keyword", "split"}]
