"""Values that are never reported: given one by one, or in a file."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from ...errors import ConfigError
from .._backtracking import hazard
from .._regex import compiled

__all__ = ["Allowed", "allows", "check_allowed"]

Allowed = str | re.Pattern[str] | Path


def check_allowed(place: int, value: object) -> None:
    """Refuse what cannot be a value, a pattern or a file.

    Raises:
        ConfigError: It is something else, empty, or can take exponential time.
    """
    if isinstance(value, str):
        if not value:
            raise ConfigError(f"allow: value {place} is empty")
    elif isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        if hazard(value.pattern, value.flags) is not None:
            raise ConfigError(f"allow: pattern {place} can take exponential time")
    elif not isinstance(value, Path):
        kind = type(value).__name__
        raise ConfigError(
            f"allow: value {place} is a {kind}, not a str, a pattern or a Path"
        )


def allows(allow: tuple[Allowed, ...], value: str) -> bool:
    """True for a value that is allowed as a whole."""
    exact, patterns = _read(allow)
    return value in exact or any(p.fullmatch(value) is not None for p in patterns)


@lru_cache(maxsize=64)
def _read(
    allow: tuple[Allowed, ...],
) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    exact: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for one in allow:
        if isinstance(one, Path):
            lines = _lines(one)
        else:
            lines = [one]
        for line in lines:
            if isinstance(line, str):
                exact.add(line)
            else:
                patterns.append(line)
    return frozenset(exact), tuple(patterns)


def _lines(path: Path) -> list[str | re.Pattern[str]]:
    """The values of a file, one a line; a pattern stands between slashes."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"allow: {path} cannot be read as UTF-8 text: {type(error).__name__}"
        ) from None
    found: list[str | re.Pattern[str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if len(line) > 2 and line[0] == line[-1] == "/":
            found.append(_pattern(line[1:-1], f"{path}, line {number}"))
        else:
            found.append(line)
    return found


def _pattern(source: str, place: str) -> re.Pattern[str]:
    try:
        pattern = compiled(source, 0)
    except ConfigError as error:
        raise ConfigError(f"allow: {place}: {error}") from None
    if hazard(source, 0) is not None:
        raise ConfigError(f"allow: {place}: the pattern can take exponential time")
    return pattern
