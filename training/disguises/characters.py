"""Characters that are not seen, marks on letters, and what a terminal takes out.

Boucher et al., "Bad Characters" (arXiv 2106.09898), describe invisible characters and
deletions, Hackett et al. (arXiv 2504.11168) what they do to guards. Which characters
are shown as nothing is Unicode's property Default_Ignorable_Code_Point.
"""

from __future__ import annotations

import random
import string
import unicodedata
from functools import cache

from .disguise import (
    Disguise,
    anything,
    each_keyword,
    each_word,
    latin,
    lettered,
    made,
    sprinkled,
)
from .tables import ACCENTS, EMOJI, ZERO_WIDTH

__all__ = ["DISGUISES"]


def zero_width_between_letters(text: str, rng: random.Random) -> str:
    """A zero-width space between every two characters."""
    return "\u200b".join(text)


def zero_width_at_random(text: str, rng: random.Random) -> str:
    """Any zero-width character after four in ten characters."""
    return sprinkled(text, rng, lambda: rng.choice(ZERO_WIDTH))


def zero_width_in_keywords(text: str, rng: random.Random) -> str:
    """One zero-width character inside each keyword, and nothing else."""
    return each_keyword(
        text, lambda word: sprinkled(word, rng, lambda: rng.choice(ZERO_WIDTH), 0)
    )


def soft_hyphens(text: str, rng: random.Random) -> str:
    """A soft hyphen between all letters of each word."""
    return each_word(text, "\u00ad".join)


def hangul_fillers(text: str, rng: random.Random) -> str:
    """Fillers of Hangul inside words: letters by their category, but not to be seen."""
    fillers = "\u115f\u1160\u3164\uffa0"
    return each_word(
        text, lambda word: sprinkled(word, rng, lambda: rng.choice(fillers))
    )


def variation_selectors(text: str, rng: random.Random) -> str:
    """One of the variation selectors 1 to 16 after every character."""
    return "".join(char + chr(0xFE00 + rng.randrange(16)) for char in text)


def supplementary_variation_selectors(text: str, rng: random.Random) -> str:
    """One of the variation selectors 17 to 256 after every character."""
    return "".join(char + chr(0xE0100 + rng.randrange(240)) for char in text)


def null_bytes(text: str, rng: random.Random) -> str:
    """NUL between the letters of each word."""
    return each_word(text, "\0".join)


def directional_marks(text: str, rng: random.Random) -> str:
    """Marks of writing direction inside words, which reorder nothing."""
    marks = "\u200e\u200f\u061c"
    return each_word(text, lambda word: sprinkled(word, rng, lambda: rng.choice(marks)))


def emoji_in_words(text: str, rng: random.Random) -> str:
    """An emoji inside every word of four letters or more (arXiv 2411.01077)."""
    return each_word(
        text, lambda word: sprinkled(word, rng, lambda: rng.choice(EMOJI), 0), 4
    )


def combining_marks(text: str, rng: random.Random) -> str:
    """One combining mark on each letter."""
    return "".join(
        char + (chr(rng.randrange(0x300, 0x316)) if char.isalpha() else "")
        for char in text
    )


def accented_letters(text: str, rng: random.Random) -> str:
    """Each letter as one that has an accent, where Unicode has such a letter."""
    return "".join(rng.choice(_accented().get(char, char)) for char in text)


@cache
def _accented() -> dict[str, str]:
    table = {}
    for letter in string.ascii_letters:
        composed = [unicodedata.normalize("NFC", letter + mark) for mark in ACCENTS]
        table[letter] = "".join(char for char in composed if len(char) == 1) or letter
    return table


def zalgo(text: str, rng: random.Random) -> str:
    """Five to twelve combining marks on each letter."""
    # All that are marks on a letter: U+034F among them is a joiner.
    marks = [chr(point) for point in range(0x300, 0x370) if point != 0x34F]
    return "".join(
        char + "".join(rng.choices(marks, k=rng.randint(5, 12)) * char.isalpha())
        for char in text
    )


def overlay_marks(text: str, rng: random.Random) -> str:
    """Strokes through each letter, or a circle around it."""
    marks = "\u0335\u0336\u0337\u0338\u20dd"
    return "".join(
        char + (rng.choice(marks) if char.isalpha() else "") for char in text
    )


def backspaces(text: str, rng: random.Random) -> str:
    """Letters inside words, each with a backspace that takes it out again."""
    return each_word(
        text,
        lambda word: sprinkled(
            word, rng, lambda: rng.choice(string.ascii_lowercase) + "\b"
        ),
    )


def terminal_colours(text: str, rng: random.Random) -> str:
    """Escape sequences for colours (ECMA-48) inside words."""
    return each_word(
        text,
        lambda word: sprinkled(
            word, rng, lambda: f"\x1b[{rng.choice((0, 1, 4, 31, 32, 36, 97))}m"
        ),
    )


DISGUISES: tuple[Disguise, ...] = (
    *made(
        "A",
        anything,
        zero_width_between_letters,
        zero_width_at_random,
        variation_selectors,
        supplementary_variation_selectors,
    ),
    *made(
        "A",
        lettered,
        zero_width_in_keywords,
        soft_hyphens,
        hangul_fillers,
        null_bytes,
        directional_marks,
        emoji_in_words,
        backspaces,
        terminal_colours,
    ),
    *made("A", latin, combining_marks, accented_letters, zalgo, overlay_marks),
)
