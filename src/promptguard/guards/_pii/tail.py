"""Where a value may begin that what follows could still make or change."""

from __future__ import annotations

import re

from .candidates import AFTER
from .mail import MOST_LOCAL, signs

__all__ = ["undecided"]

# Before the sign that tells: short words in front of a number (32 characters), the name
# of a month, or a local part that is written in words.
_BEFORE = MOST_LOCAL + 8
# What every value has one of, or a word that may be one for a sign of an address.
_PIECE = re.compile("[^\\W\\d_]+|[\\d@\u24d0\u24b6\\[({<]")
# Behind a digit: the rest of a date with the name of its month, or of a domain.
_DATE = 36
# What ends a number in groups. Short words may be groups of it.
_BREAK = re.compile(r"[,;!?\n]|(?<!\w)[^\W\d_]{5,}(?!\w)")
# Without such an end: as many groups as a value can have, with separators.
_GROUPS = 240


def undecided(text: str, reach: int) -> int:
    """A position; what begins before it is whole, and stays what it is.

    Args:
        text: A clean reading, as far as it is certain.
        reach: How far back to look at most.
    """
    low = max(0, len(text) - reach)
    begin = _word(text, len(text), low)
    while begin > low:
        sign = _last(text, max(low, begin - _GROUPS), begin)
        if sign is None or _over(text, sign.end(), begin):
            break
        begin = min(begin - 1, _word(text, sign.start(), low))
    return max(low, begin - _BEFORE)


def _last(text: str, low: int, end: int) -> re.Match[str] | None:
    """The last sign between two positions."""
    last = None
    for piece in _PIECE.finditer(text, low, end):
        if not piece[0].isalpha() or piece[0].lower() in signs():
            last = piece
    return last


def _over(text: str, sign: int, end: int) -> bool:
    """True when nothing that has the sign in it reaches, or looks, up to the end."""
    while sign < end and not text[sign].isspace():
        sign += 1
    if end - sign < _DATE + AFTER:
        return False
    over = _BREAK.search(text, sign, end)
    return over is not None and max(over.end() - sign, _DATE) + AFTER + 8 <= end - sign


def _word(text: str, position: int, low: int) -> int:
    """Where the word begins that a position is in, or right behind."""
    while position > low and not text[position - 1].isspace():
        position -= 1
    return position
