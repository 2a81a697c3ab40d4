"""How well PII finds values: Presidio's own test cases, random digits, disguises."""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from disguises import FORMS, account, card
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
    disguised = disguises(10 if quick else 200)
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
        "Values in disguise, the weakest entity of each": weakest(disguised),
        "Values in disguise": disguised,
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


def disguises(many: int) -> list[Row]:
    """Share of values of which every character is inside what is redacted."""
    rows: list[Row] = []
    for form in FORMS:
        for entity in form.entities:
            chance = random.Random(f"{entity} {form.name}")
            redacted = named = 0
            for _ in range(many):
                text, start, end = form.text(entity, chance)
                findings = PII().check(text).findings
                hidden = {i for f in findings for i in range(f.start, f.end)}
                redacted += hidden.issuperset(range(start, end))
                named += any(
                    f.label == entity and f.start <= start and end <= f.end
                    for f in findings
                )
            rows.append(
                {
                    "disguise": form.name,
                    "entity": entity,
                    "values": many,
                    "redacted": round(redacted / many, 4),
                    "under its own name": round(named / many, 4),
                    "target": 0.8 if form.words else 0.95,
                }
            )
    return rows


def weakest(rows: list[Row]) -> list[Row]:
    """The least and the mean recall of each disguise, over its entities."""
    by_form: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_form[str(row["disguise"])].append(row)
    return [
        {
            "disguise": name,
            "entities": len(group),
            "least redacted": min(float(str(row["redacted"])) for row in group),
            "mean redacted": round(
                sum(float(str(row["redacted"])) for row in group) / len(group), 4
            ),
            "target": group[0]["target"],
        }
        for name, group in by_form.items()
    ]
