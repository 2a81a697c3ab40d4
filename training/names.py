"""The names stage: texts with marked names, for the token head to learn from.

Published ones whose licences are allowed, and some made here. What is held out sets the
temperature and the thresholds, and is measured on: texts of one template stay together.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from promptguard.text import Text

from .config import Config
from .errors import PipelineError
from .leakage import Leakage
from .nametexts import NAME_TEXTS, made
from .overlap import groups
from .records import records
from .rows import read_texts
from .stage import digest, write_atomically
from .tokenlabels import UNSURE, Mark, Marked, write_marked

__all__ = ["NameSource", "files", "inputs", "load_table", "make"]

_HANDLE = re.compile(r"@\w+")


@dataclass(frozen=True, kw_only=True)
class NameSource:
    """Where texts with marks come from; see the head of names.toml."""

    origin: str
    licences: tuple[str, ...]
    marks: Mapping[str, str]
    unsure: tuple[str, ...] = ()
    handles: str = ""
    lines: bool = False
    most: int = 1_000_000
    held_out: float = 0.0
    sha256: str = ""


@dataclass(frozen=True)
class _Read:
    """A text, and the template that it was made from or what is left without names."""

    row: Marked
    template: str = field(repr=False)
    number: object = None


def load_table(config: Config) -> dict[str, NameSource]:
    """The table of the sources.

    Raises:
        PipelineError: It cannot be read, or a licence in it is not allowed.
    """
    path = config.names_file
    try:
        table = tomllib.loads(path.read_text("utf-8"))["sources"]
        sources = {
            name: NameSource(
                **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
            )
            for name, value in table.items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PipelineError(f"{path}: no table of sources: {error}") from None
    allowed = frozenset(
        tomllib.loads(config.sources_file.read_text("utf-8"))["allowed"]
    )
    for name, source in sources.items():
        if not source.licences or not allowed.issuperset(source.licences):
            raise PipelineError(
                f"{path.name}: the source {name!r} states {list(source.licences)}; "
                f"allowed are {', '.join(sorted(allowed))}"
            )
    return sources


def files(config: Config) -> list[Path]:
    """Every file that the stage reads from outside the build folder."""
    if not config.names.labels:
        return []
    tests = (Path(config.data_root) / "benchmarks" / "pii").rglob("*.jsonl.gz")
    sources = [_path(config, name) for name in load_table(config)]
    return [
        config.names_file,
        config.sources_file,
        NAME_TEXTS,
        *sources,
        *sorted(tests),
    ]


def inputs(config: Config) -> list[dict[str, Any]]:
    """Every file that went in, by hash and licence: what a bundle states."""
    if not config.names.labels:
        return []
    found = [
        (name, _path(config, name), source.licences)
        for name, source in load_table(config).items()
    ]
    if config.names.made:
        found.append((NAME_TEXTS.stem, NAME_TEXTS, ("Apache-2.0",)))
    return [
        {
            "name": name,
            "file": path.name,
            "sha256": digest(path),
            "licences": list(licences),
            "use": "train",
        }
        for name, path, licences in found
    ]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write train.jsonl.gz, heldout.jsonl.gz and what is in them.

    Without a token head there is nothing in them.
    """
    train: list[Marked] = []
    held: list[Marked] = []
    removed: dict[str, int] = {}
    if config.names.labels:
        table = load_table(config)
        found = {name: list(_read(config, name, s)) for name, s in table.items()}
        rows, removed = _apart(config, [r for part in found.values() for r in part])
        train, held = _split(config, table, rows)
        new = [_cleaned(row) for row in made(config.names.made, config.seed)]
        train += [row for row in new if row.text.strip()]
        random.Random(f"{config.seed}:names").shuffle(train)
        if not train or not held:
            raise PipelineError("names: no text is left to train on, or none held out")
    write_marked(out / "train.jsonl.gz", train)
    write_marked(out / "heldout.jsonl.gz", held)
    summary = {
        "train": _counts(train),
        "heldout": _counts(held),
        "overlap with test sets": removed,
    }
    text = json.dumps(summary, indent=1) + "\n"
    write_atomically(out / "summary.json", text.encode())
    print(f"{len(train):,} texts with names to train on, {len(held):,} held out")


def _path(config: Config, name: str) -> Path:
    return Path(config.data_root) / "pii" / f"{name}.jsonl.gz"


def _read(config: Config, name: str, source: NameSource) -> Iterator[_Read]:
    path = _path(config, name)
    if source.sha256 and path.is_file() and digest(path) != source.sha256:
        raise PipelineError(
            f"names: {path} is not the file that {config.names_file.name} states; "
            "restore it, or look at what changed and state the new hash"
        )
    rows = []
    for place, record in records(path):
        try:
            text, number = record["text"], record.get("template_id")
            spans = [(s["start"], s["end"], s["type"]) for s in record["spans"]]
            row = Marked(text, tuple(spans), name, record.get("lang"))
        except (KeyError, TypeError):
            raise PipelineError(f"{place}: no text with spans") from None
        for part in _lines(row) if source.lines else [row]:
            marks = tuple(_marks(part, source, config.names.labels))
            read = replace(part, marks=marks)
            template = _template(part, source)
            rows.append(_Read(_cleaned(read), template, number))
    rows = [read for read in rows if read.row.text.strip()]
    random.Random(f"{config.seed}:names:{name}").shuffle(rows)
    # Of lines of a record most say nothing of names.
    rows.sort(key=lambda read: source.lines and not read.row.marks)
    yield from rows[: source.most]


def _lines(row: Marked) -> Iterator[Marked]:
    start = 0
    for line in row.text.splitlines(keepends=True):
        end = start + len(line)
        marks = tuple(
            (a - start, b - start, label)
            for a, b, label in row.marks
            if start <= a and b <= end
        )
        yield replace(row, text=line.rstrip("\r\n"), marks=marks)
        start = end


def _marks(row: Marked, source: NameSource, labels: Sequence[str]) -> Iterator[Mark]:
    for start, end, kind in row.marks:
        label = UNSURE if kind in source.unsure else source.marks.get(kind)
        if label in (*labels, UNSURE):
            yield start, end, str(label)
    if source.handles == "unsure":
        for found in _HANDLE.finditer(row.text):
            if not any(a < found.end() and found.start() < b for a, b, _ in row.marks):
                yield found.start(), found.end(), UNSURE


def _template(row: Marked, source: NameSource) -> str:
    """The text with kinds in the place of what is marked."""
    parts, at = [], 0
    for start, end, kind in sorted(row.marks):
        if start >= at:
            parts += [row.text[at:start], source.marks.get(kind, kind)]
            at = end
    return "".join([*parts, row.text[at:]])


def _cleaned(row: Marked) -> Marked:
    """The text as the library reads a user's, with its marks where they are there."""
    reading = Text(row.text, "user").clean
    marks = []
    for start, end, label in row.marks:
        first, last = reading.position(start), reading.position(end)
        if first < last:
            marks.append((first, last, label))
    return replace(row, text=reading.text, marks=tuple(marks))


def _apart(config: Config, rows: Sequence[_Read]) -> tuple[list[_Read], dict[str, int]]:
    """The rows that share no words with a test set, and how many of each do."""
    leakage = Leakage()
    tests = Path(config.data_root) / "benchmarks" / "pii"
    for path in sorted(tests.rglob("*.jsonl.gz")):
        for text in read_texts(path):
            leakage.add(path.name, Text(text).clean.text)
    kept = []
    removed: Counter[str] = Counter()
    for read in rows:
        if leakage.of(read.row.text):
            removed[read.row.source] += 1
        else:
            kept.append(read)
    return kept, dict(sorted(removed.items()))


def _split(
    config: Config, table: Mapping[str, NameSource], rows: Sequence[_Read]
) -> tuple[list[Marked], list[Marked]]:
    """Training and held-out texts; what hangs together is on one side, or left out."""
    numbers = groups([read.template for read in rows], one_in=1)
    # A template's number says what the words of two texts may not.
    joined: dict[tuple[str, object], int] = {}
    names = {}
    for read, number in zip(rows, numbers, strict=True):
        names.setdefault(number, number)
        if read.number is not None:
            key = read.row.source, read.number
            first = joined.setdefault(key, number)
            _join(names, first, number)
    members: defaultdict[int, list[_Read]] = defaultdict(list)
    for read, number in zip(rows, numbers, strict=True):
        members[_root(names, number)].append(read)
    wanted = {
        name: source.held_out * sum(r.row.source == name for r in rows)
        for name, source in table.items()
    }
    order = sorted(members)
    random.Random(f"{config.seed}:names:split").shuffle(order)
    train: list[_Read] = []
    held: list[Marked] = []
    away = Leakage()
    for number in order:
        counts = Counter(read.row.source for read in members[number])
        source, count = counts.most_common(1)[0]
        if table[source].held_out and count <= wanted[source]:
            wanted[source] -= count
            held += [r.row for r in members[number] if table[r.row.source].held_out]
            for template in {read.template for read in members[number]}:
                away.add("held out", template)
        else:
            train += members[number]
    return [read.row for read in train if not away.of(read.template)], held


def _root(names: dict[int, int], number: int) -> int:
    while names[number] != number:
        number = names[number]
    return number


def _join(names: dict[int, int], one: int, other: int) -> None:
    names[_root(names, other)] = _root(names, one)


def _counts(rows: Iterable[Marked]) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.source]["texts"] += 1
        counts[row.source].update(label for _, _, label in row.marks)
    return {name: dict(sorted(c.items())) for name, c in sorted(counts.items())}
