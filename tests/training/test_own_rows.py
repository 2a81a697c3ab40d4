"""The rows written for this project: sound, varied, and languages held out whole."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

from training import config as configuration
from training.rows import Source

ROOT = Path(__file__).parents[2] / "training"
OTHERS = ("requests", "comments", "narratives", "statements")
FILES = sorted(
    path for path in (ROOT / "data").rglob("*.jsonl") if path.parent.name not in OTHERS
)
ROWS = [
    (path, json.loads(line))
    for path in FILES
    for line in path.read_text("utf-8").splitlines()
]
BENIGN = {"hard_negative"}
ATTACKS = {
    *("direct_injection", "prompt_leak", "jailbreak", "obfuscated"),
    *("indirect_injection", "indirect_injection_bare"),
}
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+")


def grams(text: str) -> set[tuple[str, ...]]:
    """Runs of five words; names (capitals inside a sentence) and numbers are masked."""
    masked = re.sub(r"(?<=[\w,;] )[A-Z][a-z]+", "X", text)
    words = _WORD.findall(re.sub(r"\d+", " ", masked).casefold())
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_row_is_whole(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        assert list(row) == ["text", "label", "category", "lang", "topic"]
        assert row["text"].strip()
        assert row["text"].encode()
        assert re.fullmatch("[a-z]{2}", row["lang"])
        attack = row["category"] in ATTACKS
        assert attack == bool(row["label"])
        assert (
            attack or row["category"].startswith("benign_") or row["category"] in BENIGN
        )
        assert Source().role_of(row["category"]) in {"user", "tool"}


def test_there_are_enough_rows_of_either_kind() -> None:
    labels = Counter(row["label"] for _, row in ROWS)
    assert labels[0] >= 1500
    assert labels[1] >= 1000
    assert len({row["lang"] for _, row in ROWS}) >= 28


def test_no_language_speaks_for_a_label() -> None:
    attacks: Counter[str] = Counter()
    benign: Counter[str] = Counter()
    for _, row in ROWS:
        (attacks if row["label"] else benign)[row["lang"]] += 1
    # A model that sees attacks alone in a language takes the language for the attack.
    assert [lang for lang in attacks if 2 * benign[lang] < attacks[lang]] == []


def test_no_text_stands_twice() -> None:
    texts = Counter(row["text"].casefold() for _, row in ROWS)
    assert [text[:20] for text, count in texts.items() if count > 1] == []


def test_hardly_any_two_rows_share_half_of_their_runs_of_words() -> None:
    made = [grams(row["text"]) for _, row in ROWS]
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
    pairs = len(ROWS) * (len(ROWS) - 1) / 2
    assert len(near) / pairs <= 0.05
    # Far below what is asked for: a template would show here first.
    assert len(near) <= len(ROWS) / 50


def test_held_out_languages_are_held_out_whole() -> None:
    release = configuration.load(ROOT / "configs" / "release.toml")
    for path, row in ROWS:
        assert (path.parent.name == "heldout") == (
            row["lang"] in release.data.unseen_languages
        )
