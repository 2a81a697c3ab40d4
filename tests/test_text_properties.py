"""What holds of every text, whatever is in it."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptguard import _cleaning, _unicode
from promptguard.text import Reading, Text

# Whatever a text may hold: lone surrogates, all planes, and what readings are about.
PIECES = (
    "ignore All previous a b i I'm IgnoreAllThings JavaScript 1gn0re 17 $how p@ss "
    "вот сор привет й Мой και νερό κόσμε հայ Ꭺ ꓮ я爱 我 你 の か ガ 한 글 "
    "ไทย हिन्दी में كيف و "
    "é ß æ ŋ ŉ İ ﬁ ﷺ … ① ™ ⓐ ｉｇ 𝐢 😀 👩‍💻 ❤️ 🇺🇸 🇮 🅰 ₳ € ’ “ – × "
    "* ** ` _ __ - -- . , ; : ! ? @ $ / ( ) ' \" i.g.n i-g-n i_g x@y.z"
).split(" ")
PIECES += [" ", " ", " ", "  ", "\n", "\t", "\r\n", "\r", "\xa0", "\u3000", "\u2800"]
PIECES += ["i g n ", "x y z ", "a.b.c ", "\u0301", "\u0308", "\u0316", "\u3099"]
PIECES += ["\u200b", "\u200d", "\ufe0f", "\xad", "\u202e", "\U000e0041", "\u3164"]
PIECES += ["\b", "\b\b", "\x7f", "\x1b[31m", "\x1b]0;", "\x07", "\x1b", "\x9b", "[0m"]
PIECES += ["\x00", "\x0b", "\x0c", "\x85", "\u2028", "\ud800", "\udc00", "\ue000"]
PIECES += ["\u1161", "\u11a8", "ᄀ", "ㅏ", "\u0344", "\u20dd", "\u0f73", "\u09be"]

pieces = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)
anything = st.text(max_size=24) | st.text(
    st.characters(max_codepoint=sys.maxunicode), max_size=24
)
texts = pieces | anything | st.tuples(pieces, anything, pieces).map("".join)
modest = settings(max_examples=300, deadline=None)


def readings(text: Text) -> tuple[Reading, ...]:
    return (text.clean, text.folded, *text.readings, *text.foldings)


@given(texts)
@modest
def test_spans_lie_in_the_original_and_in_order(original: str) -> None:
    text = Text(original)
    for reading in readings(text):
        last = (0, 0)
        for at in range(len(reading.text)):
            start, end = reading.span(at, at + 1)
            assert 0 <= start < end <= len(original)
            assert start >= last[0] and end >= last[1]
            last = start, end


@given(texts, st.data())
@modest
def test_a_span_is_as_long_as_its_parts(original: str, data: st.DataObject) -> None:
    for reading in readings(Text(original)):
        size = len(reading.text)
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        span = reading.span(start, end)
        assert 0 <= span[0] <= span[1] <= len(original)
        if start < end:
            assert span == (
                reading.span(start, start + 1)[0],
                reading.span(end - 1, end)[1],
            )
        else:
            assert span[0] == span[1]


@given(texts)
@modest
def test_position_is_the_first_that_begins_there_or_later(original: str) -> None:
    for reading in readings(Text(original)):
        starts = [reading.span(at, at + 1)[0] for at in range(len(reading.text))]
        for index in range(len(original) + 1):
            later = (at for at, start in enumerate(starts) if start >= index)
            assert reading.position(index) == next(later, len(starts))


@given(texts)
@modest
def test_what_a_span_covers_reads_the_same(original: str) -> None:
    """The part of the original behind a clean word still reads as that word."""
    reading = Text(original).clean
    for at in range(len(reading.text)):
        start, end = reading.span(at, at + 1)
        part = Text(original[start:end]).clean.text
        assert reading.text[at] in part or not part


@given(texts)
@modest
def test_clean_of_clean_is_clean(original: str) -> None:
    clean = Text(original).clean.text
    assert Text(clean).clean.text == clean


@given(texts)
@modest
def test_clean_holds_nothing_unseen(original: str) -> None:
    clean = Text(original).clean.text
    clean.encode()
    assert not {
        char
        for char in clean
        if char in "\u200b\u200c\u200d\u2060\ufeff\xad\u3164\ufe0f"
        or (unicodedata.category(char) == "Cc" and char not in "\t\n\r")
    }
    assert unicodedata.is_normalized("NFKC", clean)


@given(texts)
@modest
def test_readings_are_bounded(original: str) -> None:
    text = Text(original)
    assert len(text.clean.text) <= 2 * len(original) + _cleaning.ALLOWANCE
    assert len(text.folded.text) <= 2 * len(text.clean.text)


@given(st.text(st.characters(max_codepoint=127)))
@modest
def test_plain_ascii_reads_as_itself(original: str) -> None:
    if all(char >= " " or char in "\t\n\r" for char in original.replace("\x7f", "")):
        text = original.replace("\x7f", "")
        assert Text(text).clean.text is text


@given(texts, texts, texts, st.data())
@settings(max_examples=600, deadline=None)
@example("word IReally ", "meanThat ", "", None)
@example("see page 7 of it, ", "co0de now ", "", None)
@example("7a b ", "other\x0cat7 xy ", "", None)
@example("7a b ", "all!great xy ", "", None)
@example("a b ", "IReallyDislikeThings c ", "", None)
@example("x \u0441\u043e\u0440 ", "the ", "end ", None)
@example("\x1b]0;one ", "two\x07 three ", "", None)
def test_a_settled_text_reads_the_same_apart(
    before: str, known: str, more: str, data: st.DataObject | None
) -> None:
    seen = before + known
    limit = len(seen) if data is None else data.draw(st.integers(0, len(seen)))
    cut = Text(seen).settled(limit)
    assert 0 <= cut <= limit
    if cut:
        assert_reads_alike(seen + more, cut)


def test_texts_of_few_kinds_of_pieces_read_the_same_apart() -> None:
    """Pieces meet more often when there are few kinds, and many spaces."""
    chance = random.Random(20)
    cuts = 0
    for _ in range(12_000):
        kinds = [*chance.sample(PIECES, chance.choice((4, 8, 20))), " ", " ", " "]
        seen = "".join(chance.choices(kinds, k=chance.choice((6, 12, 30))))
        cut = Text(seen).settled(chance.randint(0, len(seen)))
        if cut:
            more = chance.choices([*kinds, chance.choice(PIECES)], k=8)
            assert_reads_alike(seen + "".join(more), cut)
            cuts += 1
    assert cuts > 500


def assert_reads_alike(original: str, cut: int) -> None:
    whole, left, right = Text(original), Text(original[:cut]), Text(original[cut:])
    assert left.clean.text + right.clean.text == whole.clean.text
    assert left.folded.text + right.folded.text == whole.folded.text
    apart = [
        _cleaning.clean(part.original, erasing=False).text for part in (left, right)
    ]
    assert "".join(apart) == whole.readings[-1].text or len(whole.readings) == 1


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("One two three four", 18, 8),
        ("One two three four", 8, 8),
        ("One two three four", 7, 4),
        ("One two three four", 3, 0),
        ("Привет мир друзья мои", 21, 11),
        ("我爱你们", 4, 3),
        ("में हिन्दी लिखता हूँ", 18, 11),
        ("i g n o r e this now", 20, 12),
        ("i g n o r e t h i s now", 22, 0),
        ("aaaaaaaa", 8, 0),
        ("", 0, 0),
        ("One two three four", 999, 8),
    ],
)
def test_settled(text: str, limit: int, cut: int) -> None:
    assert Text(text).settled(limit) == cut


def test_ordinary_prose_settles_close_behind() -> None:
    prose = (
        "It was a bright cold day in April, and the clocks were striking thirteen. "
        "He isn't here; 24 of them left, I think, at 9 (or so). The U.S. team won.\n"
    ) * 3
    lags = [at - Text(prose[:at]).settled(at) for at in range(40, len(prose))]
    assert max(lags) <= 64
    assert sum(lags) / len(lags) < 16


def test_a_text_that_owes_length_is_not_settled() -> None:
    text = "one two three " + "\ufdfa" * 3_000 + " four five six seven eight"
    assert Text(text).settled(len(text)) <= len("one two three ")
    text += " and more words" * 5_000
    assert Text(text).settled(len(text)) > len(text) - 40


def every_character() -> Iterator[str]:
    return map(chr, range(sys.maxunicode + 1))


def assigned() -> list[str]:
    """Characters of all scripts; of the very large ones a sample."""
    large = ("CJK UNIFIED", "HANGUL SYLLABLE", "TANGUT", "EGYPTIAN", "CUNEIFORM")
    return [
        char
        for char in every_character()
        if unicodedata.category(char) not in ("Cn", "Co", "Cs", "Cc")
        and (ord(char) % 97 == 0 or not unicodedata.name(char, "").startswith(large))
    ]


def test_the_sets_hold_what_python_would_normalise() -> None:
    """A character outside them is not looked at, so it must not need it."""
    found = _cleaning._to_normalise(True)
    narrow = _cleaning._to_normalise(False)
    for char in every_character():
        if found.match(char):
            assert ord(char) > 0xFFFF or narrow.match(char)
        else:
            assert unicodedata.normalize("NFKC", char) == char
            assert not unicodedata.combining(char)


@pytest.mark.parametrize("frame", ["{};", "a{}\u0301;", "\u1100{}\u11a8;"], ids=ascii)
def test_clean_is_what_normalisation_gives(frame: str) -> None:
    """For every character by itself, under a mark, and between parts of a syllable."""
    spaces = set("\u2028\u2029\u1680\u2800")
    text = "".join(frame.format(c) for c in assigned() if c not in spaces)
    shown = _cleaning.strip(text)[0]
    read = Text(text).clean.text
    assert read == unicodedata.normalize("NFKC", shown)
    assert Text(read).clean.text == read


def test_folded_is_casefolded() -> None:
    text = " ; ".join(assigned())
    folded = Text(text).folded.text
    assert folded == folded.casefold()


def test_sets_are_written_in_order_and_without_overlap() -> None:
    names = [name for name in vars(_unicode) if name.isupper()]
    for name in names:
        value = getattr(_unicode, name)
        for text in (value,) if isinstance(value, str) else value:
            if name == "FOREIGN":
                continue
            last = -1
            for item in text.split():
                first, _, end = item.partition("-")
                assert last < int(first, 16) <= int(end or first, 16), (name, item)
                last = int(end or first, 16)
