"""Finds patterns that can take exponential time: repeats of what already repeats.

``(a+)+`` can read ``aaaa`` in eight ways, and tries all of them before it says no. The
danger is a repeat around a variable part, when all that stands between one turn of that
part and the next can be read as the part itself: ``(\\w+\\s)+`` is harmless, because a
space is no letter, and ``(\\w+\\s?)+`` is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ._regex import compiled, parse

__all__ = ["hazard"]

Node = tuple[Any, Any]
Chars = frozenset[str]

# Sets of characters are compared on these, and on those that the pattern names.
_SAMPLE = frozenset(map(chr, range(128))) | frozenset("\xa0é߀жΩ中한😀\u2003٣")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")


def hazard(pattern: str, flags: int) -> tuple[int, int] | None:
    """The part of a pattern that can take exponential time, if there is one."""
    if not _is_hazard(pattern, flags):
        return None
    # Flags written in the pattern hold for its parts as well.
    flags = compiled(pattern, flags).flags
    for start, end in sorted(_repeated(pattern), key=lambda part: part[1] - part[0]):
        if _is_hazard(pattern[start:end], flags):
            return start, end
    return 0, len(pattern)


def _is_hazard(pattern: str, flags: int) -> bool:
    try:
        tree = parse(pattern, flags)
        return _Analysis(tree.state.flags, _named(tree)).explodes(list(tree))
    except re.error:
        # A part may refer to a group outside it.
        return False
    except Exception:
        # The parser is an inner part of Python's. Without it, any repeat of a repeat
        # is refused.
        return any(
            re.search(r"(?<!\\)[*+]|\{\d*,\d*\}", pattern[start + 1 : end - 1])
            for start, end in _repeated(pattern)
        )


def _repeated(pattern: str) -> Iterator[tuple[int, int]]:
    """Groups that are repeated: where they start and where their repeat ends."""
    opened: list[int] = []
    token = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)(?:[*+](?!\+)|\{\d*,?\d*\}(?!\+))?"
    for match in re.finditer(token, pattern, re.DOTALL):
        if match[0] == "(":
            opened.append(match.start())
        elif match[0][0] == ")" and opened:
            start = opened.pop()
            if len(match[0]) > 1:
                yield start, match.end()


def _named(node: Any) -> Chars:
    """The characters that a pattern names."""
    found: set[str] = set()
    for name, value in node:
        if str(name) in ("LITERAL", "NOT_LITERAL"):
            found.add(chr(value))
        elif str(name) == "RANGE":
            found.update(map(chr, value))
        elif str(name) == "IN":
            found |= _named(value)
        else:
            for part in _parts(value):
                found |= _named(part)
    return frozenset(found)


def _parts(value: Any) -> Iterator[Any]:
    """The sequences inside the value of a node."""
    if hasattr(value, "getwidth"):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)


class _Analysis:
    def __init__(self, flags: int, named: Chars) -> None:
        self._flags = flags
        self._every = _SAMPLE | named

    def explodes(self, nodes: Sequence[Node]) -> bool:
        """True when a repeat anywhere in the sequence can be read in too many ways."""
        for name, value in nodes:
            if str(name) in _REPEATS and value[1] > 1:
                body = list(value[2])
                if any(
                    not any(self.leaves(between, part) for between in rest)
                    for part, rest in self.variable(body, [])
                ) or (self.doubles(body) or self.twins(body)):
                    return True
            if any(self.explodes(list(part)) for part in _parts(value)):
                return True
        return False

    def variable(
        self, nodes: Sequence[Node], around: Sequence[Node]
    ) -> Iterator[tuple[Chars, list[Node]]]:
        """Parts of varying length: their characters, and what is between two turns."""
        for place, (name, value) in enumerate(nodes):
            rest = [*nodes[place + 1 :], *nodes[:place], *around]
            kind = str(name)
            if kind in _REPEATS:
                low, high, body = value
                if low != high:
                    yield self.chars(list(body)), rest
                # Two turns of the body may follow each other inside it, too.
                yield from self.variable(list(body), rest)
            elif kind == "BRANCH":
                ways = [list(way) for way in value[1]]
                if any(not self.least(way) for way in ways):
                    yield self.chars([node for way in ways for node in way]), rest
                for way in ways:
                    yield from self.variable(way, rest)
            elif kind == "SUBPATTERN":
                yield from self.variable(list(value[-1]), rest)

    def doubles(self, body: Sequence[Node]) -> bool:
        """True when two alternatives can read the same character by themselves."""
        while len(body) == 1 and str(body[0][0]) == "SUBPATTERN":
            body = list(body[0][1][-1])
        if len(body) != 1 or str(body[0][0]) != "BRANCH":
            return False
        ways = [list(way) for way in body[0][1][1]]
        single = [self.chars(way) for way in ways if len(way) == 1 and self.one(way[0])]
        alone = frozenset[str]().union(*single)
        if sum(map(len, single)) > len(alone):
            return True
        if any(
            len(way) > 1 and self.least(way) and self.chars(way) <= alone
            for way in ways
        ):
            return True
        # Two alternatives that begin alike and differ in length: ab? and a?b.
        begins = [self.first(way) for way in ways]
        varies = [any(True for _ in self.variable(way, [])) for way in ways]
        return any(
            begins[one] & begins[two] and (varies[one] or varies[two])
            for one in range(len(ways))
            for two in range(one)
        )

    def twins(self, nodes: Sequence[Node]) -> bool:
        """True when an alternative stands twice, as in a|a; the parser splits those."""
        for name, value in nodes:
            if str(name) == "BRANCH":
                ways = [str(list(way)) for way in value[1]]
                if len(set(ways)) < len(ways):
                    return True
            if any(self.twins(list(part)) for part in _parts(value)):
                return True
        return False

    def first(self, nodes: Sequence[Node]) -> Chars:
        """The characters that a match of a sequence can begin with."""
        found: Chars = frozenset()
        for node in nodes:
            found |= self.chars([node]) if self.one(node) else self._opening(node)
            if self.least([node]):
                break
        return found

    def _opening(self, node: Node) -> Chars:
        name, value = node
        kind = str(name)
        if kind == "SUBPATTERN":
            return self.first(list(value[-1]))
        if kind == "BRANCH":
            return frozenset[str]().union(*(self.first(list(w)) for w in value[1]))
        if kind in (*_REPEATS, "POSSESSIVE_REPEAT"):
            return self.first(list(value[2]))
        return self.chars([node])

    def leaves(self, node: Node, chars: Chars) -> bool:
        """True when every match of a node has a character outside a set."""
        name, value = node
        kind = str(name)
        if self.one(node):
            return not self.chars([node]) & chars
        if kind == "SUBPATTERN":
            return any(self.leaves(inner, chars) for inner in value[-1])
        if kind == "ATOMIC_GROUP":
            return any(self.leaves(inner, chars) for inner in value)
        if kind == "BRANCH":
            return all(any(self.leaves(n, chars) for n in way) for way in value[1])
        if kind in (*_REPEATS, "POSSESSIVE_REPEAT"):
            return value[0] > 0 and any(self.leaves(n, chars) for n in value[2])
        return False

    def least(self, nodes: Sequence[Node]) -> int:
        """The fewest characters that a sequence can match, or about that many."""
        total = 0
        for name, value in nodes:
            kind = str(name)
            if self.one((name, value)):
                total += 1
            elif kind == "SUBPATTERN":
                total += self.least(list(value[-1]))
            elif kind == "BRANCH":
                total += min(self.least(list(way)) for way in value[1])
            elif kind in (*_REPEATS, "POSSESSIVE_REPEAT"):
                total += min(value[0], 1) * self.least(list(value[2]))
            elif kind == "ATOMIC_GROUP":
                total += self.least(list(value))
        return total

    def one(self, node: Node) -> bool:
        """True for a node that matches exactly one character."""
        return str(node[0]) in ("LITERAL", "NOT_LITERAL", "IN", "ANY")

    def chars(self, nodes: Sequence[Node]) -> Chars:
        """The characters that a sequence can match."""
        found: set[str] = set()
        for name, value in nodes:
            kind = str(name)
            if kind == "GROUPREF":
                return self._every
            if kind in ("ASSERT", "ASSERT_NOT", "AT"):
                continue
            if self.one((name, value)):
                found |= {char for char in self._every if self.takes(kind, value, char)}
            else:
                for part in _parts(value):
                    found |= self.chars(list(part))
        return frozenset(found)

    def takes(self, kind: str, value: Any, char: str) -> bool:
        """True when a node for one character matches this one."""
        if kind == "ANY":
            return bool(self._flags & re.DOTALL) or char != "\n"
        forms = {char}
        if self._flags & re.IGNORECASE:
            forms |= {char.lower(), char.upper()}
        if kind == "LITERAL":
            return chr(value) in forms
        if kind == "NOT_LITERAL":
            return chr(value) not in forms
        items = [(str(name), item) for name, item in value]
        negated = bool(items) and items[0][0] == "NEGATE"
        taken = any(_item(name, item, form) for name, item in items for form in forms)
        return taken != negated


def _item(name: str, value: Any, char: str) -> bool:
    if name == "LITERAL":
        return chr(value) == char
    if name == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    if name == "CATEGORY":
        category = str(value)
        for part, holds in _CATEGORIES.items():
            if category.endswith(part):
                return holds(char) == ("_NOT_" not in category)
    return False


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "DIGIT": str.isdecimal,
    "SPACE": str.isspace,
    "WORD": lambda char: char.isalnum() or char == "_",
}
