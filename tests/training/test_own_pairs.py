"""Our own pairs for the other heads: each beside a twin that means the opposite."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from training import config as configuration
from training.rows import load_sources, read_source

ROOT = Path(__file__).parents[2] / "training"
CONFIG = configuration.load(ROOT / "configs" / "release.toml")
TOXICITY = CONFIG.heads["toxicity"]
FILES = {
    kind: sorted((ROOT / "data" / kind).glob("*.jsonl"))
    for kind in ("requests", "comments")
}
ALL = [*FILES["requests"], *FILES["comments"]]
# Who somebody is, without a twin: in languages and words that the pairs do not reach.
STATEMENTS = sorted((ROOT / "data" / "statements").glob("*.jsonl"))
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+")


def rows(*paths: Path) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in paths
        for line in path.read_text("utf-8").splitlines()
    ]


def grams(text: str) -> set[tuple[str, ...]]:
    masked = re.sub(r"(?<=[\w,;] )[A-Z][a-z]+", "X", text)
    words = _WORD.findall(re.sub(r"\d+", " ", masked).casefold())
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


@pytest.mark.parametrize("path", FILES["requests"], ids=lambda path: path.stem)
def test_a_safe_request_stands_before_each_harmful_one(path: Path) -> None:
    found = rows(path)
    assert all(
        list(row) == ["text", "label", "category", "lang", "topic"] for row in found
    )
    assert [row["label"] for row in found] == [0, 1] * (len(found) // 2)
    assert [row["category"] for row in found] == [
        ("safe_request", "harmful_request")[int(str(row["label"]))] for row in found
    ]


@pytest.mark.parametrize("path", FILES["comments"], ids=lambda path: path.stem)
def test_a_plain_comment_stands_before_each_toxic_one(path: Path) -> None:
    found = rows(path)
    for place, row in enumerate(found):
        assert list(row) == ["text", "labels", "category", "lang", "topic"]
        labels = row["labels"]
        assert isinstance(labels, dict)
        assert set(labels) == set(TOXICITY)
        # Whatever is an insult, a threat or hate is toxic; plain comments are nothing.
        assert labels["toxic"] == max(labels.values()) == place % 2
        wanted = ("plain_comment", "toxic_comment")[place % 2]
        assert row["category"] == wanted


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_the_two_of_a_pair_share_topic_and_language(path: Path) -> None:
    found = rows(path)
    for safe, other in zip(found[::2], found[1::2], strict=True):
        assert (safe["topic"], safe["lang"]) == (other["topic"], other["lang"])
        assert safe["text"] != other["text"]


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_a_statement_of_identity_has_no_label_of_toxicity(path: Path) -> None:
    table = load_sources(CONFIG.sources_file).training["own_statements"]
    found = list(read_source(path, table))
    assert len(found) == len(rows(path)) > 0
    for row in found:
        assert row.labels == dict.fromkeys([*TOXICITY, "injection"], 0)
        assert (row.role, row.category) == ("user", "plain_comment")


def test_who_somebody_is_stands_more_often_without_hate_than_with_it() -> None:
    hateful = [
        row for row in rows(*FILES["comments"]) if dict(row["labels"])["identity_hate"]
    ]
    # The word for a group must not tell hate by itself; the pairs alone are one to one.
    assert len(rows(*STATEMENTS)) > len(hateful)


def test_no_text_stands_twice_and_hardly_two_are_alike() -> None:
    texts = [str(row["text"]) for row in rows(*ALL, *STATEMENTS)]
    counts = Counter(text.casefold() for text in texts)
    assert [text[:20] for text, count in counts.items() if count > 1] == []
    made = [grams(text) for text in texts]
    places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, runs in enumerate(made):
        for run in runs:
            places[run].append(place)
    shared: Counter[tuple[int, int]] = Counter()
    for found in places.values():
        shared.update(combinations(found, 2))
    near = [
        pair
        for pair, count in shared.items()
        if 2 * count > min(len(made[pair[0]]), len(made[pair[1]]))
    ]
    assert near == []


@pytest.mark.parametrize(
    ("source", "labels"),
    [("own_requests", {"harmful"}), ("own_comments", set(TOXICITY))],
)
def test_the_table_reads_them(source: str, labels: set[str]) -> None:
    table = load_sources(CONFIG.sources_file).training[source]
    kind = table.files.split("/")[1]
    for path in FILES[kind]:
        for row in read_source(path, table):
            assert set(row.labels) == {*labels, "injection"}
            # A plain request for harm is no injection, and neither is an insult.
            assert row.benign
            assert row.role == "user"
