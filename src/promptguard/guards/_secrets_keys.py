"""Private keys in armor: from the head to the mark of the end, whatever is between."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ._secrets_checks import PLACEHOLDER, is_sequence
from ._secrets_table import BASE64, GAP

__all__ = ["is_open", "last_lines", "whole_keys"]

_BEGIN = "-----BEGIN"
# A space, also as a URL writes it, quoted up to three times.
_SPACE = r"(?: |\+|%(?:25){0,2}(?:20|2[Bb]))"
_NAME = rf"{_SPACE}(?:[A-Z0-9]|{_SPACE}){{0,24}}PRIVATE{_SPACE}KEY"
_HEAD = re.compile(rf"-----BEGIN{_NAME}(?:{_SPACE}BLOCK)?-----", re.ASCII)
_END = re.compile(rf"-----END{_NAME}", re.ASCII)
# No longer than this is a key in armor, with all that its lines are dressed up in; an
# RSA key of 8,192 bits has 6,500 characters.
_MOST = 20_000
# Headers, numbers and comment signs are shorter than this. What is longer and has none
# of a key's letters in a row is something else.
_ASIDE = 256
# An end begins within the aside behind the last letters, and is no longer than one.
_SURE = 2 * _ASIDE
_RUN = re.compile(rf"{BASE64}{{16,}}+")
_PIECE = re.compile(rf"{BASE64}{{8,}}+")
_CLOSING = re.compile(rf"(?!\+){GAP}\Z", re.ASCII)
_CLOSING_SIZE = 48

_LAST_LINE = re.compile(
    rf"(?<!{BASE64}){BASE64}{{16,}}+{GAP}([A-Za-z+/=]{{1,47}}+)(?:{GAP})?\Z"
)
_LAST = 160


def whole_keys(text: str, begin: int) -> Iterator[tuple[int, int]]:
    """Where keys begin, and where what stands before the mark of their end does end.

    The lines may be joined, quoted, numbered, commented or escaped in any way: most of
    what is between is letters of base 64 all the same.
    """
    at = begin
    while (at := text.find(_BEGIN, at)) >= 0:
        head = _HEAD.match(text, at)
        if head is not None:
            end = _end(text, head.end())
            if end is not None and _is_body(text, head.end(), end):
                closing = _CLOSING.search(
                    text, max(head.end(), end - _CLOSING_SIZE), end
                )
                yield at, end if closing is None else closing.start()
        at += len(_BEGIN)


def _end(text: str, start: int) -> int | None:
    """Where the mark of the end begins that belongs to the head before ``start``."""
    limit = text.find(_BEGIN, start, start + _MOST)
    limit = start + _MOST if limit < 0 else limit
    mark = _END.search(text, start, limit + _ASIDE)
    return mark.start() if mark is not None and mark.start() < limit else None


def _is_body(text: str, start: int, end: int) -> bool:
    """True for what is mostly base 64, and has no placeholder in it."""
    longest, last = "", start
    for run in _RUN.finditer(text, start, end):
        if run.start() - last > _ASIDE:
            return False
        last = run.end()
        longest = max(longest, run[0], key=len)
    if not longest or end - last > _ASIDE or is_sequence(longest):
        return False
    size = sum(len(piece[0]) for piece in _PIECE.finditer(text, start, end))
    return 2 * size >= end - start and not PLACEHOLDER.search(text, start, end)


def is_open(text: str, begin: int) -> bool:
    """True where a key begins whose end may still follow the text.

    Args:
        text: A clean reading, as far as it is certain.
        begin: Where ``-----BEGIN`` stands, the last time.
    """
    head = _HEAD.match(text, begin)
    if head is None:
        return False
    start = last = head.end()
    if len(text) - start > _MOST + _ASIDE or _end(text, start) is not None:
        return False
    for run in _RUN.finditer(text, start):
        if run.start() - last > _ASIDE:
            return False
        last = run.end()
    return len(text) - last <= _SURE


def last_lines(text: str, begin: int) -> Iterator[tuple[int, int, int]]:
    """The last line of a key, where nothing in it tells it from a word.

    Start and end of it, and where the line before it starts.
    """
    at = begin
    while (at := text.find("-----END", at)) >= 0:
        if _END.match(text, at):
            line = _LAST_LINE.search(text, max(0, at - _LAST), at)
            # The digits of a placeholder are no line.
            if line is not None and not PLACEHOLDER.search(text, *_window(line)):
                yield *line.span(1), line.start()
        at += 1


def _window(line: re.Match[str]) -> tuple[int, int]:
    return max(0, line.start() - _LAST), line.end()
