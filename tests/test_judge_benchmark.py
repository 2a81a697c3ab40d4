"""benchmarks/judge.py runs against the loopback server, in small."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from promptguard.testing import ChatServer, FakeJudge

pytest.importorskip("openai")
ROOT = Path(__file__).parents[1]
ROWS = ROOT.parent / "shared" / "data" / "benchmarks" / "judge"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def run(server: ChatServer, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "benchmarks" / "judge.py", *more]
    command += ["--base-url", server.base_url, "--model", "Test Model", "--data", data]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def grade(rubric: str, text: str) -> int:
    """A judge that reads the answer off the text, and is wrong about lemons."""
    if "lemon" in text:
        return 3
    return 5 if "true" in text else 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "rows"
    folder.mkdir()
    point = {"kind": "pointwise", "criterion": "faithfulness", "context": "It rains."}
    write(
        folder / "points.jsonl.gz",
        [
            {
                **point,
                "prompt": f"{n}?",
                "response": f"{word} {n}",
                "label_faithful": label,
            }
            for n, (word, label) in enumerate(
                [("true", 1)] * 5 + [("false", 0)] * 4 + [("a lemon", 0)]
            )
        ],
    )
    pair = {"kind": "pairwise", "criterion": "correctness"}
    write(
        folder / "pairs.jsonl.gz",
        [
            {
                **pair,
                "prompt": f"{n}?",
                "response_a": f"{'true' if label == 'A' else 'false'} {n}",
                "response_b": f"{'true' if label == 'B' else 'false'} {n}",
                "label": label,
            }
            for n, label in enumerate("AABBA")
        ]
        + [
            {
                **pair,
                "prompt": "tie?",
                "response_a": "lemon a",
                "response_b": "lemon b",
                "label": "A",
            }
        ],
    )
    return folder


def test_agreement_is_counted_and_written_down(data, tmp_path):
    with ChatServer(FakeJudge(grade)) as server:
        done = run(server, data, "--out", str(tmp_path / "out"), "--prices", "1", "2")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "out" / "judge-test-model.json"
    results = json.loads(written.read_text(encoding="utf-8"))["results"]
    (point,) = results["One response"]
    assert (point["graded"], point["failed"]) == (10, "0")
    # The lemon is graded 3, which is 0.5, and people call it unfaithful.
    assert point["accuracy"] == pytest.approx(0.9)
    assert point["kappa"] == pytest.approx(0.8)
    assert point["AUC"] == 1.0
    (pair,) = results["Two responses"]
    assert pair["equal grades"] == pytest.approx(1 / 6)
    assert pair["accuracy"] == pytest.approx(5.5 / 6)
    assert (pair["accuracy where they differ"], pair["kappa"]) == (1.0, 1.0)
    assert results["Took"][0]["calls"] == len(server.requests) == 10 + 12
    assert results["Took"][0]["cost"] == pytest.approx(22 * 3e-6)
    assert "lemon" not in written.read_text(encoding="utf-8")


def test_what_is_wrong_is_said_in_a_line(data, tmp_path):
    with ChatServer("no grade") as server:
        done = run(server, data, "--quick")
        assert done.returncode != 0
        assert "Traceback" not in done.stderr and "does not count" in done.stderr
        done = run(server, tmp_path / "nothing", "--quick")
        assert "--data" in done.stderr and "Traceback" not in done.stderr


def test_the_labelled_rows_can_be_read():
    if not ROWS.is_dir():
        pytest.skip("the labelled rows are not here")
    with ChatServer(FakeJudge(3)) as server:
        done = run(server, ROWS, "--quick", "--rows", "2")
    assert done.returncode == 0, done.stderr
    assert "begin_test_wow, faithfulness" in done.stdout
