"""Which texts share a run of words, and which groups of texts hang together by that."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence

__all__ = ["groups", "runs"]

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")
_WORDS_IN_RUN = 8
# Eight Chinese or Japanese characters are about four words.
_SIGNS_IN_RUN = 16
_BASE = 1_000_003
_MODULUS = (1 << 61) - 1


def runs(text: str) -> set[int]:
    """Hashes of every run of eight words; of the whole text where it has fewer."""
    words = _WORD.findall(text.casefold())
    if not words:
        return set()
    signs = sum(len(word) == 1 and word >= "\u3040" for word in words)
    size = _SIGNS_IN_RUN if 2 * signs > len(words) else _WORDS_IN_RUN
    size = min(size, len(words))
    codes = [zlib.crc32(word.encode("utf-8", "replace")) + 1 for word in words]
    leaving = pow(_BASE, size, _MODULUS)
    # A short text must not equal the beginning of a longer one.
    found, rolling = set(), size if size < _WORDS_IN_RUN else 0
    for place, code in enumerate(codes):
        rolling = (rolling * _BASE + code) % _MODULUS
        if place >= size:
            rolling = (rolling - codes[place - size] * leaving) % _MODULUS
        if place >= size - 1:
            found.add(rolling)
    return found


def groups(texts: Sequence[str], one_in: int = 4) -> list[int]:
    """A group number for each text; texts that share a run are of one group.

    Args:
        texts: The texts.
        one_in: Every so many-th run is looked at, the same ones in every text.
            Near duplicates share many, so that none of them is missed.
    """
    parent = list(range(len(texts)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    seen: dict[int, int] = {}
    for place, text in enumerate(texts):
        for run in _sample(runs(text), one_in):
            other = seen.setdefault(run, place)
            if other != place:
                parent[root(place)] = root(other)
    return [root(place) for place in range(len(texts))]


def _sample(found: set[int], one_in: int) -> Iterable[int]:
    return found if len(found) < one_in else (r for r in found if r % one_in == 0)
