"""The tables of PII, read once, as rules."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ..._unicode import SOLID, one_of
from .._regex import parse
from .chains import STARS
from .checks import CHECKS, Check
from .national import NATIONAL

__all__ = [
    "Layout",
    "Rule",
    "countries",
    "country_of",
    "layout",
    "read",
    "rules",
    "words",
]

Joints = tuple[str, ...] | None

# What belongs to no country, and is not a row of numbers. (The rows without a country
# are read from the table.)
GENERAL = (
    "CRYPTO",
    "DATE_OF_BIRTH",
    "EMAIL_ADDRESS",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "PHONE_NUMBER",
    "URL_CREDENTIALS",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Lengths of groups, and what is between them; None where anything may be."""

    sizes: tuple[int, ...]
    joints: Joints
    alone: bool
    named: bool


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One way to write one entity: a row of the table, compiled.

    ``digits`` and ``letters`` say that a value has nothing but digits, or a letter.
    """

    entity: str
    country: str
    shape: re.Pattern[str]
    layouts: tuple[Layout, ...]
    free: bool
    alone: bool
    lower: bool
    named: bool
    digits: bool
    letters: bool
    words: tuple[str, ...]
    source: str
    check: Check | None
    parameters: Mapping[str, Any]

    @property
    def context(self) -> re.Pattern[str]:
        """What announces a value, in lower-case text; compiled when it is needed."""
        return words(self.words)

    def fits(self, value: str) -> bool:
        """True when the value, without separators and in capitals, can be one."""
        if not self.shape.fullmatch(value):
            return False
        return self.check is None or self.check(value, self.parameters)


@cache
def read(name: str) -> dict[str, Any]:
    """One of the tables, as it stands in its file."""
    text = files("promptguard.data").joinpath(f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def rules() -> tuple[Rule, ...]:
    """All rows of numbers."""
    return tuple(_rule(row) for row in read("pii")["number"])


@cache
def country_of() -> dict[str, str]:
    """Every entity and its country, empty where it belongs to none."""
    known = dict.fromkeys(GENERAL, "")
    return known | {
        row["entity"]: row.get("country", "") for row in read("pii")["number"]
    }


@cache
def countries() -> frozenset[str]:
    """The countries that have an entity of their own, or a plan of phone numbers."""
    plans = read("pii-phones")["plan"]
    return frozenset(
        {country for country in country_of().values() if country}
        | {country for plan in plans for country in plan["countries"]}
    )


def layout(written: str, alone: bool = False, named: bool = False) -> Layout:
    """A layout as it is written in a table: sizes and what is between them."""
    parts = re.split(r"(\d+)", written)[1:-1]
    sizes = tuple(int(part) for part in parts[::2])
    joints = tuple(parts[1::2])
    free = "~" in joints or not joints
    return Layout(sizes, None if free else joints, alone, named)


def _rule(row: Mapping[str, Any]) -> Rule:
    alone = row.get("alone", [])
    named = row.get("named", "check" in row) or []
    layouts = tuple(
        layout(
            written, *(listed is True or written in listed for listed in (alone, named))
        )
        for written in row["layouts"]
    )
    check, parameters = None, dict(row.get("check", {}))
    if parameters:
        kind = parameters["kind"]
        check = CHECKS.get(kind) or NATIONAL[kind]
        if kind == "iban":
            parameters["structures"] = _structures()
        elif kind == "issuer":
            parameters["prefixes"] = _prefixes(parameters["issuers"])
    shape = re.compile(row["shape"])
    return Rule(
        entity=row["entity"],
        country=row.get("country", ""),
        shape=shape,
        layouts=layouts,
        free=row.get("free", True),
        alone=alone is True,
        lower=row.get("lower", False),
        named=named is True,
        digits=re.search("[A-Z]", row["shape"]) is None,
        letters=not _may_be_digits(parse(row["shape"], 0)),
        words=tuple(row["context"]),
        source=row["source"],
        check=check,
        parameters=parameters,
    )


def _prefixes(issuers: list[tuple[str, str, list[int]]]) -> dict[str, set[int]]:
    """The lengths of cards that begin with four digits."""
    found: dict[str, set[int]] = {}
    for low, high, lengths in issuers:
        for prefix in range(int(low.ljust(4, "0")), int(high.ljust(4, "9")) + 1):
            found.setdefault(str(prefix), set()).update(lengths)
    return found


def _may_be_digits(node: Any) -> bool:
    """True when a value without a letter can have a shape, as the parser reads it."""
    return all(_part_may_be_digits(str(name), value) for name, value in node)


def _part_may_be_digits(name: str, value: Any) -> bool:
    if name == "LITERAL":
        return chr(value).isdigit()
    if name == "IN":
        return any(
            (str(kind) == "RANGE" and chr(what[0]) <= "9" and chr(what[1]) >= "0")
            or (str(kind) == "LITERAL" and chr(what).isdigit())
            or str(kind) == "CATEGORY"
            for kind, what in value
        )
    if name == "MAX_REPEAT":
        return value[0] == 0 or _may_be_digits(value[2])
    if name == "SUBPATTERN":
        return _may_be_digits(value[3])
    if name == "BRANCH":
        return any(map(_may_be_digits, value[1]))
    return True


def _structures() -> dict[str, re.Pattern[str]]:
    """The account part of an IBAN, by country."""
    kinds = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
    return {
        country: re.compile(
            "".join(f"{kinds[k]}{{{n}}}" for k, n in re.findall(r"(.)(\d+)", written))
        )
        for country, written in read("pii-accounts")["structures"].items()
    }


@cache
def words(listed: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for any of the words in lower-case text, as whole words.

    Each is also found without its accents. The pattern begins with a letter and looks
    back from there, because the engine is quick to find one of several first letters.
    """
    by_first: dict[str, list[str]] = {}
    for form in sorted(set().union(*map(_forms, listed))):
        by_first.setdefault(form[0], []).append(_rest(form))
    return re.compile(
        "|".join(
            f"{_first(first)}(?:{'|'.join(rest)})" for first, rest in by_first.items()
        )
    )


def _forms(word: str) -> set[str]:
    word = word.lower()
    plain = "".join(
        char
        for char in unicodedata.normalize("NFD", word)
        if unicodedata.category(char) != "Mn"
    )
    # A short one may be another word without them: né, ne.
    return {word, plain} if plain.isascii() and len(word) > 3 else {word}


def _first(letter: str) -> str:
    """A first letter, with nothing before it that makes it part of another word."""
    escaped = re.escape(letter)
    if _solid(letter):
        return escaped
    # What a mask left behind is no word.
    return rf"{escaped}(?<![^\W_]{escaped})(?<!{STARS}{escaped})"


def _rest(word: str) -> str:
    """The rest of a word, and its end; a * leaves that open."""
    is_open = word.endswith("*")
    word = word.rstrip("*")
    rest = re.sub(r"\\? ", lambda _: r"[\W_]{0,3}", re.escape(word[1:]))
    last = word[-1]
    closed = not is_open and last.isalnum() and not _solid(last)
    return rest + (r"(?![^\W_])" if closed else "")


def _solid(char: str) -> bool:
    """True for a letter of a script that is written without spaces."""
    return re.match(one_of(SOLID), char) is not None
