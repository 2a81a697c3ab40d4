"""Texts that make a pattern work: its own repeats, repeated, and then no match.

They are read from the pattern by Python's own parser, so that a new pattern is tried
without anybody thinking of a text for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from promptguard.guards._regex import parse

__all__ = ["Pump", "pumps"]

# What comes before, what is repeated, and what comes behind.
Pump = tuple[str, str, str]
REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
# A repeat of fewer turns than this costs no more than so many times as much.
MANY = 16
BRANCHES = 3
ANY = "a1 .-_/:=@\"'\n中"
CATEGORY = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}


def pumps(pattern: re.Pattern[str]) -> list[Pump]:
    """Texts for a pattern, each once."""
    tree = parse(pattern.pattern, pattern.flags)
    whole = _sample(tree)
    found: list[Pump] = [("", whole, ""), ("", whole[:-1], ""), ("", whole + " ", "")]
    for before, again in _repeats(tree, ""):
        found += [(before, again, "\x01"), ("", before + again * 3, "")]
    return [pump for pump in dict.fromkeys(found) if pump[1]]


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """What stands before each long repeat, and one turn of it."""
    for name, value in tree:
        kind = str(name)
        if kind in REPEATS:
            least, most, body = value
            again = _sample(body)
            yield from _repeats(body, before)
            if int(most) >= MANY and again:
                yield before, again
            before += again * min(int(least), 40)
        elif kind == "BRANCH":
            for branch in value[1][:BRANCHES]:
                yield from _repeats(branch, before)
            before += _sample(value[1][0])
        elif kind in ("SUBPATTERN", "ATOMIC_GROUP"):
            body = value[3] if kind == "SUBPATTERN" else value
            yield from _repeats(body, before)
            before += _sample(body)
        else:
            before += _one(kind, value)


def _sample(tree: Any) -> str:
    """A text that has about the shape of the pattern."""
    out = ""
    for name, value in tree:
        kind = str(name)
        if kind in REPEATS:
            least, most, body = value
            out += _sample(body) * min(max(int(least), 1 if int(most) else 0), 40)
        elif kind == "BRANCH":
            out += _sample(value[1][0])
        elif kind == "SUBPATTERN":
            out += _sample(value[3])
        elif kind == "ATOMIC_GROUP":
            out += _sample(value)
        else:
            out += _one(kind, value)
    return out


def _one(kind: str, value: Any) -> str:
    """A character for a node; nothing for one that takes none."""
    if kind == "LITERAL":
        return chr(value)
    if kind in ("ANY", "ANY_ALL"):
        return "a"
    if kind == "NOT_LITERAL":
        return next(char for char in ANY if char != chr(value))
    if kind == "IN":
        return _of_set(value)
    return ""


def _of_set(parts: Any) -> str:
    negated = str(parts[0][0]) == "NEGATE"
    if negated:
        fits = (char for char in ANY if not _in_set(char, parts[1:]))
        return next(fits, "~")
    for name, value in parts:
        if str(name) == "LITERAL":
            return chr(value)
        if str(name) == "RANGE":
            return chr(value[0])
    return next((char for char in ANY if _in_set(char, parts)), "a")


def _in_set(char: str, parts: Any) -> bool:
    for name, value in parts:
        kind = str(name)
        if kind == "LITERAL" and ord(char) == value:
            return True
        if kind == "RANGE" and value[0] <= ord(char) <= value[1]:
            return True
        if kind == "CATEGORY":
            category = str(value).removeprefix("CATEGORY_")
            holds = CATEGORY[category.removeprefix("NOT_").removeprefix("UNI_")](char)
            if holds is not category.startswith("NOT_"):
                return True
    return False
