"""Which words of a text are the name of somebody.

A name is told by what stands around it (a title, a son or a daughter, *named*, what the
person does) and by the table of given names; which evidence is enough depends on how
usual a word the name is otherwise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..._language import known
from .facts import Fact
from .passage import Passage, Token
from .tables import Words, gender_of, soft_names, words

__all__ = ["READER", "SELF", "SINGULAR", "THEY", "Name", "Names"]

SELF = frozenset("i my me mine myself i'm i've i'll i'd".split())
READER = frozenset("you your yours yourself you're you've you'll".split())
SINGULAR = frozenset("he him his himself she her hers herself he's she's".split())
THEY = frozenset("they their them theirs themselves they're they've".split())
_PRONOUNS = SELF | READER | SINGULAR | THEY
_PARTICLES = frozenset(
    "de da di del van von der den la le bin ibn al el dos st".split()
)
_NAMING = re.compile(
    r"(?:\b(?:named|called|name is|name's|names are|known as|nicknamed|call me"
    r"|calls me|tag says|badge says|by|i'm|i am|meet"
    r"|this is|it's|about|dear|hi|hello"
    r"|patient|client|passenger|resident|pupil|student|employee|member|camper|name"
    r"|applicant|tenant|colleague"
    r"|signed|regards|love|wishes|sincerely|yours|thanks))[ ,:\n]{1,3}\Z"
)
_GAP = re.compile(r"[ .]{1,2}|[ ]?\n?[ ]?")
_KIN = re.compile(r",? ")
_LETTER_AFTER = re.compile(
    r"[ ]*[,(] ?(?:who|whom|whose|aged?|\d{1,2}\b|born|my|our|a |the )"
)
_ANIMAL = re.compile(r" (?:the|my|our|his|her) (\w+)")
_ARTICLES = frozenset("the a an".split())
# What somebody does or did.
_VERB = re.compile(r"[a-z]{3}(?:ed|[^s'u]s)\Z")
# Endings of words that are seldom names.
_ABSTRACT = re.compile(
    r"(?:tion|sion|ment|ness|ing|[a-z]{3}ity|ism|ists?|ology|ance|ance|ence|able|ible|ive|ous"
    r"|ful|less|ly|ers|ants?|logist|icians?|ics?|ship|hood|ures?|ages?|aries|ies)\Z"
)
_ILLNESS = frozenset(
    "disease syndrome disorder dystrophy anomaly sign test scale reflex cells virus "
    "mutation deficiency type method procedure operation fracture palsy".split()
)
_SEEN_AGAIN = re.compile(r".{0,200}?\b(?:he|she|his|her|who|him)\b", re.S)
_PASSING = frozenset("to at of from around by behind".split())


class Name(NamedTuple):
    """A name that was found: its words, and what kind of mention it is."""

    first: int
    last: int
    title: str
    words: tuple[str, ...]


class Names:
    """The names of a passage.

    Args:
        passage: The text.
        health: Facts; what stands in one is no name (Down syndrome).
    """

    def __init__(self, passage: Passage, health: list[Fact]) -> None:
        self.passage = passage
        self.table: Words = words()
        self.tokens = [*passage.tokens()]
        self.firsts = set(passage.starts)
        self.taken = set()
        places = iter(health)
        fact = next(places, None)
        for number, token in enumerate(self.tokens):
            while fact is not None and fact.end <= token.start:
                fact = next(places, None)
            if fact is not None and fact.start <= token.start < fact.end:
                self.taken.add(number)

    def find(self) -> list[Name]:
        """The names of the text. What is sure once is a name everywhere."""
        sure: list[Name] = []
        open_: list[int] = []
        number = 0
        while number < len(self.tokens):
            verdict = self._evidence(number)
            if verdict is None:
                number += 1
            elif verdict:
                name = self._whole(number)
                sure.append(name)
                number = name.last + 1
            else:
                open_.append(number)
                number += 1
        known_names = {word for name in sure for word in name.words}
        for number in open_:
            token = self.tokens[number]
            if token.word in known_names:
                sure.append(Name(number, number, "", (token.word,)))
        sure.sort()
        return sure

    def _evidence(self, number: int) -> bool | None:
        """True for the first word of a name, False for what may be one."""
        token = self.tokens[number]
        if not token.capital or number in self.taken:
            return None
        word, table = token.word, self.table
        before = self.tokens[number - 1] if number else None
        beside = before is not None and _GAP.fullmatch(
            self.passage.text, before.end + 2 * before.possessive, token.start
        )
        near = before.word if before is not None and beside else ""
        if near in table.courtesy | table.profession and before is not None:
            titled = before.capital or near in table.kin
            if titled and word not in table.courtesy and not word.endswith("'s"):
                return True
        if word in table.courtesy | table.profession or self._place(number):
            return None
        if word in table.plural | table.role | table.kin | _PRONOUNS:
            return None
        if len(word) < 2 or self._animal(number, near):
            return None
        gender = gender_of(word)
        soft = word in soft_names()
        if self._eponym(number, gender is not None and not soft):
            return None
        if near in _ARTICLES and (gender is None or soft):
            return None
        written = self.passage.text[token.start : token.end]
        if written.isupper() and len(word) > 1 and (gender is None or soft):
            # A heading, or short for something.
            return None
        if gender is not None and not soft:
            return True
        if word in table.others:
            return None
        named = _NAMING.search(
            self.passage.lower, max(0, token.start - 24), token.start
        )
        usual = known(word)
        if named is not None and not (usual and not soft):
            return True
        kin = before is not None and before.word in table.kin
        if kin and not beside and before is not None:
            gap = self.passage.text[before.end : token.start]
            kin = _KIN.fullmatch(gap) is not None
        if kin and not (usual and not soft):
            return True
        first = self._begins(token)
        does = self._does(number)
        if soft:
            if first:
                return does or self._surname(number)
            return near not in table.place_before and near not in _ARTICLES
        if usual or _ABSTRACT.search(word):
            return None
        if does:
            return self._vouched(number) or self._animate(number)
        if first and self._surname(number) and not self._common(number + 1):
            return True
        if before is None or before.capital or first or not near:
            return False
        # A word in capitals within a sentence that is none of English.
        if near in table.place_before and near not in _PASSING:
            return False
        if self._surname(number):
            return not self._common(number + 1)
        return self._vouched(number)

    def _vouched(self, number: int) -> bool:
        """True where somebody is he or she soon after."""
        end = self.tokens[number].end
        return _SEEN_AGAIN.match(self.passage.lower, end) is not None

    def _animate(self, number: int) -> bool:
        """True where what follows is done by people, or is theirs to have."""
        token = self.tokens[number]
        if _LETTER_AFTER.match(self.passage.text, token.end):
            return True
        if token.possessive or number + 2 >= len(self.tokens):
            return False
        verb = self.tokens[number + 1].word
        if verb not in self.table.verbs:
            return False
        if verb not in self.table.things:
            return True
        # Has asthma, is deaf; an illness is not ill.
        return verb != "are" and number + 2 in self.taken

    def _common(self, number: int) -> bool:
        word = self.tokens[number].word
        return known(word) or word in self.table.others

    def _does(self, number: int) -> bool:
        """True where what follows is said of a person."""
        token = self.tokens[number]
        text = self.passage.text
        if _LETTER_AFTER.match(text, token.end):
            return True
        if number + 1 >= len(self.tokens):
            return False
        following = self.tokens[number + 1]
        gap = text[token.end : following.start]
        if token.possessive:
            return gap[2:] == " " and not following.capital
        if gap != " " or following.capital:
            return False
        return (
            following.word in self.table.verbs
            or _VERB.search(following.word) is not None
        )

    def _begins(self, token: Token) -> bool:
        """True for the first word of a sentence, of a quotation or behind a colon."""
        before = self.passage.text[max(0, token.start - 2) : token.start].strip(" ")
        return token.start in self.firsts or before[-1:] in {
            *"\"'\u201c\u2018(:*-\n\u2022"
        }

    def _surname(self, number: int) -> bool:
        """True where a word behind it may be a surname."""
        if number + 1 >= len(self.tokens) or self.tokens[number].possessive:
            return False
        token, following = self.tokens[number], self.tokens[number + 1]
        gap = self.passage.text[token.end : following.start]
        if gap != " " and not (gap == ". " and len(token.word) <= 2):
            return False
        if not following.capital or number + 1 in self.taken:
            return False
        word = following.word
        if word in _PRONOUNS:
            return False
        return word not in self.table.others and word not in self.table.places

    def _place(self, number: int) -> bool:
        """True for a word of the name of a place, a house or a firm."""
        for ahead in range(number, min(number + 4, len(self.tokens))):
            token = self.tokens[ahead]
            if ahead > number:
                gap = self.passage.text[self.tokens[ahead - 1].end : token.start]
                if gap not in (" ", "'s ", "\u2019s ") or not token.capital:
                    return False
            if token.word in self.table.places and ahead > number:
                return True
        return False

    def _eponym(self, number: int, given: bool) -> bool:
        """True for a name that an illness has: Stargardt disease."""
        for at in range(number + 1, min(number + 5, len(self.tokens))):
            before, token = self.tokens[at - 1], self.tokens[at]
            gap = self.passage.text[before.end : token.start]
            if gap not in (" ", "'s ", "\u2019s ", "-", "\u2013"):
                return False
            if token.word in _ILLNESS and not token.capital:
                return True
            if token.word in self.table.verbs or (given and not token.capital):
                return False
            if at in self.taken and not token.capital:
                return not given and not self.tokens[number].possessive
            if known(token.word) and not token.capital:
                return False
        return False

    def _animal(self, number: int, near: str) -> bool:
        token, animals = self.tokens[number], self.table.animals
        if near in animals:
            return True
        if near in {"named", "called"} and number > 1:
            return self.tokens[number - 2].word in animals
        match = _ANIMAL.match(self.passage.lower, token.end)
        return match is not None and match[1] in animals

    def _whole(self, number: int) -> Name:
        """A name from its first word on, with what belongs to it."""
        before = self.tokens[number - 1].word if number else ""
        title = before if before in self.table.courtesy | self.table.profession else ""
        if title and not self.tokens[number - 1].capital:
            title = ""
        last = number
        parts = [self.tokens[number].word]
        while len(parts) < 4 and not self.tokens[last].possessive:
            if self._surname(last):
                following = self.tokens[last + 1]
                if self._place(last + 1) and len(parts) > 1:
                    break
                parts.append(following.word)
                last += 1
                continue
            ahead = last + 2
            if ahead < len(self.tokens) and self.tokens[last + 1].word in _PARTICLES:
                far = self.tokens[ahead]
                gap = self.passage.text[self.tokens[last].end : far.start]
                if far.capital and gap.strip() == self.tokens[last + 1].word:
                    parts.append(far.word)
                    last = ahead
                    continue
            break
        return Name(number, last, title, tuple(parts))
