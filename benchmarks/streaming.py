"""Measures streams: what leaks, what is held back, and what a chunk costs.

    python benchmarks/streaming.py [--workers N] [--answers N] [--chunkings N]

200 answers with personal data, secrets and words of one's own are cut in every place in
two, one character at a time, and at random 500 times each (or N times); what comes out
is compared with the redaction of the whole text. Writes results/streaming.json and .md.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from time import process_time
from typing import Any

import promptguard as pg
from promptguard import Action, Blocked, Engine, Guard, Placeholders, Text
from promptguard.drivers import drive
from promptguard.stream import Gate
from promptguard.streams import run
from report import Row, arguments, publish, spread

ANSWERS = 200
CHUNKINGS = 500
STREAMS = 64
WORDS = ("heliotrope", "project nightjar")
SEED = 20250601

REDACTS: Guard = (
    pg.PII()
    | pg.Secrets()
    | pg.Keywords(WORDS, action=Action.REDACT)
    | pg.Regex(r"\bTKT-\d{6}\b", action=Action.REDACT)
)
BLOCKS: Guard = REDACTS | pg.Keywords(("forbidden orchard",), name="forbidden")
HELD: dict[str, Guard] = {
    "Keywords": pg.Keywords(WORDS),
    "Regex": pg.Regex(r"\bTKT-\d{6}\b"),
    "InvisibleText": pg.InvisibleText(),
    "PII": pg.PII(),
    "Secrets": pg.Secrets(),
    "Urls": pg.Urls(),
    "PII | Secrets": pg.PII() | pg.Secrets(),
    "all of redaction": REDACTS,
}

SENTENCES = (
    "Thank you for writing, and I am glad that the parcel has come at last.",
    "The invoice was sent on Monday; it should be with you by the end of the week.",
    "We have looked at 42 boxes in 3 rooms, and none of them was open.",
    "You can change that yourself: open the settings, choose Account, and save.",
    "If it does not work, try again later (it may take a while).",
    "I don't think that's what they meant, but we'll see on 12 March.",
    "Here is what I found:\n\n1. The door was locked.\n2. The lamp was on.\n",
    "The meeting is at noon, and the room is on the second floor.",
    "Is it far? No: about 15 minutes on foot, or 5 by bus.",
    "Das Paket kommt am Dienstag an, wie wir es besprochen haben.",
    "C'est la vie, as they say; we could not have known.",
    "The build passed in 3.2 s, with 118 tests and no failures.",
    "Use `make test` for that, and look at docs/usage.md if in doubt.",
    "お問い合わせありがとうございます。",
    "Prices rose by 2.5 % in 2023, and fell again the year after.",
)
FRAMES = (
    "Write to {email} if you need more.",
    "The card is {card}, so please keep it safe.",
    "You reach her at {phone} in the morning.",
    "Please pay to {iban} until Friday.",
    "The server at {ip} is up again.",
    "Her address is {spoken}, I think.",
    "My SSN is {ssn}, as you asked.",
    "Use {aws} for the upload.",
    'Set `api_key = "{hex}"` in the file.',
    "The password is {password}, by the way.",
    "export GITHUB_TOKEN={github}",
    "The name of it is {word}, but nobody knows.",
    "It was called {spaced} once.",
    "See {ticket} for the rest.",
)


@dataclass(frozen=True)
class Answer:
    """An answer, what must not come out of it, and its redaction as a whole."""

    text: str
    values: tuple[str, ...]
    redacted: str
    first_block: int | None


@dataclass
class Tally:
    """What came of some streams."""

    streams: int = 0
    chunks: int = 0
    leaked: int = 0
    other: int = 0
    after_block: int = 0
    unblocked: int = 0
    held: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        for name in ("streams", "chunks", "leaked", "other", "after_block"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.unblocked += other.unblocked


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--chunkings", type=int, default=CHUNKINGS, help="at random")
    chosen = parser.parse_args()
    count, times = (12, 10) if chosen.quick else (chosen.answers, chosen.chunkings)
    known = answers(count)
    sections = {
        "What comes out": leaks(known, times, chosen),
        "Side by side": [interleaved(known)],
        "Characters held back, chunks of 4": held_back(known),
        "CPU for a chunk of 4 characters": costs(known),
        "Characters that were scanned, by length of the answer": growth(),
    }
    publish("streaming", "Streams", sections, chosen)
    bad = sum(
        int(str(row[name]))
        for row in [*sections["What comes out"], *sections["Side by side"]]
        for name in ("leaked characters", "other than the whole text")
        if name in row
    )
    return 1 if bad else 0


def answers(count: int, blocks: bool = False) -> tuple[Answer, ...]:
    """Answers with values in them; the same for the same count."""
    chance = random.Random(SEED)
    return tuple(_answer(chance, blocks) for _ in range(count))


def _answer(chance: random.Random, blocks: bool) -> Answer:
    parts, values = [], []
    for _ in range(chance.choice((2, 3, 4, 5, 12))):
        parts.append(chance.choice(SENTENCES))
        if chance.random() < 0.6:
            frame = chance.choice(FRAMES)
            name = re.findall(r"{(\w+)}", frame)[0]
            value = _value(name, chance)
            values.append(value)
            parts.append(frame.format(**{name: value}))
    if blocks:
        parts.insert(chance.randrange(len(parts) + 1), "In the forbidden orchard.")
    text = " ".join(parts)
    verdict = whole(BLOCKS if blocks else REDACTS, text)
    starts = [f.start for f in verdict.findings if f.action is Action.BLOCK]
    if blocks:
        text_of = whole(REDACTS, text).text
    else:
        text_of = verdict.text
    # What the guards find is what must not come out; that they find all of it is
    # measured elsewhere.
    found = tuple(value for value in values if value not in text_of)
    return Answer(text, found, nonceless(text_of), min(starts, default=None))


def _value(name: str, chance: random.Random) -> str:
    digits = "".join(chance.choice("0123456789") for _ in range(40))
    letters = "".join(chance.choice("abcdefghijkmnopqrstuvwxyz") for _ in range(12))
    return {
        "email": lambda: f"{letters[:6]}.{letters[6:9]}@example.com",
        "spoken": lambda: f"{letters[:5]} (at) example (dot) com",
        "card": lambda: _grouped(_luhn("4" + digits[:14]), chance.choice(" - ")),
        "phone": lambda: f"+49 30 {digits[:3].replace('0', '9')}{digits[3:7]}",
        "iban": lambda: _iban(digits[:18]),
        "ip": lambda: ".".join(str(20 + int(digits[n : n + 2])) for n in (0, 2, 4, 6)),
        "ssn": lambda: f"219-{10 + int(digits[0])}-{1000 + int(digits[1:4])}",
        "aws": lambda: "AKIA" + "".join(chance.choices("ABCDEFGHIJKLMNOP234567", k=16)),
        "hex": lambda: "".join(chance.choices("0123456789abcdef", k=32)),
        "password": lambda: f"{letters[:4].title()}-{digits[:4]}!",
        "github": lambda: "ghp_" + "".join(chance.choices(f"{letters}{digits}", k=36)),
        "word": lambda: chance.choice(WORDS),
        "spaced": lambda: " ".join(WORDS[0]),
        "ticket": lambda: f"TKT-{digits[:6]}",
    }[name]()


def _luhn(digits: str) -> str:
    """The digits with the check digit of ISO/IEC 7812-1."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def _grouped(digits: str, sign: str) -> str:
    return sign.join(digits[place : place + 4] for place in range(0, len(digits), 4))


def _iban(account: str) -> str:
    """A German account number with the check digits of ISO 13616."""
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02}{account}"


def nonceless(text: str) -> str:
    """The text with its placeholders the same in every run."""
    return re.sub(r":[0-9a-f]{16}>", ">", text)


def whole(guard: Guard, text: str) -> pg.Verdict:
    """The verdict on the text as a whole."""
    return drive(Engine(guard, (Text(text, "assistant"),)))[0]


def streamed(
    guard: Guard, text: str, sizes: Iterable[int], tally: Tally
) -> tuple[str, pg.Verdict]:
    """What a gate lets out of the text in such chunks."""
    gate, out, at = Gate(guard, Placeholders()), [], 0
    left = 0
    tally.streams += 1
    try:
        for size in sizes:
            if at >= len(text):
                break
            gate.feed(text[at : at + size])
            at = min(len(text), at + size)
            tally.chunks += 1
            out.append(run(gate.release()))
            left += len(out[-1])
            if not out[-1].count("<"):
                tally.held.append(at - left)
        out.append(run(gate.release(end=True)))
    except Blocked as blocked:
        return "".join(out) + gate.rest, blocked.verdict
    return "".join(out), gate.verdict()


def compared(answer: Answer, guard: Guard, sizes: Iterable[int]) -> Tally:
    """One stream against the whole text."""
    tally = Tally()
    out, verdict = streamed(guard, answer.text, sizes, tally)
    out = nonceless(out)
    leaks = [value for value in answer.values if value in out]
    tally.leaked = sum(map(len, leaks))
    if answer.first_block is None:
        tally.other = int(out != answer.redacted)
        return tally
    tally.unblocked = int(not verdict.blocked)
    tally.after_block = max(0, len(out) - len(_before(answer)))
    tally.other = int(not _before(answer).startswith(out))
    return tally


@cache
def _before(answer: Answer) -> str:
    """What may go of a blocked answer."""
    assert answer.first_block is not None
    kept = whole(REDACTS, answer.text)
    start = answer.first_block
    found = [f for f in kept.findings if f.end <= start]
    text = answer.text[:start]
    return nonceless(pg.placeholders.redact(text, found, Placeholders()))


def cuttings(text: str, kind: str, times: int, seed: int) -> Iterator[list[int]]:
    """Ways to cut a text."""
    chance = random.Random(seed)
    if kind == "in two, everywhere":
        for place in range(1, len(text)):
            yield [place, len(text)]
    elif kind == "a character at a time":
        yield [1] * len(text)
    else:
        for _ in range(times):
            most = chance.choice((3, 8, 20, 60, 200))
            yield [chance.randint(1, most) for _ in range(len(text))]


KINDS = ("in two, everywhere", "a character at a time", "at random")


def _measured(work: tuple[Answer, bool, str, int, int]) -> Tally:
    answer, blocks, kind, times, seed = work
    total = Tally()
    for sizes in cuttings(answer.text, kind, times, seed):
        total.add(compared(answer, BLOCKS if blocks else REDACTS, sizes))
    return total


def leaks(
    known: tuple[Answer, ...], times: int, chosen: argparse.Namespace
) -> list[Row]:
    """Every way to cut every answer, redacted and blocked."""
    rows: list[Row] = []
    blocking = answers(max(1, len(known) // 4), blocks=True)
    with ProcessPoolExecutor(chosen.workers) as pool:
        for some, blocks in ((known, False), (blocking, True)):
            for kind in KINDS:
                work = [(a, blocks, kind, times, n) for n, a in enumerate(some)]
                total = Tally()
                for tally in pool.map(_measured, work):
                    total.add(tally)
                rows.append(_row(kind, some, blocks, total))
                print(rows[-1], flush=True)
    return rows


def _row(kind: str, some: tuple[Answer, ...], blocks: bool, total: Tally) -> Row:
    row: Row = {
        "cut": kind,
        "ends": "blocked" if blocks else "redacted",
        "answers": len(some),
        "values": sum(len(answer.values) for answer in some),
        "streams": total.streams,
        "chunks": total.chunks,
        "leaked characters": total.leaked,
        "other than the whole text": total.other,
    }
    if blocks:
        row |= {
            "characters after the block": total.after_block,
            "not blocked": total.unblocked,
        }
    return row


def interleaved(known: tuple[Answer, ...]) -> Row:
    """Many streams that take turns."""
    chance = random.Random(SEED)
    some = [known[n % len(known)] for n in range(STREAMS)]
    gates = [Gate(REDACTS, Placeholders()) for _ in some]
    outs, places = [""] * len(some), [0] * len(some)
    going = list(range(len(some)))
    while going:
        n = chance.choice(going)
        size = chance.randint(1, 12)
        gates[n].feed(some[n].text[places[n] : places[n] + size])
        places[n] += size
        end = places[n] >= len(some[n].text)
        outs[n] += run(gates[n].release(end))
        if end:
            going.remove(n)
    wrong = sum(nonceless(out) != a.redacted for out, a in zip(outs, some, strict=True))
    leaked = sum(
        len(value)
        for out, answer in zip(outs, some, strict=True)
        for other in some
        for value in other.values
        if value in out and value in answer.values
    )
    return {
        "streams": len(some),
        "leaked characters": leaked,
        "other than the whole text": wrong,
    }


def held_back(known: tuple[Answer, ...]) -> list[Row]:
    """How far what comes out is behind what came in, guard by guard."""
    rows: list[Row] = []
    prose = tuple(" ".join(SENTENCES[:10]) for _ in range(1))
    for name, guard in HELD.items():
        row: Row = {"guard": name, "reach": guard.reach}
        for kind, texts in (
            ("prose", prose),
            ("with values", tuple(answer.text for answer in known[:50])),
        ):
            tally = Tally()
            for text in texts:
                streamed(guard, text, [4] * len(text), tally)
            row[f"{kind}, median"] = statistics.median(tally.held)
            row[f"{kind}, most"] = max(tally.held)
        rows.append(row)
    return rows


def costs(known: tuple[Answer, ...]) -> list[Row]:
    """Microseconds of the processor for a chunk, streams after streams."""
    rows: list[Row] = []
    for name, guard in HELD.items():
        streamed(guard, known[0].text, [4] * 5000, Tally())
        each = []
        for answer in known[:50]:
            tally, begun = Tally(), process_time()
            streamed(guard, answer.text, [4] * len(answer.text), tally)
            each.append((process_time() - begun) / tally.chunks * 1e6)
        rows.append({"guard": name, "unit": "us", **spread(each, 1)})
    return rows


@dataclass(frozen=True, kw_only=True)
class Counting(Guard):
    """Counts the characters that it is shown."""

    length: int = 40
    seen: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    @property
    def reach(self) -> int:
        return self.length

    def inspect(self, text: Text) -> Any:
        self.seen["characters"] += len(text.original)
        yield from ()


def growth(sizes: tuple[int, ...] = (2_000, 8_000, 32_000, 128_000)) -> list[Row]:
    """Work by length: linear if the last column stays where it is."""
    rows: list[Row] = []
    sentence = " ".join(SENTENCES[:10]) + " "
    for size in sizes:
        guard = Counting()
        text = (sentence * (size // len(sentence) + 1))[:size]
        streamed(guard, text, [4] * size, Tally())
        scanned = guard.seen["characters"]
        rows.append(
            {
                "characters": size,
                "scanned": scanned,
                "for each": round(scanned / size, 2),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
