"""From a list of words to one pattern over folded text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from .._unicode import SOLID, one_of
from ..text import Text

__all__ = ["Matcher", "findable", "matcher"]

_KEPT = 256

# Words of a script that is not Latin may look Latin. In the company of the first they
# are read as what they are, in that of the second as Latin ones.
_COMPANY = ("жд ", "zz ")


@dataclass(frozen=True)
class Matcher:
    """A pattern, and how far it can see in characters."""

    pattern: re.Pattern[str]
    reach: int


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
    return bool(_foldings(word))


def _foldings(word: str) -> set[str]:
    found = set()
    for company in _COMPANY:
        folded = Text(company + word).folded.text[len(company) :]
        found.add(folded.strip())
    # By itself it may also be a run of single letters.
    found.add(Text(word).folded.text.strip())
    return found - {""}


def _compile(words: tuple[str, ...]) -> Matcher:
    folded = sorted({folding for word in words for folding in _foldings(word)})
    try:
        pattern = re.compile(_trie(folded))
    except RecursionError:
        # Each of very many words begins with the one before.
        longest_first = sorted(folded, key=len, reverse=True)
        pattern = re.compile("|".join(map(_alone, longest_first)))
    return Matcher(pattern, max(map(len, folded)) + 2)


def _trie(words: list[str]) -> str:
    """A pattern for the longest of the sorted words, that tries each letter once.

    It begins with a letter and looks back from there, because the engine is quick to
    find one of several first letters.
    """
    parts = []
    for first, group in groupby(words, key=lambda word: word[0]):
        parts.append(_first(first) + _branch(list(group), 1))
    return "|".join(parts)


def _branch(words: list[str], depth: int) -> str:
    """What follows in sorted words that have ``depth`` letters in common."""
    shared = depth
    while words[0][shared : shared + 1] == words[-1][shared : shared + 1] != "":
        shared += 1
    start = re.escape(words[0][depth:shared])
    end = None
    if len(words[0]) == shared:
        end = _right(words[0])
        words = words[1:]
    groups = groupby(words, key=lambda word: word[shared])
    parts = [_branch(list(group), shared) for _, group in groups]
    if not parts:
        return start + (end or "")
    return f"{start}(?:{'|'.join(parts if end is None else [*parts, end])})"


def _alone(word: str) -> str:
    return _first(word[0]) + re.escape(word[1:]) + _right(word)


def _first(letter: str) -> str:
    """A first letter, with nothing before it that makes it part of another word."""
    escaped = re.escape(letter)
    return rf"{escaped}(?<![^\W_]{escaped})" if _has_edge(letter) else escaped


def _right(word: str) -> str:
    if not _has_edge(word[-1]):
        return ""
    if word[-1].isascii():
        return r"(?![^\W_])"
    return rf"(?![^\W_]|{_mark()})"


def _has_edge(letter: str) -> bool:
    if _solid().match(letter):
        return False
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


@cache
def _solid() -> re.Pattern[str]:
    return re.compile(one_of(SOLID))


@cache
def _mark() -> str:
    """Vowel signs and the like, which belong to the letter before them."""
    points = range(0x300, 0x20000)
    marks = (p for p in points if unicodedata.category(chr(p)).startswith("M"))
    return one_of(" ".join(f"{point:X}" for point in marks))
