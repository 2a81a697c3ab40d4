"""Which health belongs to whom: what makes a name and a fact a disclosure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from .facts import Fact
from .passage import Passage
from .people import Kind, Mention

__all__ = ["WINDOW", "Tie", "ties"]

WINDOW = 1_500
"""Characters within which a name and a fact about the same person are tied."""

# How far a sentence is read in one direction.
_FAR = 600
# How many sentences back a pronoun may look, and a line of a record.
_BACK = 6
_RECORD = 3
# A symptom counts of somebody who is this near.
_NEAR = 90

# Between somebody and a fact: it is what they speak of or work with, not theirs.
_TOPIC = re.compile(
    r"\b(?:about|(?:stud(?:y|ies|ied)|research(?:es|ed)?|specialis\w+|speciali[sz]\w+"
    r"|expert|experienced|trained|degree|interested)"
    r"(?: \w+)? (?:in|on|of|into)|stud(?:y|ies|ied|ying)|book|lecture|talk|article"
    r"|film|poster|leaflet|charity|fundraiser|campaign|awareness"
    r"|treats?|teaches|taught|(?:explain|ask|wonder|know|learn)(?:s|ed)? (?:what|how"
    r"|why|whether)|explain(?:s|ed)? that|says? that|said that|warn(?:s|ed)?"
    r"|points? out|raised? money|donat\w+|discovered|invented"
    r"|works? (?:with|in|on|at|for)|cares? for|helps?|runs?|advice|against"
    r"|allerg\w+ season)\b"
)
_DEFINING = re.compile(
    r"\A(?:'s)?[ ,]+(?:is|are|means|can|may|might|affects?|occurs?|happens?|causes?"
    r"|was first|refers)\b"
)
# Behind somebody and before a fact: it is theirs, whoever they are.
_OWNED = re.compile(
    r"(?:'s)? (?:also |still |now |just |recently |probably )?(?:has|had|have"
    r"|was diagnosed|were diagnosed|is being treated|suffers?|suffered|lives? with"
    r"|takes|took|underwent|got|uses|is|was|needs)\b"
)
_IF = re.compile(
    r"\b(?:if|when|whether|should|before|can|could|may|might|do|does|did"
    r"|unless)(?: \w+)?\Z"
)
_SPEAKING = re.compile(
    r"[,.!?\u2026][\"'\u201d] ?(?:\w+ ){0,2}(?:said|says|asked|asks|told|explained"
    r"|explains|whispered|shouted|added|replied|answered|laughed)\b"
    r"|\b(?:said|says|asked|told|explained|explains|whispered|shouted|added|replied"
    r"|answered)[,:]? ?[\"\u201c]"
)
_QUOTES = re.compile('["\u201c\u201d]')
_ITSELF = re.compile(
    r"(?:my (?:\w+ )?name(?:'s| is)|i(?:'m| am)(?: called| named)?|name tag says"
    r"|badge says|(?:they |people |just )?call me|it(?:'s| is)|this is"
    r"|account is (?:under|in the name of)|signed|regards|sincerely|love"
    r"|yours(?: \w+)?|wishes|thanks|thank you|cheers|xo|--?|\u2014)"
    r",?[ :\n]{1,3}(?:mrs?\.? |ms\.? |miss )?\Z"
)
_WRITTEN = re.compile(r"(?:\A|[ ,\n])by \Z")
_OPENED = re.compile(r"(?:\A|\n)[ ]*(?:dear|hi|hello|hey)(?: \w+\.?)?[ ]\Z")


class Tie(NamedTuple):
    """A fact and who it is about.

    Args:
        fact: Which of the facts.
        person: Which of the named persons; -1 if only an identifier says who.
        near: The mention or the identifier that is nearest, as a span.
        score: How sure it is.
    """

    fact: Fact
    person: int
    near: tuple[int, int]
    score: float


def ties(
    passage: Passage, health: list[Fact], people: list[Mention], numbers: list[Fact]
) -> Iterator[Tie]:
    """What is said of whom.

    Args:
        passage: The text.
        health: What it says of health.
        people: Who is meant where.
        numbers: Identifiers.
    """
    resolver = _Resolver(passage, people, numbers)
    for fact in health:
        yield from resolver.tie(fact)


class _Resolver:
    def __init__(
        self, passage: Passage, people: list[Mention], numbers: list[Fact]
    ) -> None:
        self.passage = passage
        self.people = people
        self.numbers = numbers
        self.places = [mention.start for mention in people]
        self.number_places = [number.start for number in numbers]
        self.narrators = [m for m in people if self._narrates(m)]
        self.addressed = [m for m in people if self._greeted(m)]
        self.narrator_places = [m.start for m in self.narrators]
        self.addressed_places = [m.start for m in self.addressed]

    def tie(self, fact: Fact) -> Iterator[Tie]:
        """Whoever a fact is about."""
        subject = self._subject(fact)
        named = self._resolved(subject, fact)
        if named is not None:
            mention, score = named
            span = mention.start, mention.end
            yield Tie(fact, mention.person, span, score)
        yield from self._numbered(fact, subject, named)

    # Whose it is

    def _subject(self, fact: Fact) -> Mention | None:
        """Who stands before a fact in its sentence, or behind it if nobody does."""
        start, end = self._sentence(fact.start)
        last = bisect_left(self.places, fact.start) - 1
        if last >= 0 and self.places[last] >= start:
            return self.people[last]
        behind = self._between(fact.end, end)
        defined = _DEFINING.match(self.passage.lower[fact.end : fact.end + 24])
        if behind and not defined:
            return next((m for m in behind if m.kind is not Kind.UNNAMED), behind[0])
        return None

    def _sentence(self, position: int) -> tuple[int, int]:
        """The sentence around a position, as far as a look goes."""
        start, end = self.passage.bounds(self.passage.sentence(position))
        return max(start, position - _FAR), min(end, position + _FAR)

    def _between(self, start: int, end: int) -> list[Mention]:
        low, high = bisect_left(self.places, start), bisect_left(self.places, end)
        return self.people[low:high]

    def _resolved(
        self, subject: Mention | None, fact: Fact
    ) -> tuple[Mention, float] | None:
        """The named person that a subject means."""
        if subject is None:
            return self._left_out(fact) if fact.strong else None
        if not fact.strong and abs(fact.start - subject.end) > _NEAR:
            return None
        between = self.passage.lower[subject.end : max(subject.end, fact.start)]
        if _TOPIC.search(between) and subject.kind not in (Kind.SELF, Kind.PRONOUN):
            return None
        match subject.kind:
            case Kind.NAMED:
                return subject, 0.95
            case Kind.HELPER:
                owns = subject.start < fact.start and _OWNED.match(between)
                close = len(between) < 30
                return (subject, 0.8) if owns and close else None
            case Kind.PRONOUN | Kind.DEFINITE:
                found = self._meant(subject, fact)
                return None if found is None else (found, 0.9)
            case Kind.SELF:
                found = self._narrator(subject)
                return None if found is None else (found, 0.9)
            case Kind.READER:
                return self._reader(subject, fact)
            case Kind.UNNAMED:
                return self._named_beside(subject, fact)
            case _:
                return None

    def _meant(self, pronoun: Mention, fact: Fact) -> Mention | None:
        """The named person that he or she is."""
        number = self.passage.sentence(pronoun.start)
        start, end = self._sentence(pronoun.start)
        for mention in reversed(self._between(start, pronoun.start)):
            if self._stops(mention, pronoun):
                return None
            if self._fits(mention, pronoun):
                return mention
        for back in range(1, _BACK + 1):
            if number < back:
                break
            low, high = self.passage.bounds(number - back)
            if pronoun.start - low > WINDOW:
                break
            some = self._between(low, min(high, low + _FAR))
            for mention in some:
                if self._fits(mention, pronoun):
                    return mention
            if any(self._stops(mention, pronoun) for mention in some):
                return None
        if fact.strong and (helper := self._helper(pronoun)) is not None:
            return helper
        # Her brother held her hand. Fatima is used to it.
        _, far = self.passage.bounds(min(number + 1, len(self.passage.starts) - 1))
        for mention in self._between(pronoun.end, max(end, min(far, end + _FAR))):
            if self._fits(mention, pronoun):
                return mention
        return None

    def _helper(self, pronoun: Mention) -> Mention | None:
        """Whoever is named by a profession, if nobody else is, shortly before."""
        low = self.passage.bounds(max(0, self.passage.sentence(pronoun.start) - 2))[0]
        some = self._between(max(low, pronoun.start - _FAR), pronoun.start)
        if any(m.kind in (Kind.UNNAMED, Kind.NOBODY) for m in some):
            return None
        helpers = [m for m in some if m.kind is Kind.HELPER]
        return helpers[-1] if helpers else None

    @staticmethod
    def _fits(mention: Mention, pronoun: Mention) -> bool:
        if mention.kind is not Kind.NAMED:
            return False
        return not (
            mention.gender and pronoun.gender and mention.gender != pronoun.gender
        )

    @staticmethod
    def _stops(mention: Mention, pronoun: Mention) -> bool:
        """True for somebody without a name whom the pronoun means as well."""
        if pronoun.several:
            return mention.kind is Kind.NOBODY
        if mention.kind is not Kind.UNNAMED:
            return False
        return bool(mention.gender) and mention.gender == pronoun.gender

    def _narrates(self, mention: Mention) -> bool:
        if mention.kind is not Kind.NAMED:
            return False
        before = self.passage.lower[max(0, mention.start - 40) : mention.start]
        match = _ITSELF.search(before)
        if match is None:
            # By Cassius (13).
            written = _WRITTEN.search(before) is not None
            return written and self.passage.text[mention.end : mention.end + 2] == " ("
        if not match[0].startswith(("it", "this is")):
            return True
        behind = self.passage.lower[mention.end : mention.end + 12]
        return behind.lstrip().startswith(("again", "speaking", "here", "from"))

    def _greeted(self, mention: Mention) -> bool:
        if mention.kind is not Kind.NAMED:
            return False
        before = self.passage.lower[max(0, mention.start - 24) : mention.start]
        return _OPENED.search(before) is not None

    def _narrator(self, subject: Mention) -> Mention | None:
        start, end = self._sentence(subject.start)
        sentence = self.passage.text[start:end]
        if _QUOTES.search(sentence) and _SPEAKING.search(sentence):
            for mention in self._between(start, end):
                if mention.kind is Kind.NAMED:
                    return mention
        first = bisect_left(self.narrator_places, subject.start - WINDOW)
        near = self.narrators[first : first + 1]
        return near[0] if near and near[0].start - subject.start <= WINDOW else None

    def _reader(self, subject: Mention, fact: Fact) -> tuple[Mention, float] | None:
        before = self.passage.lower[max(0, subject.start - 24) : subject.start]
        if not fact.strong or _IF.search(before.rstrip()):
            return None
        between = self.passage.lower[subject.end : fact.start]
        if re.search(r"\b(?:may|might|can|could|should|if|think)\b", between):
            return None
        last = bisect_left(self.addressed_places, subject.start) - 1
        if last < 0 or subject.start - self.addressed_places[last] > WINDOW:
            return None
        return self.addressed[last], 0.8

    def _named_beside(
        self, subject: Mention, fact: Fact
    ) -> tuple[Mention, float] | None:
        """My daughter, who has asthma, is called Mia: one that is named behind it."""
        _, end = self._sentence(fact.start)
        for mention in self._between(fact.end, end):
            between = self.passage.lower[fact.end : mention.start]
            if mention.kind is Kind.NAMED and _ALIKE.search(between):
                return mention, 0.8
        return None

    def _left_out(self, fact: Fact) -> tuple[Mention, float] | None:
        """Nobody stands beside it, as in a record: whoever was named last."""
        behind = self.passage.lower[fact.end : fact.end + 24]
        number = self.passage.sentence(fact.start)
        if _DEFINING.match(behind):
            return None
        for back in range(1, _RECORD + 1):
            if number < back:
                return None
            low, high = self.passage.bounds(number - back)
            if fact.start - low > WINDOW:
                return None
            some = self._between(low, min(high, low + _FAR))
            if any(m.kind in (Kind.NOBODY, Kind.READER, Kind.HELPER) for m in some):
                return None
            for mention in some:
                if mention.kind is Kind.NAMED:
                    return mention, 0.7
        return None

    # Identifiers

    def _numbered(
        self,
        fact: Fact,
        subject: Mention | None,
        named: tuple[Mention, float] | None,
    ) -> Iterator[Tie]:
        """Identifiers of whom a fact is about."""
        here = self.passage.sentence(fact.start)
        low = bisect_left(self.number_places, fact.start - WINDOW)
        high = bisect_left(self.number_places, fact.end + WINDOW)
        for number in self.numbers[low:high]:
            away = abs(self.passage.sentence(number.start) - here)
            if self._belongs(number, away, fact, subject, named):
                person = -1 if named is None else named[0].person
                yield Tie(fact, person, (number.start, number.end), 0.85)

    def _belongs(
        self,
        number: Fact,
        away: int,
        fact: Fact,
        subject: Mention | None,
        named: tuple[Mention, float] | None,
    ) -> bool:
        if named is not None:
            return away <= _BACK
        if subject is not None and subject.kind in (Kind.NOBODY, Kind.READER):
            return False
        if number.strong:
            return away <= _RECORD and (fact.strong or away == 0)
        if subject is None or not fact.strong:
            return False
        if subject.kind is Kind.SELF:
            return away <= _BACK
        own = subject.kind in (Kind.UNNAMED, Kind.PRONOUN, Kind.DEFINITE)
        return own and away <= 1


_ALIKE = re.compile(
    r"\b(?:like|named|called|is|name|referencing|such as|e\.g\.|identified as|for|of)\b"
)
