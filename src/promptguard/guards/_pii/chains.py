"""Chains: groups of letters and digits with separators between them.

A number is written in groups, and a disguise adds more of them. Everything here looks
at a bounded stretch around a group, so that a text gives the same groups in parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from ..._lookalikes import CLOSE, LATIN, letters

__all__ = [
    "Digits",
    "Group",
    "chains",
    "compact",
    "joint",
    "loose",
    "neighbours",
    "torn",
]

# A group ends where a script without spaces begins: a number stands in the middle of a
# Korean or Japanese sentence without anything around it.
_SOLID = (
    "\u0e00-\u0e4f\u0e5a-\u0eff\u1100-\u11ff\u1780-\u17df\u3040-\u30ff\u3130-\u318f"
    "\u3400-\u9fff\uac00-\ud7a3"
)
SIGN = rf"[^\W_{_SOLID}]"
# Dashes of all kinds, dots, slashes, brackets and signs that are put between digits.
_DASHES = "\\-\u00ad\u058a\u05be\u2010-\u2015\u2043\u2212\u2e3a\u2e3b"
_DOTS = ".\u00b7\u2022\u2024\u2027\u2219\u22c5\u30fb"
BETWEEN = rf"[ {_DASHES}{_DOTS}/()_+|~]"
MOST_BETWEEN = 3
LONGEST_GROUP = 112
MOST_GROUPS = 160
# No value has fewer digits, but for a wallet, which is long.
FEWEST_DIGITS = 4
LONG_GROUP = 24
# Groups of one value: 34 of an IBAN that is spaced apart, and some.
SPAN_GROUPS = 40

_DIGIT = re.compile(r"\d")
_JOINED = rf"{BETWEEN}{{1,{MOST_BETWEEN}}}+"
_CHAIN = re.compile(
    rf"{SIGN}{{1,{LONGEST_GROUP}}}+(?!{SIGN})(?:{_JOINED}(?:[^\W\d_{_SOLID}]{{1,4}}+"
    rf"(?!{SIGN})|(?=[^\W\d_{_SOLID}]{{0,24}}+\d){SIGN}{{1,{LONGEST_GROUP}}}+"
    rf"(?!{SIGN}))){{0,{MOST_GROUPS}}}+"
)
_GROUP = re.compile(rf"{SIGN}++")
_BLOB = re.compile(rf"{SIGN}++")
# Short groups of letters before the first digit, as in GB 82 WEST or X-1234567-L.
_LEAD = re.compile(rf"(?:(?<!{SIGN})[^\W\d_{_SOLID}]{{1,5}}{_JOINED}){{1,5}}\Z")
_LEAD_SIZE = 32
_SIGN = re.compile(SIGN)

# What stands in for a placeholder, and what a mask begins with.
VEIL = "\x00"
STARS = r"\*\*\*\*"
_TORN_BEFORE = re.compile(rf"(?:\d|{VEIL}|{STARS})[{_DASHES}{_DOTS}/_+]\Z")
_TORN_AFTER = re.compile(rf"[{_DASHES}{_DOTS}/_+](?:\d|{VEIL}|{STARS})")
_NEAR_BEFORE = re.compile(
    rf"(?:\d|{VEIL}|{STARS}|(?:{BETWEEN}|{VEIL}){SIGN})(?P<joint>{_JOINED})\Z"
)
_NEAR_AFTER = re.compile(rf"(?P<joint>{_JOINED})(?:\d|{VEIL}|{STARS}|{SIGN}(?!{SIGN}))")

# Words of one letter, in the languages of the tables.
_LETTER_WORDS = "[aeiouykwszvIàèéòóôавикосуяеіηο]"
_WORD_BEFORE = re.compile(rf"(?<= {_LETTER_WORDS}) \Z")
_WORD_AFTER = re.compile(rf" {_LETTER_WORDS}(?=[ ,.;:!?]|\Z)")


class Group(NamedTuple):
    """One run of letters and digits."""

    start: int
    end: int
    digit: bool


class Digits:
    """Where the digits of a text are; of an ASCII text told in no time."""

    __slots__ = ("_shape", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._shape = text.encode("ascii").translate(_ZEROS) if text.isascii() else None

    def after(self, at: int) -> int:
        """The first digit from a position on; -1 for none."""
        if self._shape is not None:
            return self._shape.find(b"0", at)
        match = _DIGIT.search(self._text, at)
        return -1 if match is None else match.start()


_ZEROS = bytes(48 if 48 <= at <= 57 else 32 for at in range(256))


def chains(text: str, at: int) -> Iterator[list[Group]]:
    """Every chain with four digits or a long group, from a position on.

    A very long one comes in several overlapping parts.
    """
    done = at
    digits = Digits(text)
    while (start := digits.after(at)) >= 0:
        first = start
        floor = max(done, start - LONGEST_GROUP)
        while start > floor and _SIGN.match(text, start - 1):
            start -= 1
        found = _CHAIN.match(text, start)
        if found is None:
            blob = _BLOB.match(text, start)
            at = done = blob.end() if blob else first + 1
            continue
        end = found.end()
        if end - start < 6:
            at = done = end
            continue
        start = _lead(text, start, done)
        groups = [
            Group(*m.span(), _DIGIT.search(m[0]) is not None)
            for m in _GROUP.finditer(text, start, end)
        ]
        if len(groups) > MOST_GROUPS:
            # The next part begins where a value may not have been whole.
            at = done = groups[-SPAN_GROUPS].start
        else:
            at = done = end
        if len(_DIGIT.findall(text, start, end)) >= FEWEST_DIGITS or any(
            group.end - group.start >= LONG_GROUP for group in groups
        ):
            yield groups


def _lead(text: str, start: int, floor: int) -> int:
    low = max(floor, start - _LEAD_SIZE)
    lead = _LEAD.search(text, low, start)
    if lead is None or (lead.start() == low > 0 and _SIGN.match(text, low - 1)):
        return start
    return lead.start()


def joint(text: str, left: Group, right: Group) -> str:
    """What is between two groups: its sign, a space, or ? for several signs."""
    return _kind(text[left.end : right.start])


def _kind(between: str) -> str:
    sign = between.strip()
    if not sign:
        return " "
    if len(sign) > 1:
        return "?"
    return _plain_signs().get(sign, sign)


@cache
def _plain_signs() -> dict[str, str]:
    signs = {}
    for code in range(0x21, 0x3100):
        char = chr(code)
        if re.match(f"[{_DASHES}]", char):
            signs[char] = "-"
        elif re.match(f"[{_DOTS}]", char):
            signs[char] = "."
    return signs


def compact(text: str, groups: Sequence[Group]) -> str:
    """The value without separators, in capitals, with plain digits and letters."""
    value = "".join([text[group.start : group.end] for group in groups])
    if not value.isascii():
        value = "".join([_plain(char) for char in value])
    return value


def _plain(char: str) -> str:
    if char.isascii() or char in "ñÑ":
        return char
    if (digit := unicodedata.digit(char, None)) is not None:
        return str(digit)
    return _alike().get(ord(char), char)


@cache
def _alike() -> dict[int, str]:
    return letters(LATIN, CLOSE)


def torn(text: str, start: int, end: int) -> bool:
    """True for a part of something longer: digits follow right after a dash or dot.

    What was redacted counts as digits: redacting the rest of something longer must not
    make a value of the part.
    """
    return (
        _TORN_BEFORE.search(text, max(0, start - 5), start) is not None
        or _TORN_AFTER.match(text, end) is not None
        or "****" in (text[max(0, start - 4) : start], text[end : end + 4])
        or text[start - 1 : start] == VEIL
        or text[end : end + 1] == VEIL
    )


def neighbours(text: str, start: int, end: int) -> set[str]:
    """What joins digits or single letters to a run of groups, on either side."""
    before = _NEAR_BEFORE.search(text, max(0, start - 8), start)
    after = _NEAR_AFTER.match(text, end)
    return {_kind(near["joint"]) for near in (before, after) if near is not None}


def loose(text: str, start: int, end: int, spaced: bool = False) -> bool:
    """True where no more digits or single letters are beside a run of groups.

    Beside one that is ``spaced`` apart, a single letter may be a word: "o meu é 1 2 3".
    """
    if "****" in (text[max(0, start - 4) : start], text[end : end + 4]):
        return False
    if VEIL in (text[start - 1 : start], text[end : end + 1]):
        return False
    before = _NEAR_BEFORE.search(text, max(0, start - 8), start)
    if before is not None and not (
        spaced and _WORD_BEFORE.search(text, max(0, start - 1), start)
    ):
        return False
    after = _NEAR_AFTER.match(text, end)
    return after is None or (spaced and _WORD_AFTER.match(text, end) is not None)
