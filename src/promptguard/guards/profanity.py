"""Profanity: swearing, obscenities and slurs, in many languages and disguises."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from os import PathLike

from ..errors import ConfigError, unknown
from ..guard import Guard, Inspection
from ..text import Reading, Text
from ..verdict import Action, Finding
from ._lexicon import spelling
from ._masked import masked
from ._profanity import OWN, Search, apart, search, topics_search
from ._wordlists import LANGUAGES, LEVELS, TOPICS, parse, read

__all__ = ["Profanity"]


# A text without a finding is read once, others nearly always twice.
_ROUNDS = 4
# Fewer of one sign are as often letters of a word: a$$, sh!!t.
_LEAST_MASKED = 3
_LISTED = "listed word"
_TOPICAL = "topic word"
# The severity of what belongs to a topic: it is no swearing.
_NONE = 0
# A masked word between the words of a phrase, which the folded reading leaves out.
_GONE = re.compile(r"\s[*`]+\s")


@dataclass(frozen=True)
class Profanity(Guard):
    """Swearing, obscenities and slurs, however they are disguised.

    They come from word lists with grades: 1 is mild (*damn*, words for bodies and
    sex), 2 strong (*fuck*, *shit*), 3 severe (slurs, and the worst of the others). A
    finding is labelled ``mild profanity``, ``strong profanity``, ``severe profanity``
    or, for a word of your own, ``listed word``. It spans whole words, and redaction
    writes the mask over all of its characters.

    What is no profanity, but left out in rooms for children and the like, is found by
    topic if asked for, as ``topic word``: ``body``, ``drugs``, ``groups``, ``harm``,
    ``innuendo``, ``politics``, ``romance``.

    Args:
        severity: The least severity that counts, 1 to 3.
        languages: Codes such as ``("en", "de")``. Without them it is English and, of
            every other language, what is no ordinary word or name elsewhere.
        words: More to look for, whatever the severity; a ``*`` at the start or end
            stands for any letters there.
        allow: Words and phrases to leave alone, in the same form.
        topics: Names of topics whose words count too; none by default.
        mask: The sign that covers a redacted word; None for a placeholder, which can
            be restored.

    Raises:
        ConfigError: The severity, a language, a topic, a word or the mask cannot be.
    """

    _: KW_ONLY
    severity: int = 2
    languages: tuple[str, ...] | None = None
    words: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    mask: str | None = "*"
    action: Action = Action.REDACT

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.severity) is not int or not 1 <= self.severity <= len(LEVELS):
            known = ", ".join(f"{n} ({level})" for n, level in enumerate(LEVELS, 1))
            raise ConfigError(f"severity must be one of {known}")
        if self.languages is not None:
            object.__setattr__(self, "languages", _several("languages", self.languages))
            for language in self.languages:
                if language not in LANGUAGES:
                    raise unknown("language", language, LANGUAGES)
        object.__setattr__(self, "topics", _several("topics", self.topics))
        for topic in self.topics:
            if topic not in TOPICS:
                raise unknown("topic", topic, TOPICS)
        for field in ("words", "allow"):
            listed = _several(field, getattr(self, field))
            object.__setattr__(self, field, listed)
            for place, word in enumerate(listed):
                _check(field, place, word)
        if not (self.languages is None or self.languages or self.words):
            raise ConfigError("Profanity has no language and no words to look for")
        if self.mask is not None and not _is_sign(self.mask):
            raise ConfigError(
                "mask must be one visible sign, no letter, digit, quote or backslash, "
                "or None for placeholders"
            )

    @staticmethod
    def read(path: str | PathLike[str]) -> tuple[str, ...]:
        """The words of a file, for ``words`` or ``allow``: one a line, # for comments.

        Raises:
            ConfigError: The file cannot be read, or one of its lines is no word.
        """
        return read(path)

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset([_LISTED, _TOPICAL, *map(_label, LEVELS)])

    @property
    def reach(self) -> int:
        return max(look.lexicon.reach for look in (self._search, self._topical) if look)

    def inspect(self, text: Text) -> Inspection:
        """Find words in every folding of the text, and masked ones in its readings."""
        done: set[tuple[int, int]] = set()
        mask = self.mask or "*"
        for _ in range(_ROUNDS):
            fresh: dict[tuple[int, int], int] = {}
            for start, end, severity in self._found(_starred(text, mask)):
                if start >= text.start and (start, end) not in done:
                    fresh.setdefault((start, end), severity)
            for span, severity in fresh.items():
                yield self._finding(span, severity)
            if not fresh:
                return
            done.update(fresh)
            # What stands beside a word may read as another once that is masked, and
            # redacting twice is to change nothing more.
            covered = _covered(text.original, fresh, mask)
            text = Text(covered, text.role, start=text.start)

    def _found(self, text: Text) -> Iterator[tuple[int, int, int]]:
        look = self._search
        yield from _folded(look, text)
        for reading, folded in zip(text.readings, text.foldings, strict=True):
            begin = reading.position(text.start)
            for start, end, severity in masked(look.lexicon, reading, begin):
                yield *reading.span(start, end), severity
            if len(folded.text) + 1 < len(reading.text):
                # Only then may letters have been put together.
                for start, end, severity in apart(look.lexicon, reading.text, begin):
                    yield *reading.span(start, end), severity
        if self._topical is not None:
            for start, end, _ in _folded(self._topical, text):
                yield start, end, _NONE

    def _finding(self, span: tuple[int, int], severity: int) -> Finding:
        if severity == _NONE:
            label = _TOPICAL
        else:
            label = _LISTED if severity >= OWN else _label(LEVELS[severity - 1])
        cover = None if self.mask is None else _Cover(self.mask)
        return Finding(label, 1.0, *span, operator=cover)

    @property
    def _search(self) -> Search:
        return search(self.severity, self.languages, self.words, self.allow)

    @property
    def _topical(self) -> Search | None:
        if not self.topics:
            return None
        return topics_search(self.topics, self.languages, self.allow)


def _folded(look: Search, text: Text) -> Iterator[tuple[int, int, int]]:
    for folded in text.foldings:

        def spelt(start: int, end: int, folded: Reading = folded) -> str:
            start, end = folded.span(start, end)
            return spelling(Text(text.original[start:end]).clean.text)

        begin = folded.position(text.start)
        for start, end, severity in look.folded(folded.text, begin, spelt):
            start, end = folded.span(start, end)
            written = text.original[start:end]
            if not _is_code(written) and not _GONE.search(written):
                yield start, end, severity


def _label(level: str) -> str:
    return f"{level} profanity"


@dataclass(frozen=True, slots=True)
class _Cover:
    """An operator that writes a sign over each character."""

    sign: str

    def __call__(self, label: str, value: str) -> str:
        return self.sign * len(value)


def _is_sign(mask: object) -> bool:
    """True for one visible sign that is no letter, digit, quote or backslash.

    The others could make a word of what is masked, or break the JSON it stands in.
    """
    if not isinstance(mask, str) or len(mask) != 1:
        return False
    return mask.isprintable() and not (mask.isalnum() or mask in " \"'\\")


def _starred(text: Text, mask: str) -> Text:
    """The text with stars for what has been masked with another sign.

    A mask is no letter in disguise: what stands beside one is no word together with it.
    """
    if mask == "*" or mask * _LEAST_MASKED not in text.original:
        return text
    runs = re.compile(f"(?:{re.escape(mask)}){{{_LEAST_MASKED},}}")
    stars = runs.sub(lambda run: "*" * len(run[0]), text.original)
    return Text(stars, text.role, start=text.start)


def _covered(text: str, spans: Iterable[tuple[int, int]], mask: str) -> str:
    """The text with these spans masked."""
    parts, done = [], 0
    for start, end in sorted(spans):
        if end > done:
            start = max(start, done)
            parts += [text[done:start], mask * (end - start)]
            done = end
    return "".join([*parts, text[done:]])


def _is_code(written: str) -> bool:
    """True for the name of a part or a road, such as D490, that reads like a word."""
    digits = sum(map(str.isdecimal, written))
    return digits > sum(map(str.isalpha, written))


def _several(field: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f'{field} must be several: {field}=("one", "two")')
    return tuple(given)


def _check(field: str, place: int, word: object) -> None:
    if not isinstance(word, str):
        kind = type(word).__name__
        raise ConfigError(f"{field}: word {place} is a {kind}, not a str")
    text = parse(word, 0).text
    if "*" in text or not any(char.isalnum() for char in text):
        raise ConfigError(
            f"{field}: word {place}, {word!r}, cannot be looked for: it needs a "
            "letter, and a * stands only at its start or end"
        )
