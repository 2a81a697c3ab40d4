"""Language, Code, Refusal, Urls and InvisibleText on rows of the training sources.

A development measure: the rows are not labelled for these guards. Their language is a
guess by script and words, their category says whether a row is code, and none of them
is known to be a refusal or to hold a harmful address, so what is flagged there is an
upper bound of false alarms.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import promptguard as pg
from promptguard.guards.language import CODES
from report import Row

PER_FILE = 300
# Running text, translated or written by people, of which the language is known well.
PARALLEL = ("xquad", "ud_pud", "mgsm", "freecodecamp_i18n", "home_assistant_intents")


def hygiene(folder: Path, quick: bool) -> tuple[str, dict[str, list[Row]]]:
    """Sections of the report."""
    limit = 20 if quick else PER_FILE
    rows = [*_rows(folder, limit)]
    return "Hygiene guards, on development data", {
        "Language, by source": _language(folder, 50 if quick else 10_000),
        "Code, by category": _shares(rows, pg.Code(), "category"),
        "Refusal, by category": _shares(rows, pg.Refusal(), "category"),
        "Refusal, on answers of a model": _answers(folder.parent / "judge", limit),
        "Urls without lists, by category": _shares(rows, pg.Urls(), "category"),
        "InvisibleText, by category": _shares(rows, pg.InvisibleText(), "category"),
    }


def _rows(folder: Path, limit: int) -> Iterator[dict[str, str]]:
    for path in sorted(folder.glob("*.jsonl.gz")):
        yield from _read(path, limit)


def _read(path: Path, limit: int) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for _, line in zip(range(limit), lines, strict=False):
            yield json.loads(line)


def _language(folder: Path, limit: int) -> list[Row]:
    found = []
    for name in PARALLEL:
        counts: Counter[str] = Counter()
        for row in _read(folder / f"{name}.jsonl.gz", limit):
            own = row.get("lang") or ""
            if own not in CODES:
                continue
            other = "de" if own == "en" else "en"
            counts["rows"] += 1
            counts["wrong"] += pg.Language((own,)).check(row["text"]).flagged
            (told,) = [
                f.label for f in pg.Language((other,)).check(row["text"]).findings
            ] or [""]
            counts["found"] += bool(told)
            counts["named"] += told == f"language_{own}"
        rows = max(counts["rows"], 1)
        found.append(
            {
                "source": name,
                "rows": counts["rows"],
                "flagged, its own language allowed": counts["wrong"] / rows,
                "flagged, another one allowed": counts["found"] / rows,
                "of these named rightly": counts["named"] / max(counts["found"], 1),
            }
        )
    return found


def _shares(rows: list[dict[str, str]], guard: pg.Guard, by: str) -> list[Row]:
    """How many rows of each kind a guard flags, and its most usual labels there."""
    total: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        kind = row[by]
        total[kind] += 1
        found = {f.label for f in guard.check(row["text"], "assistant").findings}
        flagged[kind] += bool(found)
        labels[kind].update(found)
    return [
        {
            by: kind,
            "rows": total[kind],
            "flagged": flagged[kind],
            "share": flagged[kind] / total[kind],
            "labels": ", ".join(f"{n} {k}" for k, n in labels[kind].most_common(3)),
        }
        for kind in sorted(total)
    ]


def _answers(folder: Path, limit: int) -> list[Row]:
    name = "halueval_general"
    path = folder / f"{name}.jsonl.gz"
    if not path.exists():
        return []
    answers = [
        {"text": row["response"], "source": name} for row in _read(path, 10 * limit)
    ]
    return _shares(answers, pg.Refusal(), "source")
