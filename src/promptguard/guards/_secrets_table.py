"""The table of secrets: rows, the words that announce them, and their patterns."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

__all__ = ["BASE64", "GAP", "Row", "Table", "names", "table", "trie"]

UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

# What may stand between the lines of a key: line ends, also as programs, URLs, XML and
# HTML write them, and what quotes, joins or comments the lines.
GAP = (
    r"(?:\s|\\[nrt]|\\\\n|[\"'+,>|*#\\]|%0[AaDd]|&#(?:10|13|[xX][aAdD]);|<br ?/?>)"
    r"{1,16}+"
)
BASE64 = "[A-Za-z0-9+/=]"
# A sign of base 64 in a URL, where it goes on with the line.
_PERCENT = "%(?:2[BbFf]|3[Dd])"
# The lines of a key. From the second on each has a digit, or begins with none of a
# word's letters, or is longer than any word: a stream is cut before none of those, so a
# key is never cut, however long it is.
_BODY = (
    rf"(?:{GAP}(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset):[^\n\\]{{0,80}}+)"
    # Lines may be numbered, and a key on one line may have lost its line ends.
    rf"{{0,3}}(?:{GAP}(?:[0-9]{{1,3}}[:.]?{GAP})?)?{BASE64}{{4,}}+"
    rf"(?:{_PERCENT}{BASE64}*+"
    rf"|{GAP}(?=[+/=]|[A-Za-z+/=]*+[0-9]|{BASE64}{{48}}|[A-Za-z]{{1,76}}{_PERCENT})"
    rf"(?:[0-9]{{1,3}}[:.](?=\s)|{BASE64}++))*+"
)

# A secret is not part of a longer word. The n of a line end that is written out is no
# such part, nor is what is written in percent.
_LEFT = r"(?:(?<![\w-])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
_RIGHT = r"(?!\w)"


_LEAD = re.compile(r"\w+", re.ASCII)


@dataclass(frozen=True)
class Row:
    """One kind of secret; see the head of data/secrets.toml."""

    name: str
    keywords: tuple[str, ...]
    pattern: str
    source: str
    severity: str
    near: bool = False
    back: int = 0
    entropy: float | None = None
    check: str | None = None
    proof: str | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern with its edges; of what stands near, for the whole value."""
        return _compiled(self.pattern, self.near)


class Table:
    """Rows, and what finds the words that announce them.

    Args:
        rows: In the order in which they are preferred.
        beginnings: How values begin that documentation shows.
    """

    def __init__(self, rows: Iterable[Row], beginnings: Iterable[str] = ()) -> None:
        self.rows = tuple(rows)
        self.beginnings = tuple(beginnings)
        self.has_private_keys = any(row.name == "private-key" for row in self.rows)
        self.near = tuple(row for row in self.rows if row.near)
        found: dict[str, list[Row]] = {}
        self.inside: dict[str, list[Row]] = {}
        for row in self.rows:
            for keyword in () if row.near else row.keywords:
                if keyword == keyword.lower():
                    found.setdefault(keyword, []).append(row)
                else:
                    self.inside.setdefault(keyword, []).append(row)
        # The longest keyword is found; those that begin it are there as well.
        self.by_keyword: Mapping[str, tuple[Row, ...]] = {
            word: tuple(
                row
                for begin, rows in found.items()
                if word.startswith(begin)
                for row in rows
            )
            for word in found
        }
        words = trie(sorted(found))
        self.plain = re.compile(rf"\b(?:{words})", re.ASCII) if found else None
        self.escaped = (
            re.compile(
                rf"(?:\b|(?<=\\[nrtbf])|(?<=%[0-9a-f]{{2}})|(?<=\\u[0-9a-f]{{4}}))"
                rf"(?:{words})",
                re.ASCII,
            )
            if found
            else None
        )
        # In plain ASCII the words of a text are gone through, which takes a fifth of
        # the time. A keyword begins where a word begins or, if with a sign, where one
        # ends; with a sign in it, the word ends there.
        leads = {word: _LEAD.match(word) for word in found}
        begins = sorted(
            {
                lead[0] if len(lead[0]) == len(word) else lead[0] + " "
                for word, lead in leads.items()
                if lead is not None
            }
        )
        self.begins = (
            re.compile(f" (?={trie(begins)})".encode(), re.ASCII) if begins else None
        )
        self.signed = tuple(word for word, lead in leads.items() if lead is None)
        self.within = re.compile(trie(sorted(self.inside))) if self.inside else None
        near = sorted({word for row in self.near for word in row.keywords})
        self.providers = re.compile(trie(near)) if near else None


@cache
def table(chosen: tuple[str, ...] | None = None) -> Table:
    """The table, or the rows of it with these names."""
    rows, beginnings = _read()
    if chosen is not None:
        rows = tuple(row for row in rows if row.name in chosen)
    return Table(rows, beginnings)


@cache
def names() -> tuple[str, ...]:
    """The names of all rows."""
    return tuple(row.name for row in _read()[0])


@cache
def _read() -> tuple[tuple[Row, ...], tuple[str, ...]]:
    text = files("promptguard").joinpath("data", "secrets.toml").read_text("utf-8")
    data = tomllib.loads(text)
    rows = []
    for provider in data["provider"]:
        shared = {key: provider[key] for key in ("source", "severity")}
        for entry in provider["patterns"]:
            facts = {**shared, **entry, "keywords": tuple(entry["keywords"])}
            rows.append(Row(**facts))
    return tuple(rows), tuple(data["examples"]["beginnings"])


@cache
def _compiled(pattern: str, near: bool) -> re.Pattern[str]:
    has_body = "{body}" in pattern
    pattern = pattern.replace("{uuid}", UUID).replace("{body}", _BODY)
    if near:
        return re.compile(pattern, re.ASCII)
    # Hyphens set themselves off, and the lines of a key end by themselves.
    left = "" if pattern.startswith("-") else _LEFT
    right = "" if has_body or pattern.startswith("-") else _RIGHT
    return re.compile(f"{left}(?:{pattern}){right}", re.ASCII)


def trie(words: list[str], depth: int = 0) -> str:
    """A pattern for the longest of the sorted words, that tries each letter once."""
    ends = bool(words) and len(words[0]) == depth
    rest = words[1:] if ends else words
    parts: list[str] = []
    for letter, group in groupby(rest, key=lambda word: word[depth]):
        parts.append(re.escape(letter) + trie(list(group), depth + 1))
    if not parts:
        return ""
    if len(parts) == 1 and not ends:
        return parts[0]
    return f"(?:{'|'.join(parts)}){'?' if ends else ''}"
