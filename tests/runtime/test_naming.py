"""From the logits of a head over tokens to names, on logits that are written here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from promptguard.errors import ModelError
from promptguard.runtime.bundle import Bundle, digest_of
from promptguard.runtime.encode import Encoder
from promptguard.runtime.naming import Naming
from training.testing.tiny import pieces, tokenizer, write_bundle

TAGS = ("O", "B-PERSON", "I-PERSON", "B-LOCATION", "I-LOCATION")
NAMING = Naming(TAGS)
WORDS = ("anna", "moreau", "left", "calais", "and", "so")


def encoder(window: int = 16, overlap: int = 4) -> Encoder:
    vocabulary = {piece: number for number, piece in enumerate(pieces(WORDS))}
    return Encoder(json.dumps(tokenizer(vocabulary)).encode(), window, overlap)


def named(text: str, tags: list[str], sure: float = 6.0) -> list[tuple[str, str]]:
    """The names, where each token of the text has one of these tags."""
    reader = encoder(window=256)
    encoded = reader.encode(text)
    assert len(encoded.spans) == len(tags)
    logits = np.zeros((len(tags) + 2, len(TAGS)), np.float32)
    # The frame's tokens say that they are names; nobody asks them.
    logits[[0, -1], 1] = sure
    for place, tag in enumerate(tags):
        logits[place + 1, TAGS.index(tag)] = sure
    found = NAMING.names(reader, text, encoded, [logits])
    return [(name.label, text[name.start : name.end]) for name in found]


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ("B-PERSON I-PERSON O B-LOCATION", ["anna moreau", "calais"]),
        ("B-PERSON B-PERSON O O", ["anna", "moreau"]),
        # A name that goes on with what never began is one all the same.
        ("O I-PERSON O O", ["moreau"]),
        ("O O O I-LOCATION", ["calais"]),
        ("O O O O", []),
        ("B-PERSON I-PERSON I-PERSON I-PERSON", ["anna moreau left calais"]),
    ],
)
def test_tags_become_names(tags: str, names: list[str]) -> None:
    found = named("anna moreau left calais", tags.split())
    assert [value for _, value in found] == names


def test_the_label_of_a_name_is_that_of_most_of_it() -> None:
    tags = ["B-PERSON", "I-LOCATION", "I-LOCATION", "O"]
    (name,) = named("anna moreau left calais", tags)
    assert name == ("LOCATION", "anna moreau left")


def test_a_word_is_named_or_not_as_its_first_piece_is() -> None:
    # Spelt: anna ##b ##b.
    assert named("annabb so", ["B-PERSON", "O", "O", "O"]) == [("PERSON", "annabb")]
    assert named("annabb so", ["O", "B-PERSON", "B-PERSON", "O"]) == []


def test_punctuation_around_a_name_is_no_part_of_it() -> None:
    tags = ["B-PERSON", "I-PERSON", "I-PERSON", "O"]
    assert named('"anna" left', tags) == [("PERSON", "anna")]
    assert named(", anna: left", tags) == [("PERSON", "anna")]
    # Of punctuation alone there is no name; an initial keeps its full stop.
    assert named("left . so", ["O", "B-PERSON", "O"]) == []
    assert named("anna s.", ["B-PERSON", "I-PERSON", "I-PERSON"]) == [
        ("PERSON", "anna s.")
    ]


@pytest.mark.parametrize(
    ("text", "tags", "names"),
    [
        ("so 3\ncalais", "B I B", ["so 3\ncalais"]),
        ("so 3, calais", "B I O B", ["so 3, calais"]),
        ("so, calais 3", "B O B I", ["so, calais 3"]),
        ("so, calais", "B O B", ["so", "calais"]),
        ("so 3 and calais", "B I O B", ["so 3", "calais"]),
        ("so 3; calais", "B I O B", ["so 3", "calais"]),
    ],
)
def test_parts_of_an_address_are_one_place(
    text: str, tags: str, names: list[str]
) -> None:
    full = [tag if tag == "O" else f"{tag}-LOCATION" for tag in tags.split()]
    assert [value for _, value in named(text, full)] == names
    persons = [tag.replace("LOCATION", "PERSON") for tag in full]
    assert len(named(text, persons)) == tags.count("B")


def test_what_is_likelier_no_name_is_none() -> None:
    assert named("anna moreau", ["B-PERSON", "O"], sure=2.0) == [("PERSON", "anna")]
    reader = encoder()
    encoded = reader.encode("anna")
    even = np.zeros((3, len(TAGS)), np.float32)
    even[1, 0] = 1.5
    assert NAMING.names(reader, "anna", encoded, [even]) == ()


def test_a_token_of_two_windows_is_read_where_more_is_around_it() -> None:
    reader = encoder(window=8, overlap=4)
    text = "so so so so so so so so so so"
    encoded = reader.encode(text)
    assert [len(piece.ids) - 2 for piece in encoded.pieces] == [6, 6, 6]
    logits = []
    for number, piece in enumerate(encoded.pieces):
        window = np.zeros((len(piece.ids), len(TAGS)), np.float32)
        # Each window calls all of it something else.
        window[:, (1, 3, 1)[number]] = 6.0
        logits.append(window)
    found = NAMING.names(reader, text, encoded, logits)
    assert [(n.label, n.start // 3) for n in found] == [
        *(("PERSON", place) for place in (0, 1, 2, 3)),
        *(("LOCATION", place) for place in (4, 5)),
        *(("PERSON", place) for place in (6, 7, 8, 9)),
    ]


def test_a_logit_that_is_no_number_is_an_error() -> None:
    reader = encoder()
    logits = np.full((3, len(TAGS)), np.nan, np.float32)
    with pytest.raises(ModelError, match="not a number"):
        NAMING.names(reader, "anna", reader.encode("anna"), [logits])


def rewritten(folder: Path, **changes: object) -> str:
    file = folder / "bundle.json"
    table = json.loads(file.read_text()) | changes
    table["digest"] = digest_of(table)
    file.write_text(json.dumps(table))
    return str(folder)


def test_a_bundle_states_its_tags_and_older_ones_have_none(tmp_path: Path) -> None:
    names = {"PERSON": (("anna",), ("moreau",))}
    folder = write_bundle(tmp_path / "new", names=names)
    tags = ("O", "B-PERSON", "I-PERSON")
    assert Bundle.load(str(folder)).token_heads == (("names", tags),)
    assert Bundle.load(str(write_bundle(tmp_path / "old"))).token_heads == ()


@pytest.mark.parametrize(
    "tags",
    [
        ["O", "B-PERSON"],
        ["B-PERSON", "I-PERSON", "O"],
        ["O", "B-PERSON", "I-LOCATION"],
        ["O", "B-A", "I-A", "B-A", "I-A"],
        ["O", "B-", "I-"],
        [],
    ],
)
def test_tags_that_cannot_be_are_an_error(tmp_path: Path, tags: list[str]) -> None:
    folder = write_bundle(tmp_path, names={"PERSON": (("anna",), ("moreau",))})
    with pytest.raises(ModelError, match=r"token head|without a list"):
        Bundle.load(rewritten(folder, token_heads={"names": tags}))


def test_a_model_without_the_columns_it_states_is_an_error(tmp_path: Path) -> None:
    from promptguard import PII

    folder = write_bundle(tmp_path, names={"PERSON": (("anna",), ("moreau",))})
    path = rewritten(folder, token_heads={"names": [*TAGS]})
    with pytest.raises(ModelError, match="no output 'names' of 5 columns"):
        PII(entities=("PERSON",), model=path).check("anna")
