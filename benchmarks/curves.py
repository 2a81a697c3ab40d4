"""ROC curves from the scores of an evaluation, thin enough to be kept.

    python -m benchmarks.curves build/training/evaluate/scores.jsonl.gz

`python -m training evaluate` writes a score for every text of the test sets and of the
sources that were kept out of training. This makes a curve of each role of both, every
set weighing the same, and writes results/curves.json and .md; `make figures` draws it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from .report import RESULTS, machine, table, versions

# Shares of benign texts at which a curve is kept; a line is drawn between them.
RATES = tuple(round(m * 10.0**p, 6) for p in (-3, -2, -1) for m in (1, 1.5, 2, 3, 5, 7))
SCORES = "build/training/evaluate/scores.jsonl.gz"
KINDS = {"benchmark": "test sets", "unseen": "sources kept out of training"}


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("scores", type=Path, help="scores.jsonl.gz of an evaluation")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    with gzip.open(chosen.scores, "rt", encoding="utf-8") as lines:
        found = curves(json.loads(line) for line in lines)
    if not found:
        print("no set has both attacks and benign texts", file=sys.stderr)
        return 2
    facts = {
        "command": f"python -m benchmarks.curves {SCORES}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
    }
    chosen.out.mkdir(parents=True, exist_ok=True)
    data = {**facts, "results": {"curves": found}}
    (chosen.out / "curves.json").write_text(
        json.dumps(data, indent=1) + "\n", encoding="utf-8"
    )
    rows = [
        {
            "texts": one["name"],
            "attacks": one["attacks"],
            "benign": one["benign"],
            "AUC": one["auc"],
            **{
                f"found at {rate:g}": at(one["points"], rate)
                for rate in (0.001, 0.01, 0.1)
            },
        }
        for one in found
    ]
    head = f"# ROC of PromptInjection\n\n`{facts['command']}`, {facts['date']}\n\n"
    (chosen.out / "curves.md").write_text(head + table(rows) + "\n", encoding="utf-8")
    print(table(rows))
    return 0


def curves(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A curve for each kind of set and role that has attacks and benign texts."""
    parts: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        kind = row["set"].partition(":")[0]
        if kind in KINDS:
            parts[kind, row["role"]].append(row)
    found = []
    for (kind, role), part in sorted(parts.items()):
        whole = curve(part)
        if whole:
            found.append(
                {
                    "name": f"{KINDS[kind]}, role {role}",
                    "kind": kind,
                    "attacks": sum(row["attack"] for row in part),
                    "benign": sum(not row["attack"] for row in part),
                    "auc": round(_area(whole), 4),
                    "points": [(rate, at(whole, rate)) for rate in (*RATES, 1.0)],
                }
            )
    return found


def curve(part: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Benign texts flagged and attacks found at every threshold; sets weigh alike."""
    sizes: defaultdict[tuple[str, bool], int] = defaultdict(int)
    for row in part:
        sizes[row["set"], row["attack"]] += 1
    sets = {kind: sum(attack == kind for _, attack in sizes) for kind in (True, False)}
    if not all(sets.values()):
        return []
    weighed = sorted(
        (-row["score"], row["attack"], 1 / sizes[row["set"], row["attack"]])
        for row in part
    )
    reached = {True: 0.0, False: 0.0}
    points = [(0.0, 0.0)]
    for _, ties in groupby(weighed, key=lambda row: row[0]):
        for _, attack, weight in ties:
            reached[attack] += weight / sets[attack]
        points.append((reached[False], reached[True]))
    return points


def at(points: Sequence[tuple[float, float]], rate: float) -> float:
    """The most attacks found with at most this share of benign texts flagged."""
    return round(max(up for across, up in points if across <= rate + 1e-9), 4)


def _area(points: Sequence[tuple[float, float]]) -> float:
    return sum(
        (right[0] - left[0]) * (right[1] + left[1]) / 2
        for left, right in pairwise(points)
    )


if __name__ == "__main__":
    sys.exit(main())
