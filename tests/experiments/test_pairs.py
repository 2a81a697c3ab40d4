"""Two answers beside each other: who wins, and what the judge's place costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_model import GOOD, PLAIN

from promptguard.experiments import Experiment, Variant
from promptguard.experiments.pairs import Pair, pairs_of
from promptguard.testing import FakeJudge


def compared(script, target, judge, questions, folder, grade, variants=(PLAIN, GOOD)):
    script.grade = grade
    experiment = Experiment(
        questions, target, variants=variants, judge=judge, pairs="baseline"
    )
    return experiment.run(folder, show_progress=False)


def by_worth(rubric, text):
    return 5 if "because" in text else 1


def always_a_little_for_the_first(rubric, text):
    return 4


def neither(rubric, text):
    return 3


@pytest.mark.parametrize(
    ("grade", "outcome", "share", "first"),
    [
        (by_worth, (5, 0, 0, 0), 1.0, 0.5),
        (neither, (0, 0, 5, 0), 0.5, 0.5),
        (always_a_little_for_the_first, (0, 0, 0, 5), 0.5, 0.75),
    ],
    ids=["the better one", "neither", "whichever stands first"],
)
def test_answers_are_compared_in_both_orders(
    script, target, judge, questions, tmp_path, grade, outcome, share, first
):
    results = compared(script, target, judge, questions, tmp_path, grade)
    (found,) = results.comparisons()
    assert (found.first, found.second) == ("good", "plain")
    assert (found.wins, found.losses, found.ties, found.order) == outcome
    assert found.share.mean == share
    assert results.first_place.mean == first
    # One half of what was asked has the other answer first.
    asked = [m for m in script.judged if '"preference"' in m["messages"][0]["content"]]
    texts = [body["messages"][1]["content"].index('"other"') for body in asked]
    assert len(texts) == 10


def test_the_longer_answer_is_watched(script, target, judge, questions, tmp_path):
    """A judge that counts words: the longer answer wins, and that is told."""
    long = Variant("long", system="Be of use.", prompt="{question}")
    results = compared(
        *(script, target, judge, questions, tmp_path),
        lambda rubric, text: 5 if len(text) > 30 else 1,
        (PLAIN, long),
    )
    assert results.longer == (5, 5)
    assert results.length("judge/clarity") == pytest.approx(1.0, abs=0.2)


def test_an_answer_is_not_compared_with_itself(
    script, target, judge, questions, tmp_path
):
    script.answer = lambda body: "Nine."
    results = compared(script, target, judge, questions, tmp_path, by_worth)
    (found,) = results.comparisons()
    assert (found.ties, found.failed) == (5, 0)
    assert results.first_place is None
    asked = [m for m in script.judged if '"preference"' in m["messages"][0]["content"]]
    assert asked == []


def test_a_comparison_that_fails_is_no_outcome(
    script, target, judge, questions, tmp_path
):
    def sometimes(body):
        comparing = '"preference"' in body["messages"][0]["content"]
        forward = '"text": "Perhaps' in body["messages"][1]["content"]
        return "no grade" if comparing and forward else FakeJudge(5)(body)

    script.judge = sometimes
    experiment = Experiment(
        questions, target, variants=(PLAIN, GOOD), judge=judge, pairs="baseline"
    )
    results = experiment.run(tmp_path, show_progress=False)
    (found,) = results.comparisons()
    assert (found.failed, found.share) == (5, None)
    assert {pair.error for pair in results.pairs} == {"reply"}


def test_each_with_the_first_or_each_with_each():
    names = ("a", "b", "c")
    assert [*pairs_of(names, "baseline")] == [("b", "a"), ("c", "a")]
    assert [*pairs_of(names, "all")] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert [*pairs_of(names, "")] == []


@pytest.mark.parametrize(
    ("forward", "backward", "outcome"),
    [
        (1.0, 0.75, "first"),
        (0.0, 0.25, "second"),
        (0.5, 0.5, "tie"),
        # Better in one order and even in the other is not better in both.
        (1.0, 0.5, "tie"),
        (0.5, 0.25, "tie"),
        (1.0, 0.0, "order"),
        (0.25, 0.75, "order"),
        (0.52, 0.49, "tie"),
        (None, 1.0, "failed"),
        (1.0, None, "failed"),
    ],
)
def test_only_what_holds_in_both_orders_is_a_win(forward, backward, outcome):
    assert Pair("a", "b", "q", 0, forward, backward).outcome == outcome


def test_log_probabilities_make_no_preference_of_a_hair(
    script, target, judge, questions, tmp_path
):
    results = compared(script, target, judge, questions, tmp_path, neither)
    nearly = replace(results.pairs[0], forward=0.53, backward=0.48)
    assert nearly.outcome == "tie"
