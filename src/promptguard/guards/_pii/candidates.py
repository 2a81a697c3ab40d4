"""What may be a value, how sure that is, and which of several stands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .chains import VEIL

__all__ = [
    "AFTER",
    "BEFORE",
    "Candidate",
    "around",
    "best",
    "closeness",
    "nearest",
    "veiled",
]

# How far a context word may be from its value, in characters.
BEFORE = 80
AFTER = 40

# Placeholders, their veiled form in answers, and keyed hashes. A letter is among the
# hexadecimal digits, so that a typed one does not hide a card number.
_TOKEN = re.compile(
    r"<[A-Z][A-Z0-9_]*+:(?=[0-9]*[a-z])(?:[0-9a-f]{32}|[0-9a-f]{16}|z{16})(?:>|(?![0-9a-z]))"
)


Around = tuple[str, str]


class Candidate(NamedTuple):
    """A value that was found: positions in a reading."""

    entity: str
    start: int
    end: int
    score: float


def veiled(text: str) -> str:
    """The text with everything that stands for a value made unreadable.

    Nothing is to be found in a placeholder, and no context word beyond one: it would
    come nearer by a redaction, and redacting twice would not be redacting once.
    """
    if "<" not in text:
        return text
    return _TOKEN.sub(lambda token: VEIL * len(token[0]), text)


def nearest(around: Around, words: re.Pattern[str]) -> float | None:
    """Characters between a value and the nearest of the words, None without any.

    Of two words at the same place the longer one is a little nearer.
    """
    before, behind = around
    near: float | None = None
    for match in words.finditer(before):
        near = len(before) - match.end() - _length(match)
    match_behind = words.search(behind)
    if match_behind is not None:
        # A word before a value more often belongs to it than one behind it.
        after = 20 + match_behind.start() - _length(match_behind)
        near = after if near is None else min(near, after)
    return near


def closeness(distance: float) -> float:
    """What the distance of its word adds to a score."""
    return (BEFORE - min(distance, BEFORE)) / BEFORE * 0.04


def around(text: str, start: int, end: int) -> Around:
    """What is before and behind a value, in lower case, up to the next placeholder.

    Words that are cut are left out.
    """
    low, high = max(0, start - BEFORE), min(len(text), end + AFTER)
    before, behind = text[low:start], text[end:high]
    if low and text[low - 1].isalnum():
        before = _WORD_START.sub("", before)
    if high < len(text) and text[high].isalnum():
        behind = _WORD_END.sub("", behind)
    if VEIL in before:
        before = _WORD_START.sub("", before[before.rfind(VEIL) + 1 :])
    if VEIL in behind:
        behind = _WORD_END.sub("", behind.partition(VEIL)[0])
    return before.lower(), behind.lower()


_WORD_START = re.compile(r"\A[^\W_]+")
_WORD_END = re.compile(r"[^\W_]+\Z")


def _length(match: re.Match[str]) -> float:
    return min(len(match[0]), 40) / 5


def best(found: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that lie in no better one, by position.

    One that lies in another goes if its score is lower, or the same and it is shorter.
    So every character that is in a candidate is in one that stays.
    """
    ordered = sorted(set(found), key=lambda c: (c.start, -c.end, -c.score, c.entity))
    kept: list[Candidate] = []
    for place, one in enumerate(ordered):
        if not any(_better(other, one) for other in _around(ordered, place)):
            kept.append(one)
    return kept


def _around(ordered: list[Candidate], place: int) -> Iterable[Candidate]:
    """Those of the others that may hold one of them."""
    one = ordered[place]
    for before in range(place - 1, -1, -1):
        if ordered[before].start < one.start - _LONGEST:
            break
        yield ordered[before]
    for after in range(place + 1, len(ordered)):
        if ordered[after].start > one.start:
            break
        yield ordered[after]


_LONGEST = 320


def _better(other: Candidate, one: Candidate) -> bool:
    if not (other.start <= one.start and one.end <= other.end):
        return False
    size, other_size = one.end - one.start, other.end - other.start
    return (other.score, other_size, one.entity) > (one.score, size, other.entity)
