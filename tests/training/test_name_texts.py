"""The names stage: marked texts, their split, made ones, and labels of tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training import config as configuration
from training import names
from training.config import Config
from training.errors import PipelineError
from training.stage import digest
from training.tokenlabels import (
    IGNORED,
    UNSURE,
    Marked,
    columns,
    read_marked,
    tags,
    write_marked,
)

LABELS = ("PERSON", "LOCATION")
SETTINGS = """
[names]
table = "names.toml"
labels = ["PERSON", "LOCATION"]
made = 0
"""


@pytest.fixture
def config(world: Path) -> Config:
    path = world / "run.toml"
    path.write_text(path.read_text("utf-8") + SETTINGS)
    return configuration.load(path)


def make(config: Config, out: Path) -> tuple[list[Marked], list[Marked]]:
    out.mkdir(exist_ok=True)
    names.make(config, {}, out)
    return read_marked(out / "train.jsonl.gz"), read_marked(out / "heldout.jsonl.gz")


def test_texts_and_marks_are_those_of_the_sources(
    config: Config, tmp_path: Path
) -> None:
    train, held = make(config, tmp_path / "out")
    assert train and held
    assert {row.source for row in train} == {"people", "remarks"}
    values = {row.text[a:b] for row in train + held for a, b, mark in row.marks}
    assert {"anna moreau", "bad steben", "@somebody"} <= values
    # Each line of a remark is a text, and nobody knows whose handle it is.
    remarks = [row for row in train + held if row.source == "remarks"]
    assert all("\n" not in row.text for row in remarks)
    unsure = [
        row.text[a:b] for row in remarks for a, b, mark in row.marks if mark == UNSURE
    ]
    assert set(unsure) == {"@somebody"}
    again = make(config, tmp_path / "again")
    assert again == (train, held)
    files = [digest(tmp_path / out / "train.jsonl.gz") for out in ("out", "again")]
    assert files[0] == files[1]


def test_texts_of_one_template_are_on_one_side(config: Config, tmp_path: Path) -> None:
    train, held = make(config, tmp_path / "out")

    def template(row: Marked) -> str:
        text, at = "", 0
        for start, end, mark in sorted(row.marks):
            text += row.text[at:start] + mark
            at = end
        return text + row.text[at:]

    starts = [{template(r).split(" ")[0] for r in part} for part in (train, held)]
    assert len(held) >= 5
    told = [
        {"my name is" in template(r) for r in part if r.source == "people"}
        for part in (train, held)
    ]
    # The template of this beginning is wholly here or wholly there.
    assert (True in told[0]) != (True in told[1])
    assert starts[0]


def test_what_shares_words_with_a_test_set_is_left_out(
    config: Config, tmp_path: Path
) -> None:
    train, held = make(config, tmp_path / "out")
    test = next(row.text for row in train if len(row.text.split()) > 8)
    write = Path(config.data_root) / "benchmarks" / "pii" / "another.jsonl"
    import gzip

    packed = gzip.compress(json.dumps({"text": test, "spans": []}).encode())
    Path(f"{write}.gz").write_bytes(packed)
    left, kept = make(config, tmp_path / "less")
    assert test not in {row.text for row in left + kept}
    assert len(left + kept) < len(train + held)
    counts = json.loads((tmp_path / "less" / "summary.json").read_text())
    assert sum(counts["overlap with test sets"].values()) >= 1


def test_marks_follow_the_text_as_the_library_reads_it(
    config: Config, tmp_path: Path
) -> None:
    import gzip

    row = {
        "text": "so a\u200bnna was in Ｃａｌａｉｓ",
        "spans": [
            {"start": 3, "end": 8, "type": "PER"},
            {"start": 16, "end": 22, "type": "LOC"},
        ],
    }
    path = Path(config.data_root) / "pii" / "people.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    train, held = make(config, tmp_path / "out")
    (found,) = [r for r in train + held if r.source == "people"]
    assert found.text == "so anna was in Calais"
    assert [found.text[a:b] for a, b, _ in found.marks] == ["anna", "Calais"]


def test_without_labels_there_is_nothing_to_read(world: Path, tmp_path: Path) -> None:
    config = configuration.load(world / "run.toml")
    assert names.files(config) == []
    assert names.inputs(config) == []
    assert make(config, tmp_path / "out") == ([], [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('licences = ["MIT"]', 'licences = ["CC-BY-NC-4.0"]', "allowed are MIT"),
        ("lines = true", "line = true", "no table of sources"),
        ("lines = true", 'sha256 = "00"', "is not the file that names.toml states"),
        ("[sources.remarks]", "[sources.nobody]", "is not there"),
    ],
)
def test_a_table_that_cannot_be_is_an_error(
    config: Config, tmp_path: Path, old: str, new: str, message: str
) -> None:
    table = config.names_file
    table.write_text(table.read_text("utf-8").replace(old, new))
    with pytest.raises(PipelineError, match=message):
        make(config, tmp_path / "out")


def test_the_table_that_is_shipped_has_open_licences_alone() -> None:
    release = Path(configuration.__file__).parent / "configs" / "release.toml"
    table = names.load_table(configuration.load(release))
    assert {"broad_twitter_corpus", "wnut17"} <= set(table)
    assert all(source.sha256 for source in table.values())
    assert {label for s in table.values() for label in s.marks.values()} == {
        *("PERSON", "LOCATION", "ORGANIZATION")
    }


class TestTags:
    """What each token of a window is to be told as."""

    def found(self, encoder: object, text: str, *marks: tuple[int, int, str]) -> list:
        ids, found = tags(encoder, Marked(text, marks, "s"), LABELS)  # type: ignore[arg-type]
        assert len(ids) == len(found)
        assert found[0] == found[-1] == IGNORED
        words = [columns(LABELS)[tag] if tag >= 0 else "-" for tag in found[1:-1]]
        return words

    @pytest.fixture
    def encoder(self) -> object:
        from promptguard.runtime.encode import Encoder
        from training.testing.tiny import pieces, tokenizer

        words = ("anna", "moreau", "left", "calais", "##s", "@")
        vocabulary = {piece: number for number, piece in enumerate(pieces(words))}
        return Encoder(json.dumps(tokenizer(vocabulary)).encode(), 16, 4)

    def test_first_and_further_words(self, encoder: object) -> None:
        text = "Anna Moreau left Calais."
        marks = (0, 11, "PERSON"), (17, 23, "LOCATION")
        wanted = "B-PERSON I-PERSON O B-LOCATION O"
        assert self.found(encoder, text, *marks) == wanted.split()

    def test_two_names_in_a_row_begin_twice(self, encoder: object) -> None:
        marks = (0, 4, "PERSON"), (5, 9, "PERSON")
        assert self.found(encoder, "anna anna", *marks) == ["B-PERSON", "B-PERSON"]

    def test_the_first_piece_speaks_for_the_word(self, encoder: object) -> None:
        assert self.found(encoder, "annas left", (0, 5, "PERSON")) == [
            *("B-PERSON", "-", "O")
        ]

    def test_nothing_is_learned_of_what_is_unsure(self, encoder: object) -> None:
        assert self.found(encoder, "@ anna left", (0, 6, UNSURE)) == ["-", "-", "O"]

    def test_of_a_long_text_the_first_window(self, encoder: object) -> None:
        found = self.found(encoder, "anna left " * 20, (0, 4, "PERSON"))
        assert found == ["B-PERSON", *["O"] * 13]

    def test_a_text_without_a_token(self, encoder: object) -> None:
        assert tags(encoder, Marked("", (), "s"), LABELS) == ((), ())  # type: ignore[arg-type]


def test_marked_texts_come_back_from_a_file(tmp_path: Path) -> None:
    rows = [
        Marked("anna \ud800", ((0, 4, "PERSON"),), "s", "en"),
        Marked("nobody", (), "s"),
    ]
    write_marked(tmp_path / "rows.jsonl.gz", rows)
    assert read_marked(tmp_path / "rows.jsonl.gz") == rows


class TestMadeTexts:
    """Wordings of our own with invented names."""

    def test_every_slot_of_every_wording_is_known(self) -> None:
        import tomllib

        from training import nametexts

        tables = tomllib.loads(nametexts.NAME_TEXTS.read_text("utf-8"))
        known = {
            *nametexts._LABELS,
            *("mail", "phone", "number", "date", "year", "time", "job", "word"),
            "amount",
        }
        for lang, table in tables.items():
            assert table["locales"], lang
            assert len(set(table["texts"])) == len(table["texts"])
            slots = {
                s for text in table["texts"] for s in nametexts._SLOT.findall(text)
            }
            assert slots <= known
            # Texts without a name show what is none.
            assert any(not nametexts._SLOT.search(t) for t in table["texts"])

    def test_a_mark_is_the_name_alone(self) -> None:
        pytest.importorskip("faker", reason="needs the training environment")
        from training.nametexts import made

        rows = list(made(200, seed=3))
        assert rows == list(made(200, seed=3))
        assert rows != list(made(200, seed=4))
        assert len({row.lang for row in rows}) > 4
        for row in rows:
            for start, end, _ in row.marks:
                value = row.text[start:end]
                assert value and value == value.strip()
        assert {mark for row in rows for *_, mark in row.marks} == {
            *("PERSON", "LOCATION", "ORGANIZATION")
        }

    def test_without_faker_the_error_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sys

        from training.nametexts import made

        monkeypatch.setitem(sys.modules, "faker", None)
        with pytest.raises(PipelineError, match=r"make train-env|\[names\] made = 0"):
            list(made(1, 0))


def test_a_run_may_leave_labels_out(config: Config, tmp_path: Path) -> None:
    fewer = replace(config, names=replace(config.names, labels=("PERSON",)))
    train, held = make(fewer, tmp_path / "out")
    assert {m for row in train + held for *_, m in row.marks} == {"PERSON", UNSURE}
