"""Rows of text with their labels, the table of sources, and their files."""

from __future__ import annotations

import gzip
import io
import json
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .errors import PipelineError
from .records import records
from .stage import write_atomically

__all__ = [
    "ATTACK_CATEGORIES",
    "BENIGN_CATEGORIES",
    "INJECTION",
    "OTHER_CATEGORIES",
    "TASK_CATEGORIES",
    "Row",
    "Source",
    "Sources",
    "hard",
    "load_sources",
    "read_published",
    "read_rows",
    "read_source",
    "read_texts",
    "write_rows",
]

# Content that a program brought in: its author is not the one who asks.
_TOOL_CATEGORIES = frozenset(
    {
        "benign_document",
        "benign_code",
        "benign_tool_output",
        "benign_tool_spec",
        "benign_conversation",
        "indirect_injection",
        "indirect_injection_bare",
    }
)

ATTACK_CATEGORIES = frozenset(
    {
        "direct_injection",
        "indirect_injection",
        "indirect_injection_bare",
        "jailbreak",
        "obfuscated",
        "prompt_leak",
    }
)
BENIGN_CATEGORIES = frozenset(
    {
        "benign_chat",
        "benign_code",
        "benign_code_request",
        "benign_conversation",
        "benign_document",
        "benign_roleplay",
        "benign_tool_output",
        "benign_tool_prompt",
        "benign_tool_spec",
        "hard_negative",
    }
)
# Of the other heads: whether they are attacks as well is another question.
OTHER_CATEGORIES = frozenset(
    {"harmful_request", "safe_request", "toxic_comment", "plain_comment"}
)
# Of a task: whether a text has the label that it is about.
TASK_CATEGORIES = frozenset({"positive", "negative"})
# A public test set that tells labels and no categories.
_MIXED = "mixed"

_USES = ("train", "unseen", "tested", "drop")

INJECTION = "injection"
"""The label of a prompt attack, and its head."""

# Of a task's sources: the share that is kept back to be measured on.
_TEST = 0.2
# Words that attacks in the training sources use far more often than benign texts do.
_HARD = (
    *("ignore", "instruction", "forget", "override", "bypass", "disregard", "reveal"),
    *("secret", "hidden", "pretend", "password", "restrict", "guideline", "refuse"),
    *("system prompt", "your rules", "previous", "repeat", "filter", "fictional"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One text.

    Args:
        labels: What is known, by head; heads that are absent are not trained by it.
    """

    text: str = field(repr=False)
    role: str
    labels: dict[str, int]
    source: str
    category: str
    lang: str | None = None

    @property
    def attack(self) -> bool:
        return self.labels.get(INJECTION) == 1

    @property
    def benign(self) -> bool:
        """It is known to be no attack."""
        return self.labels.get(INJECTION) == 0

    @property
    def positive(self) -> bool:
        """It is something that a head looks for."""
        return any(self.labels.values())


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where rows come from and how they are used; see the head of sources.toml."""

    origin: str = ""
    licences: tuple[str, ...] = ()
    use: str = "train"
    attacks: int = 1_000_000
    benign: int = 1_000_000
    role: str | None = None
    pieces: str | None = None
    repeat: int = 1
    files: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    hub: str = ""
    revision: str = ""
    data_files: str = ""
    text: str = "text"
    label: str = "label"
    labels: Mapping[str, int | str] = field(default_factory=dict)
    conflicts: str = "error"
    categories: Mapping[str, str] = field(default_factory=dict)
    folder: str = INJECTION
    marks: Mapping[str, str | list[str]] = field(default_factory=dict)
    unsure: Mapping[str, list[str]] = field(default_factory=dict)
    plain: float = 0.0
    clean: tuple[str, ...] = ()
    longest: int = 1_000_000
    test: float = 0.0
    beside: str = ""

    def role_of(self, category: str) -> str:
        """The role a row of this category has by itself."""
        if self.role is not None:
            return self.role
        return "tool" if category in _TOOL_CATEGORIES else "user"


@dataclass(frozen=True)
class Sources:
    """The table of sources."""

    training: dict[str, Source]
    benchmarks: dict[str, Source]

    def used(self, *uses: str) -> dict[str, Source]:
        return {n: s for n, s in self.training.items() if s.use in uses}


def load_sources(path: Path) -> Sources:
    """Read the table.

    Raises:
        PipelineError: It cannot be read, an entry of it is not complete, or a source
            states a licence that is not allowed: that is no warning.
    """
    table = _table(path)
    if "task" in table:
        return _of_task(path, table["task"])
    allowed = frozenset(table["allowed"])
    sources = {n: _source(n, value) for n, value in table["sources"].items()}
    for name, source in sources.items():
        if not source.licences or not allowed.issuperset(source.licences):
            raise PipelineError(
                f"{path.name}: the source {name!r} states {list(source.licences)}; "
                f"allowed are {', '.join(sorted(allowed))}"
            )
    benchmarks = {n: _source(n, v) for n, v in table.get("benchmarks", {}).items()}
    return Sources(sources, benchmarks)


def _of_task(path: Path, table: dict[str, Any]) -> Sources:
    """The tables of a task, which stand in its configuration."""
    allowed = frozenset(table.get("allowed", ()))
    kinds: list[dict[str, Source]] = []
    for kind in ("sources", "tests"):
        kinds.append({})
        for name, value in table.get(kind, {}).items():
            where = f"{path.name} [task.{kind}.{name}]"
            if not isinstance(value, dict):
                raise PipelineError(f"{where} is no table")
            source = _source(where, {"test": _TEST} | value, of_task=True)
            if allowed and not (
                source.licences and allowed.issuperset(source.licences)
            ):
                raise PipelineError(
                    f"{where} states {list(source.licences)}; allowed are "
                    f"{', '.join(sorted(allowed))}"
                )
            kinds[-1][name] = source
    sources, tests = kinds
    if not any(source.use == "train" for source in sources.values()):
        raise PipelineError(
            f"{path.name} [task]: no source to learn from; name a file, as in "
            '[task.sources.mine] with files = "mine.csv"'
        )
    return Sources(sources, tests)


def _table(path: Path) -> dict[str, Any]:
    """A table, with that which it says it includes."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: no table of sources: {error}") from None
    if "include" not in table:
        return table
    whole = _table(path.parent / table["include"])
    # Files lie beside the table that names them.
    folder = str((path.parent / table["include"]).resolve().parent)
    if "task" in whole:
        return {"task": _joined(whole["task"], table.get("task", {}), folder)}
    theirs = _beside(whole["sources"], folder)
    return {
        "allowed": [*whole["allowed"], *table.get("allowed", ())],
        "sources": theirs | table.get("sources", {}),
        "benchmarks": whole.get("benchmarks", {}) | table.get("benchmarks", {}),
    }


def _joined(whole: dict[str, Any], more: dict[str, Any], folder: str) -> dict[str, Any]:
    """The tables of a task, and sources and tests beside its own."""
    found = dict(whole)
    for kind in ("sources", "tests"):
        found[kind] = _beside(whole.get(kind, {}), folder) | more.get(kind, {})
    # A task without a list allows any licence.
    if whole.get("allowed"):
        found["allowed"] = [*whole["allowed"], *more.get("allowed", ())]
    return found


def _beside(sources: dict[str, Any], folder: str) -> dict[str, Any]:
    return {
        name: {"beside": folder} | source if isinstance(source, dict) else source
        for name, source in sources.items()
    }


def _source(name: str, value: dict[str, Any], *, of_task: bool = False) -> Source:
    try:
        source = Source(
            **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        )
    except TypeError as error:
        raise PipelineError(f"source {name!r}: {error}") from None
    if source.use not in _USES:
        raise PipelineError(
            f"source {name!r}: no use {source.use!r}. Known: {', '.join(_USES)}"
        )
    if source.conflicts not in ("error", "drop"):
        raise PipelineError(f"source {name!r}: conflicts is 'error' or 'drop'")
    if of_task:
        if source.hub and not (source.revision and source.data_files):
            raise PipelineError(f"{name}: with hub go revision and data_files")
    elif source.hub:
        _check_published(name, source)
    if source.marks and set(source.categories.values()) - OTHER_CATEGORIES:
        raise PipelineError(
            f"source {name!r}: with marks go categories. Known: "
            f"{', '.join(sorted(OTHER_CATEGORIES))}"
        )
    for key in ("plain", "test"):
        if not 0 <= getattr(source, key) <= 1:
            raise PipelineError(f"source {name!r}: {key} is a share from 0 to 1")
    return source


def _check_published(name: str, source: Source) -> None:
    for key in ("revision", "data_files", "labels", "categories"):
        if not getattr(source, key):
            raise PipelineError(f"source {name!r}: with hub goes {key}")
    meant = set(source.labels.values())
    if not meant <= {0, 1}:
        raise PipelineError(f"source {name!r}: labels has to lead to 0 and 1")
    for label in sorted(meant):
        known = ATTACK_CATEGORIES if label else BENIGN_CATEGORIES
        if source.categories.get(str(label)) not in known:
            raise PipelineError(
                f'source {name!r}: categories has no category for "{label}". Known: '
                f"{', '.join(sorted(known))}"
            )


def hard(text: str) -> bool:
    """True for a text that uses words of attacks."""
    folded = text.casefold()
    return any(word in folded for word in _HARD)


def read_source(path: Path, source: Source) -> Iterator[Row]:
    """The rows of a file in our own form, with the role that their category has.

    Raises:
        PipelineError: A line is not as it has to be; its file and number are named.
    """
    if source.marks:
        yield from _read_marked(path, source)
        return
    for place, record in records(path):
        category, label = _value(place, record, "category", str), _label(place, record)
        known = ATTACK_CATEGORIES if label else BENIGN_CATEGORIES
        if category not in known and category != _MIXED:
            raise PipelineError(
                f"{place}: no category of label {label}. Known: "
                f"{', '.join(sorted(known))}"
            )
        yield Row(
            text=_value(place, record, "text", str),
            role=source.role_of(category),
            labels={"injection": label},
            source=_value(place, {"source": path.stem} | record, "source", str),
            category=category,
            lang=_value(place, record, "lang", str, None),
        )


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a file, whatever else stands in it."""
    for place, record in records(path):
        yield _value(place, record, "text", str)


def _read_marked(path: Path, source: Source) -> Iterator[Row]:
    """The rows of a source that tells labels of other heads than injection."""
    for place, record in records(path):
        found = record.get("labels", {})
        given = {"label": record["label"]} if "label" in record else {}
        given |= found if isinstance(found, dict) else {}
        if wrong := [name for name, value in given.items() if value not in (0, 1)]:
            raise PipelineError(f"{place}: {wrong[0]!r} is neither 0 nor 1")
        labels = _marked(given, source)
        if not labels:
            raise PipelineError(
                f"{place}: none of the labels that marks names; there are "
                f"{', '.join(sorted(given))}"
            )
        text = _value(place, record, "text", str)
        positive = any(labels.values())
        if zlib.crc32(text.encode("utf-8", "replace")) % 1000 < 1000 * source.plain:
            labels[INJECTION] = 0
        category = source.categories[str(int(positive))]
        lang = _value(place, record, "lang", str, None)
        role = source.role_of(category)
        yield Row(text, role, labels, path.stem, category, lang)


def _marked(given: Mapping[str, int], source: Source) -> dict[str, int]:
    labels = {}
    for ours, theirs in source.marks.items():
        names = [theirs] if isinstance(theirs, str) else theirs
        if known := [given[name] for name in names if name in given]:
            labels[ours] = max(known)
    for theirs, masked in source.unsure.items():
        if given.get(theirs):
            labels = {k: v for k, v in labels.items() if k not in masked}
    return labels


def read_published(path: Path, source: Source) -> Iterator[Row]:
    """The rows of a file of a data set on the Hub, by the source's columns and labels.

    Raises:
        PipelineError: A column is not there, or a label is not in the source's map.
    """
    for place, record in records(path):
        text, value = _value(place, record, source.text, str), record.get(source.label)
        if source.label not in record:
            raise _absent(place, source.label, record)
        label = source.labels.get(str(value))
        if label is None:
            raise PipelineError(
                f"{place}: the column {source.label!r} has a value that is not in "
                f"labels: {', '.join(sorted(source.labels))}"
            )
        category = source.categories[str(label)]
        labels = {"injection": label}
        yield Row(text, source.role_of(category), labels, path.stem, category)


def _label(place: str, record: Mapping[str, Any]) -> int:
    label: int = _value(place, record, "label", int)
    if label not in (0, 1):
        raise PipelineError(f"{place}: the label is neither 0 nor 1")
    return label


def _value(place: str, record: Mapping[str, Any], key: str, *kinds: type | None) -> Any:
    if key not in record:
        raise _absent(place, key, record)
    value = record[key]
    # A truth value is a number, but no label.
    if not any(type(value) is (kind or type(None)) for kind in kinds):
        names = " or ".join("null" if k is None else k.__name__ for k in kinds)
        raise PipelineError(
            f"{place}: {key!r} is {type(value).__name__}, and has to be {names}"
        )
    return value


def _absent(place: str, key: str, record: Mapping[str, Any]) -> PipelineError:
    return PipelineError(
        f"{place}: no {key!r}; there are {', '.join(sorted(map(str, record)))}"
    )


def read_rows(path: Path) -> list[Row]:
    """Rows that a stage wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [Row(**json.loads(line)) for line in lines]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows; the same rows always give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as file:
        for row in rows:
            file.write(_line(row))
    write_atomically(path, buffer.getvalue())


def _line(row: Row) -> bytes:
    line = json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n"
    try:
        return line.encode()
    except UnicodeEncodeError:
        # A lone surrogate can only be written as an escape.
        return (json.dumps(asdict(row), sort_keys=True) + "\n").encode()
