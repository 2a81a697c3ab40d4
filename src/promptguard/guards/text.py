"""Guards of one's own words and patterns: Keywords, Regex, MaxLength."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache

from ..errors import ConfigError
from ..guard import Guard, Inspection
from ..text import Reading, Text
from ..verdict import Finding
from ._backtracking import hazard
from ._keywords import Matcher, findable, matcher
from ._regex import Need, compiled, longest, need, shown

__all__ = ["Keywords", "MaxLength", "Regex"]


@dataclass(frozen=True)
class Keywords(Guard):
    """Words and phrases, however they are disguised.

    They are looked for in the folded reading: case, spacing, accents, look-alikes and
    digits for letters make no difference. A word is found as a whole word only, except
    in scripts that write without spaces.

    Args:
        words: What to look for; a phrase is several words with spaces.
        label: What a finding is called.

    Raises:
        ConfigError: There is no word, or one has nothing that could be found.
    """

    words: tuple[str, ...]
    _: KW_ONLY
    label: str = "keyword"

    def __post_init__(self) -> None:
        _check_label(self.label)
        super().__post_init__()
        given: object = self.words
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError('words must be several: Keywords(("one", "two words"))')
        words = tuple(given)
        object.__setattr__(self, "words", words)
        if not words:
            raise ConfigError("Keywords needs at least one word")
        for place, word in enumerate(words):
            if not isinstance(word, str):
                raise ConfigError(f"word {place} is a {type(word).__name__}, not a str")
            if not (word.isascii() and word.isalnum()) and not findable(word):
                raise ConfigError(f"word {place}, {word!r}, has nothing to look for")

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({self.label})

    @property
    def reach(self) -> int:
        return self._matcher.reach

    def inspect(self, text: Text) -> Inspection:
        """Find words in every folding of the text."""
        found = self._matcher
        search = found.pattern.search
        for reading in text.foldings:
            start = found.first(reading.text, reading.position(text.start))
            match = None if start < 0 else search(reading.text, start)
            while match is not None:
                start, end = match.span()
                yield Finding(self.label, 1.0, *reading.span(start, end))
                # Phrases may overlap.
                match = search(reading.text, start + 1)

    @property
    def _matcher(self) -> Matcher:
        return matcher(self.words)


@dataclass(frozen=True)
class Regex(Guard):
    """A regular expression, looked for in the clean reading.

    Args:
        pattern: The expression, in Python's syntax.
        flags: Flags of the ``re`` module.
        label: What a finding is called.
        reach: Longest match in characters, with what it looks ahead and behind. Where
            it is not given, it is worked out if the pattern has a longest match;
            otherwise a stream is held until it is complete. With a reach of your own
            for a pattern that has none, a stream may let the end of a longer match go.

    Raises:
        ConfigError: The pattern is wrong, can take exponential time, or can match more
            than ``reach``.
    """

    pattern: str
    _: KW_ONLY
    flags: int = 0
    label: str = "pattern"
    reach: int | None = None

    def __post_init__(self) -> None:
        _check_label(self.label)
        super().__post_init__()
        if not isinstance(self.pattern, str):
            kind = type(self.pattern).__name__
            raise ConfigError(f"pattern must be a string, not {kind}")
        if not isinstance(self.flags, int):
            raise ConfigError("flags must be flags of re, such as re.IGNORECASE")
        compiled(self.pattern, self.flags)
        place = hazard(self.pattern, self.flags)
        if place is not None:
            raise ConfigError(
                "this pattern can take exponential time: what repeats here holds a "
                "part that repeats by itself. Put something between the two, or make "
                f"one possessive, as in (?:a++)+\n{shown(self.pattern, *place)}"
            )
        far = longest(self.pattern, self.flags)
        if self.reach is None:
            object.__setattr__(self, "reach", far)
        elif type(self.reach) is not int or self.reach < 1:
            raise ConfigError("reach must be a positive number of characters")
        elif far is not None and self.reach < far:
            raise ConfigError(
                f"reach is {self.reach}, but the pattern reaches {far} characters, "
                "with what it looks at on both sides; leave reach out to have that"
            )

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({self.label})

    @property
    def across(self) -> bool:
        return True

    def inspect(self, text: Text) -> Inspection:
        """Find the pattern in every reading of the text."""
        pattern, needed = _compiled(self.pattern, self.flags)
        for reading in text.readings:
            start = _from(needed, reading, reading.position(text.start))
            if start < 0:
                continue
            for match in pattern.finditer(reading.text, start):
                if match.end() > match.start():
                    yield Finding(self.label, 1.0, *reading.span(*match.span()))


@lru_cache(maxsize=1024)
def _compiled(pattern: str, flags: int) -> tuple[re.Pattern[str], Need]:
    return compiled(pattern, flags), need(pattern, flags)


def _from(needed: Need, reading: Reading, start: int) -> int:
    """Where the first match can begin; -1 where there can be none."""
    if needed.opening:
        return reading.text.find(needed.opening, start)
    if any([reading.lacks(wanted) for wanted in needed.kinds]):
        return -1
    return start if needed.inside in reading.text else -1


@dataclass(frozen=True)
class MaxLength(Guard):
    """A text that is longer than it may be; what is beyond the limit is the finding.

    Args:
        limit: The most characters a text may have.
        tokens: The most tokens a text may have, by ``count``; instead of ``limit`` or
            beside it.
        count: A function that says how many tokens a text has. A longer text must not
            have fewer.
        label: What a finding is called.

    Raises:
        ConfigError: There is no limit, it is not a number, or nothing counts tokens.
    """

    limit: int | None = None
    _: KW_ONLY
    tokens: int | None = None
    count: Callable[[str], int] | None = None
    label: str = "length"

    def __post_init__(self) -> None:
        _check_label(self.label)
        super().__post_init__()
        if self.limit is None and self.tokens is None:
            raise ConfigError("limit must be a number of characters, or use tokens=")
        for name in ("limit", "tokens"):
            most = getattr(self, name)
            if most is not None and (type(most) is not int or most < 0):
                unit = "characters" if name == "limit" else "tokens"
                raise ConfigError(f"{name} must be a number of {unit}, 0 or more")
        if (self.tokens is None) != (self.count is None) or not (
            self.count is None or callable(self.count)
        ):
            raise ConfigError(
                "tokens and count belong together: MaxLength(tokens=512, count="
                "lambda text: len(tokenizer.encode(text)))"
            )

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({self.label})

    def inspect(self, text: Text) -> Inspection:
        """Compare the original's length with the limit."""
        length = len(text.original)
        end = length if self.limit is None else min(self.limit, length)
        # No more is counted than may stay.
        if self.tokens is not None and self._tokens(text.original[:end]) > self.tokens:
            end = self._fitting(text.original, end)
        if end < length:
            yield Finding(self.label, 1.0, end, length)

    def _fitting(self, text: str, end: int) -> int:
        """How many characters of a text that is too long have few enough tokens."""
        low, high = 0, end
        while low + 1 < high:
            middle = (low + high) // 2
            if self._tokens(text[:middle]) > (self.tokens or 0):
                high = middle
            else:
                low = middle
        return low

    def _tokens(self, text: str) -> int:
        counted: object = self.count(text) if self.count is not None else 0
        if type(counted) is not int or counted < 0:
            kind = type(counted).__name__
            raise ConfigError(f"count must give a number of tokens, not a {kind}")
        return counted


def _check_label(label: object) -> None:
    if not isinstance(label, str) or not label:
        raise ConfigError("label must be a string that says what was found")
