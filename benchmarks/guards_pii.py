"""How well PII finds values: Presidio's own test cases, random digits, disguises."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from promptguard import PII
from report import Row

Spans = set[tuple[int, int]]

# Rows of the table that a value without a check digit takes a word for.
WORDS = {
    "DE_PASSPORT": "Reisepass",
    "ES_PASSPORT": "pasaporte",
    "IT_DRIVER_LICENSE": "patente",
    "IT_IDENTITY_CARD": "carta d'identità",
    "IT_PASSPORT": "passaporto",
    "KR_PASSPORT": "passport",
    "UK_PASSPORT": "passport",
    "US_BANK_NUMBER": "bank account",
}


def pii(folder: Path, quick: bool) -> tuple[str, dict[str, list[Row]]]:
    """Figures of span F1, precision against random digits, and recall of disguises."""
    cases = read(folder / "presidio_recognizer_tests_a.jsonl.gz")
    known = {entity for case in cases for entity in case["tested"]} & entities()
    many = 300 if quick else 20_000
    return "PII on public test cases and made-up values", {
        "Presidio's recogniser tests, exact spans, entity asked for by name": scored(
            cases, known - set(WORDS)
        ),
        "The same for values without a check digit, a word before the text": scored(
            cases, known & set(WORDS), WORDS
        ),
        "The same cases, PII() with nothing asked for by name": scored(
            cases, known - set(WORDS), named=False
        ),
        "Valid values among random strings of digits": against_digits(many),
        "The same, by length: share of random strings that are reported": by_length(
            many
        ),
        "Values in disguise": disguises(50 if quick else 400),
    }


def read(path: Path) -> list[dict[str, list]]:
    """The rows of a file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def entities() -> set[str]:
    """All names that PII knows, from what it says of one that it does not."""
    try:
        PII(entities=("?",))
    except Exception as error:
        return {name.strip() for name in str(error).partition("Known:")[2].split(",")}
    raise AssertionError("an unknown entity is an error")


def scored(
    cases: Iterable[dict[str, list]],
    chosen: set[str],
    words: dict[str, str] | None = None,
    named: bool = True,
) -> list[Row]:
    """Exact spans of each entity, over the cases that test it."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for case in cases:
        for entity in case["tested"]:
            if entity not in chosen:
                continue
            before = f"{words[entity]}: " if words else ""
            text = before + str(case["text"])
            expected = {
                (span["start"] + len(before), span["end"] + len(before))
                for span in case["spans"]
                if span["type"] == entity
            }
            guard = PII(entities=(entity,)) if named else PII()
            found = spans(guard, text, entity)
            tally(counts[entity], expected, found)
            tally(counts["all"], expected, found)
    return [
        {"entity": entity, **figures(*counts[entity])}
        for entity in sorted(counts, key=lambda name: (name == "all", name))
    ]


def tally(count: list[int], expected: Spans, found: Spans) -> None:
    count[0] += 1
    count[1] += len(expected & found)
    count[2] += len(found - expected)
    count[3] += len(expected - found)


def figures(cases: int, hits: int, extra: int, missed: int) -> Row:
    precision = hits / (hits + extra) if hits + extra else 1.0
    recall = hits / (hits + missed) if hits + missed else 1.0
    both = precision + recall
    return {
        "cases": cases,
        "expected": hits + missed,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "F1": round(2 * precision * recall / both if both else 0.0, 4),
    }


def spans(guard: PII, text: str, entity: str) -> Spans:
    return {
        (finding.start, finding.end)
        for finding in guard.check(text).findings
        if finding.label == entity
    }


def against_digits(many: int) -> list[Row]:
    """As many valid values as random strings of 8 to 24 digits, in one sentence."""
    chance = random.Random(0)
    rows: list[Row] = []
    for entity, make in (("CREDIT_CARD", card), ("IBAN_CODE", account)):
        hits = extra = missed = 0
        for _ in range(many):
            value = make(chance)
            found = spans(PII(), f"It says {value}, I think.", entity)
            hits, missed = hits + bool(found), missed + (not found)
            size = chance.randint(8, 24)
            digits = "".join(chance.choices("0123456789", k=size))
            if entity == "IBAN_CODE":
                digits = chance.choice(("DE", "GB", "FR", "ES", "IT", "NL")) + digits
            extra += bool(spans(PII(), f"It says {digits}, I think.", entity))
        rows.append({"entity": entity, **figures(2 * many, hits, extra, missed)})
    return rows


def by_length(many: int) -> list[Row]:
    chance = random.Random(1)
    rows: list[Row] = []
    for size in range(9, 20):
        anything = cards = 0
        tries = many // 5
        for _ in range(tries):
            digits = "".join(chance.choices("0123456789", k=size))
            findings = PII().check(f"It says {digits}, I think.").findings
            anything += bool(findings)
            cards += any(finding.label == "CREDIT_CARD" for finding in findings)
        rows.append(
            {
                "digits": size,
                "tries": tries,
                "as a card": round(cards / tries, 4),
                "as anything": round(anything / tries, 4),
            }
        )
    return rows


def card(chance: random.Random) -> str:
    """A number with an issuer's prefix and Luhn's digit, bare or in groups of four."""
    body = chance.choice(("4", "51", "55", "2221", "6011", "37", "3530"))
    size = 15 if body == "37" else 16
    body += "".join(chance.choices("0123456789", k=size - 1 - len(body)))
    value = next(body + d for d in "0123456789" if luhn(body + d))
    if size == 16 and chance.random() < 0.5:
        value = chance.choice(" -").join(value[i : i + 4] for i in range(0, 16, 4))
    return value


def luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(char), 10)) for char in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def account(chance: random.Random) -> str:
    """A German or British account number."""
    country, bank, size = chance.choice((("DE", "", 18), ("GB", "WEST", 14)))
    body = bank + "".join(chance.choices("0123456789", k=size))
    moved = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    value = f"{country}{98 - int(moved) % 97:02}{body}"
    if chance.random() < 0.5:
        value = " ".join(value[i : i + 4] for i in range(0, len(value), 4))
    return value


def mail(chance: random.Random) -> str:
    name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(4, 9)))
    return f"{name}.{chance.choice(('lee', 'roy'))}@{name[::-1]}.{chance.choice(TLDS)}"


def phone(chance: random.Random) -> str:
    area, line = chance.choice(("212", "415", "646")), chance.randint(0, 9999)
    return f"+1 {area} {chance.randint(230, 899)} {line:04}"


TLDS = ("com", "org", "net", "de", "co.uk")
Maker = Callable[[random.Random], str]
Disguise = Callable[[str], str]


def wide(value: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


def between(sign: str) -> Disguise:
    def apply(value: str) -> str:
        return sign.join(char for char in value if char.isalnum() or char in "+@._")

    return apply


def zero_width(value: str) -> str:
    return "\u200b".join(value)


def arabic(value: str) -> str:
    return value.translate({48 + i: 0x660 + i for i in range(10)})


def words(at: str, dot: str) -> Disguise:
    return lambda value: value.replace("@", at).replace(".", dot)


def sign(char: str) -> Disguise:
    return lambda value: value.replace("@", char)


FORMS: tuple[tuple[str, str, Maker, Disguise], ...] = tuple(
    (entity, name, make, disguise)
    for entity, make in (("CREDIT_CARD", card), ("IBAN_CODE", account))
    for name, disguise in (
        ("full-width", wide),
        ("zero-width between", zero_width),
        ("spaced", between(" ")),
        ("dashes between", between("-")),
        ("dots between", between(".")),
        ("other digits", arabic),
    )
) + tuple(
    (entity, name, make, disguise)
    for entity, make, forms in (
        (
            "PHONE_NUMBER",
            phone,
            (
                ("full-width", wide),
                ("zero-width between", zero_width),
                ("dots", lambda value: value.replace(" ", ".")),
                ("other digits", arabic),
            ),
        ),
        (
            "EMAIL_ADDRESS",
            mail,
            (
                ("full-width", wide),
                ("zero-width between", zero_width),
                ("full-width @", sign("＠")),
                ("small @", sign("﹫")),
                ("circled a", sign("ⓐ")),
                ("[at] [dot]", words("[at]", "[dot]")),
                ("(at) (dot)", words(" (at) ", " (dot) ")),
                ("at dot", words(" at ", " dot ")),
                ("AT DOT", words(" AT ", " DOT ")),
                ("_at_ _dot_", words("_at_", "_dot_")),
                ("spaces", words(" @ ", " . ")),
            ),
        ),
    )
    for name, disguise in forms
)


def disguises(many: int) -> list[Row]:
    """Share of values of which every character is inside what is redacted."""
    chance = random.Random(2)
    rows: list[Row] = []
    for entity, name, make, disguise in FORMS:
        whole = 0
        for _ in range(many):
            value = disguise(make(chance))
            text = f"You can use {value} for it."
            found = spans(PII(), text, entity)
            start = text.index(value)
            whole += any(a <= start and start + len(value) <= b for a, b in found)
        rows.append(
            {
                "entity": entity,
                "disguise": name,
                "values": many,
                "found": round(whole / many, 4),
            }
        )
    return rows
