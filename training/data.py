"""The data stage: published sources into training rows and held-out texts."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from promptguard.runtime.encode import Encoder
from promptguard.text import Text

from .compose import Composer, Phrases, crop, planted_strings
from .config import Config
from .errors import PipelineError
from .overlap import groups, runs
from .rows import Row, Source, Sources, load_sources, read_source, write_rows
from .stage import write_atomically

__all__ = ["benchmark_rows", "files", "make"]

# Words that make a benign row a hard one.
_HARD = (
    *("ignore", "instruction", "system", "prompt", "forget", "override", "bypass"),
    *("secret", "reveal", "disregard", "hidden", "rules", "pretend", "password"),
)


def files(config: Config) -> list[Path]:
    """Every file the stage reads."""
    sources = load_sources(config.sources_file)
    root = Path(config.data_root)
    used = [n for n, s in sources.training.items() if s.use != "drop"]
    paths = [root / "injection" / f"{name}.jsonl.gz" for name in used]
    paths += [_benchmark(root, name) for name in sources.benchmarks]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise PipelineError(
            f"{missing[0]} is not there ({len(missing)} of {len(paths)} files are "
            "missing); the data lives outside this repository: point --data at it"
        )
    here = Path(__file__).parent
    return [*paths, config.sources_file, here / "phrases.toml"]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write train, heldout (windows), and benign and unseen (whole texts)."""
    sources = load_sources(config.sources_file)
    encoder = Encoder(
        (config.encoder_folder() / "tokenizer.json").read_bytes(),
        config.data.window,
        config.data.overlap,
    )
    maker = _Maker(config, sources, encoder)
    seen = maker.read(sources.used("train"))
    unseen = maker.read(sources.used("unseen"))
    kept, left = maker.without_overlap(seen, unseen)
    training, held_out = maker.split(kept)
    write_rows(out / "train.jsonl.gz", train := maker.windows(training, "train"))
    write_rows(out / "heldout.jsonl.gz", held := maker.windows(held_out, "heldout"))
    benign = [row for row in held_out + unseen if not row.attack]
    write_rows(out / "benign.jsonl.gz", benign)
    write_rows(out / "unseen.jsonl.gz", unseen)
    summary = {
        "removed for overlap": left,
        "train": _count(train),
        "held out": _count(held),
        "benign": _count(benign),
        "unseen": _count(unseen),
    }
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    write_atomically(out / "summary.json", text.encode())
    attacks = sum(row.attack for row in train)
    print(f"{len(train):,} rows to train on, {attacks / len(train):.0%} attacks")


def benchmark_rows(config: Config, sources: Sources) -> dict[str, list[Row]]:
    """The public test sets, by name."""
    root = Path(config.data_root)
    return {
        name: list(read_source(_benchmark(root, name), source))
        for name, source in sources.benchmarks.items()
    }


def _benchmark(root: Path, name: str) -> Path:
    return root / "benchmarks" / "injection" / f"{name}.jsonl.gz"


class _Maker:
    def __init__(self, config: Config, sources: Sources, encoder: Encoder) -> None:
        self.config = config
        self.sources = sources
        self.encoder = encoder
        self.room = config.data.window - 2

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.config.seed}:{name}")

    def read(self, sources: Mapping[str, Source]) -> list[Row]:
        """Rows as users' texts are read: after the library's own normalisation."""
        rows: list[Row] = []
        root = Path(self.config.data_root) / "injection"
        for name, source in tqdm(sources.items(), "read", unit="file"):
            part = [
                replace(row, text=text)
                for row in read_source(root / f"{name}.jsonl.gz", source)
                if (text := Text(row.text, row.role).clean.text.strip())
            ]
            rows += self._capped(name, source, part)
        return rows

    def _capped(self, name: str, source: Source, rows: Sequence[Row]) -> list[Row]:
        rng = self.rng(f"cap:{name}")
        kept: list[Row] = []
        for attack, cap in ((True, source.attacks), (False, source.benign)):
            part = [row for row in rows if row.attack == attack]
            if len(part) > cap:
                rng.shuffle(part)
                if not attack and self.config.data.hard_first:
                    part.sort(key=lambda row: not _hard(row.text))
                part = part[:cap]
            kept += part
        return kept

    def without_overlap(
        self, rows: Sequence[Row], unseen: Sequence[Row]
    ) -> tuple[list[Row], dict[str, int]]:
        """Rows that share no run of words with an unseen text or a test set."""
        away: set[int] = set()
        tests = benchmark_rows(self.config, self.sources).values()
        for row in [*unseen, *(row for part in tests for row in part)]:
            away |= runs(Text(row.text).clean.text)
        kept, left = [], Counter[str]()
        for row in tqdm(rows, "compare", unit="row"):
            if away.isdisjoint(runs(row.text)):
                kept.append(row)
            else:
                left[row.source] += 1
        return kept, dict(left)

    def split(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Training and held-out rows; near duplicates stay on one side."""
        numbers = groups([row.text for row in rows])
        members: defaultdict[int, list[int]] = defaultdict(list)
        for place, number in enumerate(numbers):
            members[number].append(place)
        wanted = {
            key: count * self.config.data.held_out
            for key, count in Counter(map(_kind, rows)).items()
        }
        order = sorted(members)
        self.rng("split").shuffle(order)
        out: set[int] = set()
        for number in order:
            counts = Counter(_kind(rows[place]) for place in members[number])
            if all(count <= wanted[key] for key, count in counts.items()):
                out.update(members[number])
                for key, count in counts.items():
                    wanted[key] -= count
        train = [row for place, row in enumerate(rows) if place not in out]
        return train, [row for place, row in enumerate(rows) if place in out]

    def windows(self, rows: Sequence[Row], name: str) -> list[Row]:
        """Rows of one window each, with planted attacks, in random order."""
        rng = self.rng(name)
        made: list[Row] = []
        for row in tqdm(rows, f"{name} windows", unit="row"):
            made += self._window(row, rng)
        made += self._composed(rows, rng, share=1.0 if name == "train" else 0.07)
        unique = {(row.text, row.role): row for row in made if row.text}
        made = list(unique.values())
        rng.shuffle(made)
        return made

    def _window(self, row: Row, rng: random.Random) -> list[Row]:
        size = len(self.encoder.tokens(row.text)[0])
        if row.category == "indirect_injection_bare":
            return [row] if size <= self.room else []
        role = row.role
        if rng.random() < (0.25 if row.attack or role == "tool" else 0.0):
            # Users paste documents, and overrides turn up in what tools return.
            role = "user" if role == "tool" else "tool"
        if size <= self.room:
            return [replace(row, role=role)]
        if row.attack and row.category.startswith("indirect"):
            # Where in the document the attack stands is not known.
            return []
        if row.attack:
            spans = self.encoder.tokens(row.text)[1]
            return [replace(row, role=role, text=row.text[: spans[self.room - 1][1]])]
        # What tools return is often short: shortness must not look like an attack.
        room = self.room if rng.random() < 0.7 else rng.randint(16, self.room)
        return [replace(row, role=role, text=crop(self.encoder, row.text, rng, room))]

    def _composed(
        self, rows: Sequence[Row], rng: random.Random, share: float
    ) -> list[Row]:
        table = self.sources.training
        pieces: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            kind = table[row.source].pieces
            if kind and not row.attack and row.role == "tool":
                pieces[kind].append(row)
        direct = [row for row in rows if row.attack and row.role == "user"]
        by_source: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_source[row.source].append(row)
        composer = Composer(
            encoder=self.encoder,
            room=self.room,
            phrases=Phrases(Path(__file__).parent / "phrases.toml"),
            attacks=[row for row in direct if len(row.text) < 320],
            bare=planted_strings(by_source["bipia_train"]),
            requests=[row for row in rows if _request(row)],
            pieces=dict(pieces),
        )
        if not composer.attacks or not composer.requests or "prose" not in pieces:
            return []
        made: list[Row] = []
        count = int(self.config.data.planted * share)
        for _ in tqdm(range(count), "plant", unit="row"):
            if pair := composer.planted(rng):
                # Half of the pieces are seen clean too: enough to tell that it is
                # not the piece that makes the attack.
                made += pair if rng.random() < 0.5 else pair[:1]
        pasted = int(self.config.data.pasted * share)
        return made + [composer.pasted(rng) for _ in range(pasted)]


def _request(row: Row) -> bool:
    """True for a short request in the user's own words."""
    return (
        row.category == "benign_chat"
        and row.source in {"bfcl", "clinc_oos", "slabs"}
        and 12 <= len(row.text) <= 240
    )


def _kind(row: Row) -> tuple[str, bool]:
    return row.source, row.attack


def _hard(text: str) -> bool:
    folded = text.casefold()
    return any(word in folded for word in _HARD)


def _count(rows: Sequence[Row]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        sign = "attack" if row.attack else "benign"
        counts[f"{row.source} {row.role} {sign}"] += 1
    return dict(counts)
