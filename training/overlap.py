"""Which texts share runs of words, which hang together by that, which are the same."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["drawn", "folded", "groups", "repeats", "runs", "shingles"]

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")
_WORDS_IN_RUN = 8
# Eight Chinese or Japanese characters are about four words.
_SIGNS_IN_RUN = 16
_BASE = 1_000_003
_MODULUS = (1 << 61) - 1

_WORDS_IN_SHINGLE = 3
# Bands, and rows of a band: two texts of Jaccard 0.8 share a band in 9998 of 10000
# cases, 1 - (1 - 0.8**4)**16.
_BANDS, _ROWS = 16, 4


def folded(text: str) -> str:
    """What is left of a text without case, punctuation and space."""
    return " ".join(_WORD.findall(text.casefold())) or text.strip()


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


def drawn(texts: Sequence[str], share: float) -> set[int]:
    """Places of about this share of the texts: none shares a run with those left.

    Which ones depends on the texts alone, not on their order, so that a test set made
    of them can be made again from the same file.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(groups(texts, one_in=1)):
        members[number].append(place)
    out: set[int] = set()
    for places in members.values():
        first = min(
            zlib.crc32(folded(texts[p]).encode("utf-8", "replace")) for p in places
        )
        if first % 10_000 < 10_000 * share:
            out.update(places)
    return out


def _sample(found: set[int], one_in: int) -> Iterable[int]:
    return found if len(found) < one_in else (r for r in found if r % one_in == 0)


def shingles(text: str) -> NDArray[np.uint64]:
    """Hashes of every three words in a row, sorted, each once."""
    words = folded(text).split(" ")
    codes = np.array(
        [zlib.crc32(word.encode("utf-8", "replace")) + 1 for word in words], np.uint64
    )
    size = min(_WORDS_IN_SHINGLE, len(codes))
    # A short text must not equal a part of a longer one.
    mixed = np.full(len(codes) - size + 1, size, np.uint64)
    for place in range(size):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed += codes[place : place + len(mixed)]
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def repeats(texts: Sequence[str], least: float = 0.8) -> list[int | None]:
    """For each text the place of an earlier one that it nearly repeats, or None.

    Texts are compared by the Jaccard index of their three-word shingles. Candidates
    come from MinHash signatures in bands (Broder 1997; Leskovec, Rajaraman and Ullman,
    "Mining of Massive Datasets", chapter 3) and are then compared exactly. A text that
    repeats another one is not compared with later ones.

    Args:
        texts: The texts.
        least: Jaccard index from which a text is a repeat.
    """
    draw = np.random.default_rng(0)
    shape = (1, _BANDS * _ROWS)
    factors = draw.integers(1 << 63, size=shape, dtype=np.uint64) * np.uint64(2)
    factors += np.uint64(1)
    signatures = np.zeros((len(texts), _BANDS * _ROWS), np.uint32)
    kept: dict[int, NDArray[np.uint64]] = {}
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    found: list[int | None] = []
    for place, text in enumerate(texts):
        own = shingles(text)
        signature = ((own[:, None] * factors) >> np.uint64(32)).min(axis=0)
        signatures[place] = signature
        bands = signatures[place].reshape(_BANDS, _ROWS)
        keys = [(number, band.tobytes()) for number, band in enumerate(bands)]
        near = sorted({other for key in keys for other in buckets.get(key, ())})
        found.append(_first(own, near, kept, signatures, place, least))
        if found[-1] is None:
            kept[place] = own
            for key in keys:
                buckets[key].append(place)
    return found


def _first(
    own: NDArray[np.uint64],
    near: list[int],
    kept: dict[int, NDArray[np.uint64]],
    signatures: NDArray[np.uint32],
    place: int,
    least: float,
) -> int | None:
    """The first candidate that is as near as that."""
    if not near:
        return None
    alike = (signatures[near] == signatures[place]).mean(axis=1)
    for other, share in zip(near, alike, strict=True):
        # Three standard deviations of the estimate below the least.
        if share < least - 0.15:
            continue
        both = len(np.intersect1d(own, kept[other], assume_unique=True))
        if both >= least * (len(own) + len(kept[other]) - both):
            return other
    return None
