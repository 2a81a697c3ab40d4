"""How well PII finds names of people, places and organisations, on public test sets."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from guards_pii import Spans, figures, tally
from promptguard import PII
from promptguard.runtime.bundle import Bundle
from report import Row

LABELS = ("PERSON", "LOCATION", "ORGANIZATION")
# What sets call them. The type of a place in medical questions holds hospitals too.
KINDS = {
    "PERSON": "PERSON",
    "NAME": "PERSON",
    "LOCATION": "LOCATION",
    "GEOGRAPHIC_LOCATION": "LOCATION",
    "ORGANIZATION": "ORGANIZATION",
    "CORPORATION": "ORGANIZATION",
    "GROUP": "ORGANIZATION",
}
# Of all types of a set together, by others, where they say so.
PUBLISHED = {
    "wnut17_test": (
        "0.4186, six types: the best of the shared task "
        "(Derczynski et al. 2017, W17-4418)"
    ),
    "broad_twitter_corpus_h": (
        "0.8368, three types, all test sections: roberta-large, 355 million parameters "
        "(model card of tner/roberta-large-btc)"
    ),
}
# The groups of this set are teams and bands, which ours count as organisations; of
# medical questions only these two types are marked.
TOLD = {"synthetic_clinical_queries": ("PERSON", "LOCATION")}
HANDLE = re.compile(r"@\w+")
# Handles name somebody, and this set does not mark them.
WITHOUT_HANDLES = "wnut17_test"
HELD_OUT = Path(__file__).parents[1] / "build/training/names/heldout.jsonl.gz"


@dataclass(frozen=True)
class Case:
    """A text, its names by label, and spans that may be found or not."""

    text: str
    names: Mapping[str, Spans]
    either: Spans


def names(
    folder: Path, quick: bool, model: str | None, held_out: Path
) -> tuple[str, dict[str, list[Row]]]:
    """Figures of exact spans at each false-positive rate of the bundle."""
    sets = {
        name: list(public(folder / f"{name}.jsonl.gz", name))
        for name in ("wnut17_test", "broad_twitter_corpus_h", *TOLD)
    }
    if held_out.is_file():
        sets |= held(held_out)
    else:
        print(f"{held_out} is not there: the held-out sets are left out")
    points = Bundle.load(model).operating_points
    rates = sorted({point.fpr for point in points if point.label in LABELS})
    rows: list[Row] = []
    for name, cases in sets.items():
        for rate in rates:
            rows += scored(name, cases[: 60 if quick else None], rate, model)
    return "Names of people, places and organisations", {
        "Exact spans, by set and false-positive rate": rows,
        "What others reach on these sets": [
            {"set": name, "F1": figure} for name, figure in PUBLISHED.items()
        ],
    }


def public(path: Path, name: str) -> Iterator[Case]:
    """The texts of a test set. Of several types that were given, the first counts."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            marks: defaultdict[str, Spans] = defaultdict(set)
            either: Spans = set()
            for span in row["spans"]:
                kind, *others = re.split(",[BI]-", span["type"])
                place = span["start"], span["end"]
                if label := KINDS.get(kind):
                    marks[label].add(place)
                if any(other in KINDS for other in others):
                    either.add(place)
            if name == WITHOUT_HANDLES:
                either |= {match.span() for match in HANDLE.finditer(row["text"])}
            yield Case(row["text"], marks, either)


def held(path: Path) -> dict[str, list[Case]]:
    """What the names stage of the training held out, by source."""
    found: defaultdict[str, list[Case]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            marks: defaultdict[str, Spans] = defaultdict(set)
            either: Spans = set()
            for start, end, label in row["marks"]:
                (either if label == "?" else marks[label]).add((start, end))
            name = f"held out: {row['source']}"
            found[name].append(Case(row["text"], marks, either))
    return dict(sorted(found.items()))


def scored(
    name: str, cases: Iterable[Case], rate: float, model: str | None
) -> list[Row]:
    """Exact spans of each label at a rate, then of people and places together."""
    told = TOLD.get(name, LABELS)
    guard = PII(entities=told, fpr=rate, model=model)
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for case in cases:
        found: defaultdict[str, Spans] = defaultdict(set)
        for finding in guard.check(case.text).findings:
            found[finding.label].add((finding.start, finding.end))
        for label in told:
            expected = case.names.get(label, set())
            given = {
                span
                for span in found[label]
                if span in expected or not touches(span, case.either)
            }
            tally(counts[label], expected, given)
            if label != "ORGANIZATION":
                tally(counts["PERSON, LOCATION"], expected, given)
    return [
        {"set": name, "rate": rate, "label": label, **figures(*counts[label])}
        for label in (*told, "PERSON, LOCATION")
    ]


def touches(span: tuple[int, int], others: Spans) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
