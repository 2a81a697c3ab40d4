"""Gaps, case and order: the same letters, otherwise arranged.

FlipAttack (arXiv 2410.02832) reverses, "Bad Characters" (arXiv 2106.09898) and "Trojan
Source" (arXiv 2111.00169) let Unicode's bidirectional algorithm (UAX 9) reverse.
"""

from __future__ import annotations

import random
import re

from .disguise import (
    Disguise,
    anything,
    each_word,
    latin,
    lettered,
    made,
    sprinkled,
    wordy,
)
from .tables import SPACES

__all__ = ["DISGUISES"]

_RLO, _PDF, _LRI, _PDI = "\u202e", "\u202c", "\u2066", "\u2069"


def exotic_spaces(text: str, rng: random.Random) -> str:
    """Every space as some other space of Unicode."""
    return re.sub(" ", lambda space: rng.choice(SPACES), text)


def spaced_letters(text: str, rng: random.Random) -> str:
    """Letters one space apart, words further apart."""
    return rng.choice(("  ", "   ")).join(map(" ".join, text.split()))


def spaced_letters_flat(text: str, rng: random.Random) -> str:
    """Letters and words alike one space apart."""
    return " ".join("".join(text.split()))


def punctuated_letters(text: str, rng: random.Random) -> str:
    """One sign between all letters of each word."""
    return each_word(text, rng.choice(".-_*,|/·~+").join)


def asterisks(text: str, rng: random.Random) -> str:
    """Asterisks in, around and between words."""
    words = [
        "*" * rng.randint(0, 2) + sprinkled(word, rng, lambda: "*", 0.3) + "*"
        for word in text.split()
    ]
    return "".join(word + rng.choice((" ", " ", " * ")) for word in words).rstrip()


def word_per_line(text: str, rng: random.Random) -> str:
    """One word on each line, with an empty line after it."""
    return "\n\n".join(text.split())


def letter_per_line(text: str, rng: random.Random) -> str:
    """One letter on each line, with an empty line after each word."""
    return "\n\n".join(map("\n".join, text.split()))


def no_spaces(text: str, rng: random.Random) -> str:
    """All words run together."""
    return "".join(text.split())


def some_spaces_removed(text: str, rng: random.Random) -> str:
    """Three in ten gaps closed, at least one."""
    words = text.split()
    kept = [rng.random() < 0.7 for _ in words[1:]]
    if kept and all(kept):
        kept[rng.randrange(len(kept))] = False
    gaps = [" " * keep for keep in kept]
    return "".join(map(str.__add__, words, [*gaps, ""]))


def camel_case(text: str, rng: random.Random) -> str:
    """LikeAnIdentifierInCode, without punctuation."""
    words = ("".join(filter(str.isalnum, word)) for word in text.split())
    return "".join(word[:1].upper() + word[1:].lower() for word in words)


def snake_case(text: str, rng: random.Random) -> str:
    """Words joined by underscores, or by hyphens."""
    return rng.choice("_-").join(text.split())


def random_case(text: str, rng: random.Random) -> str:
    """The case of each letter changed with a probability of 0.6."""
    return "".join(char.swapcase() if rng.random() < 0.6 else char for char in text)


def upper_case(text: str, rng: random.Random) -> str:
    """Capitals only."""
    return text.upper()


def stretched_letters(text: str, rng: random.Random) -> str:
    """One letter of each word three to six times."""

    def change(word: str) -> str:
        at = rng.randrange(len(word))
        return word[:at] + word[at] * rng.randint(3, 6) + word[at + 1 :]

    return each_word(text, change)


def reversed_text(text: str, rng: random.Random) -> str:
    """From the last character to the first."""
    return text[::-1]


def reversed_letters_in_words(text: str, rng: random.Random) -> str:
    """Each word from its last letter to its first, words in their order."""
    return each_word(text, lambda word: word[::-1])


def reversed_word_order(text: str, rng: random.Random) -> str:
    """From the last word to the first."""
    return " ".join(reversed(text.split()))


def bidi_override(text: str, rng: random.Random) -> str:
    """Each line reversed, in an override that shows it as it was."""
    return "\n".join(_RLO + line[::-1] + _PDF for line in text.split("\n"))


def bidi_swapped_pairs(text: str, rng: random.Random) -> str:
    """Pairs of letters exchanged, each in an override that shows them as they were."""
    return each_word(
        text,
        lambda word: re.sub(
            "(.)(.)", rf"{_LRI}{_RLO}\2\1{_PDF}{_PDI}", word, flags=re.DOTALL
        ),
    )


DISGUISES: tuple[Disguise, ...] = (
    *made("A", wordy, exotic_spaces, word_per_line, camel_case, snake_case),
    *made("A", lettered, spaced_letters, punctuated_letters, letter_per_line),
    *made("A", lettered, asterisks),
    *made("A", latin, random_case, upper_case),
    *made("B", lettered, stretched_letters, reversed_letters_in_words),
    *made("B", lettered, bidi_swapped_pairs),
    *made("B", anything, reversed_text, bidi_override),
    *made("C", wordy, no_spaces, some_spaces_removed, spaced_letters_flat),
    *made("C", wordy, reversed_word_order),
)
