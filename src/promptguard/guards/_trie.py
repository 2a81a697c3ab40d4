"""Many words as one: a pattern that tries each letter once, and a tree to walk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import groupby

__all__ = ["Node", "alternatives", "tree"]

Ending = Callable[[str], str]


def alternatives(words: Iterable[str], first: Ending, ending: Ending) -> str:
    """A pattern for the longest of the words that are found at a place.

    It begins with letters, because the engine is quick to find one of several first
    letters, and takes time that does not depend on how many words there are.

    Args:
        words: What to look for; none of them empty.
        first: The pattern for a first letter, with what has to be before it.
        ending: The pattern for what has to follow a word.
    """
    ordered = sorted(set(words))
    try:
        parts = []
        for letter, group in groupby(ordered, key=lambda word: word[0]):
            parts.append(first(letter) + _branch(list(group), 1, ending))
        pattern = "|".join(parts)
        re.compile(pattern)
    except RecursionError:
        # Each of very many words begins with the one before.
        ordered.sort(key=len, reverse=True)
        pattern = "|".join(
            first(word[0]) + re.escape(word[1:]) + ending(word) for word in ordered
        )
    return pattern


def _branch(words: list[str], depth: int, ending: Ending) -> str:
    """What follows in sorted words that have ``depth`` letters in common."""
    shared = depth
    while words[0][shared : shared + 1] == words[-1][shared : shared + 1] != "":
        shared += 1
    start = re.escape(words[0][depth:shared])
    end = None
    if len(words[0]) == shared:
        end = ending(words[0])
        words = words[1:]
    groups = groupby(words, key=lambda word: word[shared])
    parts = [_branch(list(group), shared, ending) for _, group in groups]
    if not parts:
        return start + (end or "")
    return f"{start}(?:{'|'.join(parts if end is None else [*parts, end])})"


class Node:
    """A place in a tree of words: the letters that may follow, and what ends here."""

    __slots__ = ("ends", "next")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.ends: list[int] = []


def tree(words: Iterable[tuple[str, int]]) -> Node:
    """The words as a tree; each brings a number to the node where it ends."""
    root = Node()
    for word, number in words:
        node = root
        for letter in word:
            node = node.next.setdefault(letter, Node())
        node.ends.append(number)
    return root
