"""Where a lexicon's words stand in a folded text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product

from .._folding import letters_apart
from .._language import known
from ._finders import STRETCHED, Finder, finder
from ._lexicon import Lexicon, wordlike, words
from ._wordlists import (
    LANGUAGES,
    Entry,
    entries,
    innocent,
    joints,
    parse,
    respellings,
    topical,
)

__all__ = ["Found", "Search", "apart", "search", "topics_search"]

Found = tuple[int, int, int]
"""Start, end and severity; in the folded text."""

OWN = 4
"""The severity of a caller's own words, above those of the lists."""

_KEPT = 32

_RUN = re.compile(r"([^\W\d_])\1+")

_LETTERS = re.compile(r"(.)\1*")

_KATAKANA = re.compile(r"[\u30a1-\u30fa\u30fc]")

# A word with more runs than this has all of them cut to the same length.
_MOST_RUNS = 3
# What is left of a longer word than this is not looked at letter by letter.
_LONGEST_WORD = 64


# Shorter halves of a torn word are words of some language.
_LEAST_TORN = 4

# Words of one letter, of which a few may stand before a word that is spelt apart.
_SHORT = frozenset("aiur")
_MOST_SHORT = 3
_LEAST_APART = 3
_LETTER = re.compile(r"[^\W_]")


def apart(lexicon: Lexicon, text: str, begin: int) -> Iterator[Found]:
    """What is spelt with gaps behind a word of one letter: a s h i t, u r a d i c k.

    The folded reading joins such a word with the others.

    Args:
        lexicon: The words.
        text: A clean text.
        begin: Where to begin.
    """
    for run in letters_apart(text):
        places = [match.start() for match in _LETTER.finditer(text, *run.span())]
        letters = "".join([text[place] for place in places]).lower()
        for first in range(1, min(_MOST_SHORT, len(letters) - _LEAST_APART) + 1):
            if letters[first - 1] not in _SHORT:
                break
            severity = lexicon.judge(letters[first:])
            if severity > 1 and places[first] >= begin:
                yield places[first], run.end(), severity
                break


class Search:
    """A lexicon, and the ways to look for its words.

    Args:
        lexicon: What to look for.
        find: Which words are worth a closer look.
    """

    def __init__(self, lexicon: Lexicon, find: Finder) -> None:
        self.lexicon = lexicon
        self.find = find

    def folded(
        self, text: str, begin: int, original: Callable[[int, int], str]
    ) -> Iterator[Found]:
        """What a folded text holds from a place on.

        Args:
            text: The text.
            begin: Where to begin; what lies before is context.
            original: What the caller wrote for a span.
        """
        lexicon = self.lexicon
        for start, end in self.find(text, begin):
            word = text[start:end]
            if " " in word:
                severity = self._torn(word)
            else:
                severity = self._severity(word, lambda: original(start, end))  # noqa: B023
            if severity and not self._haven(text, start, end):
                yield start, end, severity
            if word in lexicon.anchors:
                yield from self._phrases(text, start, word)
        if lexicon.solid_pattern is not None and not text.isascii():
            yield from self._solid(text, begin, lexicon.solid_pattern)

    def _phrases(self, text: str, at: int, word: str) -> Iterator[Found]:
        for before, phrase, severity, open_end in self.lexicon.anchors[word]:
            start = at - before
            end = start + len(phrase)
            if start < 0 or not text.startswith(phrase, start):
                continue
            if start and wordlike(phrase[0]) and wordlike(text[start - 1]):
                continue
            if end < len(text) and wordlike(phrase[-1]) and wordlike(text[end]):
                if not open_end:
                    continue
                rest = words(text.isascii()).match(text, end)
                end = rest.end() if rest else end
            if not self._haven(text, start, end):
                yield start, end, severity

    def _haven(self, text: str, start: int, end: int) -> bool:
        """True inside a phrase that is to be left alone."""
        match = words(text.isascii()).match(text, start)
        if match is None:
            return False
        for before, phrase in self.lexicon.havens.get(match[0], ()):
            first = start - before
            last = first + len(phrase)
            if first < 0 or last < end or not text.startswith(phrase, first):
                continue
            if first and wordlike(text[first - 1]):
                continue
            if last >= len(text) or not wordlike(text[last]):
                return True
        return False

    def _severity(self, word: str, original: Callable[[], str]) -> int:
        """The severity of a word; 0 for none."""
        lexicon = self.lexicon
        severity = lexicon.judge(word)
        if severity:
            spared = lexicon.spared_as.get(word)
            return 0 if spared and original() in spared else severity
        if word in lexicon.written:
            severity, spellings = lexicon.written[word]
            return severity if original() in spellings else 0
        if word not in lexicon.spared and STRETCHED.search(word):
            return max(map(self._judged, _shorter(word)), default=0)
        return lexicon.doubled(word, _RUN.sub(r"\1", word))

    def _torn(self, halves: str) -> int:
        """The severity of a word torn in two, neither of which is found by itself."""
        both = halves.split()
        if any(map(self.lexicon.judge, both)):
            return 0
        word = "".join(both)
        if word not in self.lexicon.torn and all(map(_usual, both)):
            # A compound may be two words in their plain sense: feet pics.
            return 0
        return self.lexicon.whole[word]

    def _judged(self, word: str) -> int:
        if word in self.lexicon.written:
            return self.lexicon.written[word][0]
        return self.lexicon.judge(word)

    def _solid(
        self, text: str, begin: int, pattern: re.Pattern[str]
    ) -> Iterator[Found]:
        """Words of scripts without spaces, and signs."""
        match = pattern.search(text, begin)
        while match is not None:
            start = match.start()
            end = self._solid_end(text, start)
            if end:
                yield start, end, self.lexicon.solid[text[start:end]]
            match = pattern.search(text, end or start + 1)

    def _solid_end(self, text: str, start: int) -> int:
        """Where the longest word that begins here ends; 0 for none."""
        lexicon = self.lexicon
        node, best = lexicon.solids, 0
        for at in range(start, len(text)):
            following = node.next.get(text[at])
            if following is None:
                break
            node = following
            if not node.ends or _inside(text, start, at + 1):
                continue
            spared = any(
                start >= before and text.startswith(phrase, start - before)
                for before, phrase in lexicon.refuges.get(text[start : at + 1], ())
            )
            if not spared:
                best = at + 1
        return best


def _shorter(word: str) -> Iterator[str]:
    """A word with each run of a letter cut to one or to two."""
    sizes = [len(run[0]) for run in _LETTERS.finditer(word)]
    times = min(sizes)
    if times > 1 and not any(size % times for size in sizes):
        # Each letter as often: what is written twice in it stays so.
        yield word[::times]
    parts = []
    last = count = 0
    for run in _RUN.finditer(word):
        parts += [(word[last : run.start()],), (run[1], run[1] * 2)]
        last = run.end()
        count += 1
    parts.append((word[last:],))
    if sum(len(part[-1]) for part in parts) > _LONGEST_WORD:
        return
    if count <= _MOST_RUNS:
        yield from map("".join, product(*parts))
    else:
        yield "".join(part[0] for part in parts)
        yield "".join(part[-1] for part in parts)
    if word.startswith("xx") or word.endswith("xx"):
        # What names of accounts are dressed up with.
        yield word.strip("x")


def _inside(text: str, start: int, end: int) -> bool:
    """True where the script at an end goes on as a part of the same word.

    That is a letter of another script, or katakana, of which foreign words are made.
    """
    for at, beside in ((start, start - 1), (end - 1, end)):
        if not 0 <= beside < len(text):
            continue
        one, other = text[at], text[beside]
        if wordlike(one) and wordlike(other):
            return True
        if _KATAKANA.match(one) and _KATAKANA.match(other):
            return True
    return False


_searches: dict[object, tuple[object, object, Search]] = {}


def _usual(half: str) -> bool:
    """True for a half of a torn word that stands by itself in ordinary text."""
    return len(half) < _LEAST_TORN or known(half)


def search(
    severity: int,
    languages: tuple[str, ...] | None,
    own: tuple[str, ...],
    allow: tuple[str, ...],
) -> Search:
    """The search for these words; the last few are kept.

    The caller's own words are told apart by identity, which is quick for many.
    """
    key = severity, languages, id(own), id(allow)
    known = _searches.get(key)
    if known is not None and known[0] is own and known[1] is allow:
        return known[2]
    lexicon = Lexicon(
        _wanted(severity, languages, own),
        _unwanted(languages, allow),
        *_joints(LANGUAGES if languages is None else languages),
    )
    made = Search(lexicon, finder(lexicon))
    if len(_searches) >= _KEPT:
        _searches.clear()
    _searches[key] = own, allow, made
    return made


@lru_cache(maxsize=_KEPT)
def topics_search(
    topics: tuple[str, ...],
    languages: tuple[str, ...] | None,
    allow: tuple[str, ...],
) -> Search:
    """The search for what belongs to some topics."""
    found = [
        entry
        for language in (LANGUAGES if languages is None else languages)
        for topic in topics
        for entry in topical(language, topic)
    ]
    # What means no harm may still belong to a topic.
    wanted = {entry.text for entry in found}
    spared = [entry for entry in _unwanted(languages, ()) if entry.text not in wanted]
    spared += (parse(word, 0) for word in allow)
    lexicon = Lexicon(found, spared)
    return Search(lexicon, finder(lexicon))


def _wanted(
    severity: int, languages: tuple[str, ...] | None, own: tuple[str, ...]
) -> Iterator[Entry]:
    for language in LANGUAGES if languages is None else languages:
        # Where no language is named it is English, and of all others what is no word
        # or name elsewhere.
        for entry in entries(language, languages is None and language != "en"):
            if entry.severity >= severity:
                yield entry
        for entry in respellings(language):
            if entry.severity >= severity:
                yield entry
    for word in own:
        yield parse(word, OWN)


def _unwanted(
    languages: tuple[str, ...] | None, allow: tuple[str, ...]
) -> Iterator[Entry]:
    for language in LANGUAGES if languages is None else languages:
        yield from innocent(language)
    for word in allow:
        yield parse(word, 0)


def _joints(languages: tuple[str, ...]) -> tuple[set[str], set[str]]:
    endings: set[str] = set()
    parts: set[str] = set()
    for language in languages:
        more_endings, more_parts = joints(language)
        endings.update(more_endings)
        parts.update(more_parts)
    return endings, parts
