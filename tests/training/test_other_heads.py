"""Sources of the heads for toxicity and harmful requests: from table to training."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from training import config as configuration
from training.data import PARTS
from training.errors import PipelineError
from training.overlap import drawn, runs
from training.rows import Row, Source, load_sources, read_rows, read_source
from training.stage import run_all
from training.testing.world import write_world
from training.validate import contradicting, repeated

HEADS = """\
[heads]
injection = ["injection"]
toxicity = ["toxic", "insult", "threat", "severe"]
harmful_request = ["harmful"]
"""
MARKED: dict[str, Any] = {
    "licences": ["MIT"],
    "folder": "toxicity",
    "marks": {"toxic": "toxic", "identity_hate": ["racism", "sexism"]},
    "unsure": {"offensive": ["toxic"]},
    "categories": {"1": "toxic_comment", "0": "plain_comment"},
}


def read(tmp_path: Path, *labels: dict[str, object], **more: Any) -> list[Row]:
    path = tmp_path / "some.jsonl"
    lines = (
        json.dumps({"text": f"text {n}", "labels": each, "lang": "en"})
        for n, each in enumerate(labels)
    )
    path.write_text("\n".join(lines))
    return list(read_source(path, Source(**{**MARKED, **more})))


def test_a_row_knows_what_its_source_labels_and_nothing_else(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        {"toxic": 1, "racism": 0, "sexism": 1},
        {"toxic": 0, "racism": 0, "sexism": 0},
        {"toxic": 1, "offensive": 1, "racism": 0},
        {"toxic": 0, "offensive": 0},
    )
    assert [row.labels for row in rows] == [
        {"toxic": 1, "identity_hate": 1},
        {"toxic": 0, "identity_hate": 0},
        {"identity_hate": 0},
        {"toxic": 0},
    ]
    assert [row.category for row in rows] == [
        *("toxic_comment", "plain_comment", "plain_comment", "plain_comment"),
    ]
    assert not any(row.attack or row.benign for row in rows)


def test_a_share_is_known_to_be_no_injection(tmp_path: Path) -> None:
    labels: list[dict[str, object]] = [{"toxic": n % 2} for n in range(400)]
    rows = read(tmp_path, *labels, plain=0.3)
    plain = [row for row in rows if row.benign]
    assert 80 < len(plain) < 160
    assert {row.labels["toxic"] for row in plain} == {0, 1}
    # Which ones depends on the texts alone.
    again = read(tmp_path, *labels, plain=0.3)
    assert [row.labels for row in again] == [row.labels for row in rows]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"toxic": 2}, "some.jsonl, line 1: 'toxic' is neither 0 nor 1"),
        ({"toxic": "yes"}, "neither 0 nor 1"),
        ({"rude": 1}, "none of the labels that marks names; there are rude"),
        ({}, "none of the labels"),
    ],
)
def test_a_row_that_does_not_fit_the_table_is_an_error(
    tmp_path: Path, labels: dict[str, object], message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        read(tmp_path, labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('categories = { "1" = "jailbreak" }', "with marks go categories"),
        ("plain = 1.5", "plain is a share"),
        ("test = -1", "test is a share"),
    ],
)
def test_a_table_that_cannot_be_is_an_error(
    tmp_path: Path, change: str, message: str
) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(
        'allowed = ["MIT"]\n[sources.some]\nlicences = ["MIT"]\n'
        f'marks = {{ toxic = "toxic" }}\n{change}\n'
    )
    with pytest.raises(PipelineError, match=message):
        load_sources(path)


def test_what_is_kept_back_shares_no_run_of_words_with_the_rest() -> None:
    stem = "eight words that two of these texts share"
    texts = [f"comment {n} " + f"about thing {n} only " * 4 for n in range(300)]
    texts += [f"{stem} and {n}" for n in range(5)]
    out = drawn(texts, 0.25)
    assert 50 < len(out) < 110
    mine = set().union(*(runs(texts[place]) for place in out))
    rest = [runs(text) for place, text in enumerate(texts) if place not in out]
    assert all(mine.isdisjoint(each) for each in rest)
    # The order of the file has no say in it.
    backwards = drawn(texts[::-1], 0.25)
    assert {texts[::-1][p] for p in backwards} == {texts[p] for p in out}
    assert drawn(texts, 0.0) == set()


def test_a_text_contradicts_itself_by_label_and_says_more_by_label() -> None:
    def row(text: str, **labels: int) -> Row:
        return Row(text, "user", labels, "some", "plain_comment")

    rows = [
        row("A house", injection=0),
        row("a house", toxic=1),
        row("a house!", toxic=0),
        row("a garden", injection=0, toxic=0),
        row("a garden.", toxic=0),
        row("a garden?", harmful=0),
    ]
    assert contradicting(rows) == {0, 1, 2}
    assert repeated(rows[3:]) == {1}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    from training.__main__ import STAGES

    pytest.importorskip("torch", reason="needs the training environment")

    world = write_world(tmp_path_factory.mktemp("heads"))
    path = world / "run.toml"
    path.write_text(
        f'name = "test"\ndata_root = "{world}"\nencoder = "{world}/encoder"\n'
        f'build = "{world}/build"\nrelease = "{world}/release"\n{HEADS}'
        f'[data]\nsources = "{world}/sources.toml"\nwindow = 32\noverlap = 8\n'
        "held_out = 0.2\n"
        "[augment]\nplanted = 20\npasted = 4\nnoticed = 4\nquestions = 4\n"
        "snippets = 4\ndisguised = 4\n"
    )
    names = [stage.name for stage in STAGES]
    run_all(STAGES[: names.index("augment") + 1], configuration.load(path))
    build = world / "build"
    made = {name: read_rows(build / "data" / f"{name}.jsonl.gz") for name in PARTS}
    return made | {"windows": read_rows(build / "augment" / "train.jsonl.gz")}


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_every_head_has_rows_of_either_kind(parts: dict[str, list[Row]]) -> None:
    counts = Counter(item for row in parts["train"] for item in row.labels.items())
    for label in ("injection", "toxic", "insult", "threat", "harmful"):
        assert counts[label, 0] > 10
        assert counts[label, 1] > 10
    # Ordinary requests are known to be neither toxic nor harmful; others are not.
    for row in parts["train"]:
        assert ("harmful" in row.labels) == (row.source in ("bfcl", "requests"))
        if row.source == "comments":
            assert ("severe" in row.labels) != bool(row.labels["insult"])


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_unseen_sources_and_tests_of_other_heads_are_kept_away(
    parts: dict[str, list[Row]],
) -> None:
    trained = {row.source for row in [*parts["train"], *parts["heldout"]]}
    assert trained.isdisjoint({"new_comments", "new_requests"})
    assert {row.source for row in parts["tests"]} == {"comments"}
    unseen = {row.source for row in parts["unseen"]}
    assert {"new_comments", "new_requests"} <= unseen
    away = set().union(
        *(runs(row.text) for name in ("tests", "unseen") for row in parts[name])
    )
    kept = [row for row in parts["train"] if row.source == "comments"]
    assert kept
    assert all(away.isdisjoint(runs(row.text)) for row in kept)


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_injection_is_told_nothing_that_is_not_known(
    parts: dict[str, list[Row]],
) -> None:
    for name in ("train", "windows"):
        for row in parts[name]:
            if row.category in ("harmful_request", "toxic_comment"):
                assert not row.attack
    of_others = [row for row in parts["windows"] if "toxic" in row.labels]
    unknown = [row for row in of_others if "injection" not in row.labels]
    # Comments stand in documents, too.
    assert {row.role for row in unknown} == {"user", "tool"}
    disguised = [r for r in parts["windows"] if r.source.startswith("disguised:")]
    assert all("injection" in row.labels for row in disguised)


def test_a_run_with_one_head_takes_no_source_of_others(tmp_path: Path) -> None:
    from training import sources

    world = write_world(tmp_path / "world")
    path = world / "run.toml"
    path.write_text(
        f'name = "test"\ndata_root = "{world}"\n[data]\nsources = "sources.toml"\n'
    )
    config = configuration.load(path)
    names = {file.name for file in sources.files(config)}
    assert "chat.jsonl.gz" in names
    assert names.isdisjoint({"comments.jsonl.gz", "requests.jsonl.gz"})
    table = load_sources(config.sources_file).training
    rows = list(sources.read(config, "bfcl", table["bfcl"]))
    assert {frozenset(row.labels) for row in rows} == {frozenset({"injection"})}
