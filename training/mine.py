"""The mine stage: the rows that a training going on from a bundle has to learn from.

A bundle knows most rows by now; their loss, and so their gradient, is nearly nought,
and a step spent on them is lost. Rows that it gets wrong are kept, with a share of the
others so that what was learnt stays learnt (hard example mining: Shrivastava et al.
2016, arXiv 1604.03540; here once, before the training). Where
the bundle is sure that a label is wrong, it is mostly the label that is, and such rows
are left out (as Co-teaching does: Han et al. 2018, arXiv 1804.06872).
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tqdm import tqdm

from promptguard.runtime.bundle import Bundle
from promptguard.runtime.encode import Encoder
from promptguard.runtime.infer import WHOLE

from .config import Config
from .memory import give_back
from .rows import Row, read_rows, write_rows
from .stage import write_atomically

__all__ = ["chosen", "loss", "losses", "make"]

_TILL_GIVEN_BACK = 5_000


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write train: all rows, or those that a start leaves something to learn from."""
    rows = read_rows(needed["augment"] / "train.jsonl.gz")
    if not config.start or not config.mine.hard:
        write_rows(out / "train.jsonl.gz", rows)
        return
    found = losses(config.start, rows, config.train.threads)
    kept = chosen(rows, found, config)
    write_rows(out / "train.jsonl.gz", [rows[place] for place in kept])
    counts = Counter(rows[place].source for place in kept)
    report = {
        "rows": len(rows),
        "kept": len(kept),
        "hard": sum(value > config.mine.hard for value in found),
        "odd": sum(value > config.mine.odd for value in found),
        "mean loss": sum(found) / max(1, len(found)),
        "kept by source": dict(sorted(counts.items())),
    }
    write_atomically(out / "summary.json", json.dumps(report, indent=1).encode())
    print(
        f"{report['hard']:,} of {len(rows):,} rows have a loss above "
        f"{config.mine.hard:g}; {len(kept):,} are kept"
    )


def chosen(rows: Sequence[Row], found: Sequence[float], config: Config) -> list[int]:
    """Places of the rows that are kept: hard ones, whole sources, some of the rest."""
    rng = random.Random(f"{config.seed}:mine")
    mine = config.mine
    whole = set(mine.whole)
    places = []
    for place, (row, value) in enumerate(zip(rows, found, strict=True)):
        lucky = rng.random() < mine.others
        wanted = value <= mine.odd and (lucky or value > mine.hard)
        if wanted or row.source in whole:
            places.append(place)
    return places


def losses(folder: str, rows: Sequence[Row], threads: int) -> list[float]:
    """What the bundle's int8 model makes of the first window of each row.

    Rows without a token have none.
    """
    bundle = Bundle.load(folder)
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    names = [name for name, _ in bundle.heads]
    labels = [label for _, known in bundle.heads for label in known]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    session = ort.InferenceSession(
        bundle.model, options, providers=["CPUExecutionProvider"]
    )
    ends_early = any(i.name == WHOLE for i in session.get_inputs())

    def one(row: Row) -> float:
        pieces = encoder.encode(row.text).pieces
        if not pieces:
            return 0.0
        ids = np.array([pieces[0].ids], np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.full_like(ids, int(row.role == "tool")),
        }
        if ends_early:
            feed[WHOLE] = np.array(True)
        logits = np.concatenate([each[0] for each in session.run(names, feed)])
        return loss(row.labels, dict(zip(labels, logits.tolist(), strict=True)))

    found = []
    with ThreadPoolExecutor(threads) as pool:
        for value in tqdm(pool.map(one, rows), "mine", total=len(rows), unit="row"):
            found.append(value)
            if len(found) % _TILL_GIVEN_BACK == 0:
                give_back()
    return found


def loss(labels: Mapping[str, int], logits: Mapping[str, float]) -> float:
    """The largest cross-entropy of the labels that are known, in nats."""
    return max(
        (
            math.log1p(math.exp(-abs(logit))) + max(0.0, -logit if label else logit)
            for name, label in labels.items()
            if (logit := logits.get(name)) is not None
        ),
        default=0.0,
    )
