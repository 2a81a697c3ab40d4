"""Kinds of drift that a text can be given without changing what is true of it."""

from __future__ import annotations

import random
import re
import tomllib
import zlib
from functools import cache
from pathlib import Path

from ..disguises import FORGING, by_tier
from ..rows import hard

__all__ = ["KINDS", "obfuscation", "vocabulary"]

KINDS = ("vocabulary", "language", "obfuscation", "family")
"""Words of other trades, another language, disguises, attacks of another family."""

_JARGON = Path(__file__).with_name("jargon.toml")
_WORD = re.compile(r"[^\W\d_]{5,}")
# Of the words that may be another one, how many are.
_SHARE = 0.6


@cache
def _jargon() -> tuple[tuple[str, ...], frozenset[str]]:
    """Words of other trades, and words that stay because they say what is wanted."""
    table = tomllib.loads(_JARGON.read_text("utf-8"))
    words = [word for name in sorted(table["trades"]) for word in table["trades"][name]]
    return tuple(words), frozenset(table["staying"])


def vocabulary(text: str, rng: random.Random) -> str:
    """The text with words of other trades in place of its own.

    A word becomes the same one in every text, as it would if another trade had begun
    to use a service. Short words stay, and those by which an attack is one.
    """
    words, staying = _jargon()

    def changed(found: re.Match[str]) -> str:
        word = found[0]
        if word.lower() in staying or hard(word) or rng.random() >= _SHARE:
            return word
        new = words[zlib.crc32(word.lower().encode()) % len(words)]
        return new.capitalize() if word[0].isupper() else new

    return _WORD.sub(changed, text)


def obfuscation(text: str, rng: random.Random) -> str:
    """The text in a disguise of tier A, B or C; as it is where none fits."""
    able = [
        disguise
        for tier in "ABC"
        for disguise in by_tier(tier)
        # Those are for attacks only, and would tell them from the others.
        if disguise.name not in FORGING and disguise.applies(text)
    ]
    return rng.choice(able).apply(text, rng) if able else text
