"""Codes that write a text as one long word: Base64, Base32, hexadecimal, Ascii85, uu.

RFC 4648, and what Adobe's and Unix's encoders write.
"""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Callable, Iterator

from ._decoding_bytes import deliberate, text_of
from ._language import reads, surprise

__all__ = ["CODES", "Found"]

Found = Iterator[tuple[int, int, str]]
"""Where a coded part starts and ends, and what it says."""

# What Base64 writes has a capital after another letter within a few characters.
_CODED = re.compile(r"[a-z0-9][A-Z]")
_LINE = r"[A-Za-z0-9+/]"
_BASE64 = re.compile(
    rf"(?:{_LINE}{{40,}}+(?:\r?\n[ \t>]*+{_LINE}{{40,}}+)*+"
    rf"(?:\r?\n[ \t>]*+{_LINE}++={{0,2}}+)?+|[A-Za-z0-9+/_-]{{6,}}+)={{0,2}}+"
)
_ALPHABET = frozenset(string.ascii_letters + string.digits + "+/_-")
_SOME_HEX = re.compile(r"[0-9][0-9A-Fa-f][0-9][0-9A-Fa-f]{2}")
_SOME_BASE32 = re.compile(r"[2-7][A-Za-z2-7]{3}")
_NO_CODE = re.compile(r"[\s>]+")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0[xX])?((?:[0-9A-Fa-f]{2}){6,}+)(?![0-9A-Za-z])")
_BASE32 = re.compile(r"(?<![0-9A-Za-z])(?:[A-Z2-7]{16,}+|[a-z2-7]{16,}+)={0,6}")
_ASCII85 = re.compile(r"<~([!-uz\s]{5,}+)~>")
_UU = re.compile(r"(?<!\S)begin [0-7]{3,4} [^\n]*+\n((?:[ -`]{1,62}+\r?\n)++)end\b")
_SHORT = 16


def _base64(text: str) -> Found:
    at = 0
    while (coded := _CODED.search(text, at)) is not None:
        start = coded.start()
        while start > at and text[start - 1] in _ALPHABET:
            start -= 1
        match = _BASE64.match(text, start)
        if match is None:
            at = coded.end()
            continue
        end = at = match.end()
        run = match[0]
        if "\n" not in run:
            said = _from_base64(run)
            if said:
                yield start, end, said
            continue
        said = _from_base64(_NO_CODE.sub("", run))
        if said is None:
            # The last line was a word of what comes next.
            run = run[: run.rindex("\n")].rstrip()
            end = at = start + len(run)
            said = _from_base64(_NO_CODE.sub("", run))
        if said:
            yield start, end, said


def _from_base64(run: str) -> str | None:
    run = run.strip("=").replace("-", "+").replace("_", "/")
    if len(run) < _SHORT:
        # Most words of six letters are Base64 of something.
        shouted = run.isupper() and run.isalpha()
        if shouted or not any(map(str.isupper, run[1:])):
            return None
        said = _base64_at(run, 0)
        return said if said is not None and _is_word(said) else None
    for skip in range(4):
        said = _base64_at(run, skip)
        if said is not None and deliberate(said):
            return said
        if len(run) < 2 * _SHORT:
            break
    # Written backwards.
    said = _base64_at(run[::-1], 0)
    return said if said is not None and deliberate(said) and reads(said) else None


def _is_word(said: str) -> bool:
    """True for letters that chance would hardly give, in no odd case."""
    bare = said.strip(" .,:;!?'\"")
    if len(bare) < 4 or not all(char.isalpha() or char in " '-" for char in bare):
        return False
    if bare not in (bare.lower(), bare.upper(), bare.capitalize()):
        return False
    return bare.isascii() and surprise(bare) < 5.0


def _base64_at(run: str, skip: int) -> str | None:
    run = run[skip:]
    if len(run) % 4 == 1:
        run = run[:-1]
    try:
        return text_of(base64.b64decode(run + "=" * (-len(run) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _hex(text: str) -> Found:
    if not _SOME_HEX.search(text):
        return
    for match in _HEX.finditer(text):
        digits = match[1]
        said = text_of(bytes.fromhex(digits))
        if said is None:
            continue
        # A number of decimal digits is often printable by chance.
        if reads(said) if digits.isdecimal() or len(said) < 14 else deliberate(said):
            yield *match.span(), said


def _base32(text: str) -> Found:
    if not _SOME_BASE32.search(text):
        return
    for match in _BASE32.finditer(text):
        run = match[0].rstrip("=").upper()
        if len(run) % 8 in (1, 3, 6):
            run = run[:-1]
        try:
            said = text_of(base64.b32decode(run + "=" * (-len(run) % 8)))
        except (binascii.Error, ValueError):
            continue
        if said and deliberate(said):
            yield *match.span(), said


def _ascii85(text: str) -> Found:
    if "<~" not in text:
        return
    for match in _ASCII85.finditer(text):
        try:
            said = text_of(base64.a85decode(match[1]))
        except ValueError:
            continue
        if said:
            yield *match.span(), said


def _uu(text: str) -> Found:
    if "begin " not in text:
        return
    for match in _UU.finditer(text):
        data = []
        try:
            for line in match[1].splitlines():
                data.append(binascii.a2b_uu(line))
        except (binascii.Error, ValueError):
            continue
        said = text_of(b"".join(data))
        if said:
            yield *match.span(), said


CODES: tuple[Callable[[str], Found], ...] = (_uu, _ascii85, _hex, _base32, _base64)
"""From the one that is told by its frame to the one that most words could be."""
