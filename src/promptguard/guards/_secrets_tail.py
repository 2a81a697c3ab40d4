"""Where a secret may begin that what follows could still make or change."""

from __future__ import annotations

import re

from ._secrets_keys import is_open

__all__ = ["undecided"]

# What is in no ordinary sentence: signs of code, quotes that are no apostrophes, and
# long words. Every secret has one of these, but for what follows a word such as
# "password" and is short.
_SIGN = re.compile(
    r"(?<!\S)\S{16,}|-----|[^\w\s.,;:!?()'\u2019-]|(?<!\w)['\u2019]|['\u2019](?!\w)"
)
# A short value ends at the next space, and what stands 40 characters behind it may
# decide.
_SHORT = 64
# Behind a sign: the rest of its word, a seam to the next string (60 characters) or the
# next member of a key in JSON (50), and what is behind that.
_GAP = 144


def undecided(text: str, reach: int) -> int:
    """A position; what begins before it is whole, and stays what it is.

    Args:
        text: A clean reading, as far as it is certain.
        reach: How far back to look at most, but for a private key without its end.
    """
    low = max(0, len(text) - reach)
    begin = len(text)
    while begin > low:
        near = _word(text, max(low, begin - _GAP), low)
        sign = _SIGN.search(text, near, begin)
        if sign is None:
            break
        begin = min(begin - 1, _word(text, sign.start(), low))
    place = max(low, _word(text, begin, low) - _SHORT)
    key = text.rfind("-----BEGIN")
    headed = key >= low and text.find("-----END", key) < 0
    # The headers of a key are ordinary words, and its end decides how far it goes.
    return min(place, key) if key >= 0 and (headed or is_open(text, key)) else place


def _word(text: str, position: int, low: int) -> int:
    """Where the word begins that a position is in, or right behind."""
    while position > low and not text[position - 1].isspace():
        position -= 1
    return position
