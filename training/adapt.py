"""The adapt stage: the encoder learns its new pieces on texts without labels.

Two lessons at once. Masked pieces are guessed from what stands around them (Devlin et
al. 2019, BERT), in every language. And a text is drawn to where the encoder, as it was,
puts its English original (Reimers and Gurevych 2020, Making Monolingual Sentence
Embeddings Multilingual): what is learnt about attacks in English is then worth
something in other languages. English texts are held where they were.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM, BertModel

from promptguard.runtime.encode import Encoder
from promptguard.text import Text

from .config import Config
from .errors import PipelineError
from .memory import give_back
from .rows import load_sources
from .sources import read
from .stage import write_atomically
from .vocabulary import ENCODER, texts

__all__ = ["Pair", "cut", "make", "pairs"]

_CHECKPOINT = "checkpoint.pt"
_SENTENCE = re.compile(r"(?<=[.!?。！？।؟])\s*")
_SHORTEST = 12
# Of BERT: of ten masked tokens eight are hidden, one is another, one stays.
_HIDDEN, _OTHER = 0.8, 0.9


@dataclass(frozen=True, slots=True)
class Pair:
    """A text and its translation.

    Args:
        english: The original.
        other: The same in another language; the original itself among English ones.
    """

    english: str
    other: str


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write the adapted encoder; the same one with a start, or without steps."""
    folder = needed["vocabulary"]
    for name in ENCODER:
        write_atomically(out / name, (folder / name).read_bytes())
    if config.start or not config.adapt.steps:
        return
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.adapt.threads)
    lesson = _Lesson(config, folder)
    run = _Run(config, folder, lesson, out)
    run.train()
    run.model.bert.save_pretrained(out)
    # transformers writes its own reading of it; the published one is the statement.
    write_atomically(out / "config.json", (folder / "config.json").read_bytes())
    (out / _CHECKPOINT).unlink(missing_ok=True)


def pairs(config: Config) -> list[Pair]:
    """Texts with their translations, and sentences where both have as many.

    A source whose languages have not all the same number of texts is taken only in
    those languages that have as many as English.

    Raises:
        PipelineError: A source of ``[adapt] pairs`` is not one that is trained on, or
            has no English texts.
    """
    table = load_sources(config.sources_file).used("train")
    found: list[Pair] = []
    for name in config.adapt.pairs:
        if name not in table:
            raise PipelineError(
                f"[adapt] pairs names {name!r}, which is no source to train on. "
                f"Known: {', '.join(sorted(table))}"
            )
        by_lang: defaultdict[str, list[str]] = defaultdict(list)
        for row in read(config, name, table[name]):
            by_lang[row.lang or ""].append(Text(row.text).clean.text.strip())
        english = by_lang.pop("en", [])
        if not english:
            raise PipelineError(
                f"[adapt] pairs names {name!r}, which has no texts in English"
            )
        for _, other in sorted(by_lang.items()):
            if len(other) == len(english):
                found += [
                    p for pair in zip(english, other, strict=True) for p in cut(*pair)
                ]
        found += [Pair(text, text) for text in english]
    return found


def cut(english: str, other: str) -> list[Pair]:
    """Pairs of sentences where both texts have as many, else the pair of texts."""
    first, second = _sentences(english), _sentences(other)
    if len(first) == len(second) > 1:
        return [Pair(a, b) for a, b in zip(first, second, strict=True)]
    return [Pair(english, other)]


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if len(part) >= _SHORTEST]


class _Lesson:
    """What is shown at each step: drawn from the number of the step alone."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.settings, self.seed = config.adapt, config.seed
        content = (folder / "tokenizer.json").read_bytes()
        encoder = Encoder(content, self.settings.tokens, 0)
        tokenizer = Tokenizer.from_buffer(content)
        self.frame = [tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")]
        self.mask = tokenizer.token_to_id("[MASK]")
        by_lang = texts(config)
        self.by_lang = {
            lang: windows
            for lang, own in sorted(by_lang.items())
            if (windows := [p.ids for t in own for p in encoder.encode(t).pieces[:4]])
        }
        self.langs = list(self.by_lang)
        # Between as many as there are and all alike, as multilingual encoders do it.
        self.shares = [len(own) ** 0.5 for own in self.by_lang.values()]
        found = [pair for pair in pairs(config) if pair.english and pair.other]
        before = Encoder(
            (config.encoder_folder() / "tokenizer.json").read_bytes(),
            self.settings.tokens,
            0,
        )
        wanted = sorted({pair.english for pair in found})
        places = {text: place for place, text in enumerate(wanted)}
        self.targets = _embedded(
            config.encoder_folder(), [_ids(before, text) for text in wanted]
        )
        self.pairs = [(places[p.english], _ids(encoder, p.other)) for p in found]

    def masked(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, mask and what stood in the hidden places; elsewhere -100."""
        draw = random.Random(f"{self.seed}:masked:{step}")
        langs = draw.choices(self.langs, self.shares, k=self.settings.batch)
        ids, mask = _padded([draw.choice(self.by_lang[lang]) for lang in langs])
        wanted = torch.full_like(ids, -100)
        for row, column in (mask == 1).nonzero().tolist():
            token = int(ids[row, column])
            if token in self.frame or draw.random() >= self.settings.masked:
                continue
            wanted[row, column] = token
            fate = draw.random()
            if fate < _HIDDEN:
                ids[row, column] = self.mask
            elif fate < _OTHER:
                ids[row, column] = draw.randrange(size)
        return ids, mask, wanted

    def aligned(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, mask and where the encoder put the English originals."""
        draw = random.Random(f"{self.seed}:aligned:{step}")
        chosen = [draw.choice(self.pairs) for _ in range(self.settings.batch)]
        ids, mask = _padded([own for _, own in chosen])
        return ids, mask, self.targets[[place for place, _ in chosen]]


def _ids(encoder: Encoder, text: str) -> tuple[int, ...]:
    pieces = encoder.encode(text).pieces
    return pieces[0].ids if pieces else ()


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = 1
    return ids, mask


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    known = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * known).sum(1) / known.sum(1).clamp(min=1)


@torch.inference_mode()
def _embedded(folder: Path, rows: Sequence[Sequence[int]]) -> Tensor:
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    found = torch.zeros(len(rows), model.config.hidden_size)
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for start in tqdm(range(0, len(order), 64), "originals", unit="batch", leave=False):
        places = order[start : start + 64]
        ids, mask = _padded([rows[place] for place in places])
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        found[places] = _mean(hidden, mask)
    return found


class _Run:
    """An adaptation that can be interrupted after any step and ends the same."""

    def __init__(
        self, config: Config, folder: Path, lesson: _Lesson, out: Path
    ) -> None:
        self.settings, self.lesson, self.out = config.adapt, lesson, out
        settings = BertConfig.from_pretrained(
            folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        self.model = BertForMaskedLM(settings)
        self.model.bert = BertModel.from_pretrained(
            folder, config=settings, add_pooling_layer=False
        )
        self.model.tie_weights()
        words = self.model.bert.embeddings.word_embeddings.weight
        head = list(self.model.cls.parameters())
        apart = {id(words), *map(id, head)}
        body = [p for p in self.model.parameters() if id(p) not in apart]
        new = [p for p in head if p is not words]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": body, "lr": self.settings.rate},
                {"params": [words], "lr": self.settings.piece_rate},
                {"params": new, "lr": 1e-3},
            ],
            weight_decay=0.0,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def train(self) -> None:
        first = self._load()
        steps = self.settings.steps
        guess = apart = 0.0
        bar = tqdm(range(first, steps), "adapt", initial=first, total=steps)
        for step in bar:
            losses = self._step(step)
            guess = losses[0] if step == first else 0.97 * guess + 0.03 * losses[0]
            apart = losses[1] if step == first else 0.97 * apart + 0.03 * losses[1]
            if step % 10 == 0:
                bar.set_postfix(
                    masked=f"{guess:.2f}", apart=f"{apart:.3f}", refresh=False
                )
            if step % 20 == 0:
                give_back()
            done = step + 1
            if done % self.settings.checkpoint_every == 0 and done < steps:
                self._save(done)
        print(
            f"loss of masked pieces {guess:.2f}, distance of translations {apart:.3f}"
        )

    def _rate(self, step: int) -> float:
        warmup = max(1, self.settings.steps // 15)
        if step < warmup:
            return (step + 1) / warmup
        left = self.settings.steps - step
        return max(0.02, left / max(1, self.settings.steps - warmup))

    def _step(self, step: int) -> tuple[float, float]:
        self.model.train()
        ids, mask, wanted = self.lesson.masked(step, self.model.config.vocab_size)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.bert(
                input_ids=ids, attention_mask=mask
            ).last_hidden_state
            # Only where something is to be guessed: the vocabulary is wide.
            logits = self.model.cls(hidden[wanted != -100])
        guess = nn.functional.cross_entropy(logits.float(), wanted[wanted != -100])
        ids, mask, targets = self.lesson.aligned(step)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.bert(
                input_ids=ids, attention_mask=mask
            ).last_hidden_state
        near = nn.functional.cosine_similarity(_mean(hidden.float(), mask), targets)
        apart = (1 - near).mean()
        loss = guess + self.settings.alignment * apart
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        return guess.item(), apart.item()

    def _save(self, step: int) -> None:
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": step,
        }
        scratch = self.out / f"{_CHECKPOINT}.part"
        torch.save(state, scratch)
        scratch.replace(self.out / _CHECKPOINT)

    def _load(self) -> int:
        """Where an interrupted run was; 0 at the beginning."""
        file = self.out / _CHECKPOINT
        if not file.exists():
            return 0
        state = torch.load(file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        print(f"goes on from step {state['step']}")
        return int(state["step"])
