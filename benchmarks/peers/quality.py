"""What each peer finds of the same things, where both do the job."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..disguises import FORMS, VALUES
from ..report import Row
from .processes import Worker

__all__ = ["QUALITY"]

# What both may find, by the name that both give it.
COMMON = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS")


def pii(workers: Sequence[Worker], data: Path, quick: bool) -> dict[str, list[Row]]:
    """Presidio's own test cases, random digits, and values in disguise."""
    sections: dict[str, list[Row]] = {}
    cases = _read(data / "benchmarks/pii/presidio_recognizer_tests_a.jsonl.gz", quick)
    if cases:
        sections["Presidio's recogniser tests, exact spans"] = [
            _on_cases(worker, cases, entity)
            for entity in (*_shared(cases), "all")
            for worker in workers
        ]
    many = 20 if quick else 400
    sections["Random digits that are reported as cards, and cards that are not"] = [
        _on_digits(worker, many) for worker in workers
    ]
    sections["Values in disguise, whole inside what is found"] = [
        _on_disguises(worker, kind, 2 if quick else 10)
        for kind in ("as it is", "signs", "words")
        for worker in workers
    ]
    return sections


def _shared(cases: list[dict[str, Any]]) -> list[str]:
    tested = {entity for case in cases for entity in case["tested"]}
    return sorted(tested.intersection(COMMON))


def _on_cases(worker: Worker, cases: list[dict[str, Any]], entity: str) -> Row:
    hits = extra = missed = 0
    wanted = _shared(cases) if entity == "all" else [entity]
    for case in cases:
        for name in set(wanted).intersection(case["tested"]):
            expected = {
                (s["start"], s["end"]) for s in case["spans"] if s["type"] == name
            }
            found = {
                (start, end)
                for start, end, label in _spans(worker, "pii_common", case["text"])
                if label == name
            }
            hits += len(expected & found)
            extra += len(found - expected)
            missed += len(expected - found)
    precision = hits / (hits + extra) if hits + extra else 1.0
    recall = hits / (hits + missed) if hits + missed else 1.0
    both = precision + recall
    return {
        "entity": entity,
        "peer": worker.name,
        "expected": hits + missed,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "F1": round(2 * precision * recall / both if both else 0.0, 4),
    }


def _on_digits(worker: Worker, many: int) -> Row:
    chance = random.Random(0)
    found = false = 0
    for _ in range(many):
        value = VALUES["CREDIT_CARD"].make(chance)
        digits = "".join(chance.choices("0123456789", k=chance.randint(8, 24)))
        found += _labelled(worker, f"It says {value}, I think.", "CREDIT_CARD")
        false += _labelled(worker, f"It says {digits}, I think.", "CREDIT_CARD")
    return {
        "peer": worker.name,
        "cards": many,
        "cards found": round(found / many, 4),
        "random strings": many,
        "taken for a card": round(false / many, 4),
    }


def _on_disguises(worker: Worker, kind: str, many: int) -> Row:
    whole = total = 0
    for form in FORMS:
        name = "words" if form.words else "signs"
        if kind != ("as it is" if form.name == "as it is" else name):
            continue
        for entity in sorted(set(form.entities).intersection(COMMON)):
            chance = random.Random(f"{entity} {form.name}")
            for _ in range(many):
                text, start, end = form.text(entity, chance)
                hidden = {
                    i
                    for a, b, _ in _spans(worker, "pii_common", text)
                    for i in range(a, b)
                }
                whole += hidden.issuperset(range(start, end))
                total += 1
    return {
        "disguise": kind,
        "peer": worker.name,
        "values": total,
        "found": round(whole / total, 4),
    }


def secrets(workers: Sequence[Worker], data: Path, quick: bool) -> dict[str, list[Row]]:
    """Lines with a secret and lines that look like it."""
    rows: list[Row] = []
    for name in ("credsweeper_tests", "kingfisher_rules", "benign_lookalikes_bench"):
        lines = _read(data / f"benchmarks/secrets/{name}.jsonl.gz", quick)
        rows += _shares(workers, "secrets", name, lines)
    return {"Lines with a secret, and lines without": rows} if rows else {}


def injection(
    workers: Sequence[Worker], data: Path, quick: bool
) -> dict[str, list[Row]]:
    """Attacks and benign texts of public test sets, each at its own threshold."""
    rows: list[Row] = []
    for name in (
        "deepset_test",
        "piguard_valid",
        "notinject",
        "wildguard_benign",
        "xstest_safe",
        "bipia_indirect_test",
    ):
        lines = _read(data / f"benchmarks/injection/{name}.jsonl.gz", quick)
        task = "injection_tool" if name.startswith("bipia") else "injection_user"
        rows += _shares(workers, task, name, lines)
    return {"Attacks, and texts without, at the thresholds as shipped": rows}


def profanity(
    workers: Sequence[Worker], data: Path, quick: bool
) -> dict[str, list[Row]]:
    """Test suites of other filters, and words that only look bad."""
    tests = _read(data / "benchmarks/profanity/filter_test_suites.jsonl.gz", quick)
    rows = _shares(
        workers,
        "profanity",
        "filter_test_suites, in no word list",
        [row for row in tests if not row["in_lexicon"]],
    )
    listed = [row for row in tests if row["in_lexicon"]]
    rows += _shares(workers, "profanity", "filter_test_suites, in a word list", listed)
    for name in ("dictionary_scunthorpe", "rustrict_false_positives"):
        lines = _read(data / f"profanity/{name}.jsonl.gz", quick)
        rows += _shares(workers, "profanity", name, lines)
    return {"Texts with profanity, and texts without": rows} if rows else {}


def _shares(
    workers: Sequence[Worker], task: str, name: str, lines: list[dict[str, Any]]
) -> list[Row]:
    rows: list[Row] = []
    for worker in workers if lines else ():
        row: Row = {"set": name, "peer": worker.name}
        for label, kind in ((1, "positive"), (0, "negative")):
            chosen = [line["text"] for line in lines if line["label"] == label]
            found = sum(bool(_spans(worker, task, text)) for text in chosen)
            row[kind] = len(chosen)
            part = round(found / len(chosen), 4) if chosen else None
            row["recall" if label else "flagged"] = part
        rows.append(row)
    return rows


def _labelled(worker: Worker, text: str, label: str) -> bool:
    return any(found == label for _, _, found in _spans(worker, "pii_common", text))


def _spans(worker: Worker, task: str, text: str) -> Iterable[tuple[int, int, str]]:
    # A lone surrogate cannot travel in UTF-8; json writes it as an escape.
    return worker.ask(task, text).get("spans", ())


def _read(path: Path, quick: bool) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines; none where it is not there."""
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return rows[:: len(rows) // 40 + 1] if quick else rows


Measure = Callable[[Sequence[Worker], Path, bool], dict[str, list[Row]]]
QUALITY: dict[str, tuple[str, Measure]] = {
    "PII": ("pii_common", pii),
    "Prompt injection": ("injection_user", injection),
    "Secrets": ("secrets", secrets),
    "Profanity": ("profanity", profanity),
}
"""By heading: the task that a peer must have, and what measures it."""
