"""Where a text may be cut so that both sides read as they do together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ._cleaning import TERMINAL
from ._skeleton import certain
from ._unicode import CHANGES, FOREIGN, JOINS, LETTERED, SOLID, SURROGATES, one_of

__all__ = ["cuts"]

_BLANKS = " \t\n\r"

# A terminal sequence is shorter than this.
_NEAR = 512

# Nearly always one of the last words is a place.
_BLOCK = 32

# A longer word is none: it may be a line of a key.
_LONGEST = 48


def cuts(text: str, limit: int) -> Iterator[int]:
    """Places up to ``limit`` where nothing that may follow makes a difference.

    That is before an ordinary word after a space and an ordinary word, or between two
    letters of a script without spaces. A word is ordinary when it is complete, no
    neighbour decides how it is read, and it is not one of several letters spaced apart.
    They come from the last to the first.
    """
    limit = min(limit, len(text) - 1)
    size = _BLOCK
    while limit > 0:
        low = max(0, limit - size)
        size = min(2 * size, _NEAR)
        # The character after a place decides too.
        places = [match.end() for match in _places().finditer(text, low, limit + 1)]
        for place in reversed(places):
            if place <= limit and (
                text[place - 1] not in _BLANKS
                or (_starts(text, place) and _ends(text, place))
            ):
                yield place
        limit = low


def _starts(text: str, position: int) -> bool:
    """True before an ordinary word."""
    match = _start().match(text, position)
    if match is None:
        return False
    word = match["word"]
    if word is None:
        return True
    more = match["more"].rstrip(".,;:!?")
    if _digits().search(more):
        # What is next to it may be read by it.
        return False
    if word[1].isupper() and (more or not word.isupper()):
        # The first letter may be a word, as in IReallyMeanThat.
        return False
    return certain(word)


def _ends(text: str, position: int) -> bool:
    """True after an ordinary word and a space."""
    words = text[max(0, position - _NEAR) : position].rsplit(None, 1)
    if not words or TERMINAL.search(words[-1]):
        return False
    match = _end().search(words[-1])
    return match is not None and (match["word"] is None or certain(match["word"]))


@cache
def _digits() -> re.Pattern[str]:
    return re.compile(f"[0-9@$!]|{one_of(CHANGES)}")


@cache
def _places() -> re.Pattern[str]:
    solid = one_of(SOLID)
    return re.compile(f"{solid}(?={solid})|[{_BLANKS}](?=[^{_BLANKS}])")


def _letter(*but: str) -> str:
    other = one_of(CHANGES, JOINS, SURROGATES, SOLID, *but)
    return rf"(?:(?!{other})[^\W\d_])"


@cache
def _start() -> re.Pattern[str]:
    # Backspaces and the like could take any word away again. Other blanks than these
    # may be taken out themselves.
    rest = f"[^{_BLANKS}{TERMINAL.pattern[1:-1]}]"
    end = f"(?=[{_BLANKS}])"
    return re.compile(
        rf"(?:{one_of(SOLID)}|{_letter(LETTERED, FOREIGN)}{rest}*+{end}"
        rf"|(?![^{_BLANKS}]{{{_LONGEST}}})(?P<word>{_letter()}{{2,}}+)(?P<more>{rest}*+){end})"
    )


@cache
def _end() -> re.Pattern[str]:
    return re.compile(
        rf"(?:{one_of(SOLID)}|(?<![^\W\d_])(?P<word>{_letter()}++))"
        rf"(?:(?!{one_of(CHANGES)})[\W\d_])*\Z"
    )
