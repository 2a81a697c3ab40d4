"""The train stage: fine-tuning, watched on the sources that it never sees."""

from __future__ import annotations

import json
import math
import operator
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from promptguard.runtime.encode import Encoder

from .balance import weights
from .config import Config
from .decoder import Decoder, from_checkpoint
from .memory import give_back
from .metrics import auc, partial_auc, recall_at
from .model import EARLY, Classifier, from_encoder, masked_loss
from .namehead import name_examples, name_loss, tags_of
from .rows import INJECTION, Row, read_rows
from .stage import write_atomically
from .tokenlabels import NAMES

__all__ = ["Example", "batches", "collate", "examples", "logits_of", "make"]


@dataclass(frozen=True, slots=True)
class Example:
    """A row as the model reads it.

    Args:
        ids: Token ids with their frame.
        kind: Token type: 0 for the user's own words, 1 for content.
        labels: The labels that are known.
        weights: How much each of them counts.
        tags: Columns of a token head, one for each id; none if nothing is marked.
        tag_weight: How much each of these counts.
    """

    ids: tuple[int, ...]
    kind: int
    labels: Mapping[str, int]
    weights: Mapping[str, float]
    tags: tuple[int, ...] = ()
    tag_weight: float = 0.0


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Train, keep what tells unseen sources apart best, and say how well it does."""
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.train.threads)
    encoder = encoder_of(config, needed)
    rows = read_rows(needed["mine"] / "train.jsonl.gz")
    weighed = weights(rows, config.train.balance, config.heads, config.train.shares)
    seen = examples(encoder, rows, weighed)
    seen += name_examples(config, encoder, needed, seen)
    unseen = _Unseen(config, encoder, read_rows(needed["data"] / "unseen.jsonl.gz"))
    model: Classifier | Decoder
    if config.task.model == "decoder":
        model = from_checkpoint(needed["adapt"], config)
    else:
        model = from_encoder(
            needed["adapt"],
            config.heads,
            config.train.dropout,
            config.train.early,
            tags_of(config),
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = _Run(config, model.to(device), seen, unseen, out)
    run.train()
    model.eval().cpu().save_pretrained(out)
    history = json.dumps(run.history, indent=1) + "\n"
    write_atomically(out / "history.json", history.encode())
    for name in (_CHECKPOINT, _BEST):
        (out / name).unlink(missing_ok=True)
    if not config.task:
        print(unseen.table(model))


def encoder_of(config: Config, needed: Mapping[str, Path]) -> Encoder:
    """The run's tokenizer and windows, as the bundle will have them."""
    content = (needed["adapt"] / "tokenizer.json").read_bytes()
    return Encoder(content, config.data.window, config.data.overlap)


def examples(
    encoder: Encoder,
    rows: Sequence[Row],
    weighed: Sequence[Mapping[str, float]] | None = None,
) -> list[Example]:
    """The first window of each row; rows without a token are left out."""
    made = []
    for place, row in enumerate(tqdm(rows, "encode", unit="row")):
        pieces = encoder.encode(row.text).pieces
        if pieces:
            counts = weighed[place] if weighed else dict.fromkeys(row.labels, 1.0)
            kind = int(row.role == "tool")
            made.append(Example(pieces[0].ids, kind, row.labels, counts))
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
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Inputs, labels and weights of one step, padded to its longest row."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    kinds = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        mask[place, : len(row.ids)] = 1
        kinds[place, : len(row.ids)] = row.kind
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    labels, weighed = (
        {
            name: torch.tensor(
                [
                    [float(known(row).get(label, absent)) for label in wanted]
                    for row in rows
                ]
            ).to(device)
            for name, wanted in heads.items()
        }
        for known, absent in (
            (operator.attrgetter("labels"), math.nan),
            (operator.attrgetter("weights"), 0.0),
        )
    )
    return (
        {name: value.to(device) for name, value in inputs.items()},
        labels,
        weighed,
    )


_CHECKPOINT, _BEST = "checkpoint.pt", "best.pt"


class _Run:
    """A training that can be interrupted after any step and ends the same."""

    def __init__(
        self,
        config: Config,
        model: Classifier | Decoder,
        rows: Sequence[Example],
        unseen: _Unseen,
        folder: Path,
    ) -> None:
        self.settings = config.train
        self.model = model
        self.rows = rows
        self.unseen = unseen
        self.folder = folder
        self.loss = math.log(2)
        self.history: list[dict[str, float]] = []
        self.plan = batches(
            [len(row.ids) for row in rows],
            config.train.batch,
            config.train.epochs,
            random.Random(f"{config.seed}:batches"),
        )
        if config.train.frozen:
            model.get_input_embeddings().weight.requires_grad_(False)
        # Where the weights came from; they are made anew when a run goes on.
        self.before = {k: v.clone() for k, v in model.state_dict().items()}
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        heads = [p for name, p in named if not name.startswith(model.body)]
        body = [p for name, p in named if name.startswith(model.body)]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": body, "lr": self.settings.rate},
                {"params": heads, "lr": self.settings.head_rate},
            ],
            weight_decay=self.settings.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def train(self) -> None:
        steps = len(self.plan)
        first = self._load()
        bar = tqdm(range(first, steps), "train", initial=first, total=steps)
        for step in bar:
            self.loss = 0.98 * self.loss + 0.02 * self._step(self.plan[step])
            if step % 10 == 0:
                bar.set_postfix(loss=f"{self.loss:.3f}", refresh=False)
            if step % 20 == 0:
                give_back()
            done = step + 1
            if self._looks(done, steps) and self._stale(done):
                print(f"no gain on unseen sources since step {self._best()}: ends")
                break
            if done % self.settings.checkpoint_every == 0 and done < steps:
                self._save(done)
        if self.history:
            best = torch.load(self.folder / _BEST, weights_only=True)
            self.model.load_state_dict(best)
            self._average(best)

    def _average(self, best: Mapping[str, Tensor]) -> None:
        """Keep the mean with the weights of the start that does best, if one does.

        Fine-tuning moves away from what held for other data (Wortsman et al. 2022,
        Robust fine-tuning of zero-shot models, arXiv 2109.01903).
        """
        figures = {1.0: max(past["unseen"] for past in self.history)}
        for share in self.settings.averages:
            self.model.load_state_dict(self._mean(best, share))
            figure = self.unseen.figure(self.model)
            if figure is not None:
                figures[share] = figure
                self.history.append({"share": share, "unseen": figure})
                print(f"\n{share:g} of the new weights: unseen sources {figure:.4f}")
        share = max(figures, key=figures.__getitem__)
        self.model.load_state_dict(self._mean(best, share))

    def _mean(self, best: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        return {
            name: torch.lerp(self.before[name], value, share)
            # The heads in between are new: there is nothing to return to.
            if value.is_floating_point()
            and not name.startswith(("early", "token_heads"))
            else value
            for name, value in best.items()
        }

    def _looks(self, done: int, steps: int) -> bool:
        if done < self.settings.validate_from * steps:
            return False
        return done % self.settings.validate_every == 0 or done == steps

    def _rate(self, step: int) -> float:
        steps = len(self.plan)
        warmup = max(1, int(steps * self.settings.warmup))
        if step < warmup:
            return (step + 1) / warmup
        return max(0.02, (steps - step) / max(1, steps - warmup))

    def _step(self, places: Sequence[int]) -> float:
        self.model.train()
        device = self.model.device
        rows = [self.rows[place] for place in places]
        inputs, labels, weighed = collate(rows, self.model.config.heads, device)
        with _autocast(device):
            logits = self.model(**inputs)
        loss = masked_loss(logits, labels, weighed)
        if self.settings.early:
            early = {name: logits[EARLY + name] for name in labels}
            loss = loss + self.settings.early_share * masked_loss(
                early, labels, weighed
            )
        if NAMES in logits:
            loss = loss + name_loss(logits[NAMES], rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def _stale(self, step: int) -> bool:
        """Look at the unseen sources; True where it has been long without a gain."""
        figure = self.unseen.figure(self.model)
        if figure is None:
            return False
        best = max((past["unseen"] for past in self.history), default=-1.0)
        self.history.append({"step": step, "loss": self.loss, "unseen": figure})
        print(f"\nstep {step}: loss {self.loss:.3f}, unseen sources {figure:.4f}")
        if figure > best:
            _store(self.model.state_dict(), self.folder / _BEST)
        since = sum(past["step"] > self._best() for past in self.history)
        return since >= self.settings.patience

    def _best(self) -> float:
        looks = [past for past in self.history if "step" in past]
        return max(looks, key=operator.itemgetter("unseen"))["step"]

    def _save(self, step: int) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "loss": self.loss,
            "history": self.history,
            "step": step,
        }
        _store(state, self.folder / _CHECKPOINT)

    def _load(self) -> int:
        """Where an interrupted training was; 0 at the beginning."""
        file = self.folder / _CHECKPOINT
        if not file.exists():
            return 0
        state = torch.load(file, map_location=self.model.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"].cpu())
        self.loss, self.history = state["loss"], state["history"]
        print(f"goes on from step {state['step']}")
        return int(state["step"])


def _autocast(device: torch.device) -> torch.autocast:
    """Sixteen bits where the processor has them; emulated, they take twice as long."""
    able = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


def _store(state: dict[str, Any], file: Path) -> None:
    scratch = file.with_suffix(".part")
    torch.save(state, scratch)
    scratch.replace(file)


class _Unseen:
    """A sample of the sources that are not trained on, the same at every look."""

    def __init__(self, config: Config, encoder: Encoder, rows: Sequence[Row]) -> None:
        foreign = set(config.data.unseen_languages)
        # Unseen languages test the model that comes out; they have no say in it.
        rows = [row for row in rows if row.lang not in foreign]
        if config.task:
            # It has no sources that it never sees, and learns to the end.
            rows = []
        by_kind: defaultdict[tuple[str, bool], list[Row]] = defaultdict(list)
        for row in rows:
            # Injection alone decides which step is kept: it is what has a released
            # bundle to fall behind.
            if INJECTION in row.labels and encoder.encode(row.text).pieces:
                by_kind[row.source, row.attack].append(row)
        rng = random.Random(f"{config.seed}:validation")
        self.rows: list[Row] = []
        for part in by_kind.values():
            rng.shuffle(part)
            self.rows += part[: config.train.validation_rows]
        self.examples = examples(encoder, self.rows)

    def figure(self, model: Classifier | Decoder) -> float | None:
        """Mean over the attack sources of the area under the ROC up to 5 % FPR."""
        if not self.rows:
            return None
        attacks, benign = self._scores(model)
        areas = [partial_auc(part, benign, 0.05) for part in attacks.values()]
        return sum(areas) / len(areas) if areas and benign else None

    def table(self, model: Classifier) -> str:
        attacks, benign = self._scores(model)
        return "\n".join(
            ["unseen sources, first window only:", *_lines(attacks, benign)]
        )

    def _scores(self, model: Classifier) -> tuple[dict[str, list[float]], list[float]]:
        logits = logits_of(model, self.examples)[INJECTION][:, 0].tolist()
        attacks: defaultdict[str, list[float]] = defaultdict(list)
        benign: list[float] = []
        for row, logit in zip(self.rows, logits, strict=True):
            (attacks[row.source] if row.attack else benign).append(logit)
        return dict(sorted(attacks.items())), benign


def _lines(
    attacks: Mapping[str, Sequence[float]], benign: Sequence[float]
) -> Iterator[str]:
    for source, part in attacks.items():
        recall, area = recall_at(part, benign, 0.01), auc(part, benign)
        yield (
            f"  {source:26} {len(part):5} rows  "
            f"recall at 1 % FPR {recall or 0:.3f}  AUC {area or 0:.3f}"
        )


@torch.inference_mode()
def logits_of(
    model: Classifier | Decoder, rows: Sequence[Example], batch: int = 32
) -> dict[str, Tensor]:
    """Logits of every row by head, in the order of the rows."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
    found: dict[str, Tensor] = {
        name: torch.zeros(len(rows), len(labels))
        for name, labels in model.config.heads.items()
    }
    for start in tqdm(range(0, len(order), batch), "score", unit="batch", leave=False):
        places = order[start : start + batch]
        chosen = [rows[place] for place in places]
        inputs, _, _ = collate(chosen, model.config.heads, model.device)
        with _autocast(model.device):
            logits = model(**inputs)
        for name in found:
            found[name][places] = logits[name].float().cpu()
    return found
