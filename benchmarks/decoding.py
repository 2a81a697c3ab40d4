"""Measures what readings bring back of disguised attacks, and what they cost elsewhere.

    python benchmarks/decoding.py [--tiers AB] [--rows N] [--only NAME] [--data FOLDER]

Each disguise of the training package is put on hand-written attacks. A disguise is
undone where nine in ten words of the attack stand in a reading, in order. Then benign
texts are read, hand-written and of the public training sources: no decoded reading
should come of them. Sources that lie outside this repository are left out without it.

Writes results/decoding.json and .md beside this file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from report import Row, arguments, publish

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from promptguard.text import Text  # noqa: E402
from training.disguises import Disguise, by_tier  # noqa: E402

DATA = ROOT / "../shared/data/injection"
HAND = ROOT / "training/data"
# So much of the words of an attack is the attack.
ENOUGH = 0.9
PER_SOURCE = 300
WORD = re.compile(r"[^\W\d_]+")
SIGN = re.compile(r"[^\w\s]|[\d_]")


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--tiers", default="AB", help="A, B, C, L, or some of them")
    parser.add_argument("--rows", type=int, default=40, help="attacks of each disguise")
    parser.add_argument("--only", default="", help="disguises with this in their name")
    parser.add_argument("--show", action="store_true", help="print what is not undone")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sources")
    chosen = parser.parse_args()
    rows = 4 if chosen.quick else chosen.rows
    attacks = sample((HAND / "attacks").glob("*en.jsonl"), rows)
    disguises = [
        disguise
        for tier in chosen.tiers
        for disguise in by_tier(tier)
        if chosen.only in disguise.name
    ]
    sections = {"Disguises": [undone(each, attacks, chosen) for each in disguises]}
    if not chosen.only:
        sections["Benign texts"] = benign(chosen)
    publish("decoding", "Decoded readings", sections, chosen)
    return 0


def sample(paths: Iterable[Path], count: int, seed: int = 11) -> list[str]:
    """So many texts of the files, the same at each run."""
    texts = [text for path in sorted(paths) for text in read(path)]
    return random.Random(seed).sample(texts, min(count, len(texts)))


def read(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["label"] == 0 or "attacks" in path.parts:
                yield row["text"]


def undone(disguise: Disguise, texts: list[str], chosen: argparse.Namespace) -> Row:
    """In how many texts each kind of reading says what the disguise hides."""
    rng = random.Random(f"11 {disguise.name}")
    tried = clean = served = any_of = 0
    for plain in texts:
        if not disguise.applies(plain):
            continue
        text = Text(disguise.apply(plain, rng))
        tried += 1
        in_clean = max(share(plain, each.text) for each in text.readings) >= ENOUGH
        in_served = in_clean or any(
            share(plain, each.text) >= ENOUGH for each in text.decoded
        )
        clean += in_clean
        served += in_served
        any_of += in_served or share(plain, text.folded.text) >= ENOUGH
        if chosen.show and not in_served:
            said = [each.text for each in text.decoded]
            print(f"\n{disguise.name}\n  {plain!r}\n  {text.original!r}\n  {said!r}")
    tried = max(tried, 1)
    return {
        "tier": disguise.tier,
        "disguise": disguise.name,
        "texts": tried,
        "clean": clean / tried,
        "clean or decoded": served / tried,
        "any reading": any_of / tried,
    }


def share(plain: str, reading: str) -> float:
    """The share of the words of a text that stand in a reading, in order.

    Signs part words; in the text they may also be left out, as some disguises do.
    Numbers do not count: many disguises make them letters.
    """
    said = WORD.findall(reading.casefold())
    # Folding takes accents and signs away from the plain text too.
    forms = {plain.casefold(), Text(plain).folded.text}
    return max(
        in_order(words, said)
        for form in forms
        for words in (WORD.findall(form), SIGN.sub("", form).split())
    )


def in_order(words: list[str], said: list[str]) -> float:
    """The longest common subsequence, as a share of the first list."""
    if not words:
        return 1.0
    before = [0] * (len(said) + 1)
    for word in words:
        now = [0]
        for at, other in enumerate(said):
            best = before[at] + 1 if word == other else max(before[at + 1], now[at])
            now.append(best)
        before = now
    return before[-1] / len(words)


def benign(chosen: argparse.Namespace) -> list[Row]:
    """How many texts get a decoded reading, by source, and the time that it takes."""
    count = 10 if chosen.quick else PER_SOURCE
    sources = sorted((HAND / "benign").glob("*.jsonl"))
    if chosen.data.is_dir():
        sources += sorted(chosen.data.glob("*.jsonl.gz"))
    found = []
    for path in sources:
        texts = [*islice(read(path), 10 * count)]
        texts = random.Random(11).sample(texts, min(count, len(texts)))
        if texts:
            found.append(cost(path.name.partition(".")[0], texts, chosen.show))
    total = sum(int(str(row["texts"])) for row in found)
    decoded = sum(int(str(row["decoded"])) for row in found)
    longer = sum(float(str(row["more characters"])) for row in found) / len(found)
    mean: Row = {"source": "all", "texts": total, "decoded": decoded}
    mean |= {"share": decoded / total, "more characters": longer}
    return [*found, mean]


def cost(name: str, texts: list[str], show: bool) -> Row:
    size = extra = decoded = undecoded = 0
    spent = [0.0, 0.0]
    for original in texts:
        text = Text(original)
        started = time.perf_counter()
        size += len(text.clean.text)
        spent[0] += time.perf_counter() - started
        started = time.perf_counter()
        readings = text.decoded
        spent[1] += time.perf_counter() - started
        decoded += bool(readings)
        undecoded += bool(text.undecoded)
        extra += sum(len(each.text) for each in readings)
        if show and readings:
            print(f"\n{name}\n  {original[:300]!r}\n  {readings[0].text[:600]!r}")
    return {
        "source": name,
        "texts": len(texts),
        "decoded": decoded,
        "share": decoded / len(texts),
        "undecoded": undecoded,
        "more characters": extra / size,
        "clean, ms per 1,000 characters": 1e6 * spent[0] / size,
        "decoded, ms per 1,000 characters": 1e6 * spent[1] / size,
    }


if __name__ == "__main__":
    raise SystemExit(main())
