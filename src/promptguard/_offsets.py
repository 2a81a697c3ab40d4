"""Rewriting a text while remembering where every character came from."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from io import StringIO

__all__ = ["Offsets", "Rewrite", "delete"]

# Four bytes a position; a text for which that is too little gets eight.
_SHORT_TEXT = 1 << 27


class Offsets:
    """Where a rewritten text differs in position from its source.

    Only the edits are stored: between them the two texts run in step, so a text that
    was changed character for character costs nothing. Edit ``i`` turned
    ``source_starts[i]..source_ends[i]`` into ``starts[i]..ends[i]``.
    """

    __slots__ = ("ends", "source_ends", "source_starts", "starts")

    def __init__(
        self,
        source_starts: array[int],
        source_ends: array[int],
        starts: array[int],
        ends: array[int],
    ) -> None:
        self.source_starts = source_starts
        self.source_ends = source_ends
        self.starts = starts
        self.ends = ends

    def first(self, index: int) -> int:
        """Where the source of the character at ``index`` begins."""
        edit = bisect_right(self.starts, index) - 1
        if edit < 0:
            return index
        if index < self.ends[edit]:
            return self.source_starts[edit]
        return index - self.ends[edit] + self.source_ends[edit]

    def last(self, index: int) -> int:
        """Where the source of the character at ``index`` ends."""
        edit = bisect_right(self.starts, index) - 1
        if edit < 0:
            return index + 1
        if index < self.ends[edit]:
            return self.source_ends[edit]
        return index - self.ends[edit] + self.source_ends[edit] + 1

    def position(self, source: int) -> int:
        """The first character whose source begins at or after ``source``."""
        edit = bisect_left(self.source_starts, source) - 1
        if edit < 0:
            return source
        return self.ends[edit] + max(0, source - self.source_ends[edit])


class Rewrite:
    """Collects changes to a text, from left to right, and applies them at the end."""

    __slots__ = ("_at", "_edits", "_out", "_shift", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._out = StringIO(newline="")
        self._edits = tuple(array(_code(text)) for _ in range(4))
        self._at = 0
        self._shift = 0

    def align(self, start: int, end: int, new: str) -> None:
        """Replace a part by as many characters, one for one."""
        self._out.write(self._text[self._at : start])
        self._out.write(new)
        self._at = end

    def replace(self, start: int, end: int, new: str) -> None:
        """Replace a part by characters that all come from the whole of it."""
        self._out.write(self._text[self._at : start])
        self._out.write(new)
        self._at = end
        size = len(new)
        if size == end - start == 1:
            return
        source_starts, source_ends, starts, ends = self._edits
        begin = start + self._shift
        source_starts.append(start)
        source_ends.append(end)
        starts.append(begin)
        ends.append(begin + size)
        self._shift += size - end + start

    def finish(self) -> tuple[str, Offsets | None]:
        """The new text and its offsets; None where the two texts run in step."""
        self._out.write(self._text[self._at :])
        offsets = Offsets(*self._edits) if self._edits[0] else None
        return self._out.getvalue(), offsets


def delete(text: str, pattern: re.Pattern[str]) -> tuple[str, Offsets | None]:
    """The text without what the pattern matches."""
    if not pattern.search(text):
        return text, None
    out = StringIO(newline="")
    code = _code(text)
    source_starts, source_ends, starts = array(code), array(code), array(code)
    at = removed = 0
    for match in pattern.finditer(text):
        start, end = match.span()
        out.write(text[at:start])
        source_starts.append(start)
        source_ends.append(end)
        starts.append(start - removed)
        removed += end - start
        at = end
    out.write(text[at:])
    return out.getvalue(), Offsets(source_starts, source_ends, starts, starts)


def _code(text: str) -> str:
    return "I" if len(text) < _SHORT_TEXT else "Q"
