"""Narratives with and without a disclosure, and variations that keep their labels.

Those of our own are in ``data/narratives``, one JSON line each: the text, its topic,
whether it discloses, and its facts with their places. A variation swaps names,
surnames, conditions, places and numbers, and by chance the sex of the person, the first
for the third person, and the present for the past.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .errors import PipelineError

__all__ = ["FOLDER", "Fact", "Narrative", "five_grams", "load", "vary", "write"]

FOLDER = Path(__file__).parent / "data" / "narratives"
_WORDS = Path(__file__).parent / "narratives.toml"

KINDS = ("name", "surname", "condition", "health", "identifier", "place")


@dataclass(frozen=True)
class Fact:
    """A part of a narrative that says who it is or how they are.

    Args:
        start: Where it begins.
        end: Where it ends.
        kind: One of ``KINDS``.
        gender: ``m`` or ``f`` for a name.
        disclosed: It is a part of a disclosure.
    """

    start: int
    end: int
    kind: str
    disclosed: bool
    gender: str = ""


@dataclass(frozen=True)
class Narrative:
    """A text with what it tells of whom; ``made`` says how it came to be."""

    text: str
    topic: str
    disclosure: int
    facts: tuple[Fact, ...] = ()
    lang: str = "en"
    made: str = "own"

    def parts(self) -> Iterator[tuple[str, Fact | None]]:
        """The text in pieces, each a fact or what stands between."""
        done = 0
        for fact in self.facts:
            yield self.text[done : fact.start], None
            yield self.text[fact.start : fact.end], fact
            done = fact.end
        yield self.text[done:], None


def load(*files: Path) -> list[Narrative]:
    """The narratives of files; without any, all of our own.

    Raises:
        PipelineError: A line is no narrative; the message names file and line.
    """
    found = []
    for file in files or sorted(FOLDER.glob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            try:
                found.append(_narrative(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise PipelineError(
                    f"{file}, line {number}: no narrative ({type(error).__name__})"
                ) from None
    return found


def _narrative(row: dict[str, object]) -> Narrative:
    given = row.pop("facts", [])
    if not isinstance(given, list):
        raise TypeError("facts")
    facts = tuple(Fact(**fact) for fact in given)
    known = {key: row[key] for key in ("text", "topic", "disclosure")}
    known |= {key: row[key] for key in ("lang", "made") if key in row}
    made = Narrative(facts=facts, **known)  # type: ignore[arg-type]
    done = 0
    for fact in facts:
        if not done <= fact.start < fact.end <= len(made.text):
            raise ValueError("place of a fact")
        if fact.kind not in KINDS:
            raise ValueError("kind of a fact")
        done = fact.end
    return made


def write(narratives: Iterable[Narrative], file: Path) -> int:
    """Write narratives as JSON lines; gives how many."""
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        for narrative in narratives:
            lines.write(json.dumps(asdict(narrative), ensure_ascii=False) + "\n")
            count += 1
    return count


def five_grams(narrative: Narrative) -> set[tuple[str, ...]]:
    """Five words in a row, names and numbers masked."""
    pieces = [
        "N" if fact is not None and fact.kind in ("name", "surname") else piece
        for piece, fact in narrative.parts()
    ]
    plain = re.sub(r"\d+", "0", "".join(pieces)).lower()
    words = re.findall(r"\w+(?:'\w+)?", plain)
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def vary(narratives: Iterable[Narrative], count: int, seed: int) -> Iterator[Narrative]:
    """Variations of narratives, the same for the same seed.

    Args:
        narratives: What to vary.
        count: How many to make of each.
        seed: Of the random choices.
    """
    table = _table()
    for place, narrative in enumerate(narratives):
        for number in range(count):
            chance = random.Random(f"{seed} {place} {number} {narrative.topic}")
            yield _varied(narrative, chance, table)


def _table() -> dict[str, list[str]]:
    rows = tomllib.loads(_WORDS.read_text(encoding="utf-8"))
    return {
        key: [" ".join(item.split()) for item in value.split(",") if item.strip()]
        for key, value in rows.items()
    }


def _varied(
    narrative: Narrative, chance: random.Random, table: dict[str, list[str]]
) -> Narrative:
    steps = []
    genders = {fact.gender for fact in narrative.facts if fact.gender}
    swap = len(genders) == 1 and _one_sex(narrative, *genders) and chance.random() < 0.5
    if swap:
        narrative = _other_sex(narrative)
        steps.append("sex")
    steps.append("names")
    narrative = _swapped(narrative, chance, table)
    if chance.random() < 0.4 and _told_by_nobody(narrative):
        narrative = _third(narrative, chance.choice(("he", "she")))
        steps.append("person")
    if chance.random() < 0.4 and (past := _past(narrative)) != narrative:
        narrative = past
        steps.append("tense")
    return replace(narrative, made=f"varied: {', '.join(steps)}")


def _rebuilt(narrative: Narrative, pieces: list[tuple[str, Fact | None]]) -> Narrative:
    """The narrative with other pieces, the facts at their new places."""
    text, facts = "", []
    for piece, fact in pieces:
        if fact is not None:
            place = {"start": len(text), "end": len(text) + len(piece)}
            facts.append(replace(fact, **place))
        text += piece
    return replace(narrative, text=text, facts=tuple(facts))


def _swapped(
    narrative: Narrative, chance: random.Random, table: dict[str, list[str]]
) -> Narrative:
    """Other names, conditions, places and digits; the same ones for the same."""
    given: dict[str, str] = {}
    used = {narrative.text[fact.start : fact.end] for fact in narrative.facts}

    def other(old: str, fact: Fact, before: str) -> str:
        pools = {
            "name": "male" if fact.gender == "m" else "female",
            "surname": "surnames",
            "condition": "conditions",
            "place": "places",
        }
        if fact.kind == "identifier":
            return re.sub(r"\d", lambda _: str(chance.randrange(1, 10)), old)
        pool = table.get(pools.get(fact.kind, ""), [])
        listed = old in table["conditions"]
        if fact.kind == "condition" and (not listed or _ARTICLE.search(before)):
            return old
        if fact.kind == "name" and " " in old:
            # With a title: the last word is the name.
            title, _, _ = old.rpartition(" ")
            return f"{title} {chance.choice(table['surnames'])}"
        free = [name for name in pool if name not in used]
        return chance.choice(free) if free else old

    before = ""
    pieces: list[tuple[str, Fact | None]] = []
    for piece, fact in narrative.parts():
        if fact is not None:
            if piece not in given:
                given[piece] = other(piece, fact, before)
                used.add(given[piece])
            piece = given[piece]
        before = piece
        pieces.append((piece, fact))
    names = {
        narrative.text[fact.start : fact.end]
        for fact in narrative.facts
        if fact.kind in ("name", "surname")
    }
    if names:
        # Also where a name stands once more.
        again = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\b")
        pieces = [
            (again.sub(lambda m: given[m[0]], piece), fact)
            if fact is None
            # The name is a part of an address.
            else (piece, fact)
            for piece, fact in pieces
        ]
    return _rebuilt(narrative, pieces)


_ARTICLE = re.compile(r"\b(?:an?|the) \Z")
_MALE = re.compile(r"\b(?:he|him|his|himself|he's|he'd|he'll)\b", re.I)
_FEMALE = re.compile(r"\b(?:she|her|hers|herself|she's|she'd|she'll)\b", re.I)
_SEXED = re.compile(
    r"\b(?:son|daughter|boys?|girls?|man|woman|mrs?|ms|miss|brother|sister|uncle|aunt"
    r"|nephew|niece|wife|husband|grandson|granddaughter|mother|father|mum|mom|dad|mama"
    r"|grandma|grandpa|grandfather|grandmother|cousin|fiancé|period|pregnant|breast"
    r"|ovarian|tampons?|razor|beard|frau|herr|tante|onkel|sir|lady)\b",
    re.I,
)


def _one_sex(narrative: Narrative, gender: str) -> bool:
    """True where only pronouns have to change with the sex of the person."""
    others = _FEMALE if gender == "m" else _MALE
    text = narrative.text
    return not others.search(text) and not _SEXED.search(text)


_NO_NOUN = (
    "to|and|or|in|on|at|the|a|an|up|out|off|away|back|down|over|again|about|by|for|from"
    "|if|as|so|but|with|whenever|when|like|what|that|how|until|who|two|through"
)
# "Her" is his before a word and him before none.
_TO_MALE = (
    (re.compile(r"\bherself\b"), "himself"),
    (re.compile(r"\bhers\b"), "his"),
    (re.compile(rf"\bher(?= (?!(?:{_NO_NOUN})\b)[a-z]| \Z)"), "his"),
    (re.compile(r"\bHer\b"), "His"),
    (re.compile(r"\bher\b"), "him"),
    (re.compile(r"\bshe\b"), "he"),
    (re.compile(r"\bShe\b"), "He"),
)
_TO_FEMALE = (
    (re.compile(r"\bhimself\b"), "herself"),
    (re.compile(r"\bhi[ms]\b"), "her"),
    (re.compile(r"\bHis\b"), "Her"),
    (re.compile(r"\bhe\b"), "she"),
    (re.compile(r"\bHe\b"), "She"),
)


def _other_sex(narrative: Narrative) -> Narrative:
    pieces = []
    for piece, fact in narrative.parts():
        if fact is None:
            male = any(each.gender == "m" for each in narrative.facts)
            for pattern, word in _TO_FEMALE if male else _TO_MALE:
                piece = pattern.sub(word, piece)
        elif fact.gender:
            fact = replace(fact, gender="f" if fact.gender == "m" else "m")
        pieces.append((piece, fact))
    return _rebuilt(narrative, pieces)


def _told_by_nobody(narrative: Narrative) -> bool:
    """True for a narrator without a name, and nobody else who is he or she."""
    if narrative.disclosure or any(fact.kind == "name" for fact in narrative.facts):
        return False
    text = narrative.text
    others = _MALE.search(text) or _FEMALE.search(text) or _OTHERS.search(text)
    return bool(re.search(r"\bI\b", text)) and not others


_OTHERS = re.compile(r"\"|\b(?:we|our|us)\b", re.I)
_HELPING = frozenset(
    "can could will would may might must should shall was had did".split()
)
_IRREGULAR = {"am": "is", "have": "has", "do": "does", "go": "goes", "don't": "doesn't"}
_I_VERB = re.compile(
    r"\bI((?: (?:also|always|never|still|only|just|often))?) ([a-z']+)"
)

_FIRST = re.compile(r"\b(?:I(?:'(?:m|ve|ll|d))?|[Mm]y(?:self)?|[Mm]ine|[Mm]e)\b")


def _third(narrative: Narrative, pronoun: str) -> Narrative:
    """The first person as the third."""
    of, to = ("his", "him") if pronoun == "he" else ("her", "her")
    words = {"my": of, "mine": "his" if pronoun == "he" else "hers", "me": to}
    words |= {"myself": f"{to}self", "i'm": f"{pronoun}'s", "i've": f"{pronoun}'s"}
    words |= {"i'll": f"{pronoun}'ll", "i'd": f"{pronoun}'d", "i": pronoun}

    def verb(match: re.Match[str]) -> str:
        word = match[2]
        if word in _HELPING or word.endswith("ed"):
            return f"I{match[1]} {word}"
        return f"I{match[1]} {_IRREGULAR.get(word) or _with_s(word)}"

    def person(match: re.Match[str]) -> str:
        new = words[match[0].lower()]
        start = match.start() == 0 or re.search(r"[.!?:] *\Z", piece[: match.start()])
        return new[0].upper() + new[1:] if start else new

    pieces = []
    for piece, fact in narrative.parts():
        if fact is None:
            piece = _I_VERB.sub(verb, piece)
            piece = re.sub(
                r"\b(?:I(?:'(?:m|ve|ll|d))?|[Mm]y(?:self)?|[Mm]ine|[Mm]e)\b",
                person,
                piece,
            )
        pieces.append((piece, fact))
    return _rebuilt(narrative, pieces)


def _with_s(word: str) -> str:
    if re.search(r"(?:s|sh|ch|x|z|o)\Z", word):
        return word + "es"
    if re.search(r"[^aeiou]y\Z", word):
        return word[:-1] + "ies"
    return word + "s"


_PRESENT = dict(
    pair.split(":")
    for pair in (
        "is:was are:were has:had have:had does:did goes:went takes:took uses:used "
        "wears:wore needs:needed likes:liked knows:knew gets:got says:said can:could "
        "will:would sits:sat holds:held sleeps:slept counts:counted brings:brought "
        "keeps:kept comes:came lives:lived wants:wanted feels:felt finds:found "
        "puts:put sees:saw walks:walked asks:asked tells:told loves:loved makes:made "
        "gives:gave stands:stood watches:watched turns:turned waits:waited "
        "isn't:wasn't doesn't:didn't hasn't:hadn't can't:couldn't rides:rode pays:paid"
    ).split()
)
_PRESENT_WORD = re.compile(rf"\b(?:{'|'.join(_PRESENT)})\b")


def _past(narrative: Narrative) -> Narrative:
    """The present as the past, where no question or command would suffer."""
    if re.search(r"[?\"]|\b(?:[Pp]lease|tomorrow|next|[Ww]ill)\b", narrative.text):
        return narrative
    pieces = [
        (piece if fact else _PRESENT_WORD.sub(lambda m: _PRESENT[m[0]], piece), fact)
        for piece, fact in narrative.parts()
    ]
    return _rebuilt(narrative, pieces)
