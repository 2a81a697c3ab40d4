"""The benchmark of other libraries, without them."""

from __future__ import annotations

import io
import json
import re
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.peers.__main__ import installed
from benchmarks.peers.environments import Environment, _reason
from benchmarks.peers.peer import OURS, TASKS, Missing, Peer, peers
from benchmarks.peers.texts import SIZES, texts
from benchmarks.peers.timing import side_by_side
from benchmarks.peers.worker import serve


def test_adapters_are_read_without_their_peers() -> None:
    known = peers()
    assert next(iter(known)) == OURS
    assert {"presidio", "detect-secrets"} <= known.keys()
    assert not {"presidio_analyzer", "detect_secrets", "sklearn"} & sys.modules.keys()


@pytest.mark.parametrize("name", [name for name in peers() if name != OURS])
def test_an_adapter_pins_what_it_installs(name: str) -> None:
    peer = peers()[name]
    wanted = (*peer.first, *peer.requirements)
    assert wanted and all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", one) for one in wanted)
    assert peer.tasks.keys() <= TASKS.keys()


@pytest.mark.parametrize("task", TASKS)
def test_texts_are_of_one_length_and_always_the_same(task: str) -> None:
    for size in SIZES:
        some = list(islice(texts(task, size), 5))
        assert {len(text) for text in some} == {size}
        assert len(set(some)) > 3
        assert some == list(islice(texts(task, size), 5))


def ask(
    tasks: dict[str, object], *questions: tuple[str, str]
) -> list[dict[str, object]]:
    lines = [json.dumps({"task": task, "text": text}) for task, text in questions]
    answers = io.StringIO()
    serve(tasks, io.StringIO("\n".join(lines)), answers, iter(range(99)).__next__)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_worker_makes_a_finder_once_and_times_the_call_alone() -> None:
    made = []

    def make() -> object:
        made.append(1)
        return lambda text: [(0, len(text), "x")]

    first, second = ask({"pii": make}, ("pii", "ab"), ("pii", "abc"))
    assert made == [1]
    assert "first_ms" in first and "ns" not in first
    assert second == {"ns": 1, "spans": [[0, 3, "x"]]}


def test_a_worker_says_what_went_wrong_without_the_text() -> None:
    def broken(text: str) -> list[object]:
        raise ValueError(f"no {text}")

    def missing() -> object:
        raise Missing("not in this version")

    answers = ask(
        {"pii": lambda: broken, "secrets": missing}, ("pii", "s3cret"), ("secrets", "x")
    )
    assert answers == [{"problem": "ValueError"}, {"problem": "not in this version"}]


class Fake:
    """A worker whose calls take so many milliseconds."""

    def __init__(self, name: str, milliseconds: float) -> None:
        self.name = name
        self.ns = milliseconds * 1e6
        self.seen: list[str] = []

    def ask(self, task: str, text: str) -> dict[str, object]:
        self.seen.append(text)
        return {"ns": self.ns, "spans": []}


def test_a_slow_peer_gets_fewer_of_the_same_texts() -> None:
    ours, slow = Fake(OURS, 1), Fake("slow", 100)
    rows = side_by_side("pii", [ours, slow], 1.0)  # type: ignore[list-item]
    by = {(row["peer"], row["characters"]): row for row in rows}
    assert by[OURS, 100]["texts"] == 200
    assert by["slow", 100]["texts"] == 11
    assert by["slow", 100]["times ours median"] == 100
    assert set(slow.seen) <= set(ours.seen)


def test_a_peer_that_cannot_be_installed_is_in_the_table() -> None:
    peer = Peer(imports="x", tasks={}, requirements=("x==1",))
    said = "\n".join(
        ("Looking in indexes", "ERROR: cannot read /home/joe/wheels/x.whl: gone", "")
    )
    environment = Environment(Path("nowhere"), _reason(said))
    (row,) = installed({"x": peer}, {"x": environment})
    assert str(row["note"]).startswith("not installed: ERROR: cannot read")
    assert "joe" not in str(row["note"])
