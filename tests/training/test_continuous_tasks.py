"""A task of somebody's own, from a report that fails to a promotion and a refusal."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from continuing import Loop, kept

from training.labels.records import Label, write_labels

pytest.importorskip("torch", reason="needs the training environment")
pytest.importorskip("optimum.onnxruntime", reason="needs the training environment")
pytest.importorskip("mlflow", reason="needs the training environment")
pytestmark = [pytest.mark.torch, pytest.mark.mlflow, pytest.mark.slow]

CONFIG = """
name = "own"
encoder = "{root}/encoder"
build = "{root}/build"
release = "{root}/release"
[task]
label = "spam"
allowed = ["mine"]
[task.sources.mine]
files = "mine.csv"
text = "message"
label = "kind"
labels = {{ spam = 1, ham = 0 }}
licences = ["mine"]
[data]
window = 32
overlap = 8
held_out = 0.2
[train]
batch = 16
epochs = 5
rate = 2e-3
head_rate = 1e-2
checkpoint_every = 50
threads = 1
[calibrate]
least = 5
rates = [0.01, 0.1]
[evaluate]
compared = 40
[gate.floors]
"tests accuracy" = 0.7
[gate]
tolerance = 0.15
[publish]
tracking = "sqlite:///{root}/mlflow.db"
[continuous]
labels = 40
least = 20
tolerance = 0.1
bias = 0.3
"""
SPAM = "cheap free money click win offer bonus cash prize casino loan deal".split()
HAM = "meeting dinner homework birthday lecture garden cousin train ticket soup".split()
# What comes to be spam later. It is written among the words of what is none.
NEW = "parcel customs locked courier fee invoice overdue refund pin urgent".split()
REST = (
    "anna peter maria thomas julia martin laura monday tuesday friday sunday morning "
    "evening station market bridge school harbour museum library castle river road "
    "boots lamps books plates chairs radios phones clocks mirrors carpets today soon"
).split()


def spam(count: int, seed: int) -> list[str]:
    return made(count, seed, (SPAM, 4), (REST, 8))


def ham(count: int, seed: int) -> list[str]:
    return made(count, seed, (HAM, 4), (REST, 8))


def new_spam(count: int, seed: int) -> list[str]:
    return made(count, seed, (NEW, 4), (HAM, 3), (REST, 5))


def made(count: int, seed: int, *pools: tuple[list[str], int]) -> list[str]:
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        words = [word for pool, size in pools for word in rng.sample(pool, size)]
        rng.shuffle(words)
        texts.append(" ".join(words))
    return texts


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    from training.testing.encoder import write_encoder

    root: Path = tmp_path_factory.mktemp("task")
    texts = [(text, "spam") for text in spam(160, 1)]
    texts += [(text, "ham") for text in ham(160, 2)]
    with (root / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("message", "kind"), *texts])
    write_encoder(root / "encoder", sorted({*SPAM, *HAM, *NEW, *REST}))
    loop = Loop(root)
    loop.config.write_text(CONFIG.format(root=root.as_posix()))
    done = loop.training("continuous")
    assert "training is due: first" in done.stdout
    return loop


def blocked(loop: Loop, texts: list[str]) -> float:
    """The share of texts that the released model stops, in a process of its own."""
    code = (
        "import json, sys\n"
        "from promptguard import Classifier\n"
        "guard = Classifier(model=sys.argv[1], labels=('spam',), threshold=0.5)\n"
        "found = guard.check_batch(json.load(sys.stdin))\n"
        "print(sum(verdict.blocked for verdict in found) / len(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(loop.root / "release")],
        input=json.dumps(texts),
        env=loop.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def test_a_task_that_degrades_is_trained_promoted_and_refused_by_its_own_gate(
    loop: Loop,
) -> None:
    assert blocked(loop, new_spam(30, 9)) < 0.3
    new = new_spam(90, 3)
    url, ids = kept(loop.root, new + ham(60, 4))
    when = "2026-01-01T00:00:00+00:00"
    write_labels(
        loop.root / "labels.jsonl",
        [
            # What people say of injection is not about this task.
            *(Label(name, "injection", 0, "bob", when) for name in ids),
            *(
                Label(name, "spam", int(place < len(new)), "ann", when)
                for place, name in enumerate(ids)
            ),
        ],
    )
    check = {"name": "recall", "group": "quality", "verdict": "fail"}
    report = {"verdict": "fail", "kind": "concept", "checks": [check], "quality": []}
    (loop.root / "report.json").write_text(json.dumps(report))
    given = ("--traffic", url, "--labels", "labels.jsonl", "--report", "report.json")

    done = loop.training("continuous", *given)
    assert "training is due: data, degradation" in done.stdout
    assert "promoted: version 2 is the champion" in done.stdout
    assert (loop.champion, loop.released) == ("2", loop.digest("2"))
    (note,) = [text for text in loop.notes if "Champion now: version 2." in text]
    assert note.startswith("# promptguard-own: ")
    assert "| labelled traffic: right decisions |" in note
    assert "| tests accuracy |" in note and "| data: share of 'spam' |" in note
    assert "| tested:deciding_traffic |" in note
    assert blocked(loop, new_spam(30, 9)) > 0.8
    assert blocked(loop, ham(30, 9)) < 0.2

    # One that learns nothing from the same texts does not get past the task's gate.
    loop.change("rate = 2e-3\nhead_rate = 1e-2", "rate = 1e-12\nhead_rate = 1e-12")
    done = loop.training("continuous", *given[:4], expect=1)
    assert "training is due: code" in done.stdout and "refused: " in done.stdout
    assert (loop.champion, loop.released) == ("2", loop.digest("2"))
    (note,) = [text for text in loop.notes if "the champion stays" in text]
    failed = [line for line in note.splitlines() if "**failed**" in line]
    assert any("mean of 1 figures" in line for line in failed)
    assert any("labelled traffic: right decisions" in line for line in failed)


def test_a_task_whose_texts_are_one_sided_is_refused_before_the_training(
    loop: Loop,
) -> None:
    before = loop.champion
    file = loop.root / "mine.csv"
    lines = file.read_text().splitlines()
    few = [line for line in lines if line.endswith(",spam")][:12]
    rest = [line for line in lines if not line.endswith(",spam")]
    file.write_text("\n".join([*rest, *few]) + "\n")
    done = loop.training("continuous", expect=1)
    assert "refused: data: " in done.stdout and "train: " not in done.stdout
    assert loop.champion == before
