"""Bytes that may be text."""

from __future__ import annotations

import unicodedata

__all__ = ["deliberate", "printable", "text_of"]

_UNSEEN = frozenset({"Cf", "Zs", "Zl", "Zp"})
_PLAIN = str.maketrans("", "", " \t\n\r")


def printable(text: str) -> bool:
    """True for text: no control characters but ends of lines, nothing unassigned."""
    bare = text.translate(_PLAIN)
    if bare == "":
        return False
    # What is not shown may be text in disguise.
    return bare.isprintable() or all(
        char.isprintable() or unicodedata.category(char) in _UNSEEN for char in bare
    )


def text_of(data: bytes) -> str | None:
    """Bytes as UTF-8, or as UTF-16 where every other one is zero; None if neither."""
    if len(data) >= 4 and not any(data[1::2]) and len(data) % 2 == 0:
        data = data[::2]
    for drop in range(4):
        # The end of a character may be missing where a code was cut.
        try:
            text = data[: len(data) - drop].decode()
        except UnicodeDecodeError as error:
            if error.start < len(data) - 3:
                return None
            continue
        return text if printable(text) else None
    return None


def deliberate(text: str) -> bool:
    """True when chance would hardly have decoded to this text.

    A random byte is printable ASCII with a probability of 0.37, a letter or a space
    with 0.2; a valid sequence of several bytes in UTF-8 is rarer still.
    """
    if not text.isascii():
        wide = sum(char > "\x7f" for char in text)
        return len(text) + 3 * wide >= 12
    if len(text) >= 14:
        return True
    return len(text) >= 4 and all(char.isalpha() or char == " " for char in text)
