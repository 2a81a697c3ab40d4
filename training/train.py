"""The train stage: one pass over the rows, in batches of like length."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from promptguard.runtime.encode import Encoder

from .config import Config
from .metrics import auc, recall_at
from .model import HEADS, Classifier, from_encoder, masked_loss
from .rows import Row, read_rows

__all__ = ["Example", "batches", "collate", "examples", "logits_of", "make"]

Example = tuple[tuple[int, ...], int, dict[str, int]]
"""Token ids with their frame, token type, known labels."""


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Train, print how well unseen sources are told apart, and save the model."""
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.train.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = encoder_of(config)
    rows = examples(encoder, read_rows(needed["augment"] / "train.jsonl.gz"))
    plan = batches(
        [len(ids) for ids, _, _ in rows],
        config.train.batch,
        config.train.epochs,
        random.Random(f"{config.seed}:batches"),
    )
    model = from_encoder(config.encoder_folder(), HEADS, config.train.dropout)
    model = model.to(device)
    _run(model, rows, plan, config, device, out / "checkpoint.pt")
    model = model.eval().cpu()
    model.save_pretrained(out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    unseen = read_rows(needed["data"] / "unseen.jsonl.gz")
    random.Random(config.seed).shuffle(unseen)
    _report(model, encoder, unseen[: config.train.validation_rows])


def encoder_of(config: Config) -> Encoder:
    """The run's tokenizer and windows, as the bundle will have them."""
    content = (config.encoder_folder() / "tokenizer.json").read_bytes()
    return Encoder(content, config.data.window, config.data.overlap)


def examples(encoder: Encoder, rows: Sequence[Row]) -> list[Example]:
    """The first window of each row; rows without a token are left out."""
    made = []
    for row in tqdm(rows, "encode", unit="row"):
        pieces = encoder.encode(row.text).pieces
        if pieces:
            made.append((pieces[0].ids, int(row.role == "tool"), row.labels))
    return made


def batches(
    lengths: Sequence[int], size: int, epochs: int, rng: random.Random
) -> list[list[int]]:
    """Places of the rows of each step: like lengths together, otherwise random."""
    plan: list[list[int]] = []
    for _ in range(epochs):
        places = list(range(len(lengths)))
        rng.shuffle(places)
        epoch = []
        for start in range(0, len(places), size * 50):
            stretch = sorted(places[start : start + size * 50], key=lengths.__getitem__)
            epoch += [stretch[at : at + size] for at in range(0, len(stretch), size)]
        rng.shuffle(epoch)
        plan += epoch
    return plan


def collate(
    rows: Sequence[Example], heads: Mapping[str, Sequence[str]], device: torch.device
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs and labels of one step, padded to its longest row."""
    longest = max(len(ids) for ids, _, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    kinds = torch.zeros_like(ids)
    for place, (tokens, kind, _) in enumerate(rows):
        ids[place, : len(tokens)] = torch.tensor(tokens)
        mask[place, : len(tokens)] = 1
        kinds[place, : len(tokens)] = kind
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    labels = {
        name: torch.tensor(
            [
                [float(known.get(label, math.nan)) for label in wanted]
                for _, _, known in rows
            ]
        )
        for name, wanted in heads.items()
    }
    return (
        {name: value.to(device) for name, value in inputs.items()},
        {name: value.to(device) for name, value in labels.items()},
    )


def _run(
    model: Classifier,
    rows: Sequence[Example],
    plan: Sequence[Sequence[int]],
    config: Config,
    device: torch.device,
    checkpoint: Path,
) -> None:
    settings = config.train
    heads = [p for n, p in model.named_parameters() if n.startswith("heads.")]
    body = [p for n, p in model.named_parameters() if not n.startswith("heads.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": body, "lr": settings.rate},
            {"params": heads, "lr": settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    warmup = max(1, int(len(plan) * settings.warmup))

    def rate(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return max(0.02, (len(plan) - step) / max(1, len(plan) - warmup))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"].cpu())
        first = state["step"]
        print(f"goes on from step {first}")
    model.train()
    average = math.log(2)
    bar = tqdm(range(first, len(plan)), "train", initial=first, total=len(plan))
    for step in bar:
        inputs, labels = collate(
            [rows[place] for place in plan[step]], model.config.heads, device
        )
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(**inputs)
        loss = masked_loss(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average = 0.98 * average + 0.02 * loss.item()
        if step % 10 == 0:
            bar.set_postfix(loss=f"{average:.3f}", refresh=False)
        if (step + 1) % settings.checkpoint_every == 0 and step + 1 < len(plan):
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "rng": torch.get_rng_state(),
                "step": step + 1,
            }
            scratch = checkpoint.with_suffix(".part")
            torch.save(state, scratch)
            scratch.replace(checkpoint)


@torch.inference_mode()
def logits_of(
    model: Classifier, rows: Sequence[Example], batch: int = 32
) -> dict[str, Tensor]:
    """Logits of every row by head, in the order of the rows."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
    device = next(model.parameters()).device
    found: dict[str, Tensor] = {
        name: torch.zeros(len(rows), len(labels))
        for name, labels in model.config.heads.items()
    }
    for start in tqdm(range(0, len(order), batch), "score", unit="batch"):
        places = order[start : start + batch]
        inputs, _ = collate([rows[p] for p in places], model.config.heads, device)
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(**inputs)
        for name, values in logits.items():
            found[name][places] = values.float().cpu()
    return found


def _report(model: Classifier, encoder: Encoder, rows: Sequence[Row]) -> None:
    rows = [row for row in rows if encoder.encode(row.text).pieces]
    logits = logits_of(model, examples(encoder, rows))["injection"][:, 0].tolist()
    scores: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
    for row, logit in zip(rows, logits, strict=True):
        scores[row.source, row.attack].append(logit)
    benign = [s for (_, attack), part in scores.items() if not attack for s in part]
    print("unseen sources, first window only:")
    for (source, attack), part in sorted(scores.items()):
        if attack:
            recall, area = recall_at(part, benign, 0.01), auc(part, benign)
            print(
                f"  {source:26} {len(part):5} rows  "
                f"recall at 1 % FPR {recall or 0:.3f}  AUC {area or 0:.3f}"
            )
