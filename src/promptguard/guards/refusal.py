"""Refusal: an answer that says no."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .._unicode import SOLID, one_of
from ..errors import ConfigError
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding

__all__ = ["Refusal"]


@dataclass(frozen=True, kw_only=True)
class Refusal(Guard):
    """An answer in which the model refuses, told by how it begins.

    Phrases of 29 languages, such as "I'm sorry, but I can't help with that", through
    the folded reading. The finding is the first of them. It is meant for answers; a
    stream is held to its end.

    Args:
        within: A phrase counts if it begins within so many characters of the answer.
            Later on, an answer speaks about what it does not cover.

    Raises:
        ConfigError: ``within`` is not a number of characters.
    """

    within: int = 200
    action: Action = Action.FLAG

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.within) is not int or self.within < 1:
            raise ConfigError("within must be a number of characters, 1 or more")

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({"refusal"})

    def inspect(self, text: Text) -> Inspection:
        """Find the first phrase near the beginning of each folding."""
        start = len(text.original) - len(text.original.lstrip())
        for reading in text.foldings:
            limit = reading.position(start + self.within)
            found = _first(reading.text, limit)
            if found is not None:
                yield Finding("refusal", 1.0, *reading.span(*found))


def _first(text: str, limit: int) -> tuple[int, int] | None:
    phrases = _phrases()
    words = _words()
    if text.isascii():
        # Most answers have no word that one of them begins with.
        spaced = text[:limit].encode("ascii").translate(_SPACED).decode("ascii")
        if phrases.keys().isdisjoint(spaced.split()):
            return None
        words = _ASCII_WORDS
    for match in words.finditer(text, 0, limit):
        pattern = phrases.get(match[0])
        phrase = None if pattern is None else pattern.match(text, match.start())
        if phrase is not None:
            return phrase.span()
    return None


_ASCII_WORDS = re.compile("[A-Za-z0-9]+")
_SPACED = bytes(at if chr(at).isalnum() else 32 for at in range(128)) + b" " * 128


@cache
def _solid() -> re.Pattern[str]:
    return re.compile(one_of(SOLID))


@cache
def _words() -> re.Pattern[str]:
    solid = one_of(SOLID)
    return re.compile(rf"{solid}|(?:(?!{solid})[^\W_])+")


@cache
def _phrases() -> dict[str, re.Pattern[str]]:
    """Patterns by the word, or letter of a script without spaces, they begin with."""
    path = Path(__file__).parents[1] / "data" / "refusal.toml"
    table: dict[str, list[str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    by_word: dict[str, list[str]] = {}
    for written in (line for lines in table.values() for line in lines):
        parts = _parts(written)
        for word in _beginnings(parts):
            by_word.setdefault(word, []).append("".join(map(_pattern, parts)))
    edge = rf"(?:(?<={one_of(SOLID)})|(?![^\W_]))"
    return {
        word: re.compile(f"(?:{'|'.join(lines)}){edge}")
        for word, lines in by_word.items()
    }


_CHOICE = re.compile(r"\(([^()]*)\)")


def _parts(written: str) -> list[list[str]]:
    """A phrase with alternatives, as the alternatives of one part after the other."""
    # split() gives what stands between the parentheses and inside them by turns.
    return [
        part.split("|") if place % 2 else [part]
        for place, part in enumerate(_CHOICE.split(written))
    ]


def _beginnings(parts: list[list[str]]) -> Iterator[str]:
    """The first words of a phrase, as they stand in folded text."""
    begun = {""}
    for part in parts:
        begun = {
            text if _complete(text) else text + choice.partition("...")[0]
            for text in begun
            for choice in part
        }
    yield from {_words().findall(_folded(text))[0] for text in begun}


def _complete(text: str) -> bool:
    """True when the first word is over."""
    return re.search(r"\w\W", text) is not None or bool(_solid().match(text))


def _pattern(part: list[str]) -> str:
    return f"(?:{'|'.join(map(_alternative, part))})"


def _alternative(choice: str) -> str:
    # Where a part is left out, two spaces meet that are one in the text.
    runs = (re.escape(_folded(run)).replace(r"\ ", " ?") for run in choice.split("..."))
    return " ?[^.!?\u3002]{0,40}? ?".join(runs)


def _folded(text: str) -> str:
    """The text as it is folded among words of its own script."""
    company = "zz " if re.search("[a-z]", text) else "жд "
    core = text.strip(" ")
    if not core:
        return text
    folded = Text(f"{company}{core} {company}").folded.text
    inside = folded[len(company) : len(folded) - len(company)].strip(" ")
    return text.replace(core, inside)
