"""The token head in training: its rows, its loss, its temperature."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from promptguard.runtime.encode import Encoder

from .config import Config
from .tokenlabels import IGNORED, NAMES, Marked, columns, read_marked, tags

if TYPE_CHECKING:
    from .model import Classifier
    from .train import Example

__all__ = ["name_examples", "name_loss", "name_temperature", "tags_of"]

# Rows and passes that are enough for the few weights of a head.
_REFITTED, _PASSES = 6_000, 4


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

    # As often read as content: a name is one wherever it stands.
    kind = random.Random(row.text).randrange(2)
    return Example(ids, kind, {}, {}, marked, weight)


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


def refit(model: Classifier, rows: Sequence[Example], rate: float) -> None:
    """Let the head learn again from what an encoder gives that stays as it is."""
    rows = [row for row in rows if row.tags][:_REFITTED]
    if NAMES not in model.token_heads or not rows:
        return
    given, wanted = [], []
    model.eval()
    with torch.inference_mode():
        for row in rows:
            kept = torch.tensor(row.tags) != IGNORED
            ids = torch.tensor([row.ids], device=model.device)
            kinds = torch.full_like(ids, row.kind)
            hidden = model.bert(ids, torch.ones_like(ids), kinds).last_hidden_state[0]
            given.append(hidden.float()[kept.to(model.device)])
            wanted.append(torch.tensor(row.tags, device=model.device)[kept])
    # Outside of inference mode they may be learnt from.
    hidden, targets = torch.cat(given).clone(), torch.cat(wanted).clone()
    head = model.token_heads[NAMES]
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate)
    for _ in range(_PASSES):
        for places in torch.randperm(len(targets)).split(1024):
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
