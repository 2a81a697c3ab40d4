"""From a list of words to one pattern over folded text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from .._unicode import SOLID, one_of
from ..text import Text
from ._trie import alternatives

__all__ = ["Matcher", "findable", "foldings", "mark", "matcher"]

_KEPT = 256

# To look for a word takes a thirtieth of what the pattern of many takes.
_FEW = 24

# Words of a script that is not Latin may look Latin. In the company of the first they
# are read as what they are, in that of the second as Latin ones.
_COMPANY = ("жд ", "zz ")


@dataclass(frozen=True)
class Matcher:
    """A pattern, and how far it can see in characters.

    Args:
        pattern: It begins with one of the words.
        reach: The longest match, and what is beside it.
        few: The words, if it takes less to look for each than for the pattern.
    """

    pattern: re.Pattern[str]
    reach: int
    few: tuple[str, ...] = ()

    def first(self, text: str, start: int) -> int:
        """Where to look from; -1 if none of the words is there."""
        if not self.few:
            return start
        places = [place for word in self.few if (place := text.find(word, start)) >= 0]
        return min(places, default=-1)


_matchers: dict[int, tuple[tuple[str, ...], Matcher]] = {}


def matcher(words: tuple[str, ...]) -> Matcher:
    """The matcher of these words; the last few are kept.

    They are told apart by identity: hashing ten thousand words takes longer than
    looking for them in a short text.
    """
    known = _matchers.get(id(words))
    if known is not None and known[0] is words:
        return known[1]
    made = _compile(words)
    if len(_matchers) >= _KEPT:
        _matchers.clear()
    _matchers[id(words)] = words, made
    return made


def findable(word: str) -> bool:
    """True when something of the word is left in folded text."""
    return bool(foldings(word))


def foldings(word: str) -> set[str]:
    """What a word is in folded text, which may depend on its neighbours."""
    found = set()
    for company in _COMPANY:
        folded = Text(company + word).folded.text[len(company) :]
        found.add(folded.strip())
    # By itself it may also be a run of single letters.
    found.add(Text(word).folded.text.strip())
    return found - {""}


def _compile(words: tuple[str, ...]) -> Matcher:
    folded = {folding for word in words for folding in foldings(word)}
    pattern = re.compile(alternatives(folded, _first, _right))
    few = tuple(sorted(folded)) if len(folded) <= _FEW else ()
    return Matcher(pattern, max(map(len, folded)) + 2, few)


def _first(letter: str) -> str:
    """A first letter, with nothing before it that makes it part of another word."""
    escaped = re.escape(letter)
    return rf"{escaped}(?<![^\W_]{escaped})" if _has_edge(letter) else escaped


def _right(word: str) -> str:
    if not _has_edge(word[-1]):
        return ""
    if word[-1].isascii():
        return r"(?![^\W_])"
    return rf"(?![^\W_]|{mark()})"


def _has_edge(letter: str) -> bool:
    if _solid().match(letter):
        return False
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


@cache
def _solid() -> re.Pattern[str]:
    return re.compile(one_of(SOLID))


@cache
def mark() -> str:
    """Vowel signs and the like, which belong to the letter before them."""
    points = range(0x300, 0x20000)
    marks = (p for p in points if unicodedata.category(chr(p)).startswith("M"))
    return one_of(" ".join(f"{point:X}" for point in marks))
