"""What benchmarks/streaming.py measures in full, on a few answers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def measure() -> Iterator[Any]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("streaming")
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_the_answers_hold_values_of_all_kinds(measure):
    known = measure.answers(60)
    labels = {
        finding.label
        for answer in known
        for finding in measure.whole(measure.REDACTS, answer.text).findings
    }
    assert {"EMAIL_ADDRESS", "CREDIT_CARD", "keyword", "pattern"} <= labels
    assert sum(len(answer.values) for answer in known) > 60
    assert known == measure.answers(60)


@pytest.mark.parametrize("blocks", [False, True], ids=["redacted", "blocked"])
def test_nothing_leaks_however_an_answer_is_cut(measure, blocks):
    guard = measure.BLOCKS if blocks else measure.REDACTS
    for number, answer in enumerate(measure.answers(5, blocks=blocks)):
        for kind in measure.KINDS:
            cuts = [*measure.cuttings(answer.text, kind, 4, number)]
            for sizes in cuts[:: max(1, len(cuts) // 25)]:
                tally = measure.compared(answer, guard, sizes)
                assert tally.leaked == 0, (number, kind)
                assert tally.other == 0, (number, kind)
                assert tally.after_block == 0 and tally.unblocked == 0


def test_streams_side_by_side_do_not_mix(measure):
    row = measure.interleaved(measure.answers(16))
    assert row["streams"] == 64
    assert row["leaked characters"] == row["other than the whole text"] == 0


def test_the_measure_sees_a_leak(measure):
    (answer,) = [a for a in measure.answers(8) if a.values][:1]
    leaky = measure.pg.Keywords(("nothing of this",))
    tally = measure.compared(answer, leaky, [5] * 1000)
    assert tally.leaked > 0 and tally.other == 1


def test_work_grows_with_the_length_of_the_answer(measure):
    each = [row["for each"] for row in measure.growth((1_500, 6_000))]
    assert max(each) < 1.2 * min(each) < 30
