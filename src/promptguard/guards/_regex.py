"""What can be said of a regular expression before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from .._signs import kinds
from ..errors import ConfigError

__all__ = ["Need", "compiled", "longest", "need", "parse", "shown"]


@lru_cache(maxsize=1024)
def compiled(pattern: str, flags: int) -> re.Pattern[str]:
    """The compiled pattern.

    Raises:
        ConfigError: It is not a regular expression; the message shows where.
    """
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        reason, place = error.msg, error.pos or 0
    except (ValueError, OverflowError, RecursionError) as error:
        reason, place = str(error) or type(error).__name__, 0
    raise ConfigError(f"bad pattern: {reason}\n{shown(pattern, place)}")


def shown(pattern: str, start: int, end: int | None = None) -> str:
    """The line of a pattern with a place in it marked."""
    before = pattern.rfind("\n", 0, start) + 1
    after = pattern.find("\n", start)
    line = pattern[before : after if after >= 0 else None]
    width = max(1, min(end or start + 1, before + len(line)) - start)
    return f"  {line}\n  {' ' * (start - before)}{'^' * width}"


class Need(NamedTuple):
    """What every match of a pattern has: where that is missing there is none.

    Args:
        opening: What it begins with.
        inside: What stands somewhere in it.
        kinds: Of each of these at least one in an ASCII text; see ``Reading.lacks``.
    """

    opening: str = ""
    inside: str = ""
    kinds: tuple[frozenset[int], ...] = ()


@lru_cache(maxsize=1024)
def need(pattern: str, flags: int) -> Need:
    """What a text needs for the pattern to match; nothing where that is not known."""
    try:
        tree = parse(pattern, flags)
        if tree.state.flags & (re.IGNORECASE | re.LOCALE):
            return Need()
        return _need(tree)
    except Exception:
        # As in longest(): the parser may change.
        return Need()


def _need(tree: Any) -> Need:
    runs: list[str] = [""]
    found: dict[frozenset[int], None] = {}
    for name, value in _flat(tree):
        if name in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        if name == "LITERAL":
            runs[-1] += chr(value)
        else:
            runs.append("")
        least = _least(name, value)
        if least is not None and not _COMMON & least:
            found[kinds("".join(map(chr, least)))] = None
    return Need(runs[0], max(runs, key=len), tuple(found))


# What ``kinds`` does not tell.
_COMMON = set(b"abcdefghijklmnopqrstuvwxyz ")


def _flat(tree: Any) -> Iterator[tuple[str, Any]]:
    """The nodes of a sequence and of the groups in it, but those with own flags."""
    for name, value in tree:
        if str(name) == "SUBPATTERN" and not (value[1] or value[2]):
            yield from _flat(value[3])
        elif str(name) == "ATOMIC_GROUP":
            yield from _flat(value)
        else:
            yield str(name), value


def _least(name: str, value: Any) -> set[int] | None:
    """ASCII characters of which any match of a node has one; None if not known."""
    if name == "LITERAL":
        return {value} if value < 128 else set()
    if name == "IN":
        parts = [_members(str(kind), member) for kind, member in value]
        return None if None in parts else set().union(*filter(None, parts))
    if name == "BRANCH":
        branches = [_rarest(branch) for branch in value[1]]
        return None if None in branches else set().union(*filter(None, branches))
    if name.endswith("_REPEAT") and value[0]:
        return _rarest(value[2])
    return None


def _rarest(tree: Any) -> set[int] | None:
    """The same of a sequence: of its first node for which ``kinds`` can tell."""
    each = [least for node in _flat(tree) if (least := _least(*node)) is not None]
    return next(
        (least for least in each if not _COMMON & least), each[0] if each else None
    )


def _members(kind: str, member: Any) -> set[int] | None:
    if kind == "LITERAL":
        return {member} if member < 128 else set()
    if kind == "RANGE":
        return set(range(member[0], min(member[1], 127) + 1))
    return set(b"0123456789") if str(member) == "CATEGORY_DIGIT" else None


@lru_cache(maxsize=1024)
def longest(pattern: str, flags: int) -> int | None:
    """How far a match can look and reach, in characters; None if there is no limit."""
    try:
        tree = parse(pattern, flags)
        width = int(tree.getwidth()[1]) + sum(_around(tree))
    except Exception:
        # The parser is an inner part of Python's: what it says may change.
        return None
    # One more for what \\b and $ look at.
    return width + 1 if width < 1_000_000 else None


def _around(node: Any) -> Iterator[int]:
    """Widths of what is looked ahead or back for."""
    for name, value in node:
        if str(name) in ("ASSERT", "ASSERT_NOT"):
            yield int(value[1].getwidth()[1])
        for part in _inner(value):
            yield from _around(part)


def _inner(value: Any) -> Iterator[Any]:
    """The sequences inside the value of a node."""
    if hasattr(value, "getwidth"):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _inner(part)


def parse(pattern: str, flags: int) -> Any:
    """The pattern as Python's own parser reads it, which is no public interface."""
    return import_module("re._parser").parse(pattern, flags)
