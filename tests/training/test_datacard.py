"""The data card: its numbers, and who is flagged more often than others."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from training import datacard
from training.__main__ import main
from training.bias import TERMS, Share, by_language, by_terms
from training.rows import Row, read_rows


def row(text: str, attack: bool, lang: str | None = "en", source: str = "a") -> Row:
    category = "direct_injection" if attack else "benign_chat"
    return Row(text, "user", {"injection": int(attack)}, source, category, lang)


def test_a_language_that_is_mostly_attacks_is_warned_about() -> None:
    rows = [row("x", n < 20, "en") for n in range(200)]
    rows += [row("x", n < 18, "he") for n in range(20)]
    rows += [row("x", True, "is")]
    english, hebrew, icelandic = by_language(rows)
    assert (hebrew.name, hebrew.attacks, hebrew.count) == ("he", 18, 20)
    assert hebrew.whole == pytest.approx(39 / 221)
    assert hebrew.lift == pytest.approx(0.9 * 221 / 39)
    low, high = hebrew.interval
    # Wilson's, as tables of it have it.
    assert (low, high) == (pytest.approx(0.699, abs=1e-3), pytest.approx(0.972, 1e-3))
    assert hebrew.warned
    assert not english.warned
    # One text is too few to say that it is no chance.
    assert icelandic.lift > 3
    assert icelandic.warned == (icelandic.interval[0] > icelandic.whole)


@pytest.mark.parametrize(
    ("attacks", "count", "warned"),
    [
        (100, 1000, False),
        (290, 1000, False),
        (310, 1000, True),
        (3, 10, False),
        (34, 1000, False),
        (32, 1000, True),
        (0, 10, False),
        (0, 100, True),
    ],
)
def test_a_share_is_warned_about_if_it_is_far_and_sure(
    attacks: int, count: int, warned: bool
) -> None:
    share = Share(kind="k", name="n", attacks=attacks, count=count, whole=0.1)
    assert share.warned is warned


def test_groups_are_found_by_whole_words_in_english() -> None:
    rows = [
        row("My DEAF neighbour asks.", True),
        row("You ain't nobody, deafening one", False),
        row("Kindly do the needful: hard-of-hearing people wait", False),
        row("a black man and a black cat", True, None),
        row("a black cat", False),
        row("deaf", True, "de"),
    ]
    found = {(s.kind, s.name): (s.attacks, s.count) for s in by_terms(rows)}
    assert found == {
        ("dialect", "African American"): (0, 1),
        ("dialect", "Indian"): (0, 1),
        ("ethnicity", "Black people"): (1, 1),
        ("gender", "men"): (1, 1),
        ("disability", "deaf people"): (1, 2),
    }


def test_the_table_has_the_groups_that_are_asked_for(tmp_path: Path) -> None:
    kinds = {share.kind for share in by_terms([row(TERMS.read_text("utf-8"), False)])}
    assert kinds == {
        *("dialect", "religion", "ethnicity", "gender", "orientation"),
        *("disability", "age", "nationality"),
    }


def test_the_card_counts_what_is_there(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(world / "run.toml"), "--until", "data"]) == 0
    folder = world / "build" / "data"
    card = json.loads((folder / "data_card.json").read_text())
    train = read_rows(folder / "train.jsonl.gz")
    attacks = sum(r.attack for r in train)
    assert card["texts"]["train"] == {
        "attack": attacks,
        "benign": len(train) - attacks,
        "share": attacks / len(train),
    }
    assert card["licences"] == {"MIT": len(train)}
    assert sum(card["categories"].values()) == len(train)
    assert card["overlap"]["new_attacks"] == 1
    assert card["characters"]["benign"][0] == min(
        len(r.text) for r in train if not r.attack
    )
    languages = {
        s["name"]: s["texts"] for s in card["shares"] if s["kind"] == "language"
    }
    assert languages == Counter(r.lang for r in train)
    for name, source in card["sources"].items():
        there = [r for r in train if r.source == name]
        if source["use"] == "train":
            assert source["attacks"] + source["benign"] == len(there)
    # 180 texts, of which the table takes 150.
    assert card["sources"]["chat"]["left out"] >= 30

    page = (folder / "DATA_CARD.md").read_text()
    printed = capsys.readouterr().out
    assert datacard.glance(card) in printed
    assert page.startswith(datacard.glance(card))
    assert "| new_attacks | 1 |" in page
    assert "| chat | train | MIT | local |" in page
    # No text of anybody stands in it.
    assert not any(" ".join(r.text.split()[:4]) in page for r in train)
    assert "reveal" not in page


def test_a_warning_is_printed(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gzip.open(world / "injection" / "attacks.jsonl.gz", "at") as file:
        for number in range(40):
            text = f"talo{number} on kaunis{number} kes{number} joki{number}"
            new = {"text": text, "label": 0, "category": "benign_chat", "lang": "fi"}
            file.write(json.dumps(new) + "\n")
    assert main(["run", str(world / "run.toml"), "--until", "data"]) == 0
    train = read_rows(world / "build" / "data" / "train.jsonl.gz")
    count = sum(r.lang == "fi" for r in train)
    assert count > 25
    told = (
        f"- language fi: 0 of {count} texts are attacks, 0.00 times the whole's share"
    )
    assert told in capsys.readouterr().out.splitlines()
