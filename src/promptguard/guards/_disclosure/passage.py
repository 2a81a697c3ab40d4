"""A text as it is read here: folded, with the capitals and lines of the original."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from ...text import Reading, Text
from .._pii.candidates import veiled
from .._pii.chains import VEIL
from .tables import words

__all__ = ["Passage", "Token", "passages"]

_TOKEN = re.compile(r"[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*")
_LETTERS = re.compile("[^\\W\\d_]+")
_END = re.compile(r"[.!?\u2026][\"')\]\u201d\u2019]*\s+|[ \t]*\n\s*|;\s+")
# A full stop behind these ends no sentence.
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|mx|vs|etc|approx|no|tel|dept)|\b[a-z])\Z", re.I
)

_SAMPLE = 4_000
_FEW = 25
# One word in so many is one of these, which other languages do not have.
_SHARE = 25
_SMALL = frozenset(
    "the and has with for my her his she he they that not are is of to".split()
)

_JOINING = "also and as because but if or so than then too very when while".split()


@cache
def _never_names() -> frozenset[str]:
    """Words that follow a name and belong to none, however they are written."""
    table = words()
    return _SMALL.union(
        table.verbs, table.speech, table.place_before, table.determiners, _JOINING
    )


class Token(NamedTuple):
    """A word: where it stands, in lower case, and how it begins."""

    start: int
    end: int
    word: str
    capital: bool
    possessive: bool


class Passage:
    """One reading of a text, with its sentences.

    Args:
        text: What is read.
        reading: Where it comes from.
        same: Its positions are those of the reading.
    """

    def __init__(self, text: str, reading: Reading) -> None:
        # What has been redacted is somebody, and no word.
        self.text = text = veiled(text)
        self.lower = lowered(text)
        self._reading = reading
        self.starts = [0]
        for match in _END.finditer(text):
            before = text[max(0, match.start() - 8) : match.start()]
            if match[0][0] == "." and _ABBREVIATED.search(before):
                continue
            if match.end() < len(text):
                self.starts.append(match.end())

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of it stands in the caller's text."""
        return self._reading.span(start, end)

    def sentence(self, position: int) -> int:
        """The number of the sentence that a position is in."""
        return bisect_right(self.starts, position) - 1

    def bounds(self, number: int) -> tuple[int, int]:
        """Where a sentence begins and ends."""
        following = number + 1
        end = self.starts[following] if following < len(self.starts) else len(self.text)
        return self.starts[number], end

    def in_english(self) -> bool:
        """False for a text of some length without the small words of English."""
        some = _TOKEN.findall(self.lower[:_SAMPLE])
        return len(some) < _FEW or _SHARE * sum(map(_SMALL.__contains__, some)) >= len(
            some
        )

    def tokens(self) -> Iterator[Token]:
        """Its words. In a sentence all in capitals small words and verbs have none."""
        numbers = range(len(self.starts))
        loud = [self.text[slice(*self.bounds(n))].isupper() for n in numbers]
        shouted = any(loud)
        for match in _TOKEN.finditer(self.text):
            written = match[0]
            possessive = written[-2:] in ("'s", "\u2019s")
            if possessive:
                written = written[:-2]
            word = written.lower().replace("\u2019", "'")
            capital = written[:1].isupper()
            if capital and shouted and word in _never_names():
                capital = not loud[self.sentence(match.start())]
            end = match.start() + len(written)
            yield Token(match.start(), end, word, capital, possessive)


def lowered(text: str) -> str:
    """A text in lower case, each character in its place."""
    lower = text.lower().replace("\u2019", "'")
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def passages(text: Text) -> Iterator[Passage]:
    """What there is to read of a text: nearly always one passage.

    Where folding changes a word there is a second one, in which the disguise is undone.
    """
    for clean, folded in zip(text.readings, text.foldings, strict=True):
        passage = Passage(clean.text, clean)
        yield passage
        if _LETTERS.findall(lowered(clean.text)) == _LETTERS.findall(folded.text):
            continue
        other = _cased(folded, veiled(text.original))
        if _LETTERS.findall(passage.lower) != _LETTERS.findall(lowered(other)):
            yield Passage(other, folded)


def _cased(folded: Reading, original: str) -> str:
    """A folded reading with the capitals and line ends of what was written."""
    written = []
    for at, char in enumerate(folded.text):
        start, end = folded.span(at, at + 1)
        if original[start] == VEIL:
            written.append(VEIL)
        elif char == " ":
            written.append("\n" if "\n" in original[start:end] else char)
        else:
            raised = char.upper()
            upper = original[start].isupper() and len(raised) == 1
            written.append(raised if upper else char)
    return "".join(written)
