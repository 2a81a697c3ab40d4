"""What stands in a text unseen, or in another order than it is shown.

Tag characters spell ASCII, variation selectors spell bytes, and two characters that
are shown as nothing spell bits. Overrides of direction (Unicode Standard Annex 9)
reverse what stands between them.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

from ._decoding_bytes import text_of
from ._offsets import Offsets, Rewrite
from ._unicode import IGNORABLE, one_of

__all__ = ["reveal"]

Span = tuple[int, int]

_FLAG = "\U0001f3f4"
# The flag of a region is spelt by five or six tags and an end.
_MOST_OF_A_FLAG = 7
_FEWEST = 4
# Fewer bits than that of four letters are too little to tell.
_FEWEST_BITS = 32
_OVERRIDE = re.compile(
    "[\u2066-\u2068]?[\u202d\u202e]([^\u202a-\u202e\u2066-\u2069\n\r]+)"
    "(?:\u202c\u2069?)?"
)
_EMBEDDED = re.compile("[\u202d\u202e]")


def reveal(text: str) -> tuple[str, Offsets | None, list[Span]]:
    """The text with hidden parts in plain letters, each on a line of its own.

    Gives the new text, its offsets, and where in it the hidden parts stand.
    """
    if not _unseen().search(text):
        return text, None, []
    rewrite = Rewrite(text)
    spans: list[Span] = []
    shift = 0
    for match in _hidden().finditer(text):
        start, end = match.span()
        if text[start] in "\u2066\u2067\u2068\u202d\u202e":
            new = _shown(match)
        else:
            said = _said(text, start, end)
            new = said and f"\n{said}\n"
        if not new:
            continue
        rewrite.replace(start, end, new)
        spans.append((start + shift, start + shift + len(new)))
        shift += len(new) - end + start
    if not spans:
        return text, None, []
    text, offsets = rewrite.finish()
    return text, offsets, spans


@cache
def _unseen() -> re.Pattern[str]:
    return re.compile(one_of(IGNORABLE, rare=True))


@cache
def _hidden() -> re.Pattern[str]:
    unseen = one_of(IGNORABLE)
    # The selector of an emoji belongs to what is seen.
    return re.compile(
        f"{_OVERRIDE.pattern}|(?![\u2066-\u2069\u202a-\u202e])"
        f"(?![\ufe0e\ufe0f][^\ufe00-\ufe0f]){unseen}{{{_FEWEST},}}+"
    )


def _shown(match: re.Match[str]) -> str:
    """What an override shows: from right to left, it is read from its end."""
    inner: str = match[1]
    return inner[::-1] if "\u202e" in match[0] else inner


def _said(text: str, start: int, end: int) -> str:
    """What a run of unseen characters spells; one kind may be strewn in another."""
    run = text[start:end]
    tags = [char for char in run if "\U000e0020" <= char <= "\U000e007f"]
    if len(tags) >= _FEWEST:
        if text[start - 1 : start] == _FLAG and end - start <= _MOST_OF_A_FLAG:
            return ""
        return "".join(chr(ord(char) - 0xE0000) for char in tags).strip("\x7f")
    numbers = [
        point - 0xFE00 if point < 0xFE10 else point - 0xE00F0
        for point in map(ord, run)
        if 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF
    ]
    if len(numbers) >= _FEWEST and (said := text_of(bytes(numbers))):
        return said
    return _bits(run) if len(run) >= _FEWEST_BITS else ""


def _bits(run: str) -> str:
    """Bits written with two characters, and perhaps a third one between bytes."""
    kinds = Counter(run).most_common()
    if not 2 <= len(kinds) <= 3:
        return ""
    run = run.replace(kinds[2][0], "") if len(kinds) == 3 else run
    two = sorted(kind for kind, _ in kinds[:2])
    for zero, one in (two, two[::-1]):
        bits = run.translate({ord(zero): "0", ord(one): "1"})
        for size in (8, 7):
            count = len(bits) // size
            number = int(bits[: count * size], 2)
            if size == 8:
                data = number.to_bytes(count, "big")
            else:
                data = bytes(int(bits[at : at + 7], 2) for at in range(0, count * 7, 7))
            said = text_of(data)
            if said:
                return said
    return ""
