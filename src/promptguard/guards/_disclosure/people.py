"""Who a text speaks of: by name or without, the narrator, the reader, nobody."""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from .._pii.chains import VEIL
from .facts import Fact
from .names import READER, SELF, SINGULAR, THEY, Name, Names
from .passage import Passage
from .tables import gender_of, words

__all__ = ["HIDDEN", "Kind", "Mention", "mentions"]


class Kind(enum.Enum):
    """Who is meant."""

    NAMED = "a person with a name"
    HELPER = "somebody named by a profession: Dr. Smith says"
    UNNAMED = "one person without a name: my brother"
    DEFINITE = "one who was named before: the patient"
    PRONOUN = "he, she, his, her, they"
    SELF = "I, my"
    READER = "you, your"
    NOBODY = "people, children, anyone"


class Mention(NamedTuple):
    """One place where somebody is meant.

    Args:
        kind: How.
        start: Where the words begin.
        end: Where they end.
        gender: ``m`` or ``f`` if that is known.
        person: Which of the named persons; -1 for none.
        several: It means more than one, as *they* may.
    """

    kind: Kind
    start: int
    end: int
    gender: str = ""
    person: int = -1
    several: bool = False


HIDDEN = -2
"""The person of a name that has been redacted."""

_VEILS = re.compile(f"{VEIL}+")
_INITIAL = re.compile(r" [A-Z]\.?(?= [A-Z]|[\s,;:?!)]|\Z)")
_APPOSED = re.compile(
    r"(?:,| is| was) (?:my|our|his|her|their|a|an|the) (?:[a-z0-9-]+ ){0,3}"
)
# What makes a patient one that somebody has seen.
_DETAIL = re.compile(r" (?:in my|in our|of mine|of ours|i |we |named|called|like)")


def mentions(passage: Passage, health: list[Fact]) -> tuple[list[Mention], list[str]]:
    """Everybody who is meant, in order, and the first names of the named persons.

    Args:
        passage: The text.
        health: Facts; what stands in one is no name (Down syndrome).
    """
    return _Reader(passage, health).read()


class _Reader:
    def __init__(self, passage: Passage, health: list[Fact]) -> None:
        self.passage = passage
        self.table = words()
        self.names = Names(passage, health)
        self.tokens, self.taken = self.names.tokens, self.names.taken
        self.persons: list[str] = []
        self.by_first: dict[str, int] = {}
        self.by_last: dict[str, int] = {}
        self.genders: dict[int, str] = {}

    def read(self) -> tuple[list[Mention], list[str]]:
        """See ``mentions``."""
        names = self.names.find()
        starts = {name.first: name for name in names}
        found = [
            Mention(Kind.NAMED, *veil.span(), person=HIDDEN)
            for veil in _VEILS.finditer(self.passage.text)
        ]
        number = 0
        while number < len(self.tokens):
            name = starts.get(number)
            if name is not None:
                found.append(self._named(name))
                number = name.last + 1
                continue
            mention = self._unnamed(number)
            if mention is not None:
                found.append(self._apposed(mention, found))
            number += 1
        found.sort(key=lambda mention: mention.start)
        return found, self.persons

    def _named(self, name: Name) -> Mention:
        first, last = self.tokens[name.first], self.tokens[name.last]
        table = self.table
        gender = gender_of(name.words[0]) or ""
        if name.title in table.male:
            gender = "m"
        elif name.title in table.female:
            gender = "f"
        number = None
        if name.title and len(name.words) == 1:
            number = self.by_last.get(name.words[0])
        if number is None:
            number = self.by_first.get(name.words[0])
        if number is None and len(name.words) == 1:
            number = self.by_last.get(name.words[0])
        if number is None:
            number = len(self.persons)
            self.persons.append(self.passage.text[first.start : first.end])
        titled = name.title and len(name.words) == 1
        self.by_first.setdefault(name.words[0], number)
        if titled or len(name.words) > 1:
            self.by_last.setdefault(name.words[-1], number)
        gender = self.genders.setdefault(number, gender) or gender
        end = last.end
        initial = _INITIAL.match(self.passage.text, end)
        if initial is not None and not last.possessive:
            end = initial.end()
        kind = Kind.HELPER if name.title in table.profession else Kind.NAMED
        return Mention(kind, first.start, end, gender, number)

    # Others

    def _unnamed(self, number: int) -> Mention | None:
        token, table = self.tokens[number], self.table
        word = token.word
        place = token.start, token.end
        if word in SELF:
            return Mention(Kind.SELF, *place)
        if word in READER:
            return Mention(Kind.READER, *place)
        if word in SINGULAR:
            male = word in table.male or word == "he's"
            return Mention(Kind.PRONOUN, *place, "m" if male else "f")
        if word in THEY:
            return Mention(Kind.PRONOUN, *place, several=True)
        if number in self.taken:
            return None
        if word in table.plural:
            return Mention(Kind.NOBODY, *place, several=True)
        if word in table.kin or word in table.role:
            return self._one(number)
        return None

    def _apposed(self, mention: Mention, before: list[Mention]) -> Mention:
        """Ursula, my aunt, is one person."""
        known_ = (m for m in reversed(before) if m.kind is not Kind.SELF)
        last = next((m for m in known_ if m.person != HIDDEN), None)
        if mention.kind is not Kind.UNNAMED or last is None:
            return mention
        between = self.passage.lower[last.end : mention.start]
        if last.kind is Kind.NAMED and _APPOSED.fullmatch(between):
            return mention._replace(kind=Kind.DEFINITE, gender=last.gender)
        return mention

    def _one(self, number: int) -> Mention:
        """One person without a name, or nobody: a child, any patient."""
        token, table = self.tokens[number], self.table
        word = token.word
        gender = "m" if word in table.male else "f" if word in table.female else ""
        around = {self.tokens[at].word for at in range(max(0, number - 4), number)}
        place = token.start, token.end
        before = self.tokens[number - 1].word if number else ""
        if word in table.definite and around & {"the", "this"}:
            return Mention(Kind.DEFINITE, *place, gender)
        generic = word in table.definite or word == "person"
        if (
            generic
            and before in table.determiners
            and not _DETAIL.match(self.passage.lower, token.end)
        ):
            return Mention(Kind.NOBODY, *place)
        return Mention(Kind.UNNAMED, *place, gender)
