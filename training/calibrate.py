"""The calibrate stage: thresholds by false-positive rate, over the path of a user.

Only texts that were held out of training sources set thresholds. Sources that are kept
unseen are for the report: a source that sets a threshold cannot also tell what the
threshold is worth.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptguard.runtime.bundle import NEEDED, Bundle
from promptguard.runtime.encode import Encoder
from promptguard.text import Text

from .config import Calibrate, Config
from .errors import PipelineError
from .folder import read_statement, write_statement
from .metrics import effective, share_above, share_interval, threshold_at
from .namepoints import measured_names
from .rows import (
    INJECTION,
    OTHER_CATEGORIES,
    TASK_CATEGORIES,
    Row,
    Sources,
    load_sources,
    read_rows,
)
from .scoring import judge_all
from .stage import write_atomically

__all__ = ["BUCKETS", "Measured", "make", "points", "setting"]

BUCKETS = (1, 2, 4, 8, 16)
"""Upper bounds of the numbers of windows; the last one is open."""

# What these say is the same wherever it stands.
_EITHER = OTHER_CATEGORIES | TASK_CATEGORIES
# Sources with fewer texts than this in a bucket count as one.
_SMALL = 10
_HEAD = "  role  windows  fpr    threshold   texts  reach it, %  95 % interval"


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Measure benign texts and write the bundle with its operating points."""
    for name in NEEDED:
        shutil.copy(needed["quantize"] / name, out / name)
    bundle = Bundle.load(str(needed["quantize"]))
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    rng = random.Random(f"{config.seed}:calibrate")
    held_out = read_rows(needed["data"] / "heldout.jsonl.gz")
    rows = setting(held_out, load_sources(config.sources_file), config.target)
    room, most = bundle.window - 2, config.calibrate.most
    target = config.target
    benign = [row for row in rows if row.labels.get(target) == 0]
    texts = list(_texts(benign, encoder, room, most, rng))
    if others := [row for row in rows if row.labels.get(target) != 0]:
        texts += _texts(others, encoder, room, most, rng)
    measured = list(_measured(texts, bundle, encoder))
    measured += measured_names(bundle, needed)
    labels = [label for _, known in bundle.heads for label in known]
    labels += sorted({m.label for m in measured} - set(labels))
    table = [
        row
        for label in labels
        for row in points([m for m in measured if m.label == label], config.calibrate)
    ]
    statement = read_statement(needed["quantize"])
    statement["operating_points"] = table
    statement["measured_on"] = {
        "texts": len(texts),
        "sources": sorted({m.source for m in measured}),
        "weighing": "every source the same; sources below 10 texts in a bucket as one",
        "interval": "95 %, Clopper and Pearson over the effective number of texts",
    }
    write_statement(out, statement)
    scores = json.dumps([asdict(m) for m in measured]).encode()
    write_atomically(out / "measured.json", scores)
    print("\n".join(_lines(table)))


def setting(
    held_out: Sequence[Row], sources: Sources, target: str = INJECTION
) -> list[Row]:
    """The texts that may set thresholds: of no unseen source, and nothing a head seeks.

    A text sets the thresholds of the labels that it is known not to have.

    Raises:
        PipelineError: There are none.
    """
    away = sources.used("unseen", "tested")
    rows = [row for row in held_out if row.source not in away and not row.positive]
    if not any(row.labels.get(target) == 0 for row in rows):
        raise PipelineError(
            "calibrate: no benign text was held out of a training source; raise "
            "[data] held_out"
        )
    return rows


def _measured(
    texts: Sequence[_ToMeasure], bundle: Bundle, encoder: Encoder
) -> Iterator[Measured]:
    rows = [text.row for text in texts]
    found = judge_all(rows, "calibrate", model=str(bundle.path))
    for text, judged in zip(texts, found, strict=True):
        windows = _windows(encoder, text.row)
        for label, score in judged.scores.items():
            if label in text.row.labels:
                yield Measured(
                    label=label,
                    source=text.row.source,
                    role=text.row.role,
                    windows=windows,
                    score=score,
                    pasted=text.pasted,
                )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A benign text that was scored.

    Args:
        pasted: It is content that was read as somebody's own words, or the reverse.
    """

    source: str
    role: str
    windows: int
    score: float
    pasted: bool = False
    label: str = INJECTION


def points(measured: Sequence[Measured], settings: Calibrate) -> list[dict[str, Any]]:
    """A row for each role, rate and bucket of lengths; all texts are of one label.

    A bucket has enough texts for a rate if their effective number (see
    ``metrics.effective``) is ``least``, and one in the rate. Content that users paste
    is a part of their texts only where their own are too few. A bucket that has too few
    even so is measured together with the next longer ones; if the longest are too few
    together, ``enough`` is false and the threshold lies above all but the rate of what
    there is. More windows are more chances of a high score, and a smaller rate is a
    stricter promise: where a threshold would be lower than that of shorter texts or of
    a larger rate, it is borrowed from there.

    ``measured`` and ``interval`` are of the bucket's own texts, so that a row says what
    the rate is at its length, wherever its threshold came from.
    """
    rows = []
    for role in ("user", "tool"):
        here = [m for m in measured if m.role == role]
        if not here:
            # Better no operating point, which is an error to ask for, than a guess.
            continue
        floors = dict.fromkeys(BUCKETS, 0.0)
        for rate in sorted(settings.rates, reverse=True):
            enough = max(settings.least, 1 / rate)
            for row in _rate(here, role, rate, enough, floors):
                floors[row["windows"]] = row["threshold"]
                rows.append(row)
    return rows


@dataclass(frozen=True)
class _Group:
    """Neighbouring buckets that are measured as one."""

    sizes: tuple[int, ...]
    texts: tuple[Measured, ...]
    enough: bool


def _grouped(here: Sequence[Measured], enough: float) -> Iterator[_Group]:
    sizes: tuple[int, ...] = ()
    for bucket in BUCKETS:
        sizes = (*sizes, bucket)
        every = tuple(m for m in here if _bucket(m.windows) in sizes)
        own = tuple(m for m in every if not m.pasted)
        for texts in (own, every):
            if effective(_by_source(texts)) >= enough:
                yield _Group(sizes, texts, True)
                sizes = ()
                break
    if sizes:
        yield _Group(sizes, every, False)


def _rate(
    here: Sequence[Measured],
    role: str,
    rate: float,
    enough: float,
    floors: Mapping[int, float],
) -> Iterator[dict[str, Any]]:
    shorter = 0.0
    for group in _grouped(here, enough):
        # Scores end at 1: a threshold above it would be that no text is ever flagged.
        own = min(1.0, threshold_at(_by_source(group.texts), rate)[0])
        for bucket in group.sizes:
            part = [m for m in group.texts if _bucket(m.windows) == bucket]
            scores = _by_source(part)
            threshold = max(own, shorter, floors[bucket])
            interval = share_interval(scores, threshold)
            yield {
                "label": here[0].label,
                "role": role,
                "windows": bucket,
                "fpr": rate,
                # A float of JSON reads back as the same float.
                "threshold": threshold,
                "texts": len(part),
                "pasted": sum(m.pasted for m in part),
                "effective": round(effective(scores), 1),
                "measured": round(share_above(scores, threshold), 6) if part else None,
                "interval": interval and [round(end, 6) for end in interval],
                "measured_with": list(group.sizes),
                "enough": group.enough,
                "borrowed": threshold > own,
            }
        shorter = max(shorter, own)


def _by_source(part: Sequence[Measured]) -> list[list[float]]:
    by_source: defaultdict[str, list[float]] = defaultdict(list)
    for m in part:
        by_source[m.source].append(m.score)
    small = [s for v in by_source.values() if len(v) < _SMALL for s in v]
    groups = [v for v in by_source.values() if len(v) >= _SMALL]
    return groups + ([small] if small else [])


def _bucket(windows: int) -> int:
    return next((b for b in BUCKETS if windows <= b), BUCKETS[-1])


@dataclass(frozen=True)
class _ToMeasure:
    row: Row
    pasted: bool


def _texts(
    rows: Sequence[Row],
    encoder: Encoder,
    room: int,
    most: int,
    rng: random.Random,
) -> Iterator[_ToMeasure]:
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
                lengths.append(rng.randint(min(24, room), room))
            if len(spans) > 3 * room:
                lengths.append(rng.randint(room + 1, 2 * room))
            for length in lengths:
                first = rng.randint(0, len(spans) - length)
                text = row.text
                if 0 < length < len(spans):
                    text = text[spans[first][0] : spans[first + length - 1][1]]
                # What toxic is, is the same in a page; there are comments in some.
                more = {"tool"} if row.category in _EITHER else set()
                for role in sorted({"user", row.role} | more):
                    made = Row(text, role, row.labels, row.source, row.category)
                    yield _ToMeasure(made, pasted=role != row.role)


def _windows(encoder: Encoder, row: Row) -> int:
    return len(encoder.encode(Text(row.text, row.role).clean.text).pieces)


def _lines(table: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    label = None
    for row in table:
        if row["label"] != label:
            label = row["label"]
            yield f"{label}:"
            yield _HEAD
        share = span = "-"
        if row["measured"] is not None:
            share = f"{row['measured']:.3%}"
            span = " .. ".join(f"{end:.2%}" for end in row["interval"])
        with_ = [str(size) for size in row["measured_with"] if size != row["windows"]]
        notes = [f"measured with {', '.join(with_)}"] if with_ else []
        notes += ["too few texts"] if not row["enough"] else []
        notes += ["borrowed"] if row["borrowed"] else []
        yield (
            f"  {row['role']:5} {row['windows']:7}  {row['fpr']:<6} "
            f"{row['threshold']:.6f}  {row['texts']:6}  {share:>11}  {span:16}"
            f"  {'; '.join(notes)}"
        ).rstrip()
