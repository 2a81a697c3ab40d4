"""Measures the guards that are tables of facts, and names, on public test sets.

    python benchmarks/guards.py secrets [--data FOLDER]
    python benchmarks/guards.py hygiene [--data FOLDER]
    python benchmarks/guards.py pii [--data FOLDER]
    python benchmarks/guards.py profanity [--data FOLDER]
    python benchmarks/guards.py names [--data FOLDER] [--model FOLDER] [--held-out FILE]
    python benchmarks/guards.py disclosure [--data FOLDER]

Writes results/guards-NAME.json and .md beside this file. The test sets lie outside this
repository; without them nothing is measured and nothing is written.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from guards_disclosure import disclosure
from guards_hygiene import hygiene
from guards_names import HELD_OUT, names
from guards_pii import pii
from guards_profanity import profanity
from promptguard import Guard, Secrets
from report import Row, arguments, publish

# What CredSweeper reports and nobody keeps secret: names of buckets, domains and apps.
IDENTIFIERS = {
    "AWS S3 Bucket",
    "Firebase Domain",
    "Google Multi",
    "Tencent WeChat API App ID",
    "UUID",
}
DATA = Path(__file__).parents[1] / "../shared/data"
# Where the sets of a guard are, if not under its own name among the benchmarks.
FOLDERS = {
    "disclosure": "benchmarks/phi",
    "hygiene": "injection",
    "names": "benchmarks/pii",
}


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("guard", choices=sorted([*GUARDS, "names"]))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sets")
    parser.add_argument("--model", help="names: a bundle, instead of the shipped one")
    parser.add_argument(
        "--held-out",
        type=Path,
        default=HELD_OUT,
        help="names: what the stage names of the training held out",
    )
    chosen = parser.parse_args()
    folder = chosen.data / FOLDERS.get(chosen.guard, f"benchmarks/{chosen.guard}")
    if not folder.is_dir():
        print(f"skipped: {folder} is not there; point --data at the test sets")
        return 0
    if chosen.guard == "names":
        title, sections = names(folder, chosen.quick, chosen.model, chosen.held_out)
    else:
        title, sections = GUARDS[chosen.guard](folder, chosen.quick)
    publish(f"guards-{chosen.guard}", title, sections, chosen)
    return 0


def secrets(folder: Path, quick: bool) -> tuple[str, dict[str, list[Row]]]:
    """Shares of lines with and without a secret in which one is found."""
    settings: dict[str, Guard] = {
        "Secrets()": Secrets(),
        "Secrets(entropy=False)": Secrets(entropy=False),
    }
    sets = {
        path.name.partition(".")[0]: read(path)[: 100 if quick else None]
        for path in sorted(folder.glob("*.jsonl.gz"))
    }
    sets["credsweeper_tests, no identifiers"] = [
        line
        for line in sets["credsweeper_tests"]
        if line["category"] not in IDENTIFIERS
    ]
    rows: list[Row] = []
    for name, lines in sets.items():
        for setting, guard in settings.items():
            row: Row = {"set": name, "guard": setting}
            for label, kind, share in (
                (1, "secrets", "recall"),
                (0, "benign", "flagged"),
            ):
                texts = [str(line["text"]) for line in lines if line["label"] == label]
                found = sum(guard.check(text).flagged for text in texts)
                row[kind] = len(texts)
                row |= share_of(share, found, len(texts))
            rows.append(row)
    return "Secrets on public test sets", {"One line a text": rows}


def read(path: Path) -> list[dict[str, object]]:
    """The rows of a file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def share_of(name: str, part: int, whole: int) -> Iterable[tuple[str, object]]:
    """A share, and its interval of 95 % by Wilson's formula (1927)."""
    if not whole:
        return [(name, None), (f"{name} 95 %", None)]
    z, p = 1.96, part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    half /= 1 + z * z / whole
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return [(name, round(p, 4)), (f"{name} 95 %", f"{low:.3f}..{high:.3f}")]


GUARDS: dict[str, Callable[[Path, bool], tuple[str, dict[str, list[Row]]]]] = {
    "disclosure": disclosure,
    "hygiene": hygiene,
    "pii": pii,
    "profanity": profanity,
    "secrets": secrets,
}

if __name__ == "__main__":
    sys.exit(main())
