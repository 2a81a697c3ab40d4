"""Pieces of bytes, as a decoder reads them: nothing is lost, and nothing is a frame."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Whitespace

from promptguard import ModelError
from promptguard.runtime.encode import Encoder


def content(bytewise: bool = True, without: str = "") -> bytes:
    alphabet = sorted(set(ByteLevel.alphabet()) - set(without))
    made = Tokenizer(BPE({sign: place for place, sign in enumerate(alphabet)}, []))
    made.pre_tokenizer = ByteLevel(add_prefix_space=False) if bytewise else Whitespace()
    made.add_special_tokens(["<|endoftext|>"])
    return made.to_str().encode()


ENCODER = Encoder(content(), window=16, overlap=4)


@given(st.text(min_size=1, max_size=60))
def test_every_byte_of_a_text_is_in_a_window(text: str) -> None:
    encoded = ENCODER.encode(text)
    assert encoded.coverage == 1.0
    assert encoded.pieces[0].start == 0
    assert encoded.pieces[-1].end == len(text)
    ids = list(encoded.pieces[0].ids)
    for piece in encoded.pieces[1:]:
        assert list(piece.ids[:4]) == ids[-4:]
        ids += piece.ids[4:]
    alphabet = sorted(ByteLevel.alphabet())
    read = "".join(alphabet[number] for number in ids)
    said = ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    assert read == "".join(part for part, _ in said)


def test_what_ends_a_text_is_plain_letters_when_it_is_typed() -> None:
    (piece,) = ENCODER.encode("<|endoftext|>").pieces
    assert len(piece.ids) == len("<|endoftext|>")


@pytest.mark.parametrize(
    "tokenizer",
    [content(without="a"), content(bytewise=False)],
    ids=["a byte is missing", "characters are not read as bytes"],
)
def test_a_tokenizer_that_would_pass_over_characters_is_refused(
    tokenizer: bytes,
) -> None:
    with pytest.raises(ModelError, match="every byte"):
        Encoder(tokenizer, window=16, overlap=4)


def test_an_encoders_tokenizer_still_needs_its_frame() -> None:
    table = json.loads(content())
    table["model"] = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"a": 0},
    }
    with pytest.raises(ModelError, match=r"\[CLS\]"):
        Encoder(json.dumps(table).encode(), window=16, overlap=4)
