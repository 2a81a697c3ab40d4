"""The augment stage: whole texts into rows of one window, with attacks planted in them.

Transforms are made of attacks and of benign texts alike: what is learnt must be the
attack, not the transform.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from promptguard.runtime.encode import Encoder
from promptguard.text import Text

from .compose import Composer, Framings, Phrases, crop, planted_strings
from .config import Config
from .disguises import by_tier
from .rows import (
    INJECTION,
    OTHER_CATEGORIES,
    TASK_CATEGORIES,
    Row,
    hard,
    load_sources,
    read_rows,
    write_rows,
)
from .stage import write_atomically

__all__ = ["make"]

PHRASES = Path(__file__).parent / "phrases.toml"
FRAMINGS = Path(__file__).parent / "framings.toml"

# What a canonical form may not bring back. Codes and containers (tier B) are for a
# decoder: to this model a code looks the same whether an attack is in it or not. Those
# that speak for somebody else, so that no benign text stays benign, are containers too.
_DISGUISES = tuple(d for tier in "AC" for d in by_tier(tier))
_PROSE = frozenset({"benign_document", "hard_negative", "benign_conversation"})
# Of the rows of other heads that are read as content, not as somebody's own words.
_CONTENT = 0.25
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write train and heldout, rows of one window each, and how many there are."""
    tokenizer = (needed["vocabulary"] / "tokenizer.json").read_bytes()
    maker = _Maker(config, tokenizer)
    summary = {}
    for name, share, key in (
        ("train", 1.0, "train"),
        # As many as keeps their share among the held-out rows what it is in training.
        ("heldout", config.data.held_out, "held out"),
    ):
        rows = read_rows(needed["data"] / f"{name}.jsonl.gz")
        made = maker.windows(rows, name, share)
        write_rows(out / f"{name}.jsonl.gz", made)
        summary[key] = _count(made)
        known = [row for row in made if config.target in row.labels]
        attacks = sum(row.labels[config.target] for row in known)
        part = attacks / max(1, len(known))
        print(
            f"{name}: {len(made):,} rows of one window; {part:.0%} of {len(known):,} "
            f"are {config.task.label or 'attacks'}"
        )
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    write_atomically(out / "summary.json", text.encode())


class _Maker:
    def __init__(self, config: Config, tokenizer: bytes) -> None:
        self.seed = config.seed
        self.settings, self.task = config.augment, config.task
        self.sources = load_sources(config.sources_file)
        self.encoder = Encoder(tokenizer, config.data.window, config.data.overlap)
        self.room = config.data.window - 2

    def windows(self, rows: Sequence[Row], name: str, share: float) -> list[Row]:
        """Rows of one window each, with composed ones, in random order."""
        rng = random.Random(f"{self.seed}:{name}")
        made: list[Row] = []
        for row in tqdm(rows, f"{name} windows", unit="row"):
            times = self.sources.training[row.source].repeat if name == "train" else 1
            for _ in range(times):
                made += self._window(row, rng)
        if self.task:
            rng.shuffle(made)
            return [row for row in made if row.text]
        made += self._composed(rows, rng, share)
        made += self._snippets(rows, rng, int(self.settings.snippets * share))
        made += self._disguised(made, rng, int(self.settings.disguised * share))
        made = [row for row in made if row.text]
        rng.shuffle(made)
        return made

    def _window(self, row: Row, rng: random.Random) -> list[Row]:
        spans = self.encoder.tokens(row.text)[1]
        if row.category in TASK_CATEGORIES:
            return self._of_task(row, rng)
        if row.category == "indirect_injection_bare":
            return [row] if len(spans) <= self.room else []
        if row.category in OTHER_CATEGORIES:
            return self._of_others(row, rng)
        role = row.role
        if rng.random() < (0.25 if row.attack or role == "tool" else 0.0):
            # Users paste documents, and overrides turn up in what tools return.
            role = "user" if role == "tool" else "tool"
        if len(spans) <= self.room:
            return [replace(row, role=role)]
        if row.attack and row.category.startswith("indirect"):
            # Where in the document the attack stands is not known.
            return []
        if row.attack:
            return [replace(row, role=role, text=row.text[: spans[self.room - 1][1]])]
        # What tools return is often short: shortness must not look like an attack.
        room = self.room if rng.random() < 0.5 else rng.randint(16, self.room)
        return [replace(row, role=role, text=crop(self.encoder, row.text, rng, room))]

    def _of_task(self, row: Row, rng: random.Random) -> list[Row]:
        """The first window, and of a text without the labels another one as well.

        It is without them everywhere; where in another text they show is not known, and
        most mails and messages begin with it.
        """
        spans = self.encoder.tokens(row.text)[1]
        role = "tool" if rng.random() < _CONTENT else row.role
        if len(spans) <= self.room:
            return [replace(row, role=role)]
        made = [replace(row, role=role, text=row.text[: spans[self.room - 1][1]])]
        if not row.positive:
            text = crop(self.encoder, row.text, rng, self.room)
            made.append(replace(row, role=role, text=text))
        return made

    def _of_others(self, row: Row, rng: random.Random) -> list[Row]:
        """A row of another head: what it says is the same in either role."""
        spans = self.encoder.tokens(row.text)[1]
        # It means the same in a document, but an order there is an attack.
        content = INJECTION not in row.labels and rng.random() < _CONTENT
        role = "tool" if content else row.role
        # What makes it one may stand where a longer one would be cut.
        return [replace(row, role=role)] if len(spans) <= self.room else []

    def _composed(
        self, rows: Sequence[Row], rng: random.Random, share: float
    ) -> list[Row]:
        table = self.sources.training
        pieces: defaultdict[str, list[Row]] = defaultdict(list)
        bare: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            kind = table[row.source].pieces
            if kind and not row.attack and row.role == "tool":
                pieces[kind].append(row)
            if row.source == "bipia_train":
                bare[row.source].append(row)
        direct = [row for row in rows if row.attack and row.role == "user"]
        composer = Composer(
            encoder=self.encoder,
            room=self.room,
            phrases=Phrases(PHRASES),
            framings=Framings(FRAMINGS),
            attacks=[row for row in direct if len(row.text) < 320],
            bare=planted_strings(bare["bipia_train"]),
            requests=[row for row in rows if _request(row)],
            questions=[row for row in rows if _question(row)],
            pieces=dict(pieces),
            filled=self.settings.filled,
        )
        if not composer.attacks or not composer.requests or "prose" not in pieces:
            return []
        made: list[Row] = []
        for _ in tqdm(range(int(self.settings.planted * share)), "plant", unit="row"):
            if pair := composer.planted(rng):
                # Half of the pieces are seen clean too: enough to tell that it is
                # not the piece that makes the attack.
                made += pair if rng.random() < 0.5 else pair[:1]
        for count, compose in (
            (self.settings.pasted, composer.pasted),
            (self.settings.noticed, composer.noticed),
            (self.settings.questions, composer.question),
            (self.settings.asked * bool(composer.questions), composer.asked),
            (self.settings.framed, composer.framed),
            (self.settings.freed, composer.freed),
        ):
            made += [compose(rng) for _ in range(int(count * share))]
        return [row for row in made if self._fits(row)]

    def _fits(self, row: Row) -> bool:
        return len(self.encoder.tokens(row.text)[0]) <= self.room

    def _disguised(
        self, rows: Sequence[Row], rng: random.Random, count: int
    ) -> list[Row]:
        """As many attacks as benign rows, written so that the reading stays changed."""
        made: list[Row] = []
        for attack in (True, False):
            part = [row for row in rows if (row.attack if attack else row.benign)]
            for row in rng.sample(part, min(count, len(part))):
                able = [each for each in _DISGUISES if each.applies(row.text)]
                if not able:
                    continue
                text = Text(rng.choice(able).apply(row.text, rng)).clean.text.strip()
                new = replace(row, text=text, source=f"disguised:{row.source}")
                # The encoder does not tell capitals from small letters.
                if text.casefold() != row.text.casefold() and self._fits(new):
                    made.append(new)
        return made

    def _snippets(
        self, rows: Sequence[Row], rng: random.Random, count: int
    ) -> list[Row]:
        """Single benign sentences that use the words of attacks, in either role."""
        found = [
            replace(row, text=sentence, role=rng.choice(("user", "tool")))
            for row in rows
            if row.benign and row.category in _PROSE
            for sentence in _SENTENCE.split(row.text)
            if 25 <= len(sentence) <= 250 and hard(sentence)
        ]
        rng.shuffle(found)
        return [
            replace(row, source=f"snippets:{row.source}")
            for row in found[:count]
            if self._fits(row)
        ]


def _request(row: Row) -> bool:
    """True for a short request in the user's own words."""
    return (
        row.category in {"benign_chat", "benign_code_request", "hard_negative"}
        and row.source in {"bfcl", "clinc_oos", "own_benign", "slabs"}
        and row.role == "user"
        and 12 <= len(row.text) <= 240
    )


def _question(row: Row) -> bool:
    """True for a short question about the world or about the asker's own affairs."""
    return (
        row.category == "benign_chat"
        and row.source in {"banking77", "bfcl", "clinc_oos", "xquad"}
        and 12 <= len(row.text) <= 200
        and row.text.rstrip().endswith(("?", "？", "؟"))
    )


def _count(rows: Sequence[Row]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        sign = "attack" if row.positive else "benign"
        counts[f"{row.source} {row.role} {sign}"] += 1
    return dict(counts)
