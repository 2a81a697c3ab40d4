"""The calibrate stage: thresholds by false-positive rate, over the path of a user."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from promptguard.runtime.bundle import NEEDED, Bundle
from promptguard.runtime.encode import Encoder
from promptguard.text import Text

from .config import Calibrate, Config
from .folder import read_statement, write_statement
from .metrics import share_above, threshold_at
from .rows import Row, read_rows
from .scoring import Scored, score
from .stage import write_atomically

__all__ = ["BUCKETS", "make", "points"]

BUCKETS = (1, 2, 4, 8, 16)
"""Upper bounds of the numbers of windows; the last one is open."""

# Sources with fewer texts than this in a bucket count as one.
_SMALL = 10


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Measure benign texts and write the bundle with its operating points."""
    for name in NEEDED:
        shutil.copy(needed["quantize"] / name, out / name)
    bundle = Bundle.load(str(needed["quantize"]))
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    rng = random.Random(f"{config.seed}:calibrate")
    rows = read_rows(needed["data"] / "benign.jsonl.gz")
    texts = list(_texts(rows, encoder, bundle.window - 2, config.calibrate.most, rng))
    measured = [
        Measured(row.source, row.role, _windows(encoder, row), found.score)
        for row, found in zip(texts, _score(texts, needed["quantize"]), strict=True)
    ]
    table = points(measured, config.calibrate)
    statement = read_statement(needed["quantize"])
    counts = Counter((m.role, _bucket(m.windows)) for m in measured)
    statement["operating_points"] = table
    statement["measured_on"] = {
        "texts": {f"{role} {size}": count for (role, size), count in counts.items()},
        "sources": sorted({m.source for m in measured}),
        "weighing": "every source the same; sources below 10 texts in a bucket as one",
    }
    write_statement(out, statement)
    scores = json.dumps([m.__dict__ for m in measured]).encode()
    write_atomically(out / "measured.json", scores)
    for row in table:
        note = f"  from {row['borrowed']}" if row["borrowed"] else ""
        print(
            f"  {row['role']:5} {row['windows']:3} windows  fpr {row['fpr']:<6}"
            f" threshold {row['threshold']:.4f}  texts {row['texts']}{note}"
        )


@dataclass(frozen=True)
class Measured:
    """A benign text that was scored."""

    source: str
    role: str
    windows: int
    score: float


def points(measured: Sequence[Measured], settings: Calibrate) -> list[dict[str, Any]]:
    """A row for each role, bucket and rate.

    A bucket with too few texts for a rate (less than ``least``, or than one in the
    rate) takes the threshold of the nearest shorter bucket that has enough, or of all
    lengths together where none has. More windows are more chances of a high score, so
    a threshold never falls with the length.
    """
    rows = []
    for role in ("user", "tool"):
        here = [m for m in measured if m.role == role]
        for rate in settings.rates:
            rows += _rate(here, role, rate, max(settings.least, round(1 / rate)))
    return rows


def _rate(
    here: Sequence[Measured], role: str, rate: float, enough: int
) -> list[dict[str, Any]]:
    parts = {b: [m for m in here if _bucket(m.windows) == b] for b in BUCKETS}
    able = [bucket for bucket, part in parts.items() if len(part) >= enough]
    rows: list[dict[str, Any]] = []
    before = 0.0
    for bucket, part in parts.items():
        if bucket in able:
            used, borrowed, threshold = part, "", threshold_at(_groups(part), rate)[0]
        elif able:
            near = max((b for b in able if b < bucket), default=min(able))
            used, borrowed = parts[near], f"bucket {near}"
            threshold = threshold_at(_groups(used), rate)[0]
        else:
            used, borrowed = list(here), "all lengths"
            threshold = threshold_at(_groups(used), rate)[0]
        if threshold < before:
            threshold, borrowed = before, borrowed or "the shorter bucket"
        before = threshold
        rows.append(
            {
                "label": "injection",
                "role": role,
                "windows": bucket,
                "fpr": rate,
                # A float of JSON reads back as the same float.
                "threshold": min(1.0, threshold),
                "measured": round(share_above(_groups(part), threshold), 5),
                "texts": len(part),
                "borrowed": borrowed,
            }
        )
    return rows


def _groups(part: Sequence[Measured]) -> list[list[float]]:
    by_source: defaultdict[str, list[float]] = defaultdict(list)
    for m in part:
        by_source[m.source].append(m.score)
    small = [s for v in by_source.values() if len(v) < _SMALL for s in v]
    groups = [v for v in by_source.values() if len(v) >= _SMALL]
    return groups + ([small] if small else [])


def _bucket(windows: int) -> int:
    return next((b for b in BUCKETS if windows <= b), BUCKETS[-1])


def _texts(
    rows: Sequence[Row],
    encoder: Encoder,
    room: int,
    most: int,
    rng: random.Random,
) -> Iterator[Row]:
    """The texts to measure: as they are, and long ones cut short as well.

    Documents are measured in both roles, because users paste them.
    """
    by_source: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    for part in by_source.values():
        rng.shuffle(part)
        for row in part[:most]:
            spans = encoder.tokens(row.text)[1]
            lengths = [len(spans)]
            if len(spans) > room:
                lengths.append(rng.randint(24, room))
            if len(spans) > 3 * room:
                lengths.append(rng.randint(room + 1, 2 * room))
            for length in lengths:
                first = rng.randint(0, len(spans) - length)
                text = row.text
                if 0 < length < len(spans):
                    text = text[spans[first][0] : spans[first + length - 1][1]]
                for role in sorted({"user", row.role}):
                    yield Row(text, role, row.labels, row.source, row.category)


def _windows(encoder: Encoder, row: Row) -> int:
    return len(encoder.encode(Text(row.text, row.role).clean.text).pieces)


def _score(rows: Sequence[Row], folder: Path) -> list[Scored]:
    found = []
    for start in tqdm(range(0, len(rows), 32), "score", unit="batch"):
        found += score(rows[start : start + 32], model=str(folder))
    return found
