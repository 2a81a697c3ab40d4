"""What the runner of the tests at full size makes of its notes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def robustness():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import robustness
    finally:
        sys.path.remove(str(BENCHMARKS))
    return robustness


def line(**fields: Any) -> dict[str, Any]:
    about = {"part": "memory", "python": "3.11.7", "onnxruntime": "1.20.1"}
    sizes = {"CALLS": 100_000, "LEARNED_CALLS": 300}
    return {**about, "sizes": sizes, "sources": "abc", **fields}


def test_what_did_not_run_whole_says_so(robustness) -> None:
    lines = [
        line(selected=3),
        line(test="t[patterns]", outcome="failed", seconds=2.0),
        line(selected=3),
        line(
            test="t[patterns]",
            outcome="passed",
            seconds=9.5,
            said={"bytes a call": 68.4},
        ),
        line(test="t[learned]", outcome="skipped", seconds=0.0),
    ]
    (row,) = robustness.rows(lines)
    assert row["whole"] == "no"
    assert (row["tests"], row["passed"], row["failed"], row["not run"]) == (3, 1, 0, 2)
    assert row["longest test, s"] == 9.5
    assert row["said"] == "patterns: bytes a call 68"
    for one in lines:
        one["sizes"] = dict.fromkeys(one["sizes"], 100_000)
    assert robustness.rows(lines)[0]["whole"] == "yes"


def test_a_part_of_which_nothing_ran_is_not_told(robustness) -> None:
    assert robustness.rows([line(selected=3)]) == []


@pytest.mark.parametrize(
    ("size", "left"),
    [
        ("CALLS 100,000, LEARNED_CALLS 3,000", 0),
        ("CALLS 20,000, LEARNED_CALLS 3,000", 0),
        ("CALLS 100,000, LEARNED_CALLS 300", 1),
        ("CALLS 2,000, LEARNED_CALLS 30,000", 1),
    ],
)
def test_what_was_written_before_stays_until_a_run_as_large(
    robustness, monkeypatch, tmp_path, size, left
) -> None:
    old = {"CALLS": 20_000, "LEARNED_CALLS": 3_000}
    names = re.findall(r"[A-Z_]+", size)
    counts = [int(n.replace(",", "")) for n in re.findall(r"[\d,]+\b", size)]
    new = dict(zip(names, counts, strict=True))
    monkeypatch.setattr(robustness, "RESULTS", tmp_path)

    def written(sizes: dict[str, int], **more: Any) -> list[dict[str, Any]]:
        told = {"outcome": "passed", "seconds": 1.0, "sizes": sizes, **more}
        lines = [line(sizes=sizes, selected=1), line(test="t[patterns]", **told)]
        monkeypatch.setattr(robustness, "notes", lambda: lines)
        robustness.write()
        data = json.loads((tmp_path / "robustness.json").read_text())
        rows: list[dict[str, Any]] = data["results"]["Parts"]
        return rows

    (before,) = written(old, sources="abc")
    rows = written(new, sources="def")
    assert next(row for row in rows if row["sources"] == "def")["size"] == size
    assert [row for row in rows if row["sources"] == "abc"] == [before] * left


def test_a_run_that_was_cut_short_takes_no_place(robustness) -> None:
    def run(calls: int, ended: int) -> list[dict[str, Any]]:
        sizes = {"CALLS": calls, "LEARNED_CALLS": 300}
        tests = [f"t[{number}]" for number in range(ended)]
        told = {"outcome": "passed", "seconds": 1.0, "sizes": sizes}
        return [line(sizes=sizes, selected=2), *(line(test=t, **told) for t in tests)]

    whole = robustness.rows(run(20_000, ended=2))
    short = robustness.rows(run(100_000, ended=1))
    assert robustness.kept(whole, short) == [*whole, *short]
    larger = robustness.rows(run(100_000, ended=2))
    assert robustness.kept(whole, larger) == larger
    # Also of two that were both run now.
    assert robustness.kept([], [*whole, *larger]) == larger


def test_every_test_of_the_folder_belongs_to_a_part(robustness) -> None:
    named = {part.tests[0] for part in robustness.PARTS.values()}
    folder = BENCHMARKS.parent / "tests" / "robustness"
    files = {f"tests/robustness/{path.name}" for path in folder.glob("test_*.py")}
    assert files <= named
