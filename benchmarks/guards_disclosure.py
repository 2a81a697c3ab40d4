"""How well Disclosure tells a named person's health from everything else."""

from __future__ import annotations

import sys
from pathlib import Path

from guards_profanity import read, share_of
from promptguard import Disclosure
from report import Row

ROOT = Path(__file__).parents[1]
# Variations of each narrative, and the seed that makes them.
VARIATIONS, SEED = 5, 1


def disclosure(folder: Path, quick: bool) -> tuple[str, dict[str, list[Row]]]:
    """Our own narratives by topic, variations of them, and public sets of medical text.

    The rules were made on the topics of ``tuned``. Those of ``second`` were written
    then, looked at once, and used for more rules. ``held`` was written after that; its
    misses changed nothing, but names were made stricter later for texts on illnesses.
    """
    sys.path.insert(0, str(ROOT))
    from training.narratives import FOLDER, Narrative, load, vary

    guard = Disclosure()
    judged: list[Row] = []
    placed: list[Row] = []
    varied: list[Row] = []
    for split in ("tuned", "second", "held"):
        own = load(FOLDER / f"{split}-en.jsonl")[: 30 if quick else None]
        judged.append(_judged(guard, split, own))
        placed.append(_placed(guard, split, own))
        more = [*vary(own, 1 if quick else VARIATIONS, SEED)]
        varied.append(_judged(guard, split, more))
        if split == "held":
            topics: dict[str, list[Narrative]] = {}
            for narrative in own:
                topics.setdefault(narrative.topic, []).append(narrative)
    return "Disclosure on narratives and on medical text", {
        "Own narratives, by split of the topics": judged,
        "Their facts: found where they stand, in what discloses": placed,
        f"Variations of them, {VARIATIONS} of each": varied,
        "The held topics one by one": [
            _judged(guard, topic, some) for topic, some in sorted(topics.items())
        ],
        "Public sets (measured, not tuned on)": _public(guard, folder, quick),
    }


def _judged(guard: Disclosure, name: str, narratives: list) -> Row:
    found = [guard.check(n.text, role="assistant").flagged for n in narratives]
    true = [bool(n.disclosure) for n in narratives]
    hits = sum(a and b for a, b in zip(found, true, strict=True))
    row: Row = {
        "narratives": name,
        "texts": len(true),
        "with a disclosure": sum(true),
        "topics": len({n.topic for n in narratives}),
    }
    row.update(share_of("recall", hits, sum(true)))
    row.update(share_of("precision", hits, sum(found)))
    row["F1"] = round(2 * hits / max(1, sum(true) + sum(found)), 4)
    return row


def _placed(guard: Disclosure, name: str, narratives: list) -> Row:
    counts = {kind: [0, 0] for kind in ("identity", "health")}
    for narrative in narratives:
        verdict = guard.check(narrative.text, role="assistant")
        spans = {"identity": set(), "health": set()}
        for finding in verdict.findings:
            if finding.label in spans:
                spans[finding.label].update(range(finding.start, finding.end))
        for fact in narrative.facts:
            if not fact.disclosed or fact.kind == "place":
                continue
            health = fact.kind in ("condition", "health")
            label = "health" if health else "identity"
            counts[label][1] += 1
            place = range(fact.start, fact.end)
            counts[label][0] += not spans[label].isdisjoint(place)
    row: Row = {"narratives": name}
    for label, (hits, all_) in counts.items():
        row[f"{label} facts"] = all_
        row.update(share_of(f"{label} found", hits, all_))
    return row


def _public(guard: Disclosure, folder: Path, quick: bool) -> list[Row]:
    """Shares of the texts flagged; few of them name anybody, which it takes."""
    most = 100 if quick else None
    develop = folder.parents[1] / "phi"
    rows: list[Row] = []
    for path in sorted([*folder.glob("**/*.gz"), *develop.glob("**/*.gz")]):
        lines = read(path)[:most]
        key = "identified_phi" if "identified" in path.name else "health_disclosure"
        row: Row = {"set": path.name.partition(".")[0], "label": key}
        for label, kind in ((1, "with it"), (0, "without it")):
            texts = [str(one["text"]) for one in lines if one["labels"][key] == label]
            row[kind] = len(texts)
            flagged = sum(guard.check(t, role="assistant").flagged for t in texts)
            row.update(share_of(f"flagged {kind}", flagged, len(texts)))
        rows.append(row)
    return rows
