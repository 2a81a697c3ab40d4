"""What lists of words come to: tables to look words of folded text up in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

from .._language import known
from .._unicode import FOREIGN, SOLID, one_of
from ..text import Text
from ._keywords import foldings
from ._trie import alternatives, tree
from ._wordlists import Entry

__all__ = [
    "AFTER",
    "BEFORE",
    "SEVERITY",
    "Lexicon",
    "spelling",
    "wordlike",
    "words",
]

_PLAIN = re.compile(r"[a-z]{2,}(?: [a-z]{2,})*")
_ASCII_WORD = re.compile(r"[a-z0-9]+")

# Beyond the first plane all scripts but the ideographs are taken for words.
_ASTRAL = 0x10000, 0x1CFFF

# A stem that is plain letters is also found with one of them doubled, as in fuuck. In
# shorter ones that makes other words: a cull is no cul.
_DOUBLED = 4

# What an English word of the lists may end in, beside how it is listed.
_ENDINGS = "s es z ed er ers ing in y".split()
_SHORTEST_BENT = 4

# A shorter phrase written together may be any word.
_SHORTEST_TOGETHER = 8

# A shorter word torn in two may be any two words.
_SHORTEST_TORN = 7

# A phrase is filed under its longest word that is not one of these.
_COMMON = frozenset(
    "a all am an and are as at be but by can do for from get go had has have he her "
    "him his how i if in is it its just like me my no not now of off on one or our "
    "out over she so that the their them then they this time to up us was we what "
    "when which who will with you your".split()
)

# What a number of the tree says.
SEVERITY, BEFORE, AFTER = 7, 8, 16
PART, ENDING = 32, 64

# A longer word is not taken apart.
_LONGEST_COMPOUND = 40

Phrase = tuple[int, str, int, bool]
"""Characters before the word it is filed under, the phrase, severity, open end."""


@cache
def words(ascii_only: bool) -> re.Pattern[str]:
    """A word of folded text. Scripts that write without spaces have none."""
    if ascii_only:
        return _ASCII_WORD
    solid = re.compile(one_of(SOLID))
    signs = "".join(
        sign
        for sign in map(chr, range(_ASTRAL[0]))
        if (sign.isalnum() or unicodedata.category(sign)[0] == "M")
        and not solid.match(sign)
    )
    astral = "-".join(map(chr, _ASTRAL))
    return re.compile(f"[{signs}{astral}]+")


def wordlike(char: str) -> bool:
    """True for a character of a word."""
    if char.isascii():
        return char.isalnum()
    return words(False).match(char) is not None


@cache
def _solid() -> re.Pattern[str]:
    return re.compile(one_of(SOLID))


@cache
def _foreign() -> re.Pattern[str]:
    return re.compile(one_of(FOREIGN))


class Lexicon:
    """Words to find, sorted by how they are found.

    Args:
        found: What to look for.
        spared: What to leave alone.
        endings: What may follow a word that makes compounds.
        parts: What it makes compounds with.
    """

    def __init__(
        self,
        found: Iterable[Entry],
        spared: Iterable[Entry],
        endings: Iterable[str] = (),
        parts: Iterable[str] = (),
    ) -> None:
        self.whole: dict[str, int] = {}
        self.bent: dict[str, int] = {}
        self.written: dict[str, tuple[int, set[str]]] = {}
        self.spared: set[str] = set()
        self.spared_as: dict[str, set[str]] = {}
        self.anchors: dict[str, list[Phrase]] = {}
        self.havens: dict[str, list[tuple[int, str]]] = {}
        self.solid: dict[str, int] = {}
        self._stems: list[tuple[str, int]] = []
        self._masks: list[tuple[str, int]] = []
        self._long: set[str] = set()
        self._pieces = [(part, PART) for part in parts]
        self._pieces += ((ending, ENDING) for ending in endings)
        # Whatever is looked at beside a word: what is asked of the text around "$hit".
        self.reach = 80
        spared_solid = []
        for entry in spared:
            for form in _forms(entry):
                self._spare(entry, form)
                if _solid().search(form):
                    spared_solid.append(form)
        respelt = {}
        for entry in found:
            if entry.respelt:
                respelt[entry.text] = entry.severity
                continue
            for form in _forms(entry):
                self._add(entry, form)
        for word, severity in self.bent.items():
            self.whole.setdefault(word, severity)
        self.refuges = self._refuges(spared_solid)
        self.tree = tree(self._stems)
        self.masks = tree(self._masks)
        self.inner_masks = tree(each for each in self._masks if each[1] & BEFORE)
        self.pieces = tree(self._pieces)
        listed = [*self.whole.items()]
        self._listed = dict(listed)
        self.whole = respelt | self.whole
        self.known = frozenset({*self.whole, *self.anchors, *self.written})
        stems = {stem for stem, number in self._stems if number & SEVERITY}
        anywhere = {
            stem for stem, number in self._stems if number & BEFORE and stem in stems
        }
        joining = (piece for piece, number in self._pieces if number & SEVERITY)
        # What only begins words is looked for after the space before them.
        begins = (f" {stem}" for stem in stems - anywhere)
        sure = {stem for stem in anywhere if len(stem) >= _SHORTEST_BENT}
        self.torn = frozenset(
            word
            for word, severity in listed
            if severity > 1 and any(stem in word for stem in sure) and word.isascii()
        )
        self.odd = frozenset(word for word in self._long if len(word) >= _SHORTEST_TORN)
        self.openers = frozenset({*anywhere, *begins, *joining})
        self.solid_pattern = _any_of(self.solid)
        self.solids = tree((form, len(form)) for form in self.solid)

    def _add(self, entry: Entry, form: str) -> None:
        self.reach = max(self.reach, len(form) + 2)
        parts = words(form.isascii()).findall(form)
        if _solid().search(form) or not parts:
            self.solid[form] = max(entry.severity, self.solid.get(form, 0))
        elif [form] != parts:
            anchor = max(parts, key=lambda part: (part not in _COMMON, len(part)))
            match = re.search(rf"(?<![^\W_]){re.escape(anchor)}(?![^\W_])", form)
            at = form.index(anchor) if match is None else match.start()
            phrase = at, form, entry.severity, entry.after
            self.anchors.setdefault(anchor, []).append(phrase)
            together = "".join(parts)
            if entry.bends and len(together) >= _SHORTEST_TOGETHER:
                # A phrase of English is also found when it is written together.
                self.whole[together] = max(entry.severity, self.whole.get(together, 0))
        elif entry.joins:
            self._pieces.append((form, entry.severity))
        elif entry.written:
            severity, spellings = self.written.get(form, (0, set()))
            spellings.add(spelling(entry.text))
            self.written[form] = max(severity, entry.severity), spellings
        else:
            number = entry.severity + BEFORE * entry.before + AFTER * entry.after
            if entry.before or entry.after:
                self._stems += ((stem, number) for stem in _doubled(form))
            else:
                self.whole[form] = max(entry.severity, self.whole.get(form, 0))
                if entry.bends and len(form) >= _SHORTEST_BENT and form.isalpha():
                    self._bend(form, entry.severity)
                    self._long.add(form)
            if len(form) > 2:
                self._masks.append((form, number))

    def _bend(self, form: str, severity: int) -> None:
        stem = form.removesuffix("e")
        for ending in _ENDINGS:
            bent = (stem if ending[0] in "eiy" else form) + ending
            self.bent[bent] = max(severity, self.bent.get(bent, 0))
        if severity > 1:
            for twice in _doubled(form, form):
                self.bent[twice] = max(severity, self.bent.get(twice, 0))

    def _spare(self, entry: Entry, form: str) -> None:
        self.reach = max(self.reach, 2 * len(form) + 2)
        parts = words(form.isascii()).findall(form)
        if [form] == parts:
            if entry.before or entry.after:
                number = BEFORE * entry.before + AFTER * entry.after
                self._stems.append((form, number))
            elif entry.written:
                self.spared_as.setdefault(form, set()).add(spelling(entry.text))
            else:
                self.spared.add(form)
            return
        for match in words(form.isascii()).finditer(form):
            self.havens.setdefault(match[0], []).append((match.start(), form))

    def _refuges(self, forms: list[str]) -> dict[str, list[tuple[int, str]]]:
        """Where a word stands in what is to be left alone, in solid scripts."""
        refuges: dict[str, list[tuple[int, str]]] = {}
        for form in forms:
            for start in range(len(form)):
                for end in range(start + 1, len(form) + 1):
                    if form[start:end] in self.solid:
                        place = start, form
                        refuges.setdefault(form[start:end], []).append(place)
        return refuges

    def judge(self, word: str) -> int:
        """The severity of a word of folded text; 0 for none."""
        if word in self.spared:
            return 0
        stems = []
        size = len(word)
        # A word that begins as an innocent one does is looked at from there on.
        spared_to = 0
        for start in range(size):
            node = self.tree
            for at in range(start, size):
                if word[at] not in node.next:
                    break
                node = node.next[word[at]]
                for number in node.ends:
                    if start and not number & BEFORE:
                        continue
                    if at + 1 < size and not number & AFTER:
                        continue
                    if not number & SEVERITY:
                        spared_to = max(spared_to, at + 1)
                    else:
                        stems.append((start, number & SEVERITY))
        worst = 0 if spared_to else self.whole.get(word, 0)
        for start, severity in stems:
            if start >= spared_to:
                worst = max(worst, severity)
        return worst or (0 if spared_to else self._joined(word))

    def doubled(self, word: str, once: str) -> int:
        """The severity of a word whose letters stand twice where they belong once.

        Args:
            word: As it is written.
            once: With each letter in a row but once.
        """
        if len(once) < _SHORTEST_BENT or once == word or self._innocent(word):
            return 0
        if self._listed.get(once, 0) < 2 or known(word):
            return 0
        return self.judge(once)

    def _innocent(self, word: str) -> bool:
        """True for a word that is to be left alone, or begins like one."""
        if word in self.spared or word in self.spared_as:
            return True
        node = self.tree
        for at, letter in enumerate(word, 1):
            if letter not in node.next:
                return False
            node = node.next[letter]
            for number in node.ends:
                if not number & SEVERITY and (number & AFTER or at == len(word)):
                    return True
        return False

    def _joined(self, word: str) -> int:
        """The severity of a compound, or of a word with an ending; 0 for none.

        All of it has to be accounted for: a cockpit is no compound as long as nobody
        lists the pit.
        """
        size = len(word)
        if size > _LONGEST_COMPOUND or not self._pieces:
            return 0
        worst = 0
        # Place, the worst so far, whether an ending may follow.
        seen = {(0, 0, False)}
        paths = [(0, 0, False)]
        while paths:
            first, severity, open_to_endings = paths.pop()
            if first == size:
                worst = max(worst, severity)
                continue
            node = self.pieces
            for at in range(first, size):
                if word[at] not in node.next:
                    break
                node = node.next[word[at]]
                for number in node.ends:
                    if number == ENDING and (at + 1 < size or not open_to_endings):
                        continue
                    if at + 1 - first == size:
                        # By itself it is no compound.
                        continue
                    own = number & SEVERITY
                    places = [at + 1]
                    if own and at + 2 < size and word[at + 1] == word[at]:
                        # The last letter is doubled before an ending, as in shitting.
                        places.append(at + 2)
                    for place in places:
                        path = place, max(severity, own), own > 0
                        if path not in seen:
                            seen.add(path)
                            paths.append(path)
        return worst


def spelling(text: str) -> str:
    """A word as it is written, accents and all, whatever its case."""
    return unicodedata.normalize("NFC", text).lower()


def _forms(entry: Entry) -> set[str]:
    """What an entry is in folded text."""
    text = entry.text.lower() if entry.text.isascii() else entry.text
    if _PLAIN.fullmatch(text):
        return {text}
    if text.isascii() or _foreign().search(text):
        return foldings(text)
    # Nothing in it is read by its neighbours.
    folded = Text(text).folded.text.strip()
    return {folded} if folded else set()


def _doubled(stem: str, letters: str = "aeiou") -> Iterator[str]:
    """A stem, and what is made of it by writing a letter, or the last, twice."""
    yield stem
    if len(stem) >= _DOUBLED and stem.isascii():
        for at, letter in enumerate(stem, 1):
            if letter in letters or at == len(stem):
                yield f"{stem[:at]}{letter}{stem[at:]}"


def _any_of(literals: Iterable[str]) -> re.Pattern[str] | None:
    literals = set(literals)
    if not literals:
        return None
    return re.compile(alternatives(literals, re.escape, lambda word: ""))
