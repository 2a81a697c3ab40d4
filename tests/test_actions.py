"""What a finding leads to: by guard, by label, and by the role of the text."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

import promptguard as pg
from promptguard import Action, ConfigError, Finding
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard, check_guard

MAIL = "joe@example.com"
CARD = "4111 1111 1111 1111"
TEXT = f"Write to {MAIL}, the card is {CARD}."

BUILT_IN = [
    pg.Canary("Speak of kettles only, and never of the price of tea in winter."),
    pg.Code(),
    pg.InvisibleText(),
    pg.Json(repair=True),
    pg.Keywords(("kettle",)),
    pg.Language(("en",)),
    pg.MaxLength(10),
    pg.PII(),
    pg.PromptInjection(),
    pg.Refusal(),
    pg.Regex(r"\d{4}"),
    pg.Secrets(),
    pg.Urls(),
]


def by_label(verdict: pg.Verdict) -> dict[str, Action | None]:
    return {finding.label: finding.action for finding in verdict.findings}


def test_an_action_by_label_counts_for_this_label_alone():
    guard = pg.PII(actions={"EMAIL_ADDRESS": Action.FLAG})
    verdict = guard.check(TEXT)
    assert by_label(verdict) == {
        "CREDIT_CARD": Action.REDACT,
        "EMAIL_ADDRESS": Action.FLAG,
    }
    assert MAIL in verdict.text
    assert CARD not in verdict.text


def test_an_action_by_label_may_be_worse_than_that_of_the_guard():
    guard = pg.PII(actions={"CREDIT_CARD": Action.BLOCK})
    assert guard.check(TEXT).blocked
    assert guard.check(f"Write to {MAIL}.").action is Action.REDACT


def test_short_names_of_entities_are_labels_too():
    short = pg.PII(actions={"EMAIL": Action.FLAG})
    assert short == pg.PII(actions={"EMAIL_ADDRESS": Action.FLAG})


def test_what_a_finding_says_itself_stands():
    own = Finding("x", 1.0, 0, 1, action=Action.FLAG)
    guard = FakeGuard(findings=(own,), actions={"x": Action.BLOCK})
    assert guard.check("text").action is Action.FLAG


def test_streams_follow_the_actions_by_label():
    guard = pg.PII(actions={"EMAIL_ADDRESS": Action.FLAG})

    @guarded(output=guard)
    def stream(prompt):
        yield from TEXT

    out = "".join(stream("hello"))
    assert MAIL in out
    assert CARD not in out


def test_a_guard_with_actions_is_still_a_value():
    guard = pg.PII(actions={"EMAIL_ADDRESS": Action.FLAG})
    assert (
        hash(guard) == hash(replace(guard)) == hash(pickle.loads(pickle.dumps(guard)))
    )
    assert guard == replace(guard)
    assert guard.actions == (("EMAIL_ADDRESS", Action.FLAG),)
    assert guard != pg.PII()
    check_guard(guard, [TEXT])


@pytest.mark.parametrize("guard", BUILT_IN, ids=lambda guard: guard.name)
def test_every_guard_names_its_labels_and_refuses_others(guard):
    assert guard.known_labels
    for label in guard.known_labels:
        assert replace(guard, actions={label: Action.FLAG}).action_of(label) is (
            Action.FLAG
        )
    with pytest.raises(ConfigError, match=r"unknown label of .*'no-such'.*Known: "):
        replace(guard, actions={"no-such": Action.FLAG})


def test_a_misspelt_label_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'CREDIT_CARD'"):
        pg.PII(actions={"CREDIT_CRAD": Action.FLAG})


@pytest.mark.parametrize(
    "actions",
    [{"EMAIL": "flag"}, {1: Action.FLAG}, ["EMAIL"], ("EMAIL",), Action.FLAG, "flag"],
    ids=repr,
)
def test_actions_of_the_wrong_kind_are_refused(actions):
    with pytest.raises(ConfigError, match="actions must be by label"):
        pg.PII(actions=actions)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: pg.AnyOf((pg.PII(), pg.Secrets()), actions=a),
        lambda a: pg.Then(pg.PII(), pg.Secrets(), actions=a),
        lambda a: pg.Only(pg.PII(), ("tool",), actions=a),
    ],
    ids=["AnyOf", "Then", "Only"],
)
def test_what_is_made_of_guards_has_no_actions_of_its_own(make):
    with pytest.raises(ConfigError, match="give them to its guards"):
        make({"EMAIL_ADDRESS": Action.FLAG})


def test_only_checks_the_texts_of_its_roles():
    guard = pg.PII().only("tool", "retrieved")
    assert guard.check(TEXT, role="tool").action is Action.REDACT
    assert guard.check(TEXT, role="retrieved").action is Action.REDACT
    assert guard.check(TEXT, role="user").action is Action.ALLOW
    assert guard.check(TEXT, role="function").action is Action.ALLOW


def test_only_of_several_guards_limits_each():
    guard = (pg.PII() | pg.Keywords(("card",))).only("tool")
    verdict = guard.check(TEXT, role="tool")
    assert {finding.guard for finding in verdict.findings} == {"pii", "keywords"}
    assert [name for name, _ in verdict.timings] == ["pii", "keywords"]
    assert not guard.check(TEXT).findings


def test_only_keeps_name_reach_and_action():
    guard = pg.PII(name="people", action=Action.FLAG).only("tool")
    assert (guard.name, guard.reach) == ("people", pg.PII().reach)
    (first, *_) = guard.check(TEXT, role="tool").findings
    assert (first.guard, first.action) == ("people", Action.FLAG)


def test_the_roles_of_a_call_decide():
    seen = []

    @guarded(input=pg.Keywords(("kettle",)).only("tool"))
    def ask(messages):
        seen.append(messages)
        return "fine"

    ask([{"role": "user", "content": "a kettle, please"}])
    with pytest.raises(pg.Blocked):
        ask([{"role": "tool", "content": "a kettle", "tool_call_id": "1"}])
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        ((), "only.. takes roles"),
        (("tools",), "did you mean 'tool'"),
        ((3,), "unknown role"),
    ],
)
def test_only_refuses_what_is_no_role(roles, says):
    with pytest.raises(ConfigError, match=says):
        pg.PII().only(*roles)


def test_only_is_a_value_that_keeps_the_rules():
    check_guard(pg.PII().only("user", "assistant"), [TEXT])


def test_warming_up_loads_what_the_roles_will_ask_for():
    # A rate that was not measured shows, whatever the role.
    with pytest.raises(ConfigError, match="false-positive rate"):
        pg.PromptInjection(fpr=0.0123).only("tool").warmup()
    with pytest.raises(ConfigError, match="false-positive rate"):
        (pg.PII() | pg.PromptInjection(fpr=0.0123).only("retrieved")).warmup()
