"""Check: from texts to columns."""

from __future__ import annotations

import json
import pickle

import pytest
from batch_guards import TEXTS, WORDS, Breaks, numbered

import promptguard as pg
from promptguard import engine
from promptguard._costs import Costs
from promptguard.batch import Check
from promptguard.batch.check import ABSENT


def row(check: Check, text: object) -> dict[str, object]:
    return {name: values[0] for name, values in check.columns([text]).items()}


@pytest.mark.parametrize("text", TEXTS)
def test_the_columns_say_what_the_verdict_says(text):
    told = row(Check(WORDS), text)
    verdict = pg.AnyOf(WORDS.parts, in_order=True).check(text)
    assert told["verdict_blocked"] == verdict.blocked
    assert told["verdict_flagged"] == verdict.flagged
    assert told["verdict_action"] == verdict.action.name.lower()
    assert told["verdict_coverage"] == verdict.coverage
    assert told["verdict_error"] is None
    spans = json.loads(told["verdict_spans"])
    assert [
        (s["guard"], s["label"], s["score"], s["start"], s["end"]) for s in spans
    ] == [(f.guard, f.label, f.score, f.start, f.end) for f in verdict.findings]


def test_the_label_and_the_score_are_of_the_worst_finding():
    told = row(Check(WORDS), TEXTS[1])
    assert (told["verdict_label"], told["verdict_score"]) == ("keyword", 1.0)
    told = row(Check(WORDS), TEXTS[2])
    assert told["verdict_label"] == "EMAIL_ADDRESS"
    assert told["verdict_action"] == "redact"


def test_a_text_without_a_finding_has_no_score():
    told = row(Check(WORDS), "Where is my order?")
    assert told["verdict_label"] is told["verdict_score"] is None
    assert told["verdict_spans"] == "[]"


def test_a_redacted_text_is_the_same_in_every_run():
    check = Check(pg.PII(), redacted=True)
    text = "Mail joe@example.org, not <EMAIL_ADDRESS_1:0123456789abcdef>."
    expected = "Mail <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_1:0123456789abcdef>."
    assert row(check, text)["verdict_redacted"] == expected
    assert row(check, "Hello")["verdict_redacted"] is None
    assert "verdict_redacted" not in Check(pg.PII()).types


@pytest.mark.parametrize(
    ("text", "error"), [(ABSENT, "there is no text"), (7, "not a string")]
)
def test_what_is_no_text_is_blocked_and_said(text, error):
    told = row(Check(WORDS), text)
    assert told["verdict_error"] == error
    assert told["verdict_blocked"]
    assert told["verdict_coverage"] == 0.0


def test_a_null_is_checked_as_an_empty_text():
    for guard in (WORDS, pg.Json()):
        assert row(Check(guard), None) == row(Check(guard), "")
    assert row(Check(WORDS), None)["verdict_action"] == "allow"
    # What a guard says of an empty text, it says of a null.
    assert row(Check(pg.Json()), None)["verdict_action"] == "block"


def test_a_guard_that_breaks_blocks_its_text_alone_and_tells_nothing_of_it():
    told = Check(Breaks() | WORDS).columns(["fine", "broken zebra", "fine"])
    assert told["verdict_blocked"] == [False, True, False]
    assert "GuardError: guard 'breaks' failed" in told["verdict_error"][1]
    assert "zebra" not in told["verdict_error"][1]


def test_a_mistake_in_the_configuration_is_not_put_into_every_row():
    with pytest.raises(pg.ConfigError, match="no such rate"):
        Check(Breaks("config")).columns(["fine", "broken"])


def test_equal_texts_are_asked_about_once():
    with pg.capture() as verdicts:
        told = Check(WORDS).columns(["a heron", "b", "a heron", None, "a heron"])
    assert len(verdicts) == 3
    assert told["verdict_flagged"] == [True, False, True, False, True]


def test_threads_change_no_verdict():
    texts = numbered(200)
    assert Check(WORDS, threads=4).columns(texts) == Check(WORDS).columns(texts)


def test_what_a_process_has_measured_changes_no_row(monkeypatch):
    def dear_first_guard() -> None:
        monkeypatch.setattr(engine, "_costs", Costs())
        for _ in range(Costs.ENOUGH):
            engine._costs.note(WORDS.parts[0], 10.0, 1)

    before = row(Check(WORDS), TEXTS[1])
    dear_first_guard()
    # By itself the guard lets those go first that are cheap now, and finds the address.
    assert len(WORDS.check(TEXTS[1]).findings) > len(
        json.loads(before["verdict_spans"])
    )
    dear_first_guard()
    assert row(Check(WORDS), TEXTS[1]) == before


def test_a_check_that_was_pickled_is_the_same_check():
    check = Check(WORDS, role="tool", redacted=True)
    assert pickle.loads(pickle.dumps(check)) == check
    assert Check(check.guard).guard == check.guard


def test_a_policy_says_what_is_checked_by_role(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[input.keywords]\nwords = ["heron"]\n')
    policy = pg.Policy.load(path)
    assert row(Check(policy), "a heron")["verdict_blocked"]
    with pytest.raises(pg.ConfigError, match="no guards for texts of the role assist"):
        Check(policy, role="assistant")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"guard": "pii"}, "takes a guard or a policy"),
        ({"role": "usr"}, "did you mean 'user'"),
        ({"threads": 0}, "threads"),
        ({"prefix": None}, "prefix"),
    ],
)
def test_a_mistake_is_told_before_any_text(given, says):
    with pytest.raises(pg.ConfigError, match=says):
        Check(**({"guard": WORDS} | given))


def test_columns_that_are_there_already_are_not_written_over():
    with pytest.raises(pg.ConfigError, match="verdict_score; choose another prefix"):
        Check(WORDS).absent_from(["text", "verdict_score"])
    Check(WORDS, prefix="again_").absent_from(["text", "verdict_score"])
