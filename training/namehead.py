"""The token head in training: its rows, its loss, its temperature."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from promptguard.runtime.encode import Encoder

from .config import Config
from .tokenlabels import IGNORED, NAMES, Marked, columns, read_marked, tags

if TYPE_CHECKING:
    from .model import Classifier
    from .train import Example

__all__ = ["name_examples", "name_loss", "name_temperature", "refit", "tags_of"]

# Rows, passes and a rate that are enough for the few weights of a head.
_REFITTED, _PASSES, _RATE = 12_000, 10, 1e-3


def tags_of(config: Config) -> dict[str, tuple[str, ...]]:
    """The token heads of a run: one, or none."""
    labels = config.names.labels
    return {NAMES: columns(labels)} if labels else {}


def name_examples(
    config: Config,
    encoder: Encoder,
    needed: Mapping[str, Path],
    others: Sequence[Example],
) -> list[Example]:
    """Rows for the token head, as many as the tokens they may add to the others'.

    They have no labels of another head, so that these learn nothing from them. Over all
    rows of the training, the mean of what their tokens weigh is the head's share.
    """
    if not config.names.labels:
        return []
    room = config.names.tokens * sum(len(row.ids) for row in others)
    rows = read_marked(needed["names"] / "train.jsonl.gz")
    chosen = []
    for row in rows:
        ids, marked = tags(encoder, row, config.names.labels)
        if room <= 0:
            break
        if any(tag != IGNORED for tag in marked):
            chosen.append((row, ids, marked))
            room -= len(ids)
    known = sum(tag != IGNORED for _, _, marked in chosen for tag in marked)
    share = config.train.shares.get(NAMES, 1.0)
    weight = share * (len(others) + len(chosen)) / max(1, known)
    print(
        f"{len(chosen):,} of {len(rows):,} texts with names, "
        f"{known:,} words, to {len(others):,} other rows"
    )
    return [_example(ids, marked, weight, row) for row, ids, marked in chosen]


def _example(
    ids: tuple[int, ...], marked: tuple[int, ...], weight: float, row: Marked
) -> Example:
    from .train import Example

    return Example(ids, _kind(row), {}, {}, marked, weight)


def _kind(row: Marked) -> int:
    """As often read as content: a name is one wherever it stands."""
    return random.Random(row.text).randrange(2)


def name_loss(logits: Tensor, rows: Sequence[Example]) -> Tensor:
    """Cross-entropy over the words that are known, in the mean over all rows."""
    targets = torch.full(logits.shape[:2], IGNORED, dtype=torch.long)
    weights = torch.zeros(len(rows))
    for place, row in enumerate(rows):
        if row.tags:
            targets[place, : len(row.tags)] = torch.tensor(row.tags)
            weights[place] = row.tag_weight
    losses = nn.functional.cross_entropy(
        logits.float().transpose(1, 2),
        targets.to(logits.device),
        ignore_index=IGNORED,
        reduction="none",
    )
    return (losses.sum(1) * weights.to(logits.device)).sum() / len(rows)


def refit(
    model: Classifier,
    encoder: Encoder,
    rows: Sequence[Marked],
    labels: Sequence[str],
    seed: int,
) -> None:
    """Let the head learn again from what the encoder gives, which stays as it is.

    Where the encoder was averaged with the one of a start, it is not the one that the
    head has learnt on; and few rows of it stood in the batches of the training.
    """
    given, wanted = [], []
    with torch.inference_mode():
        for row in tqdm(rows[:_REFITTED], "names", unit="row"):
            ids, marked = tags(encoder, row, labels)
            if not ids:
                continue
            kept = torch.tensor(marked) != IGNORED
            batch = torch.tensor([ids])
            kinds = torch.full_like(batch, _kind(row))
            hidden = model.bert(batch, torch.ones_like(batch), kinds).last_hidden_state
            given.append(hidden[0][kept])
            wanted.append(torch.tensor(marked)[kept])
    # Outside of inference mode they may be learnt from.
    hidden, targets = torch.cat(given).clone(), torch.cat(wanted).clone()
    head = model.token_heads[NAMES]
    optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(_PASSES):
        for places in torch.randperm(len(targets), generator=draw).split(512):
            loss = nn.functional.cross_entropy(head(hidden[places]), targets[places])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


@torch.inference_mode()
def name_temperature(
    model: Classifier, encoder: Encoder, rows: Sequence[Marked], labels: Sequence[str]
) -> dict[str, Any]:
    """The temperature with the least cross-entropy over the words of held-out texts."""
    from .temperature import least

    logits, targets = [], []
    for row in rows:
        ids, marked = tags(encoder, row, labels)
        if not ids:
            continue
        kept = torch.tensor(marked) != IGNORED
        batch = torch.tensor([ids])
        given = model(batch, torch.ones_like(batch), torch.zeros_like(batch))
        logits.append(given[NAMES][0][kept])
        targets.append(torch.tensor(marked)[kept])
    every, wanted = torch.cat(logits), torch.cat(targets)

    def entropy(power: float) -> float:
        return float(nn.functional.cross_entropy(every / math.exp(power), wanted))

    power = least(entropy, -2.0, 2.5)
    return {
        "temperature": math.exp(power),
        "rows": len(wanted),
        "error before": entropy(0.0),
        "error after": entropy(power),
    }
