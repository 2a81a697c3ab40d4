"""What an ASCII text has besides small letters and spaces, told in one pass.

Most patterns need a sign, a digit or a capital that prose has few of. Where a text has
none of those they need not look, and to see that takes a tenth of what one pattern
takes to find nothing.
"""

from __future__ import annotations

import string

__all__ = ["Signs", "kinds", "signs"]

_SHAPE = bytes.maketrans(
    (string.ascii_uppercase + string.digits).encode(), b"A" * 26 + b"0" * 10
)
_PLAIN = (string.ascii_lowercase + " ").encode()


class Signs:
    """The characters of an ASCII text that are no small letters and no spaces.

    Args:
        rest: They themselves, in their order: capitals as ``A`` and digits as ``0``.
    """

    __slots__ = ("kinds", "rest")

    def __init__(self, rest: bytes) -> None:
        self.rest = rest
        self.kinds = frozenset(rest)


def signs(text: str) -> Signs | None:
    """The signs of a text; None if it is not ASCII."""
    if not text.isascii():
        return None
    return Signs(text.encode("ascii").translate(_SHAPE, _PLAIN))


def kinds(characters: str) -> frozenset[int]:
    """These characters as they are among the kinds of a text's signs."""
    return frozenset(characters.encode("ascii").translate(_SHAPE, _PLAIN))
