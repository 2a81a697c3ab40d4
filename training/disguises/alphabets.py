"""Other letters for the same letters: look-alikes, and the alphabets of Unicode."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping

from .disguise import Apply, Disguise, each_keyword, each_word, latin, made, respelt
from .tables import (
    CYRILLIC,
    LEET,
    LEET_SIGNS,
    LOOKALIKES,
    SMALL_CAPITALS,
    SUPERSCRIPT,
    UPSIDE_DOWN,
)

__all__ = ["DISGUISES"]


def cyrillic_homoglyphs(text: str, rng: random.Random) -> str:
    """Every letter that has a Cyrillic look-alike as that one."""
    return respelt(text, CYRILLIC)


def sparse_homoglyphs(text: str, rng: random.Random) -> str:
    """One or two look-alikes in each keyword, and nothing else."""

    def change(word: str) -> str:
        letters = list(word)
        places = [at for at, letter in enumerate(word) if letter in LOOKALIKES]
        for at in rng.sample(places, min(len(places), rng.randint(1, 2))):
            letters[at] = rng.choice(LOOKALIKES[letters[at]])
        return "".join(letters)

    return each_keyword(text, change)


def mixed_homoglyphs(text: str, rng: random.Random) -> str:
    """Look-alikes from several scripts for seven in ten letters."""
    return "".join(
        rng.choice(LOOKALIKES[char])
        if char in LOOKALIKES and rng.random() < 0.7
        else char
        for char in text
    )


def leetspeak(text: str, rng: random.Random) -> str:
    """Digits for the letters that look like them."""
    return "".join(LEET.get(char.lower(), char) for char in text)


def leetspeak_with_signs(text: str, rng: random.Random) -> str:
    """Digits and signs for seven in ten of the letters that look like them."""
    return "".join(
        rng.choice(LEET_SIGNS[char.lower()])
        if char.lower() in LEET_SIGNS and rng.random() < 0.7
        else char
        for char in text
    )


def regional_indicators(text: str, rng: random.Random) -> str:
    """The letters that flags are made of, kept apart by thin spaces."""
    return each_word(
        text,
        lambda word: "\u2009".join(
            chr(0x1F1E6 + ord(char) - ord("a")) if "a" <= char <= "z" else char
            for char in word.lower()
        ),
    )


def small_capitals(text: str, rng: random.Random) -> str:
    """Phonetic small capitals, for capitals too."""
    return respelt(text.lower(), SMALL_CAPITALS)


def superscript(text: str, rng: random.Random) -> str:
    """Modifier letters and superscript digits, for capitals too."""
    return respelt(text.lower(), SUPERSCRIPT)


def upside_down(text: str, rng: random.Random) -> str:
    """Turned letters in reverse order, to be read with the head on the other side."""
    return respelt(text.lower(), UPSIDE_DOWN)[::-1]


def _alphabet(
    capital: int, small: int, digit: int | None = None, holes: Mapping[str, str] = {}
) -> dict[int, str]:
    """A table from the first capital, small letter and digit of an alphabet.

    Letters in ``holes`` were encoded earlier, elsewhere.
    """
    table = {}
    for at, letter in enumerate(string.ascii_uppercase):
        table[ord(letter)] = chr(capital + at)
        table[ord(letter.lower())] = chr(small + at)
    if digit is not None:
        table |= {ord("0") + at: chr(digit + at) for at in range(10)}
    return table | {ord(letter): char for letter, char in holes.items()}


_CIRCLED = dict(zip("0123456789", "⓪①②③④⑤⑥⑦⑧⑨", strict=True))
_DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))

_ALPHABETS = {
    "fullwidth": {ord(" "): "\u3000"}
    | {point: chr(point + 0xFEE0) for point in range(0x21, 0x7F)},
    "mathematical-bold": _alphabet(0x1D400, 0x1D41A, 0x1D7CE),
    "mathematical-italic": _alphabet(0x1D434, 0x1D44E, None, {"h": "ℎ"}),
    "mathematical-monospace": _alphabet(0x1D670, 0x1D68A, 0x1D7F6),
    "mathematical-sans-serif-bold": _alphabet(0x1D5D4, 0x1D5EE, 0x1D7EC),
    "mathematical-bold-fraktur": _alphabet(0x1D56C, 0x1D586),
    "mathematical-bold-script": _alphabet(0x1D4D0, 0x1D4EA),
    "mathematical-double-struck": _alphabet(0x1D538, 0x1D552, 0x1D7D8, _DOUBLE_STRUCK),
    "circled-letters": _alphabet(0x24B6, 0x24D0, None, _CIRCLED),
    # NFKC gives (a) and leaves the two below as they are: their capitals are all.
    "parenthesised-letters": _alphabet(0x1F110, 0x249C),
    "negative-circled-letters": _alphabet(0x1F150, 0x1F150),
    "negative-squared-letters": _alphabet(0x1F170, 0x1F170),
}


def _in(alphabet: dict[int, str]) -> Apply:
    return lambda text, rng: text.translate(alphabet)


DISGUISES: tuple[Disguise, ...] = (
    *made(
        "A",
        latin,
        cyrillic_homoglyphs,
        sparse_homoglyphs,
        mixed_homoglyphs,
        leetspeak,
        leetspeak_with_signs,
        regional_indicators,
        small_capitals,
        superscript,
    ),
    *(Disguise(name, "A", _in(table), latin) for name, table in _ALPHABETS.items()),
    *made("B", latin, upside_down),
)
