"""What is looked at in a text: words, characters, language, script, as small numbers.

A word is one of 4,096 buckets by its hash, three characters in a row are another, and
what is known beside the text (role, length, language) a third. No word can be read from
a bucket.
"""

from __future__ import annotations

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..guards.language import told

__all__ = ["ABOUT", "CHARACTERS", "FAMILIES", "SIZE", "WORDS", "Read", "length_bin"]

WORDS, CHARACTERS, ABOUT = slice(0, 4096), slice(4096, 8192), slice(8192, 8704)
"""The buckets of each family."""
FAMILIES = (WORDS, CHARACTERS, ABOUT)
SIZE = 8704

LENGTHS = 68
"""Bins of lengths: four for each doubling."""

# Of a longer text, the beginning is looked at.
_MOST = 20_000
_MOST_LANGUAGE = 4_000
_WORD = re.compile(r"\w+")
_REMEMBERED = 200_000
# Odd multipliers that spread neighbours, from the golden ratio and the square roots of
# 2 and 3, in 32 bits.
_MIX = (0x9E3779B1, 0x6A09E667, 0xBB67AE85)


def length_bin(length: int) -> int:
    """The bin of a length in characters."""
    return min(LENGTHS - 1, round(4 * float(np.log2(length + 1))))


class Read:
    """Reads texts into buckets; it remembers words that it has hashed."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def text(self, text: str) -> tuple[NDArray[np.uint16], str, str]:
        """The buckets of a text without those beside it, its language, its script."""
        text = text[:_MOST]
        script, language = told(text[:_MOST_LANGUAGE])
        low = text.lower()
        words = np.fromiter({*map(self._word, _WORD.findall(low))}, np.uint16)
        found = np.concatenate([words, _characters(low)])
        return found, language or "unsure", script or "none"

    def about(self, **facts: object) -> NDArray[np.uint16]:
        """The buckets of what is known beside the text."""
        width = ABOUT.stop - ABOUT.start
        found = {
            ABOUT.start + crc32(f"{name}={value}".encode()) % width
            for name, value in facts.items()
        }
        return np.fromiter(found, np.uint16)

    def _word(self, word: str) -> int:
        place = self._known.get(word)
        if place is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            place = crc32(word.encode("utf-8", "surrogatepass")) % WORDS.stop
            self._known[word] = place
        return place


def _characters(text: str) -> NDArray[np.uint16]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(codes) < 3:
        return np.empty(0, np.uint16)
    one, two, three = (codes[n : len(codes) - 2 + n] for n in range(3))
    mixed = one * np.uint32(_MIX[0]) ^ two * np.uint32(_MIX[1])
    mixed = (mixed ^ three * np.uint32(_MIX[2])) * np.uint32(_MIX[0])
    seen = np.zeros(CHARACTERS.stop - CHARACTERS.start, bool)
    # The upper bits are the well mixed ones.
    seen[mixed >> np.uint32(20)] = True
    return (np.flatnonzero(seen) + CHARACTERS.start).astype(np.uint16)
