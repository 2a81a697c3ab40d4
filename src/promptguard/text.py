"""Text and its readings: what a text says once disguises are undone.

A reading is another text made from the original, with a map back: whatever a guard
finds in a reading is reported, and redacted, in the caller's own characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from ._signs import Signs, kinds, signs
from .errors import ConfigError, unknown

if TYPE_CHECKING:
    from ._cleaning import Cleaned
    from ._offsets import Offsets
    from .decode import Decoded

__all__ = ["READING_VERSION", "ROLES", "Reading", "Text"]

READING_VERSION = 2
"""Changes whenever a text would be read differently; a model records what it saw."""

ROLES = (
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
    "retrieved",
)


# All control characters of ASCII but TAB, LF and CR.
_CONTROLS = kinds("".join(map(chr, (*range(9), 11, 12, *range(14, 32), 127))))


@cache
def _cleaning() -> ModuleType:
    # Many patterns are compiled here: on first use, not when the package is imported.
    from . import _cleaning

    return _cleaning


@cache
def _folding() -> ModuleType:
    from . import _folding

    return _folding


@cache
def _decoding() -> ModuleType:
    from . import decode

    return decode


class Reading:
    """One way to read a text, with the way back to the original.

    Args:
        name: What kind of reading it is, such as ``clean``.
        text: What it reads.
    """

    __slots__ = ("_length", "_signs", "_stages", "name", "text")

    def __init__(
        self, name: str, text: str, length: int, stages: tuple[Offsets, ...] = ()
    ) -> None:
        self.name = name
        self.text = text
        self._length = length
        self._stages = stages
        self._signs: tuple[Signs | None] | None = None

    @property
    def signs(self) -> Signs | None:
        """What it has besides small letters and spaces; None if it is not ASCII."""
        if self._signs is None:
            self._signs = (signs(self.text),)
        return self._signs[0]

    def lacks(self, wanted: frozenset[int]) -> bool:
        """True for an ASCII text with no character of these kinds.

        Args:
            wanted: What ``kinds`` gives. Small letters and spaces are none.
        """
        found = self.signs
        return found is not None and found.kinds.isdisjoint(wanted)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of this reading stands in the original.

        Args:
            start: First character in this reading.
            end: One past the last.

        Raises:
            ConfigError: There is no such part.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ConfigError(
                f"no span {start}..{end} in a reading of {len(self.text)} characters"
            )
        if start == len(self.text):
            return self._length, self._length
        if start == end:
            for offsets in reversed(self._stages):
                start = offsets.first(start)
            return start, start
        final = end - 1
        for offsets in reversed(self._stages):
            start, final = offsets.first(start), offsets.last(final) - 1
        return start, final + 1

    def position(self, original_index: int) -> int:
        """The first character of this reading that begins at or after an original one.

        Gives the length of the reading if there is none.
        """
        index = original_index
        for offsets in self._stages:
            index = offsets.position(index)
        return min(max(index, 0), len(self.text))

    def then(self, name: str, text: str, offsets: Offsets | None) -> Reading:
        """A further reading that was made from this one.

        Args:
            name: What kind of reading it is.
            text: What it reads.
            offsets: How its positions differ from those of this one, None if they
                do not.
        """
        stages = self._stages if offsets is None else (*self._stages, offsets)
        return Reading(name, text, self._length, stages)

    def __repr__(self) -> str:
        return f"Reading(name={self.name!r}, {len(self.text)} characters)"


class Text:
    """One text, who said it, and its readings. Do not change it.

    Args:
        original: What the caller gave. It may be empty and is never altered.
        role: Who said it, one of ``ROLES``.
        history: Earlier (role, text) pairs of the conversation.
        start: Where to look from; what lies before is only context.

    Raises:
        ConfigError: An argument is of the wrong type, or the role is unknown.
    """

    __slots__ = (
        "_clean",
        "_cleaned",
        "_decoded",
        "_folded",
        "_unerased",
        "history",
        "original",
        "role",
        "start",
    )

    def __init__(
        self,
        original: str,
        role: str = "user",
        history: tuple[tuple[str, str], ...] = (),
        *,
        start: int = 0,
    ) -> None:
        if not isinstance(original, str):
            raise ConfigError(f"a text is a str, not {type(original).__name__}")
        if role not in ROLES:
            raise unknown("role", role, ROLES)
        if history:
            history = _turns(history)
        if not 0 <= start <= len(original):
            raise ConfigError(
                f"start {start} lies outside the text of {len(original)} characters"
            )
        # A subclass may answer as it likes; from here on it is a plain string.
        self.original = str.__str__(original)
        self.role = role
        self.history = history
        self.start = start
        self._clean: Reading | None = None
        self._folded: Reading | None = None
        self._cleaned: Cleaned | None = None
        self._decoded: tuple[Decoded | None] | None = None
        self._unerased: tuple[Cleaned, Reading, Reading] | None = None

    @property
    def clean(self) -> Reading:
        """The text without what nobody sees, in compatibility form (NFKC).

        Terminal sequences and erased characters, control characters but TAB, LF and
        CR, and all default-ignorable characters are out, also the joiners of emoji
        and Indic scripts; spaces are plain, marks at most 30 in a row, and a lone
        surrogate is U+FFFD. It is at most twice as long as the original plus 65,536
        characters: beyond that, characters that NFKC would expand stay as they are.
        """
        if self._clean is None:
            given = self._reading("clean", self.original, ())
            if not given.lacks(_CONTROLS):
                self._cleaned = cleaned = _cleaning().clean(self.original)
                given = self._reading("clean", cleaned.text, cleaned.stages)
            self._clean = given
        return self._clean

    @property
    def plain(self) -> bool:
        """True for ASCII without control characters, where nothing can be hidden."""
        return self.original.isascii() and self.clean.text is self.original

    @property
    def folded(self) -> Reading:
        """What the clean reading spells, in plain lower-case letters.

        Look-alikes of Latin letters in words that are otherwise Latin, or nothing but
        look-alikes, marks on letters, digits and signs in the place of letters, letters
        spaced or punctuated apart, joined words and emoji inside words are undone, and
        any gap is one space. It is at most twice as long as the clean reading.
        """
        if self._folded is None:
            self._folded = self._fold("folded", self.clean)
        return self._folded

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What a classifier should look at: ``clean``, and nearly always only that.

        Where backspaces or terminal sequences took text out, a model may still read
        it, so there the same text with nothing taken out is the second reading.
        """
        unerased = self._erased()
        return (self.clean,) if unerased is None else (self.clean, unerased[1])

    @property
    def foldings(self) -> tuple[Reading, ...]:
        """What a pattern should look at: ``folded``, and each reading more, folded."""
        unerased = self._erased()
        return (self.folded,) if unerased is None else (self.folded, unerased[2])

    @property
    def decoded(self) -> tuple[Reading, ...]:
        """What a classifier should look at besides: what was disguised, undone.

        Nothing for plain text. Where the text holds codes (Base64, hexadecimal and
        the like, escapes, Morse), ciphers, hidden characters or words in an odd
        spelling, one reading: those parts in plain letters, with some text around
        them. It is at most three times as long as the clean reading.
        """
        decoded = self._decode()
        if decoded is None or not decoded.text:
            return ()
        return (self._reading("decoded", decoded.text, decoded.stages),)

    @property
    def undecoded(self) -> int:
        """How many codes were found and not undone, because there is no end to them.

        Codes within codes are undone three deep, and 20,000 of each kind. Above 0,
        more may be coded than ``decoded`` says.
        """
        decoded = self._decode()
        return 0 if decoded is None else decoded.undecoded

    def _decode(self) -> Decoded | None:
        if self._decoded is None:
            clean = self.clean
            found = _decoding().decode(self.original, clean.text, clean._stages)
            self._decoded = (found,)
        return self._decoded[0]

    def settled(self, limit: int) -> int:
        """The last place up to ``limit`` where the text may be cut, or 0.

        Both sides of it read the same apart as together, whatever text may follow.

        Args:
            limit: A position in the original.
        """
        from ._settling import cuts

        for position in cuts(self.original, limit):
            if not self._owes(position):
                return position
        return 0

    def _owes(self, position: int) -> bool:
        unerased = self._erased()
        owing = self._cleaned is not None and self._cleaned.owes(position)
        return owing or (unerased is not None and unerased[0].owes(position))

    def _erased(self) -> tuple[Cleaned, Reading, Reading] | None:
        """The clean text and the readings in which nothing is taken out, if it was."""
        if self.clean.text is self.original:
            return None
        if not _cleaning().may_erase(self.original):
            return None
        if self._unerased is None:
            cleaned = _cleaning().clean(self.original, erasing=False)
            reading = self._reading("unerased", cleaned.text, cleaned.stages)
            self._unerased = cleaned, reading, self._fold("unerased folded", reading)
        return self._unerased

    def _reading(self, name: str, text: str, stages: tuple[Offsets, ...]) -> Reading:
        return Reading(name, text, len(self.original), stages)

    def _fold(self, name: str, reading: Reading) -> Reading:
        text, stages = _folding().fold(reading.text)
        return self._reading(name, text, reading._stages + stages)

    def __reduce__(self) -> NoReturn:
        raise ConfigError("a Text is not pickled, for it holds what somebody wrote")

    def __repr__(self) -> str:
        return f"Text({len(self.original)} characters, role={self.role!r})"


def _turns(history: Iterable[object]) -> tuple[tuple[str, str], ...]:
    turns = []
    for turn in history:
        match turn:
            case (str(role), str(said)):
                if role not in ROLES:
                    raise unknown("role", role, ROLES)
                turns.append((role, said))
            case _:
                raise ConfigError("history holds (role, text) pairs of strings")
    return tuple(turns)
