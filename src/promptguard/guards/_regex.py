"""What can be said of a regular expression before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import ConfigError

__all__ = ["compiled", "longest", "parse", "shown"]


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
