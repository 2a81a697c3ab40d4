"""Lists of words: those of the package, one file a language, and a caller's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from os import PathLike
from typing import NamedTuple

from ..errors import ConfigError
from ._respelling import respelt

__all__ = [
    "LANGUAGES",
    "LEVELS",
    "TOPICS",
    "Entry",
    "entries",
    "innocent",
    "joints",
    "parse",
    "read",
    "respellings",
    "topical",
]

# The data files; a test holds that they are these.
LANGUAGES = tuple(
    "ar cs da de en es fa fi fr hi hu it ja ko nl no pl pt ru sv th tr uk zh".split()
)
LEVELS = ("mild", "strong", "severe")
# What swearing is not, and some rooms do without.
TOPICS = ("body", "drugs", "groups", "harm", "innuendo", "politics", "romance")

# A file of words is read line by line; no list of words has lines like this.
_LONGEST_LINE = 200


_ACCENTED = re.compile("[\u00c0-\u024f]")


class Entry(NamedTuple):
    """One thing to look for.

    Args:
        text: The word or phrase.
        severity: 1 to 3; 0 for what is to be left alone.
        before: Letters may come before it in the same word.
        after: Letters may come after it in the same word.
        written: Only with the accents that it is written with.
        joins: Not by itself but in compounds and with endings (see ``joints``).
        bends: With the usual endings of English, and with a letter written twice.
        respelt: Another spelling of a word, made by rule: as it is, and no further.
    """

    text: str
    severity: int
    before: bool = False
    after: bool = False
    written: bool = False
    joins: bool = False
    bends: bool = False
    respelt: bool = False


def parse(word: str, severity: int) -> Entry:
    """A word as it stands in a list: ``word``, ``*word*``, ``=word`` or ``word+``."""
    text = word.removeprefix("=")
    bare = text.strip("*").removesuffix("+")
    return Entry(
        bare.strip(),
        severity,
        text.startswith("*") and bare != "",
        text.endswith("*") and bare != "",
        word.startswith("="),
        text.endswith("+"),
    )


@cache
def _file(language: str) -> dict[str, tuple[str, ...]]:
    source = files("promptguard") / "data" / "profanity" / f"{language}.toml"
    table = tomllib.loads(source.read_text(encoding="utf-8"))
    keys = (*LEVELS, "local", "innocent", "endings", "parts", "respelt", "otherwise")
    topics = table.get("topics", {})
    return {key: tuple(_split(table.get(key, ""))) for key in keys} | {
        topic: tuple(_split(topics.get(topic, ""))) for topic in TOPICS
    }


def _split(text: str) -> Iterator[str]:
    for part in text.split(","):
        word = " ".join(part.split())
        if word:
            yield word


def entries(language: str, everywhere: bool) -> Iterator[Entry]:
    """The words of a language.

    Args:
        language: One of ``LANGUAGES``.
        everywhere: Leave out what is an ordinary word or a name in other languages.
    """
    table = _file(language)
    local = {word.casefold() for word in table["local"]} if everywhere else set()
    bends = bool(table["endings"])
    for severity, level in enumerate(LEVELS, 1):
        for word in table[level]:
            if word.casefold().lstrip("=") in local:
                continue
            entry = parse(word, severity)
            if everywhere and _ACCENTED.search(entry.text):
                # Without its accents it may be any word of any language.
                entry = entry._replace(before=False, after=False, written=True)
            yield entry._replace(bends=bends)


def respellings(language: str) -> Iterator[Entry]:
    """Other spellings of the words that a language's file names for it."""
    table = _file(language)
    graded = {
        word.strip("*+="): severity
        for severity, level in enumerate(LEVELS, 1)
        for word in table[level]
    }
    otherwise = set(table["otherwise"])
    for word in table["respelt"]:
        # An inflected form is as strong as the word.
        severity = graded.get(word) or max(
            (
                graded[stem]
                for stem in graded
                if len(stem) > 3 and word.startswith(stem)
            ),
            default=2,
        )
        for variant in sorted(respelt(word) - otherwise):
            yield Entry(variant, severity, respelt=True)


def topical(language: str, topic: str) -> Iterator[Entry]:
    """What belongs to a topic, as it is listed: endings make other words of these."""
    for word in _file(language)[topic]:
        yield parse(word, 1)


def innocent(language: str) -> Iterator[Entry]:
    """Words and phrases of a language that hold a listed word and mean no harm."""
    for word in _file(language)["innocent"]:
        yield parse(word, 0)


def joints(language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The endings that words of a language take, and what they make compounds with."""
    table = _file(language)
    return table["endings"], table["parts"]


def read(path: str | PathLike[str]) -> tuple[str, ...]:
    """The words of a text file, one a line; ``#`` begins a comment.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, or a line is not a word or
            phrase; the message names the file and the line.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot read the word list {path}: {reason}") from None
    words = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path}, line {number}: not UTF-8") from None
        word = " ".join(text.partition("#")[0].split())
        if not word:
            continue
        if len(word) > _LONGEST_LINE:
            raise ConfigError(
                f"{path}, line {number}: {len(word)} characters are no word or phrase; "
                "write one a line"
            )
        if re.search(r"[,;\t]|[^*]\*[^*]", word) or not re.search(r"[^\W_]", word):
            raise ConfigError(
                f"{path}, line {number}: not a word or phrase; write one a line, with "
                "a * at its start or end for any letters there"
            )
        words.append(word)
    return tuple(words)
