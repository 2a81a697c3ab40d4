"""The figures of a task, against counts made by hand."""

from __future__ import annotations

import pytest

from training.gate import figures as known
from training.rows import Row
from training.scoring import Judgement
from training.taskreport import LIKELY, figures, markdown

# Label, score, and whether the rate of a hundredth flags it as well.
JUDGED = [
    *[(1, 0.9, True)] * 6,
    *[(1, 0.7, False)] * 2,
    *[(1, 0.2, False)] * 2,
    *[(0, 0.6, False)] * 1,
    *[(0, 0.1, False)] * 9,
]


def pairs(text: str = "text number {}") -> list[tuple[Row, Judgement]]:
    made = []
    for place, (label, score, at_rate) in enumerate(JUDGED):
        row = Row(text.format(place), "user", {"spam": label}, "mine", "")
        flagged = {LIKELY} if score >= 0.5 else set()
        found = frozenset(flagged | ({0.01} if at_rate else set()))
        made.append((row, Judgement({"spam": score}, found)))
    return made


def test_counts_are_those_made_by_hand() -> None:
    found = figures(pairs(), "spam", [0.01])
    assert (found["positives"], found["negatives"]) == (10, 10)
    assert found["recall"] == 0.8
    assert found["fpr"] == 0.1
    assert found["precision"] == pytest.approx(8 / 9)
    assert found["f1"] == pytest.approx(16 / 19)
    for name in ("accuracy", "balanced accuracy"):
        assert found[name] == pytest.approx(0.85)
    low, high = found["f1 interval"]
    assert 0.5 < low < found["f1"] < high <= 1
    assert found["rates"]["0.01"]["recall"] == 0.6
    assert found["rates"]["0.01"]["fpr"] == 0
    # Two positives lie below one negative of ten and above the others.
    assert found["auc"] == pytest.approx((8 * 10 + 2 * 9) / 100)


def test_near_duplicates_count_once() -> None:
    words = "you have won a prize of {} pounds call us now to claim it today or"
    words += " never, and tell all of your friends to do the same before the end of may"
    alike = pairs(words)
    found = figures(alike, "spam", [0.01])["distinct"]
    assert found["texts"] < 20
    assert figures(pairs(), "spam", [0.01])["distinct"]["texts"] == 20


def test_one_class_has_no_f1() -> None:
    found = figures(pairs()[:10], "spam", [0.01])
    assert found["f1"] is found["fpr"] is found["auc"] is found["f1 interval"] is None
    assert found["recall"] == 0.8


def test_the_gate_knows_the_figures_and_the_page_shows_them() -> None:
    report = {
        "what": "what",
        "task": "spam",
        "command": "command",
        "machine": "machine",
        "versions": {"python": "3"},
        "bundle": {"name": "spam", "digest": "0"},
        "sets": {"tests": figures(pairs(), "spam", [0.01])},
    }
    found = known(report)["tests"]
    assert found["f1"] == pytest.approx(16 / 19)
    assert "distinct f1" in found and "balanced accuracy" in found
    page = markdown(report)
    assert "| tests | 10 | 0.800 (0.490..0.943) | 10 | 0.100" in page
    assert "0.842" in page
