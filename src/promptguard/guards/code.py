"""Code: source code in a text, and in which language."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .._signs import kinds, signs
from ..errors import ConfigError, unknown
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding
from ._regex import need

__all__ = ["LANGUAGES", "Code"]

LANGUAGES = tuple(
    "c csharp css go html java javascript kotlin lua perl php powershell python r ruby "
    "rust scala shell sql swift typescript".split()
)
"""The languages that are told apart; C and C++ are one, ``c``."""

# What a stretch of lines needs: points of its language and of code in general, or, if
# no language is told, so many lines that look like code.
_ENOUGH = 3
_UNTOLD = 4
_SURE = 2
# Lines are looked at so far, and so many that do not look like code may stand between.
_WIDTH = 400
_BETWEEN = 1


@dataclass(frozen=True, kw_only=True)
class Code(Guard):
    """Source code, in a code fence or not.

    The label is ``code_`` and the language, ``code_other`` where that is not told. A
    finding is a fence with what is in it, or a stretch of lines. A stream is held to
    its end.

    Args:
        languages: Find only these; all, and ``other``, where it is empty.
        allow: Do not find these.

    Raises:
        ConfigError: A language is not known.
    """

    languages: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    action: Action = Action.FLAG

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ("languages", "allow"):
            given: object = getattr(self, kind)
            if isinstance(given, str) or not isinstance(given, tuple | list):
                raise ConfigError(f'{kind} must be several: {kind}=("python", "sql")')
            object.__setattr__(self, kind, tuple(given))
            for language in given:
                if language not in (*LANGUAGES, "other"):
                    raise unknown("language", language, (*LANGUAGES, "other"))

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(f"code_{name}" for name in (*LANGUAGES, "other"))

    def inspect(self, text: Text) -> Inspection:
        """Find fences and stretches of lines in the clean reading."""
        reading = text.clean
        for start, end, language in _blocks(reading.text):
            wanted = not self.languages or language in self.languages
            if wanted and language not in self.allow:
                yield Finding(f"code_{language}", 1.0, *reading.span(start, end))


_FENCE = re.compile(
    r"^[ \t>]*(`{3,}|~{3,})[ \t]*\{?\.?([\w+#-]*)[^\n`]*$", re.MULTILINE
)
# Fences around what is no program.
_NO_CODE = frozenset(
    "text txt plain plaintext markdown md json jsonl json5 yaml yml toml ini csv tsv "
    "log output diff latex tex mermaid math email".split()
)


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """Stretches of code, each with its language."""
    at = 0
    opened: re.Match[str] | None = None
    if "```" not in text and "~~~" not in text:
        yield from _stretches(text, 0, len(text))
        return
    for fence in _FENCE.finditer(text):
        if opened is None:
            yield from _stretches(text, at, fence.start())
            opened, at = fence, fence.start()
        elif fence[1].startswith(opened[1]) and not fence[2]:
            yield from _fenced(text, opened, fence.start(), fence.end())
            opened, at = None, fence.end()
    if opened is not None:
        # The end of an answer that was cut.
        yield from _fenced(text, opened, len(text), len(text))
    else:
        yield from _stretches(text, at, len(text))


def _fenced(
    text: str, fence: re.Match[str], stop: int, end: int
) -> Iterator[tuple[int, int, str]]:
    named = fence[2].lower()
    if named in _NO_CODE:
        return
    language = _table().fences.get(named)
    if language is None:
        points, looks = _points(text[fence.end() : stop].split("\n"))
        language = _best(points)
        if not named and language == "other" and looks < _UNTOLD:
            return
    yield fence.start(), end, language


def _stretches(text: str, start: int, stop: int) -> Iterator[tuple[int, int, str]]:
    """Runs of lines that look like code, outside of fences."""
    lines: list[str] = []
    first = last = missed = 0
    at = start
    while at < stop:
        end = text.find("\n", at, stop)
        end = stop if end < 0 else end
        line = text[at : min(end, at + _WIDTH)]
        if _may(line):
            if not lines:
                first = at
            lines.append(line)
            last, missed = end, 0
        elif lines and line.strip():
            missed += 1
            if missed > _BETWEEN:
                yield from _judged(lines, first, last)
                lines = []
        at = end + 1
    yield from _judged(lines, first, last)


def _judged(lines: list[str], first: int, last: int) -> Iterator[tuple[int, int, str]]:
    points, looks = _points(lines)
    language = _best(points)
    if language == "other":
        enough = looks >= _UNTOLD
    else:
        enough = points[language] + looks >= _ENOUGH and points[language] >= _SURE
    if enough:
        yield first, last, language


def _best(points: Counter[str]) -> str:
    return points.most_common(1)[0][0] if points else "other"


def _may(line: str) -> bool:
    """True for a line that gives points."""
    stripped = line.strip()
    if not stripped:
        return False
    made_of = signs(stripped)
    if made_of is not None and made_of.kinds <= _PROSE:
        return _table().quiet.match(stripped) is not None
    return _looks(stripped) or _table().any.match(stripped) is not None


def _looks(line: str) -> bool:
    """True for a line as no prose has them."""
    return _SIGNS.search(line) is not None and _table().looks.search(line) is not None


_SIGNS = re.compile(r"[(){}\[\]=;:|&#/]")
# Beside small letters, what lines of prose are made of; none of those.
_PROSE = kinds("A0.,!?'-\"")
_LOOKS = (
    # How it ends, what stands in it, what it is altogether, how it begins. A semicolon
    # ends the items of a list as well, which have a mark before them or more words.
    r"[{}]$|^(?![-*\d])\S+(?: \S+){0,4};$|[=<>].*;$"
    r"|\w ?(?:[=!]==?|[+*/|&%-]=|:=|=>|->|&&|\|\||::) ?[\w\"'(\[{]"
    r"|^\w[\w.]*\(.*\)[;:{]?$|^[\])}]+[;,)]*$|^[\w.\[\]]+ ?= ?[\w\"'(\[{]"
    r"|^(?://|/\*|\*/|#!)"
)


def _points(lines: list[str]) -> tuple[Counter[str], int]:
    """Points of each language, and how many lines look like code of any."""
    points: Counter[str] = Counter()
    looks = 0
    for line in lines:
        stripped = line[:_WIDTH].strip()
        looks += _looks(stripped)
        if not stripped or not _table().any.match(stripped):
            continue
        for name, sure, likely in _table().features:
            if sure.match(stripped):
                points[name] += _SURE
            elif likely.match(stripped):
                points[name] += 1
    return points, looks


class _Table:
    """What data/code.toml says, compiled."""

    def __init__(self) -> None:
        path = Path(__file__).parents[1] / "data" / "code.toml"
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        self.fences = {
            alias: name for name, row in data.items() for alias in row["fence"].split()
        }
        self.features = [
            (name, _joined(row["sure"]), _joined(row["likely"]))
            for name, row in data.items()
        ]
        everything = [p for row in data.values() for p in row["sure"] + row["likely"]]
        self.any = _joined(everything)
        # Those that a line may match which has nothing but prose.
        self.quiet = _joined(
            [p for p in everything if all(w & _PROSE for w in need(p, 0).kinds)]
        )
        self.looks = re.compile(_LOOKS)


def _joined(patterns: list[str]) -> re.Pattern[str]:
    # A flag for one alternative is written around it.
    scoped = (
        f"(?i:{pattern[4:]})" if pattern.startswith("(?i)") else f"(?:{pattern})"
        for pattern in patterns
    )
    return re.compile("|".join(scoped))


@cache
def _table() -> _Table:
    return _Table()
