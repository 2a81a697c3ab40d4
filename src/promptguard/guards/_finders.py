"""Which words of a folded text are worth a closer look.

These are the words that are in a lexicon, begin like one of its stems or hold one, and
pairs of words that are one of its words torn apart. Where stems stand is told by a
pattern, or by an automaton in Rust (the extra ``fast``); the closer look is the same,
and so is the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import cache
from itertools import pairwise
from operator import add
from typing import Any

from ._lexicon import Lexicon, words
from ._trie import alternatives

__all__ = ["STRETCHED", "Finder", "Stems", "automaton", "finder", "pattern"]

Finder = Callable[[str, int], Iterator[tuple[int, int]]]
"""From a text and a place in it to the spans of words and pairs after it, in order."""

Stems = Callable[[str], Iterator[int]]
"""From words, with a space before each, to places where a stem begins.

One place in each word that holds a stem, or more.
"""

# The words of a long text are not all held at once.
_BLOCK = 1 << 16

# Words whose hashes are kept.
_KEPT = 1 << 16

# With more words than this to locate, all words of a text are gone through.
_MANY = 8

# A letter three times, or one that languages in Latin script hardly write twice.
STRETCHED = re.compile(r"([^\W\d_])\1\1|hh|jj|qq|uu|vv|ww|xx|yy")

_RUN = re.compile(r"([^\W\d_])\1+")

_SPACED = bytes(at if chr(at).isalnum() else 32 for at in range(128)) + b" " * 128


def finder(lexicon: Lexicon, stems: Stems | None = None) -> Finder:
    """A finder of the lexicon's words.

    Args:
        lexicon: The words.
        stems: How to find those that are only a part of a word; by default the fastest
            way there is.
    """
    known, torn = lexicon.known, lexicon.torn | lexicon.odd
    # What a word may be torn into; hardly any text has both.
    heads = frozenset(word[:at] for word in torn for at in range(1, len(word)))
    tails = frozenset(word[at:] for word in torn for at in range(1, len(word)))
    if stems is None:
        way = pattern if _ahocorasick() is None else automaton
        stems = way(lexicon.openers)
    # The hashes of words that were looked at and are nothing: most words of a text are
    # words of the one before. They are keyed by the process, and no word is kept.
    nothing: set[int] = set()

    def find(text: str, begin: int) -> Iterator[tuple[int, int]]:
        for start, end in _blocks(text, begin):
            part = text[start:end]
            plain = part.isascii()
            spaced = _spaced(part) if plain else part
            every = spaced.split() if plain else words(False).findall(part)
            found = set(every)
            fresh = [word for word in found if hash(word) not in nothing]
            hits = found & known
            if fresh:
                hits |= _hits(fresh, stems, lexicon)
                if len(nothing) > _KEPT:
                    nothing.clear()
                nothing.update(hash(word) for word in fresh if word not in hits)
            pairs: Set[str] = frozenset()
            if not (heads.isdisjoint(found) or tails.isdisjoint(found)):
                pairs = torn.intersection(map(add, every, every[1:]))
            if hits or pairs:
                spans = _places(spaced, hits) if plain else _found(part, hits)
                if pairs:
                    spans += _halves(part, pairs)
                for first, last in sorted(spans):
                    yield start + first, start + last

    return find


def _spaced(text: str) -> str:
    """ASCII with a space for whatever is no letter and no digit."""
    return text.encode("ascii").translate(_SPACED).decode("ascii")


def _hits(words: list[str], stems: Stems, lexicon: Lexicon) -> set[str]:
    """Those of these words that hold a stem, and those with a letter very often."""
    joined = f" {' '.join(words)} "
    hits = set()
    done = 0
    for place in stems(joined):
        if place >= done:
            # A stem that begins words has the space before them before it.
            first = joined.rfind(" ", 0, place + 1) + 1
            done = joined.find(" ", place + 1)
            word = joined[first:done]
            if lexicon.judge(word):
                hits.add(word)
    single = _RUN.sub(r"\1", " ".join(words)).split(" ")
    for word, once in zip(words, single, strict=True):
        # A letter twice where it belongs once: biitch.
        if len(once) < len(word) and lexicon.doubled(word, once):
            hits.add(word)
    done = 0
    for match in STRETCHED.finditer(joined):
        if match.start() >= done:
            first = joined.rfind(" ", 0, match.start()) + 1
            done = joined.find(" ", match.end())
            hits.add(joined[first:done])
    return hits


def pattern(stems: frozenset[str]) -> Stems:
    """Stems by a pattern that tries each letter once."""
    if not stems:
        return lambda text: iter(())
    one = re.compile(alternatives(stems, re.escape, lambda stem: ""))
    return lambda text: (match.start() for match in one.finditer(text))


def automaton(stems: frozenset[str]) -> Stems:
    """Stems by the automaton of Aho and Corasick (1975), in Rust."""
    if not stems:
        return lambda text: iter(())
    one = _ahocorasick().AhoCorasick(sorted(stems))
    # No stem goes on after a space, so no match hides one in another word.
    return lambda text: (at for _, at, _ in one.find_matches_as_indexes(text))


@cache
def _ahocorasick() -> Any:
    try:
        import ahocorasick_rs
    except ImportError:
        return None
    return ahocorasick_rs


def _places(text: str, hits: set[str]) -> list[tuple[int, int]]:
    """Where these words stand in a text with nothing but words and spaces."""
    if len(hits) > _MANY:
        return _found(text, hits)
    spans = []
    text = f" {text} "
    for hit in hits:
        start = text.find(f" {hit} ")
        while start >= 0:
            spans.append((start, start + len(hit)))
            start = text.find(f" {hit} ", start + 1)
    return spans


def _found(text: str, hits: set[str]) -> list[tuple[int, int]]:
    """Where these words stand in any text."""
    word = words(text.isascii())
    return [match.span() for match in word.finditer(text) if match[0] in hits]


def _halves(text: str, pairs: Set[str]) -> list[tuple[int, int]]:
    """Where two words stand that are one of these torn apart."""
    spans = []
    for one, other in pairwise(words(text.isascii()).finditer(text)):
        if one[0] + other[0] in pairs and text[one.end() : other.start()] == " ":
            spans.append((one.start(), other.end()))
    return spans


def _blocks(text: str, begin: int) -> Iterator[tuple[int, int]]:
    """The text in parts that begin with a word, the last one of the part before."""
    while begin < len(text):
        end = begin + _BLOCK
        if end < len(text):
            cut = text.rfind(" ", begin, end)
            if cut < 0:
                cut = text.find(" ", end)
            end = cut + 1 if cut >= 0 else len(text)
        yield begin, min(end, len(text))
        last = text.rfind(" ", begin, max(begin, end - 1)) + 1
        begin = last if begin < last and end < len(text) else end
