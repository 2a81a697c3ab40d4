"""Attacks planted in benign texts, in places and lengths the model will see."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from promptguard.runtime.encode import Encoder

from .rows import Row

__all__ = ["Composer", "Framings", "Phrases", "commanding", "crop", "planted_strings"]

_PLACE = re.compile(r"\n+|(?<=[.!?。！？])\s*")
_JSON_VALUE = re.compile(r'(?<=: ")(?:[^"\\]|\\.){4,}(?=")')
_SLOT = re.compile(r"\{(\w+)\}")


class Phrases:
    """Our own attack wordings, filled in at random."""

    def __init__(self, path: Path) -> None:
        table = tomllib.loads(path.read_text("utf-8"))
        self._goals: list[str] = table["goals"]
        self._overrides: list[str] = table["overrides"]
        self._bare: list[str] = table["bare"]
        self._tasks: list[str] = table["tasks"]
        self._questions: list[str] = table["questions"]
        self._notices: list[str] = table["notices"]
        self._slots: dict[str, list[str]] = table["slots"]
        self.commands = frozenset[str](table["commands"])

    def override(self, rng: random.Random, goal: str | None = None) -> str:
        return self._fill(rng, rng.choice(self._overrides), goal)

    def bare(self, rng: random.Random) -> str:
        return self._fill(rng, rng.choice(self._bare), None)

    def question(self, rng: random.Random) -> str:
        """A harmless request in the words of an attack."""
        template = rng.choice(self._questions)
        return template.replace("{task}", rng.choice(self._tasks))

    def notice(self, rng: random.Random) -> str:
        """A harmless sentence that tells its reader what to do, or nearly."""
        return _SLOT.sub(
            lambda found: self._slot(rng, found), rng.choice(self._notices)
        )

    def _slot(self, rng: random.Random, found: re.Match[str]) -> str:
        return rng.choice(self._slots[found[1]])

    def _fill(self, rng: random.Random, template: str, goal: str | None) -> str:
        def slot(found: re.Match[str]) -> str:
            return self._slot(rng, found)

        goal = goal or _SLOT.sub(slot, rng.choice(self._goals))
        goal = goal.strip().rstrip(".")
        lower, upper = goal[:1].lower() + goal[1:], goal[:1].upper() + goal[1:]
        words = {"goal": lower, "Goal": upper}
        return _SLOT.sub(lambda found: words.get(found[1]) or slot(found), template)


class Framings:
    """Our own role-play and fiction around requests, by language."""

    def __init__(self, path: Path) -> None:
        self._by_lang: dict[str, dict[str, list[str]]] = tomllib.loads(
            path.read_text("utf-8")
        )
        self.langs = sorted(self._by_lang)

    def framed(self, rng: random.Random, lang: str, request: str) -> str:
        """A request in a frame, harmless as far as the request is."""
        words = self._by_lang[lang]
        parts = [self._frame(rng, words, request)]
        if rng.random() < 0.5:
            parts.append(rng.choice(words["closings"]))
        return _joined(rng, parts)

    def freed(self, rng: random.Random, lang: str, request: str | None) -> str:
        """The same with words that lift the model's rules: a jailbreak."""
        words = self._by_lang[lang]
        request = request or rng.choice(words["asks"])
        frees = rng.sample(words["free"], rng.choice((1, 1, 2, 2, 3)))
        frame = self._frame(rng, words, "" if (late := rng.random() < 0.5) else request)
        # Some are nothing but the words that lift the rules.
        parts = [frame, *frees] if rng.random() < 0.8 else frees
        if rng.random() < 0.3:
            parts.append(rng.choice(words["closings"]))
        if rng.random() < 0.4:
            rng.shuffle(parts)
        if late:
            parts.append(request)
        return _joined(rng, parts)

    def _frame(
        self, rng: random.Random, words: dict[str, list[str]], request: str
    ) -> str:
        return rng.choice(words["frames"]).replace("{request}", request).strip()


def _joined(rng: random.Random, parts: Sequence[str]) -> str:
    return rng.choice((" ", " ", " ", "\n", "\n\n")).join(parts)


def commanding(text: str, commands: Collection[str]) -> bool:
    """True for a request that tells its reader to do something, and asks nothing."""
    words = text.casefold().removeprefix("please ").split(maxsplit=1)
    return bool(words) and words[0].strip(",:") in commands and "?" not in text


@dataclass(frozen=True)
class Composer:
    """Plants attacks.

    Args:
        encoder: Counts tokens and finds the places to cut at.
        room: Tokens of text that a window holds.
        phrases: Our own wordings.
        framings: Our own role-play and fiction.
        attacks: Published attack texts that work by their wording.
        bare: Published instructions that are attacks only by where they stand.
        requests: What users ask for. In a document, a command among them is an attack.
        questions: What users ask, and nothing else; in a document they are harmless.
        pieces: Benign texts to plant in, by kind (prose, json, code).
        filled: Share of the planted ones that fill a window.
    """

    encoder: Encoder
    room: int
    phrases: Phrases
    framings: Framings
    attacks: Sequence[Row]
    bare: Sequence[Row]
    requests: Sequence[Row]
    questions: Sequence[Row]
    pieces: dict[str, Sequence[Row]]
    filled: float = 0.0

    @cached_property
    def commands(self) -> Sequence[Row]:
        """The requests that tell their reader to do something."""
        commands = self.phrases.commands
        return [row for row in self.requests if commanding(row.text, commands)]

    @cached_property
    def by_lang(self) -> dict[str, Sequence[Row]]:
        """What can be put into a frame, by the languages there are frames in."""
        return {
            lang: [
                row
                for row in (*self.requests, *self.questions)
                if (row.lang or "en") == lang
            ]
            for lang in self.framings.langs
        }

    def planted(self, rng: random.Random) -> tuple[Row, Row] | None:
        """A piece with an attack in it, and the same piece clean."""
        attack, category, lang = self._attack(rng)
        kind = rng.choices(list(self.pieces), [_SHARE[k] for k in self.pieces])[0]
        source = rng.choice(self.pieces[kind])
        left = self.room - len(self.encoder.tokens(attack)[0]) - 4
        if left < 8:
            return None
        # In the middle of a long text, the window around an attack is full. Nothing
        # is drawn where none shall be: recipes from before there was a choice give
        # the rows that they gave then.
        full = self.filled and rng.random() < self.filled
        least = left if full else min(16, left)
        piece = crop(self.encoder, source.text, rng, rng.randint(least, left))
        # Now and then the attack is all that the tool returned; a mere request would
        # be what somebody wrote to somebody, though.
        bare = category == "indirect_injection_bare"
        alone = rng.random() < 0.05 and not bare
        text = attack if alone else _plant(rng, piece, attack, kind)
        if len(self.encoder.tokens(text)[0]) > self.room:
            return None
        name = f"planted:{source.source}"
        dirty = Row(text, "tool", {"injection": 1}, name, category, lang or source.lang)
        clean = Row(piece, "tool", {"injection": 0}, name, source.category, source.lang)
        return dirty, clean

    def pasted(self, rng: random.Random) -> Row:
        """A user's own request beside the document it is about: benign."""
        source = rng.choice(self.pieces["prose"])
        request = rng.choice(self.requests).text.strip()
        left = max(8, self.room - len(self.encoder.tokens(request)[0]) - 4)
        piece = crop(self.encoder, source.text, rng, rng.randint(min(16, left), left))
        parts = [request, piece] if rng.random() < 0.5 else [piece, request]
        text = rng.choice(["\n\n", "\n", " ", "\n---\n"]).join(parts)
        labels = {"injection": 0}
        return Row(text, "user", labels, "pasted", "benign_chat", source.lang)

    def noticed(self, rng: random.Random) -> Row:
        """A benign piece with a harmless notice in it, or the notice alone."""
        notice = self.phrases.notice(rng)
        kind = rng.choices(list(self.pieces), [_SHARE[k] for k in self.pieces])[0]
        source = rng.choice(self.pieces[kind])
        left = max(8, self.room - len(self.encoder.tokens(notice)[0]) - 12)
        piece = crop(self.encoder, source.text, rng, rng.randint(min(16, left), left))
        text = notice if rng.random() < 0.1 else _plant(rng, piece, notice, kind)
        labels = {"injection": 0}
        return Row(text, "tool", labels, "noticed", "benign_document", source.lang)

    def asked(self, rng: random.Random) -> Row:
        """A benign piece that holds questions: a title, a FAQ, a ticket, a message."""
        first = rng.choice(self.questions)
        lang = first.lang or "en"
        count = rng.choice((1, 1, 1, 2, 3))
        like = [row for row in self.questions if (row.lang or "en") == lang]
        asked = [first.text, *(rng.choice(like).text for _ in range(count - 1))]
        if rng.random() < 0.25:
            text = rng.choice(("\n", "\n\n", "\n- ")).join(asked)
        else:
            kind = rng.choices(list(self.pieces), [_SHARE[k] for k in self.pieces])[0]
            pieces = [r for r in self.pieces[kind] if (r.lang or "en") == lang]
            source = rng.choice(pieces or self.pieces[kind])
            taken = sum(len(self.encoder.tokens(q)[0]) for q in asked)
            left = max(8, self.room - taken - 16)
            piece = crop(self.encoder, source.text, rng, rng.randint(8, left))
            if kind == "prose" and rng.random() < 0.5:
                sign = rng.choice(("", "## ", "Q: ", "**", "1. "))
                text = f"{sign}{asked[0]}{sign.strip() * (sign == '**')}\n{piece}"
                text = "\n\n".join([text, *asked[1:]])
            else:
                text = _plant(rng, piece, " ".join(asked), kind)
        labels = {"injection": 0}
        return Row(text, "tool", labels, "asked", "benign_document", lang)

    def framed(self, rng: random.Random) -> Row:
        """A user's harmless request in role-play or fiction."""
        lang = self._lang(rng)
        request = rng.choice(self.by_lang[lang]).text.strip()
        text = self.framings.framed(rng, lang, request)
        return Row(text, "user", {"injection": 0}, "framed", "benign_roleplay", lang)

    def freed(self, rng: random.Random) -> Row:
        """Role-play or fiction that lifts the model's rules."""
        lang = self._lang(rng)
        request = None
        if rng.random() < 0.5:
            request = rng.choice(self.by_lang[lang]).text.strip()
        text = self.framings.freed(rng, lang, request)
        return Row(text, "user", {"injection": 1}, "freed", "jailbreak", lang)

    def _lang(self, rng: random.Random) -> str:
        able = [lang for lang, rows in self.by_lang.items() if rows]
        return "en" if rng.random() < 0.6 and "en" in able else rng.choice(able)

    def question(self, rng: random.Random) -> Row:
        """A user's harmless request in the words of an attack."""
        labels = {"injection": 0}
        text = self.phrases.question(rng)
        return Row(text, "user", labels, "questions", "benign_chat", "en")

    def _attack(self, rng: random.Random) -> tuple[str, str, str | None]:
        draw = rng.random()
        if draw < 0.50:
            row = rng.choice(self.attacks)
            return row.text.strip(), "indirect_injection", row.lang
        if draw < 0.66:
            return self.phrases.override(rng), "indirect_injection", "en"
        if draw < 0.74:
            goal = rng.choice(self.commands or self.requests).text
            return self.phrases.override(rng, goal), "indirect_injection", "en"
        if draw < 0.84:
            return self.phrases.bare(rng), "indirect_injection_bare", "en"
        pool = self.bare if draw < 0.92 and self.bare else self.commands
        if not pool:
            return self.phrases.bare(rng), "indirect_injection_bare", "en"
        row = rng.choice(pool)
        return row.text.strip(), "indirect_injection_bare", row.lang


_SHARE = {"prose": 0.62, "json": 0.28, "code": 0.10}


def crop(encoder: Encoder, text: str, rng: random.Random, tokens: int) -> str:
    """A random stretch of at most so many tokens; the text itself where it fits."""
    spans = encoder.tokens(text)[1]
    if len(spans) <= tokens:
        return text
    first = 0 if rng.random() < 0.2 else rng.randint(0, len(spans) - tokens)
    return text[spans[first][0] : spans[first + tokens - 1][1]]


def planted_strings(rows: Sequence[Row]) -> list[Row]:
    """The attack strings of a source that has its documents clean and planted."""
    clean = [row.text for row in rows if not row.attack]
    found: dict[str, Row] = {}
    for row in rows:
        if not row.attack:
            continue
        for document in clean:
            head = _common(row.text, document)
            tail = _common(row.text[::-1], document[::-1])
            if len(document) < len(row.text) and head + tail >= len(document) - 2:
                head = min(head, len(document))
                end = len(row.text) - (len(document) - head)
                string = row.text[head:end].strip()
                found.setdefault(
                    string,
                    Row(string, "tool", row.labels, row.source, row.category, row.lang),
                )
                break
    return [row for string, row in found.items() if len(string) > 10]


def _common(first: str, second: str) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _plant(rng: random.Random, piece: str, attack: str, kind: str) -> str:
    if kind == "json":
        values = list(_JSON_VALUE.finditer(piece))
        if values:
            value = rng.choice(values)
            inner = json.dumps(attack, ensure_ascii=False)[1:-1]
            kept = value[0] if rng.random() < 0.6 else ""
            new = rng.choice([f"{kept} {inner}", f"{inner} {kept}"]).strip()
            return piece[: value.start()] + new + piece[value.end() :]
    if kind == "code" and rng.random() < 0.7:
        sign = rng.choice(["# ", "// ", "-- ", '"""', "/* "])
        attack = sign + attack.replace("\n", "\n" + sign)
    elif rng.random() < 0.08:
        attack = f"<!-- {attack} -->"
    places = [0, len(piece)]
    draw = rng.random()
    if draw < 0.65:
        places = [match.end() for match in _PLACE.finditer(piece)] or places
    place = rng.choice(places)
    around = rng.choice(["\n", " ", "\n\n"]) if kind != "code" else "\n"
    parts = (piece[:place].rstrip(), attack, piece[place:].lstrip())
    return around.join(part for part in parts if part)
