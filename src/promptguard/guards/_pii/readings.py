"""Ways to read a text in which more disguises of a value are undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ..._offsets import Rewrite
from ..._unicode import MARKS, one_of
from ...text import Reading, Text

__all__ = ["readings"]

# A circled letter that stands for the sign; NFKC makes a letter of it.
_AT = {0x24D0: "@", 0x24B6: "@"}
_MORE_SIGNS = re.compile("[\u24d0\u24b6]")

# Marks that go around what is before them, such as a key (Unicode: Me).
_ENCLOSING = "[\u0488\u0489\u20dd-\u20e0\u20e2-\u20e4]"


def readings(text: Text) -> Iterator[Reading]:
    """The readings of a text, and more of one with circled signs or marked digits."""
    yield from _unmarked(text.readings)
    if not text.original.isascii() and _MORE_SIGNS.search(text.original):
        # Each sign is one character for another: positions stay.
        signs = Text(text.original.translate(_AT), text.role)
        yield from _unmarked(signs.readings)


def _unmarked(given: tuple[Reading, ...]) -> Iterator[Reading]:
    for reading in given:
        yield reading
        if reading.text.isascii() or not _marked().search(reading.text):
            continue
        # Digits that are struck through, and keycaps.
        rewrite = Rewrite(reading.text)
        for match in _marked().finditer(reading.text):
            rewrite.replace(*match.span(), match[0][0])
        yield reading.then(f"{reading.name} unmarked", *rewrite.finish())


@cache
def _marked() -> re.Pattern[str]:
    return re.compile(rf"[0-9A-Za-z@.+-](?:{one_of(MARKS)}|{_ENCLOSING})+")
