"""The data stage: published sources into texts to train on and texts held out."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from promptguard.text import Text

from . import datacard
from . import sources as published
from .bias import TERMS
from .config import Config
from .errors import PipelineError
from .leakage import Leakage
from .overlap import drawn, groups, repeats
from .rows import (
    INJECTION,
    Row,
    Source,
    Sources,
    hard,
    load_sources,
    read_rows,
    read_source,
    read_texts,
    write_rows,
)
from .stage import digest, write_atomically
from .validate import Validation, contradicting, repeated

__all__ = ["PARTS", "benchmark_rows", "files", "kept_away", "make"]

PARTS = ("train", "heldout", "benign", "unseen", "languages", "tests")


def files(config: Config) -> list[Path]:
    """Every file the stage reads from outside the build folder."""
    return [*_every_benchmark(config).values(), *config.tables, TERMS]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write whole texts: train, heldout, benign (of the held-out ones), unseen.

    Rows of training sources in languages that are not trained on are in ``languages``,
    and those that a source keeps back to be measured on in ``tests``.
    ``summary.json`` counts what is in each, ``validation.json`` what was odd or left
    out, and why; ``DATA_CARD.md`` tells all of it.
    """
    sources = load_sources(config.sources_file)
    maker = _Maker(config, sources)
    seen = maker.read(sources.used("train"), needed["sources"])
    unseen = maker.read(sources.used("unseen", "tested"), needed["sources"])
    seen, tests = maker.kept_back(seen)
    kept, foreign = maker.chosen(seen, [*unseen, *tests])
    training, held_out = maker.split(kept)
    benign = [row for row in held_out if row.labels.get(config.target) == 0]
    rows_of = (training, held_out, benign, unseen, foreign, tests)
    parts = dict(zip(PARTS, rows_of, strict=True))
    for name, rows in parts.items():
        write_rows(out / f"{name}.jsonl.gz", rows)
    _write(out / "summary.json", {name: _count(rows) for name, rows in parts.items()})
    report: dict[str, Any] = {
        "validation": maker.validation.report(),
        "removed": maker.removed,
        "overlap": maker.overlap,
        "benchmarks": {n: digest(p) for n, p in _every_benchmark(config).items()},
    }
    _write(out / "validation.json", report)
    about = config.task.label
    counted = datacard.card(parts, published.written(needed["sources"]), report, about)
    text = json.dumps(counted, indent=1) + "\n"
    write_atomically(out / "data_card.json", text.encode())
    write_atomically(out / "DATA_CARD.md", datacard.markdown(counted).encode())
    print(datacard.glance(counted))
    for sign in (1, 0):
        if not any(row.labels.get(config.target) == sign for row in training):
            named = ("benign texts", "attacks")[sign]
            if config.task:
                named = f"texts with {config.target!r} = {sign}"
            raise PipelineError(
                f"data: no {named} are left to train on; see what was removed in "
                f"{out / 'validation.json'}"
            )
    print(f"{len(training):,} texts to train on, {len(held_out):,} held out")


def benchmark_rows(config: Config, sources: Sources) -> dict[str, list[Row]]:
    """The public test sets of the table, by name."""
    if config.task:
        return {
            name: list(published.read(config, name, source))
            for name, source in sources.benchmarks.items()
        }
    paths = _benchmarks(config)
    return {
        name: list(read_source(paths[name], source))
        for name, source in sources.benchmarks.items()
    }


def kept_away(config: Config) -> Leakage:
    """What must not be trained on: test sets, and sources that are kept unseen.

    Raises:
        PipelineError: There are no test sets, or a source is not there.
    """
    leakage = _test_sets(config)
    for name, source in load_sources(config.sources_file).used("unseen").items():
        for row in published.read(config, name, source):
            leakage.add(name, Text(row.text, row.role).clean.text)
    return leakage


def _test_sets(config: Config) -> Leakage:
    leakage = Leakage()
    for name, text in _tested(config):
        leakage.add(f"benchmark:{name}", Text(text).clean.text)
    return leakage


def _tested(config: Config) -> Iterator[tuple[str, str]]:
    """Every text of a test set, and the set's name."""
    if config.task:
        sources = load_sources(config.sources_file)
        for name, rows in benchmark_rows(config, sources).items():
            yield from ((name, row.text) for row in rows)
        return
    for name, path in _every_benchmark(config).items():
        yield from ((name, text) for text in read_texts(path))


def _write(path: Path, value: Mapping[str, object]) -> None:
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def _benchmarks(config: Config) -> dict[str, Path]:
    """Every test set of injection, those that are not measured on as well."""
    root = Path(config.data_root) / "benchmarks" / INJECTION
    found = {p.name.removesuffix(".jsonl.gz"): p for p in root.glob("*.jsonl.gz")}
    for name in load_sources(config.sources_file).benchmarks:
        if name not in found:
            raise PipelineError(
                f"{root / name}.jsonl.gz is not there; the data lives outside this "
                "repository: point --data at it"
            )
    if not found:
        raise PipelineError(
            f"{root} has no test sets, *.jsonl.gz; without them nobody can tell "
            "whether they were trained on: point --data at the data folder"
        )
    return dict(sorted(found.items()))


def _every_benchmark(config: Config) -> dict[str, Path]:
    """Those, and the test sets of the other folders that sources come from."""
    if config.task:
        return {
            f"{name} {file}": path
            for name, source in load_sources(config.sources_file).benchmarks.items()
            for file, path in published.find(config, name, source).files.items()
        }
    found = _benchmarks(config)
    root = Path(config.data_root) / "benchmarks"
    folders = {s.folder for s in load_sources(config.sources_file).training.values()}
    for folder in sorted(folders - {INJECTION}):
        for path in sorted((root / folder).rglob("*.jsonl.gz")):
            name = path.relative_to(root).as_posix().removesuffix(".jsonl.gz")
            found[name] = path
    return found


class _Maker:
    def __init__(self, config: Config, sources: Sources) -> None:
        self.config = config
        self.sources = sources
        self.validation = Validation()
        self.removed: dict[str, dict[str, int]] = {}
        self.overlap: dict[str, dict[str, int]] = {}

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.config.seed}:{name}")

    def read(self, sources: Mapping[str, Source], folder: Path) -> list[Row]:
        """Rows as users' texts are read: after the library's own normalisation."""
        rows: list[Row] = []
        there = published.written(folder)
        for name in tqdm([n for n in sources if n in there], "read", unit="source"):
            for row in read_rows(folder / f"{name}.jsonl.gz"):
                text = Text(row.text, row.role).clean.text.strip()
                self.validation.add(row, text)
                if text:
                    rows.append(replace(row, text=text))
        return rows

    def kept_back(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """All rows but those that sources keep back as tests; and these."""
        out: set[int] = set()
        for name, source in self.sources.used("train").items():
            if source.test:
                places = [p for p, row in enumerate(rows) if row.source == name]
                own = [rows[place].text for place in places]
                out |= {places[place] for place in drawn(own, source.test)}
        kept = [row for place, row in enumerate(rows) if place not in out]
        return kept, [rows[place] for place in sorted(out)]

    def chosen(
        self, rows: list[Row], unseen: Sequence[Row]
    ) -> tuple[list[Row], list[Row]]:
        """The rows to learn from, and those in languages that are not learnt from."""
        foreign = set(self.config.data.unseen_languages)
        others = [row for row in rows if row.lang in foreign]
        for reason, find in (
            ("a language not trained on", lambda r: _in(r, foreign)),
            ("both labels", contradicting),
            ("duplicate", repeated),
            ("longer than the table takes", self._longer),
            ("far more than the table takes", self._spare),
            ("overlap", lambda rows: self._overlapping(rows, unseen)),
            ("near duplicate", _near),
        ):
            rows = self._without(rows, reason, find)
        return self._capped(rows), others

    def _without(
        self,
        rows: list[Row],
        reason: str,
        find: Callable[[list[Row]], Collection[int]],
    ) -> list[Row]:
        out = find(rows)
        counts = Counter(rows[place].source for place in out)
        self.removed[reason] = dict(sorted(counts.items()))
        return [row for place, row in enumerate(rows) if place not in out]

    def _capped(self, rows: Sequence[Row]) -> list[Row]:
        kept: list[Row] = []
        cut: dict[str, int] = {}
        for name, source in self.sources.used("train").items():
            rng = self.rng(f"cap:{name}")
            own = [row for row in rows if row.source == name]
            for positive, cap in ((True, source.attacks), (False, source.benign)):
                part = [row for row in own if row.positive == positive]
                if len(part) > cap:
                    rng.shuffle(part)
                    if (
                        not positive
                        and self.config.data.hard_first
                        and not self.config.task
                    ):
                        part.sort(key=lambda row: not hard(row.text))
                    cut[name] = cut.get(name, 0) + len(part) - cap
                kept += part[:cap]
        self.removed["more than the table takes"] = cut
        return kept

    def _longer(self, rows: Sequence[Row]) -> set[int]:
        longest = {name: s.longest for name, s in self.sources.training.items()}
        return {p for p, r in enumerate(rows) if len(r.text) > longest[r.source]}

    def _spare(self, rows: Sequence[Row]) -> set[int]:
        """Rows of other heads beyond twice what a source gives: none need compare them.

        Most of these sources are many times larger than what is taken of them.
        """
        out: set[int] = set()
        for name, source in self.sources.used("train").items():
            if not source.marks:
                continue
            for positive, cap in ((True, source.attacks), (False, source.benign)):
                places = [
                    place
                    for place, row in enumerate(rows)
                    if row.source == name and row.positive == positive
                ]
                self.rng(f"spare:{name}:{positive}").shuffle(places)
                out.update(places[2 * cap :])
        return out

    def _overlapping(self, rows: Sequence[Row], unseen: Sequence[Row]) -> set[int]:
        """Rows that share words with an unseen text or with any test set."""
        leakage = _test_sets(self.config)
        for row in unseen:
            leakage.add(row.source, row.text)
        out: set[int] = set()
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for place, row in enumerate(tqdm(rows, "compare", unit="row")):
            if names := leakage.of(row.text):
                out.add(place)
                counts[row.source].update(names)
        self.overlap = {name: dict(sorted(c.items())) for name, c in counts.items()}
        return out

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


def _in(rows: Sequence[Row], languages: Collection[str]) -> set[int]:
    return {place for place, row in enumerate(rows) if row.lang in languages}


def _near(rows: Sequence[Row]) -> set[int]:
    """Rows that nearly repeat an earlier one of the same role and label.

    A benign text and the same with an attack in it are worth keeping, both of them.
    """
    kinds: defaultdict[Any, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        positive = frozenset(label for label, value in row.labels.items() if value)
        kinds[row.role, positive].append(place)
    out: set[int] = set()
    for places in kinds.values():
        found = repeats([rows[place].text for place in places])
        out |= {p for p, other in zip(places, found, strict=True) if other is not None}
    return out


def _kind(row: Row) -> tuple[str, bool]:
    return row.source, row.positive


def _count(rows: Sequence[Row]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in rows:
        sign = "attack" if row.positive else "benign"
        counts[f"{row.source} {row.role} {sign}"] += 1
    return dict(counts)
