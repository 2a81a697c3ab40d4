"""From the caller's text to its clean reading, one stage at a time.

Each stage gives the new text and its offsets, None where positions stay the same.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache

from ._offsets import Offsets, Rewrite, delete
from ._unicode import (
    CHANGES,
    CONTROLS,
    IGNORABLE,
    JOINS,
    LINE_ENDS,
    MARKS,
    SOLID,
    SPACES,
    SURROGATES,
    one_of,
)

__all__ = ["TERMINAL", "Cleaned", "clean", "may_erase"]

# Unicode's Stream-Safe Text Format allows 30 marks on one base. The sort that
# normalisation does on them is quadratic in older Pythons.
MOST_MARKS = 30

# One character may become 18 (U+FDFA). All expansions together may add this many
# characters, and one more for each character of the text that has gone by.
ALLOWANCE = 65_536

# A backspace erases within the word that it stands in, no further back than this.
MOST_ERASED = 256

# Normal forms remembered within one text.
MOST_KNOWN = 4_096

_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# Escape sequences of terminals (ECMA-48), such as colours. They contain no spaces here,
# so that a text may be cut at one. A title or link with spaces in it is left to be
# read: a model reads it, although a terminal would not show it.
_LINE_END = re.compile(r"[\x0b\x0c\x85]")
# A control character that ends a line hides a word only when it stands inside it.
_IN_WORDS = r"|(?<=\w)[\x0b\x0c\x85]+(?=\w)"

# Regional indicators, one by one, are kept from making flags by thin spaces.
_INDICATOR = re.compile("[\U0001f1e6-\U0001f1ff]")
_BETWEEN_INDICATORS = (
    f"|(?<={_INDICATOR.pattern})"
    r"[\xa0\u2000-\u200a\u202f\u205f]+"
    f"(?={_INDICATOR.pattern})"
)
TERMINAL = re.compile(r"[\x08\x1b\x7f\x9b\x9d]")
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[!-/]{0,8}[@-~]"
    r"|(?:\x1b\]|\x9d)[!-~]{0,256}?(?:\x07|\x9c|\x1b\\)"
    r"|(?:\x1b\]|\x9d)[0-9]{1,8};"
    r"|[\x08\x7f]+"
)


class Cleaned:
    """A clean text, how its positions changed, and where its length mattered."""

    __slots__ = ("_before", "_debts", "stages", "text")

    def __init__(
        self,
        text: str,
        before: tuple[Offsets, ...] = (),
        stages: tuple[Offsets, ...] = (),
        debts: Debts | None = None,
    ) -> None:
        self.text = text
        self.stages = stages
        self._before = before
        self._debts = debts

    def owes(self, position: int) -> bool:
        """True where what came before limits how much longer the rest may get."""
        if self._debts is None:
            return False
        for offsets in self._before:
            position = offsets.position(position)
        return self._debts.at(position)


def clean(text: str, erasing: bool = True) -> Cleaned:
    """The text as it shows; not ``erasing``, with what a terminal would take out."""
    if text.isascii() and not _ASCII_CONTROL.search(text):
        return Cleaned(text)
    erased = None
    if erasing:
        text, erased = erase(text)
    text, stripped = strip(text)
    text, normalised, debts = normalise(text)
    before = tuple(stage for stage in (erased, stripped) if stage is not None)
    after = () if normalised is None else (normalised,)
    return Cleaned(text, before, before + after, debts)


def may_erase(text: str) -> bool:
    """True when the text has characters that take others out."""
    return TERMINAL.search(text) is not None


def erase(text: str) -> tuple[str, Offsets | None]:
    """Take out terminal sequences, and what backspaces erase.

    A backspace or DEL erases the character before it, with its marks, within a word:
    never a space, or a run of them at the end could hide a whole text.
    """
    if not TERMINAL.search(text):
        return text, None
    rewrite = Rewrite(text)
    gone: list[tuple[int, int]] = []
    word: deque[int] = deque(maxlen=MOST_ERASED)
    breaks, trailing = _breaks(), _trailing()
    at = 0
    for match in _TERMINAL.finditer(text):
        start, end = match.span()
        near = max(at, start - MOST_ERASED)
        for index in range(near, start):
            if breaks.match(text, index):
                word.clear()
            else:
                word.append(index)
        at = end
        if text[start] not in "\x08\x7f":
            gone.append((start, end))
            continue
        gone.append((start, end))
        for _ in range(end - start):
            while word:
                index = word.pop()
                gone.append((index, index + 1))
                if not trailing.match(text, index):
                    break
            else:
                break
    gone.sort()
    for start, end in gone:
        rewrite.replace(start, end, "")
    return rewrite.finish()


def strip(text: str) -> tuple[str, Offsets | None]:
    """Take out control characters and whatever Unicode says is shown as nothing."""
    extra = _IN_WORDS if _LINE_END.search(text) else ""
    if _INDICATOR.search(text):
        extra += _BETWEEN_INDICATORS
    return delete(text, _unseen(extra))


class Debts:
    """Where expansions have used some of their allowance and not yet earned it back."""

    __slots__ = ("_ends", "_owed", "_seen", "_starts")

    def __init__(self) -> None:
        self._starts = array("Q")
        self._ends = array("Q")
        self._owed = 0
        self._seen = 0

    def grant(self, start: int, growth: int) -> bool:
        """Allow the text to grow at ``start``, or not."""
        owed = self._owed - (start - self._seen)
        if owed < 0:
            owed = 0
        if owed + growth > ALLOWANCE:
            return False
        self._owed, self._seen = owed + growth, start
        if not owed:
            self._starts.append(start)
            self._ends.append(start)
        self._ends[-1] = start + self._owed
        return True

    def at(self, position: int) -> bool:
        """True when the allowance is not whole at a position."""
        index = bisect_right(self._starts, position - 1) - 1
        return index >= 0 and position < self._ends[index]


def normalise(text: str) -> tuple[str, Offsets | None, Debts | None]:
    """NFKC, with plain spaces and line ends and U+FFFD for lone surrogates.

    Expansion beyond the allowance is not done: the text gets at most twice as long
    plus 65,536 characters, and a character that would make it longer stays as it is.
    """
    found = _to_normalise(_WIDE.search(text) is not None)
    if not found.search(text):
        return text, None, None
    merging = _merging()
    known: dict[str, _Plan] = {}
    rewrite, debts = Rewrite(text), Debts()
    for match in found.finditer(text):
        start, end = match.span()
        if start and merging.match(text, start):
            start -= 1
        part = text[start:end]
        plan = known.get(part)
        if plan is None:
            plan = _plan(part)
            if len(known) < MOST_KNOWN and len(part) < MOST_MARKS:
                known[part] = plan
        if isinstance(plan, str):
            rewrite.align(start, end, plan)
            continue
        for at, size, new in plan:
            begin = start + at
            if len(new) <= size or debts.grant(begin, len(new) - size):
                rewrite.replace(begin, begin + size, new)
    text, offsets = rewrite.finish()
    return text, offsets, debts


_Plan = str | Iterable[tuple[int, int, str]]
"""What becomes of a part: the same number of characters, or (at, size, new) changes."""


def _plan(part: str) -> _Plan:
    if _merging().search(part):
        clusters = _clusters().finditer(part)
        changes = _changes((match.start(), match[0]) for match in clusters)
    else:
        single = {ord(char): _normal(char) for char in set(part)}
        if all(len(new) == 1 for new in single.values()):
            return part.translate(single)
        changes = _changes(enumerate(part))
    return changes if len(part) > MOST_MARKS else tuple(changes)


def _changes(clusters: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int, str]]:
    known: dict[str, tuple[int, int, str]] = {}
    for start, cluster in clusters:
        change = known.get(cluster)
        if change is None:
            change = _change(cluster)
            if len(known) < MOST_KNOWN:
                known[cluster] = change
        at, size, new = change
        if size:
            yield start + at, size, new


def _change(old: str) -> tuple[int, int, str]:
    """What becomes of a base and its marks: (at, size, new), size 0 for nothing.

    What stays as it is at either end comes from itself alone.
    """
    new = _normal(_capped(old))
    if new == old:
        return 0, 0, ""
    short = min(len(old), len(new))
    head = next((at for at in range(short) if old[at] != new[at]), short)
    tail, short = 0, short - head
    while tail < short and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    if head + tail == len(old):
        return 0, len(old), new
    return head, len(old) - head - tail, new[head : len(new) - tail]


_WIDE = re.compile("[\U00010000-\U0010ffff]")
_PLAIN = {0x0B: "\n", 0x0C: "\n", 0x85: "\n", 0x2028: "\n", 0x2029: "\n"}
_PLAIN |= {0x1680: " ", 0x2800: " "}
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _normal(part: str) -> str:
    part = unicodedata.normalize("NFKC", part).translate(_PLAIN)
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", part)


def _capped(cluster: str) -> str:
    """A base and its marks, with no more marks in a row than are safe to sort."""
    if len(cluster) <= MOST_MARKS // 2:
        return cluster
    excess = _excess()
    cluster = unicodedata.normalize("NFKD", excess.sub(r"\1", cluster))
    return excess.sub(r"\1", cluster)


@cache
def _breaks() -> re.Pattern[str]:
    return re.compile(rf"\s|{one_of(SOLID)}")


@cache
def _trailing() -> re.Pattern[str]:
    return re.compile(one_of(IGNORABLE, CONTROLS, MARKS))


@cache
def _unseen(extra: str) -> re.Pattern[str]:
    sets = IGNORABLE, CONTROLS
    return re.compile(f"{one_of(*sets, rare=True)}{one_of(*sets)}*{extra}")


@cache
def _to_normalise(wide: bool) -> re.Pattern[str]:
    sets = MARKS, JOINS, CHANGES, LINE_ENDS, SPACES, SURROGATES
    if wide:
        return re.compile(f"{one_of(*sets, rare=True)}{one_of(*sets)}*")
    return re.compile(one_of(*sets, narrow=True) + "+")


@cache
def _merging() -> re.Pattern[str]:
    return re.compile(one_of(MARKS, JOINS))


@cache
def _clusters() -> re.Pattern[str]:
    return re.compile(f"(?s:.){one_of(MARKS, JOINS)}*")


@cache
def _excess() -> re.Pattern[str]:
    mark = one_of(MARKS)
    return re.compile(f"({mark}{{{MOST_MARKS}}}){mark}+")
