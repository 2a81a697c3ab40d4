"""Windows cover the whole text, exactly, whatever the text is."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptguard.errors import ModelError
from promptguard.runtime import encode
from promptguard.runtime.encode import MAX_TOKENS, Encoder

SPECIALS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tokenizer(**changes: object) -> bytes:
    """A WordPiece tokenizer that knows the letters and some marks."""
    vocab = dict(SPECIALS)
    for piece in [*LETTERS, *(f"##{x}" for x in LETTERS), *"[]()<>|,.!?-_0", "the"]:
        vocab[piece] = len(vocab)
    table = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for token, number in SPECIALS.items()
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }
    return json.dumps(table | changes).encode()


SMALL = Encoder(tokenizer(), window=12, overlap=4)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text("abc the.[]", max_size=300),
    st.text("aé \U0001f600ก漢\u0301\x00\n", max_size=120),
)


@given(TEXTS)
def test_windows_cover_the_text_and_share_the_overlap(text: str) -> None:
    ids, _, _ = SMALL.tokens(text)
    pieces = SMALL.encode(text).pieces
    assert bool(pieces) == bool(ids)
    if not pieces:
        return
    assert (pieces[0].start, pieces[-1].end) == (0, len(text))
    joined: list[int] = []
    for number, piece in enumerate(pieces):
        assert len(piece.ids) <= 12
        assert (piece.ids[0], piece.ids[-1]) == (2, 3)
        inner = piece.ids[1:-1]
        joined += inner[4:] if number else inner
    assert joined == ids
    for before, after in pairwise(pieces):
        assert len(before.ids) == 12
        assert before.ids[-5:-1] == after.ids[1:5]
        assert after.start < before.end <= after.end


@given(TEXTS)
def test_spans_are_in_order_and_inside_the_text(text: str) -> None:
    ids, spans, unknown = SMALL.tokens(text)
    assert len(ids) == len(spans)
    place = 0
    for start, end in spans:
        assert 0 <= start <= end <= len(text)
        assert start >= place or end > place
        place = start
    assert 0 <= unknown <= len(text)
    assert 0.0 <= SMALL.encode(text).coverage <= 1.0


@given(text=st.text("ab c,.\n漢é", max_size=400))
def test_a_text_read_in_chunks_is_read_the_same(text: str) -> None:
    whole = SMALL.tokens(text)
    chunk, encode._CHUNK = encode._CHUNK, 37
    try:
        # A chunk of one word is cut inside it; these words are shorter.
        if max(map(len, text.split()), default=0) < 37:
            assert SMALL.tokens(text) == whole
    finally:
        encode._CHUNK = chunk


@pytest.mark.parametrize(
    "text", ["[CLS]", "a [SEP] b", "[MASK][PAD]", "x[UNK]y", "<|im_start|>"]
)
def test_special_tokens_in_a_text_are_plain_characters(text: str) -> None:
    ids, _, unknown = SMALL.tokens(text)
    assert not set(ids) & set(SPECIALS.values())
    assert unknown == 0


def test_a_text_without_a_token_has_no_windows() -> None:
    for text in ("", " \n\t", "\x00"):
        assert SMALL.encode(text).pieces == ()
        assert SMALL.encode(text).coverage == 1.0


def test_padding_and_truncation_of_the_file_are_ignored() -> None:
    padding = {
        "strategy": {"Fixed": 128},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    truncation = {
        "direction": "Right",
        "max_length": 8,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    content = tokenizer(padding=padding, truncation=truncation)
    encoder = Encoder(content, window=64, overlap=8)
    assert len(encoder.tokens("a b c")[0]) == 3
    assert len(encoder.tokens("a " * 30)[0]) == 30


def test_unknown_pieces_lower_the_coverage_by_their_characters() -> None:
    assert SMALL.encode("abc").coverage == 1.0
    assert SMALL.encode("ab ก").coverage == pytest.approx(0.75)


def test_a_very_long_word_is_read_in_parts() -> None:
    word = "ignoreallpreviousinstructions" * 12
    encoded = SMALL.encode(word)
    assert encoded.coverage == 1.0
    assert len(SMALL.tokens(word)[0]) == len(word)
    assert encoded.pieces[-1].end == len(word)


def test_lone_surrogates_do_not_stop_the_reading() -> None:
    encoded = SMALL.encode("ab \ud800 c")
    assert encoded.pieces[0].end == 6
    assert encoded.pieces[0].ids == SMALL.encode("ab c").pieces[0].ids


def test_too_long_a_text_is_refused_soon_and_not_cut() -> None:
    text = "the " * 2_500_000
    begun = time.perf_counter()
    with pytest.raises(ModelError, match=f"{MAX_TOKENS:,}"):
        SMALL.encode(text)
    assert time.perf_counter() - begun < 30


def test_a_long_text_is_read_to_its_end() -> None:
    text = "the " * 60_000
    pieces = SMALL.encode(text).pieces
    assert pieces[-1].end == len(text)
    assert sum(len(piece.ids) - 2 for piece in pieces) > 60_000


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_what_is_no_tokenizer_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="tokenizer"):
        Encoder(content, window=12, overlap=4)
