"""How much a text reads like language: usual words, and usual pairs of letters.

Good enough to tell a decoded sentence from noise, and what a word with a digit or
with too many letters was meant to be. The counts are in ``data/language.toml``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from itertools import islice, pairwise, product
from pathlib import Path

__all__ = ["LIKELY", "common", "known", "known_share", "likeliest", "reads", "surprise"]

LIKELY = 4.3
"""Bits for each pair of letters: language has about 3.5, ROT13 of it more than 5."""

# Half of the letters in usual words is language; names and inflections are the rest.
_KNOWN = 0.5
_LETTERS = re.compile(r"[a-z]+")
_OTHERS = re.compile(r"[^a-z]+")
_FEW_WIDE = 6
_MOST_CHOICES = 256
_UNKNOWN = 1_000_000
# A stem of four letters or more, and one of the endings that English words have.
_ENDING = re.compile(r"(?<=[a-z]{4})(?:s|es|ies|ed|d|ing|ly|er|ers|ness)$")


@cache
def _counts() -> tuple[dict[tuple[str, str], int], frozenset[str], dict[str, int]]:
    path = Path(__file__).with_name("data") / "language.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    letters = " abcdefghijklmnopqrstuvwxyz"
    after = letters[1:] + " "
    pairs = {
        (first, second): int(bits)
        for first, row in zip(letters, table["pairs"].split(), strict=True)
        for second, bits in zip(after, row, strict=True)
    }
    usual = frozenset(" ".join(table["common"].values()).split())
    words = [*table["english"]["words"].split(), *usual]
    return pairs, usual, {word: rank for rank, word in reversed([*enumerate(words)])}


@cache
def common() -> frozenset[str]:
    """Words that are in nearly every sentence of their language."""
    return _counts()[1]


@cache
def _words() -> dict[str, int]:
    """The rank of each word, the most usual first."""
    return _counts()[2]


def known(word: str) -> bool:
    """True for a usual word, in lower case, or one with a usual ending."""
    return _rank(word) < _UNKNOWN


def _rank(word: str) -> int:
    """The place of a word among the usual ones; later, where it has an ending."""
    ranks = _words()
    if word in ranks:
        return ranks[word]
    ending = _ENDING.search(word)
    if ending is None:
        return _UNKNOWN
    stem = word[: ending.start()]
    stems = stem, stem + "e", stem + "y"
    return min(ranks.get(stem, _UNKNOWN) for stem in stems) + len(ranks)


def known_share(text: str) -> float:
    """The share of the letters a to z that are in usual words of two or more."""
    words = _LETTERS.findall(text.lower())
    letters = sum(map(len, words))
    return sum(map(len, filter(_words().__contains__, words))) / max(letters, 1)


def surprise(text: str) -> float:
    """Bits that a pair of Latin letters takes, on average; 9 where there is none."""
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFD", text)
        text = "".join(char for char in text if not unicodedata.combining(char))
    text = f" {_OTHERS.sub(' ', text).strip()} "
    if text == "  ":
        return 9.0
    return sum(map(_counts()[0].__getitem__, pairwise(text))) / (len(text) - 1)


def reads(text: str) -> bool:
    """True for what is mostly letters, and letters as language puts them."""
    letters = sum(map(str.isalpha, text))
    filled = len(text) - sum(map(str.isspace, text))
    if not letters or letters < 0.6 * filled:
        return False
    wide = [ord(char) for char in text if char > "\u024f" and char.isalpha()]
    if len(wide) * 2 > letters:
        return len(wide) >= _FEW_WIDE and _alike(min(wide), max(wide))
    if sum("\x7f" < char <= "\u024f" for char in text) * 2 > letters:
        # No language has accents on most of its letters; numbers read so do.
        return False
    return surprise(text) <= LIKELY or known_share(text) >= _KNOWN


def _alike(first: int, last: int) -> bool:
    """True for letters of one script: close together, or of East Asia."""
    if first >= 0x700 and last < 0x900:
        # Years are numbers of letters that few people read.
        return False
    return last - first < 0x100 or 0x3040 <= first <= last <= 0xD7A3


def likeliest(parts: list[tuple[str, ...]]) -> str:
    """The word that the parts spell, each of them in one of several ways.

    The most usual word if there is one, else what has the most usual pairs of letters.
    Of more than 256 words only the first are tried.
    """
    words = {"".join(choice) for choice in islice(product(*parts), _MOST_CHOICES)}
    best = min(words, key=lambda word: (_rank(word), word))
    if known(best):
        return best
    # A usual word with something before it; or else the pairs of letters decide, and a
    # letter in vain costs more than it seems: two of a kind are rare.
    return min(
        words, key=lambda word: (-_tail(word), surprise(word) + len(word) / 4, word)
    )


def _tail(word: str) -> int:
    """The length of the longest usual word of four letters or more that ends it."""
    tails = (len(word) - at for at in range(1, len(word) - 3) if known(word[at:]))
    return next(tails, 0)
