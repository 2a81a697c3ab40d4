"""The words of data/disclosure, for looking them up."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..._language import common
from .._trie import alternatives

__all__ = ["Health", "Words", "gender_of", "health", "soft_names", "words"]

_LETTERS = re.compile("[a-z]+")
_FOLDER = Path(__file__).parents[2] / "data" / "disclosure"


class Words(NamedTuple):
    """Words of English by what they say of people."""

    courtesy: frozenset[str]
    profession: frozenset[str]
    kin: frozenset[str]
    role: frozenset[str]
    definite: frozenset[str]
    plural: frozenset[str]
    determiners: frozenset[str]
    male: frozenset[str]
    female: frozenset[str]
    places: frozenset[str]
    place_before: frozenset[str]
    animals: frozenset[str]
    others: frozenset[str]
    verbs: frozenset[str]
    things: frozenset[str]
    speech: frozenset[str]


class Health(NamedTuple):
    """What tells of health: patterns for it, and what is quick to look for first.

    Args:
        strong: What is a fact wherever it stands.
        weak: What is one of a person in the same sentence.
        capitals: Short forms, in capitals only.
        endings: Of the words of medicine.
        harmless: What only ends so.
        telling: A word of each phrase, by which it is looked for first.
    """

    strong: re.Pattern[str]
    weak: re.Pattern[str]
    capitals: frozenset[str]
    endings: tuple[str, ...]
    harmless: frozenset[str]
    telling: frozenset[str]


def _read(name: str) -> dict[str, str]:
    table = tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return {key: str(value) for key, value in table.items()}


@cache
def words() -> Words:
    """The table of words, read once."""
    table = _read("words.toml")
    return Words(**{key: frozenset(value.split()) for key, value in table.items()})


@cache
def health() -> Health:
    """The table of health, read once."""
    table = {key: _split(value) for key, value in _read("health.toml").items()}
    strong = {
        phrase
        for key in ("conditions", "states", "medicines", "care")
        for phrase in table[key]
    }
    weak = set(table["symptoms"])
    usual = common()

    def rare(word: str) -> tuple[bool, int]:
        return word not in usual, len(word)

    telling = {max(_LETTERS.findall(phrase), key=rare) for phrase in strong | weak}
    telling |= {word + more for word in telling for more in ("s", "es")}
    return Health(
        _any_of(strong),
        _any_of(weak),
        frozenset(table["capitals"]),
        tuple(table["endings"]),
        frozenset(table["harmless"]),
        frozenset(telling | set(table["measured"])),
    )


@cache
def _names() -> tuple[dict[str, str], frozenset[str]]:
    table = {key: value.split() for key, value in _read("names.toml").items()}
    known = dict.fromkeys(table["soft"] + table["both"], "")
    known |= dict.fromkeys(table["male"], "m") | dict.fromkeys(table["female"], "f")
    return known, frozenset(table["soft"])


def gender_of(name: str) -> str | None:
    """``m``, ``f`` or nothing known of a given name; None if it is not known as one."""
    return _names()[0].get(name)


def soft_names() -> frozenset[str]:
    """Given names that are ordinary words as well."""
    return _names()[1]


def _split(text: str) -> list[str]:
    parts = (" ".join(part.split()) for part in text.split(","))
    return [part for part in parts if part]


def _any_of(phrases: set[str]) -> re.Pattern[str]:
    """The longest of the phrases, as whole words, with an English plural or not."""
    spaced = {phrase.replace("-", " ") for phrase in phrases}
    body = alternatives(
        phrases | spaced, re.escape, lambda phrase: r"(?:e?s)?(?![a-z0-9])"
    )
    return re.compile(rf"(?<![a-z0-9])(?:{body})")
