"""Texts behind other texts: in characters that nobody sees.

Tag characters (Goodside, 2024), bytes as variation selectors (Butler, 2025) and bits as
invisible operators ("sneaky bits", Rehberger, 2025).
"""

from __future__ import annotations

import random
import unicodedata

from .carriers import EMOJI_ENDS, VISIBLE
from .disguise import Disguise, anything, latin, made
from .tables import EMOJI

__all__ = ["DISGUISES"]


def _tags(text: str) -> str:
    """The ASCII of a text as tag characters, accents lost, one space for any gap."""
    plain = unicodedata.normalize("NFKD", " ".join(text.split()))
    return "".join(chr(0xE0000 + ord(char)) for char in plain if " " <= char <= "~")


def _bits(text: str, zero: str, one: str) -> str:
    data = text.encode("utf-8", "replace")
    bits = "".join(f"{byte:08b}" for byte in data)
    return bits.translate({ord("0"): zero, ord("1"): one})


def unicode_tags(text: str, rng: random.Random) -> str:
    """Tag characters behind a visible sentence."""
    return rng.choice(VISIBLE) + _tags(text)


def unicode_tags_inline(text: str, rng: random.Random) -> str:
    """Tag characters after an emoji between two words, opened and cancelled."""
    words = rng.choice(VISIBLE).split()
    at = rng.randrange(1, len(words))
    hidden = f"{rng.choice(EMOJI)}\U000e0001{_tags(text)}\U000e007f"
    return " ".join([*words[:at], hidden, *words[at:]])


def emoji_variation_selectors(text: str, rng: random.Random) -> str:
    """Each byte of UTF-8 as one of 256 variation selectors after an emoji."""
    hidden = "".join(
        chr(0xFE00 + byte if byte < 16 else 0xE00F0 + byte)
        for byte in text.encode("utf-8", "replace")
    )
    return f"{rng.choice(VISIBLE)} {rng.choice(EMOJI_ENDS)}{hidden}"


def sneaky_bits(text: str, rng: random.Random) -> str:
    """Each bit as one of two invisible operators, after a visible sentence."""
    return rng.choice(VISIBLE) + _bits(text, "\u2062", "\u2064")


def zero_width_bits(text: str, rng: random.Random) -> str:
    """Each bit as a zero-width space or non-joiner, inside a visible sentence."""
    words = rng.choice(VISIBLE).split()
    at = rng.randrange(1, len(words))
    hidden = _bits(text, "\u200b", "\u200c")
    return " ".join([*words[:at], hidden + words[at], *words[at + 1 :]])


DISGUISES: tuple[Disguise, ...] = (
    *made("B", latin, unicode_tags, unicode_tags_inline),
    *made("B", anything, emoji_variation_selectors, sneaky_bits, zero_width_bits),
)
