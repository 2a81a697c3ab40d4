"""What a disguise is, when one makes sense, and how to walk the words of a text."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = [
    "WORD",
    "Applies",
    "Apply",
    "Disguise",
    "anything",
    "each_keyword",
    "each_word",
    "keywords",
    "latin",
    "lettered",
    "made",
    "respelt",
    "sprinkled",
    "wordy",
]

Apply = Callable[[str, random.Random], str]
Applies = Callable[[str], bool]


def anything(text: str) -> bool:
    """True for a text that is not blank."""
    return bool(text.strip())


def lettered(text: str) -> bool:
    """True for a text with a word of at least four letters, in any script."""
    return any(len(word) >= _SHORTEST for word in WORD.findall(text))


def wordy(text: str) -> bool:
    """True for at least four words between spaces, one of them of four letters."""
    return lettered(text) and len(text.split()) >= 4


def latin(text: str) -> bool:
    """True for a text with such a word, and at least half of its letters A to Z.

    Tables of look-alikes and alphabets hold these letters only.
    """
    plain = sum(char.isascii() and char.isalpha() for char in text)
    return lettered(text) and 2 * plain >= sum(map(str.isalpha, text))


@dataclass(frozen=True)
class Disguise:
    """One way to write a text so that a detector may not know it.

    Args:
        name: Its name, in kebab case.
        tier: ``A`` characters that a canonical form brings back, ``B`` a code or a
            container to be opened, ``C`` lossy, ``L`` length.
        apply: Gives the disguised text. The same seed gives the same text, and no
            string makes it fail; one that it does not apply to may come back unchanged.
        applies: Whether it makes sense for a text; most look-alikes need Latin letters.
    """

    name: str
    tier: str
    apply: Apply
    applies: Applies = anything


def made(tier: str, applies: Applies, *functions: Apply) -> tuple[Disguise, ...]:
    """Disguises of one tier, each under the name of its function."""
    return tuple(
        Disguise(function.__name__.replace("_", "-"), tier, function, applies)
        for function in functions
    )


WORD = re.compile(r"[^\W\d_]+")
"""Letters side by side, in any script; marks, digits and apostrophes part them."""

# What attacks are about, and what simple filters look for.
_TELLING = frozenset(
    "access admin administrator assistant bypass command commands confidential "
    "constraints credentials developer disable disregard filter filters forget forward "
    "guidelines hidden ignore ignored ignoring instruction instructions jailbreak leak "
    "mode override password passwords policies policy pretend previous prior prompt "
    "restrictions reveal roleplay rule rules safety secret secrets send system token "
    "unfiltered unrestricted".split()
)
_FEW = 3
_SHORTEST = 4


def keywords(text: str) -> list[tuple[int, int]]:
    """Where the telling words stand, or else the longest: benign texts have those too.

    Gives half-open spans in order: all telling words, or three words, or fewer.
    """
    words = [word for word in WORD.finditer(text) if len(word[0]) >= _SHORTEST]
    found = [word.span() for word in words if word[0].lower() in _TELLING]
    if not found:
        by_length = sorted(words, key=lambda word: -len(word[0]))
        found = sorted(word.span() for word in by_length[:_FEW])
    return found


def each_keyword(text: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` done to every keyword."""
    pieces, done = [], 0
    for start, end in keywords(text):
        pieces += [text[done:start], change(text[start:end])]
        done = end
    return "".join([*pieces, text[done:]])


def respelt(text: str, table: Mapping[str, str]) -> str:
    """The text with each character that is in the table as the table has it."""
    return "".join(table.get(char, char) for char in text)


def each_word(text: str, change: Callable[[str], str], shortest: int = 1) -> str:
    """The text with ``change`` done to every word of so many letters or more."""
    return WORD.sub(
        lambda word: change(word[0]) if len(word[0]) >= shortest else word[0], text
    )


def sprinkled(
    word: str, rng: random.Random, make: Callable[[], str], share: float = 0.4
) -> str:
    """The word with something in some of its gaps, and in one at least.

    Args:
        make: Gives what to put there, anew for each gap.
        share: The probability of each gap.
    """
    gaps = [at for at in range(1, len(word)) if rng.random() < share]
    if not gaps and len(word) > 1:
        gaps = [rng.randrange(1, len(word))]
    inside = frozenset(gaps)
    return "".join((make() if at in inside else "") + c for at, c in enumerate(word))
