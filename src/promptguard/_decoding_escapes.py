"""Codes that write characters one by one: percent signs, entities, backslashes.

Some of it is ordinary: a space in an address, an accent in a page. It counts only
where it writes what needs no escaping, letters and digits of ASCII, or whole words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from ._decoding_bytes import printable, text_of
from ._decoding_runs import Found

__all__ = ["CODES"]

# So many letters of ASCII, or of other scripts side by side, are no accident.
_FEW = 3
_WORD = 6

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})++")
_QUOTED = re.compile(r"(?:=[0-9A-F]{2}(?:=[ \t]*\r?\n)?|(?<==[0-9A-F]{2})=\r?\n)++")
_ENTITIES = re.compile(
    r"(?:&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)++"
    r"|(?:&#[0-9]{2,3}(?![0-9;]))++"
)
_ESCAPES = re.compile(
    r"(?:\\(?:u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}"
    r"|[0-3][0-7]{2}))++"
)
_ESCAPE = re.compile(r"\\(?:[uU]\{?([0-9A-Fa-f]+)\}?|x(..)|(...))")
_SOFT = re.compile(r"=[ \t]*\r?\n")
_ESCAPED = re.compile(r"&amp;(?=#\d|#[xX])")
# A sentence in an attribute of a page, with quotation marks or apostrophes in it.
_VALUE = re.compile(r"=\"([^\"<>]{16,}+)\"")
_QUOTES = re.compile(r"&(?:quot|apos|#x27|#39|#34|#x22);")
_DOUBLE = re.compile(r"%25(?=[0-9A-Fa-f]{2})")


def _telling(said: str) -> bool:
    """True for what nobody escapes without a reason."""
    if sum(char.isascii() and char.isalnum() for char in said) >= _FEW:
        return True
    return sum(char > "\x7f" and char.isalpha() for char in said) >= _WORD


def _all_or_none(found: list[tuple[int, int, str]], least: int) -> Found:
    """What was found, when so many letters of it need not have been escaped."""
    if sum(_count(said) for _, _, said in found) >= least or any(
        _telling(said) for _, _, said in found
    ):
        yield from found


def _count(said: str) -> int:
    return sum(char.isascii() and char.isalpha() for char in said)


def _percent(text: str) -> Found:
    if "%" not in text:
        return
    if _DOUBLE.search(text) and len(_DOUBLE.findall(text)) >= _FEW:
        for match in _DOUBLE.finditer(text):
            yield *match.span(), "%"
        return
    found = []
    for match in _PERCENT.finditer(text):
        # A space alone, as in most addresses, is no text to ``text_of``.
        space = match[0] == "%20"
        said = " " if space else text_of(bytes.fromhex(match[0].replace("%", "")))
        if said is not None:
            found.append((*match.span(), said))
    yield from _all_or_none(found, _FEW)


def _quoted_printable(text: str) -> Found:
    if "=" not in text:
        return
    for match in _QUOTED.finditer(text):
        said = text_of(bytes.fromhex(_SOFT.sub("", match[0]).replace("=", "")))
        if said is not None and _telling(said):
            yield *match.span(), said


def _entities(text: str) -> Found:
    if "&" not in text:
        return
    if len(_ESCAPED.findall(text)) >= _FEW:
        for match in _ESCAPED.finditer(text):
            yield *match.span(), "&"
        return
    found = []
    telling = 0
    for value in _VALUE.finditer(text):
        if value[0].count(" ") >= _FEW and _QUOTES.search(value[0]):
            telling = 2
    for match in _ENTITIES.finditer(text):
        said = html.unescape(match[0])
        if said != match[0]:
            found.append((*match.span(), said))
            if "#" in match[0]:
                telling += _count(said)
    if telling >= 2 or any(_telling(said) for _, _, said in found):
        yield from found


def _escapes(text: str) -> Found:
    if "\\" not in text:
        return
    found = []
    for match in _ESCAPES.finditer(text):
        said = _unescaped(match[0])
        if said is not None:
            found.append((*match.span(), said))
    yield from _all_or_none(found, _FEW)


def _unescaped(run: str) -> str | None:
    points = []
    narrow = True
    for unit, byte, octal in _ESCAPE.findall(run):
        narrow = narrow and not unit
        points.append(int(octal, 8) if octal else int(unit or byte, 16))
    if narrow:
        if max(points) > 0xFF:
            return None
        return text_of(bytes(points))
    if max(points) > 0x10FFFF:
        return None
    joined = "".join(map(chr, points)).encode("utf-16", "surrogatepass")
    said = joined.decode("utf-16", "replace")
    return said if printable(said) or said == " " else None


CODES: tuple[Callable[[str], Found], ...] = (
    _percent,
    _quoted_printable,
    _entities,
    _escapes,
)
