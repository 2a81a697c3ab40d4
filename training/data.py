"""The data stage: published sources into texts to train on and texts held out."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from promptguard.text import Text

from .config import Config
from .errors import PipelineError
from .overlap import groups, runs
from .rows import Row, Source, Sources, hard, load_sources, read_source, write_rows
from .stage import write_atomically

__all__ = ["benchmark_rows", "files", "make"]


def files(config: Config) -> list[Path]:
    """Every file the stage reads."""
    sources = load_sources(config.sources_file)
    used = {n: s for n, s in sources.training.items() if s.use != "drop"}
    paths = [path for n, s in used.items() for path in _source(config, n, s)]
    paths += [_benchmark(config, name) for name in sources.benchmarks]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise PipelineError(
            f"{missing[0]} is not there ({len(missing)} of {len(paths)} files are "
            "missing); the data lives outside this repository: point --data at it"
        )
    return [*paths, config.sources_file]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write train, heldout, benign (of the held-out ones) and unseen: whole texts."""
    sources = load_sources(config.sources_file)
    maker = _Maker(config, sources)
    seen = maker.read(sources.used("train"))
    unseen = maker.read(sources.used("unseen"))
    foreign = set(config.data.unseen_languages)
    seen = [row for row in seen if row.lang not in foreign]
    kept, left = maker.without_overlap(seen, unseen)
    training, held_out = maker.split(kept)
    benign = [row for row in held_out if not row.attack]
    parts = {"train": training, "heldout": held_out, "benign": benign, "unseen": unseen}
    for name, rows in parts.items():
        write_rows(out / f"{name}.jsonl.gz", rows)
    summary: dict[str, object] = {name: _count(rows) for name, rows in parts.items()}
    summary["removed for overlap"] = left
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    write_atomically(out / "summary.json", text.encode())
    print(f"{len(training):,} texts to train on, {len(held_out):,} held out")


def benchmark_rows(config: Config, sources: Sources) -> dict[str, list[Row]]:
    """The public test sets, by name."""
    return {
        name: list(read_source(_benchmark(config, name), source))
        for name, source in sources.benchmarks.items()
    }


def _source(config: Config, name: str, source: Source) -> list[Path]:
    """The files of a source: ours lie beside the table, others in the data folder."""
    if source.files:
        found = sorted(config.sources_file.parent.glob(source.files))
        return found or [config.sources_file.parent / source.files]
    return [Path(config.data_root) / "injection" / f"{name}.jsonl.gz"]


def _benchmark(config: Config, name: str) -> Path:
    root = Path(config.data_root) / "benchmarks" / "injection"
    return root / f"{name}.jsonl.gz"


class _Maker:
    def __init__(self, config: Config, sources: Sources) -> None:
        self.config = config
        self.sources = sources

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.config.seed}:{name}")

    def read(self, sources: Mapping[str, Source]) -> list[Row]:
        """Rows as users' texts are read: after the library's own normalisation."""
        rows: list[Row] = []
        for name, source in tqdm(sources.items(), "read", unit="source"):
            part = [
                replace(row, text=text, source=name)
                for path in _source(self.config, name, source)
                for row in read_source(path, source)
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
                    part.sort(key=lambda row: not hard(row.text))
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


def _kind(row: Row) -> tuple[str, bool]:
    return row.source, row.attack


def _count(rows: Sequence[Row]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        sign = "attack" if row.attack else "benign"
        counts[f"{row.source} {row.role} {sign}"] += 1
    return dict(counts)
