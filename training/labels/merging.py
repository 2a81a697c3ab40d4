"""Labels into rows to train on, each with where it comes from.

What must not be trained on is refused here, before it stands in any file: texts of test
sets and of the sources that are kept unseen, and texts that were told otherwise before.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptguard.text import Text

from ..config import Config
from ..data import kept_away
from ..errors import PipelineError
from ..files import write_atomically
from ..overlap import folded
from ..records import records
from ..rows import INJECTION, load_sources
from ..sources import read
from .raters import Resolved, resolve
from .records import Label
from .traffic import Captured, captured, named

__all__ = ["OUTCOMES", "Merged", "merge"]

OUTCOMES = {
    "added": "new rows",
    "unchanged": "rows that the file had already",
    "changed": "rows of the file whose label is another one now",
    "duplicate": "texts that are trained on already, with this label",
    "conflict": "texts that were told otherwise: by other labels, or in the training",
    "test set": "texts of a test set or an unseen source, which are never trained on",
    "not kept": "texts of which the traffic has none, or a digest",
    "gone": "texts that the traffic does not have any more, or that a label does not "
    "tell from others",
    "open": "texts with a tie, or with too few annotators",
    "too little agreement": "texts about which too many disagree",
}
"""What becomes of a label."""

_CATEGORIES = {
    ("user", 1): "direct_injection",
    ("user", 0): "benign_chat",
    ("tool", 1): "indirect_injection",
    ("tool", 0): "benign_document",
}


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of every text.

    Args:
        texts: Their names, by outcome.
        rows: Rows that the file has now.
    """

    texts: dict[str, tuple[str, ...]]
    rows: int

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows"]
        lines += [
            f"  {name}: {len(places):,} {OUTCOMES[name]}"
            for name, places in self.texts.items()
            if places
        ]
        return "\n".join(lines)


def merge(
    labels: Sequence[Label],
    traffic: str,
    config: Config,
    into: Path,
    *,
    label: str = INJECTION,
    ties: str = "drop",
    least: int = 1,
    agreement: float = 0.5,
    today: str = "",
) -> Merged:
    """Add what was decided to a file of rows, whole or not at all.

    The file is one that a source of the table can name: ``text``, ``label``,
    ``category``, ``lang``. Where a row comes from stands in ``provenance``. Merging
    the same labels again changes nothing.

    Args:
        labels: What annotators said.
        traffic: The database that the texts are in.
        config: Whose sources, test sets and heads count.
        into: ``NAME.jsonl`` or ``NAME.jsonl.gz``.
        label: What it is about.
        ties: As for ``resolve``.
        least: Annotators that a text needs.
        agreement: Share of the annotators that a label needs.
        today: The date of the merge, in ISO 8601.

    Raises:
        TrafficError: The database cannot be read.
        PipelineError: There are no test sets to hold the texts against, or the file
            is of another kind.
    """
    if not into.name.endswith((".jsonl", ".jsonl.gz")):
        raise PipelineError(f"{into} has to be named .jsonl or .jsonl.gz")
    if label not in {name for known in config.heads.values() for name in known}:
        raise PipelineError(f"labels: no head of {config.file} learns {label!r}")
    there = _there(into)
    kept = list(captured(traffic))
    texts = {text.name: text for text in kept}
    resolved, open_ = resolve(named(labels, kept), label, ties=ties, least=least)
    outcomes: defaultdict[str, list[str]] = defaultdict(list)
    outcomes["open"] += open_
    able: list[tuple[Resolved, Captured, str]] = []
    for each in resolved:
        found = texts.get(each.text)
        if found is None:
            outcomes["gone"].append(each.text)
        elif not found.text or not found.text.strip():
            outcomes["not kept"].append(each.text)
        elif each.agreement < agreement:
            outcomes["too little agreement"].append(each.text)
        else:
            able.append((each, found, _key(found.role, found.text)))
    away = kept_away(config)
    known = _trained_on(config, label, into)
    decided: defaultdict[str, set[int]] = defaultdict(set)
    for each, _, key in able:
        decided[key].add(each.value)
    name = _named(traffic)
    for each, text, key in able:
        assert text.text is not None
        before = there.get(key)
        if away.of(Text(text.text, text.role).clean.text):
            outcome = "test set"
        elif len(decided[key]) > 1 or known.get(key, each.value) != each.value:
            # Both would be dropped as contradicting; somebody has to look.
            outcome = "conflict"
        elif key in known:
            outcome = "duplicate"
        elif before is not None and _name(before) != each.text:
            same = _value(before, label) == each.value
            outcome = "duplicate" if same else "conflict"
        elif before is not None and _value(before, label) == each.value:
            outcome = "unchanged"
        else:
            outcome = "added" if before is None else "changed"
            there[key] = _row(each, text, label, name, today)
        outcomes[outcome].append(each.text)
    if outcomes["added"] or outcomes["changed"]:
        _write(into, there.values())
    return Merged({name: tuple(outcomes[name]) for name in OUTCOMES}, len(there))


def _key(role: str, text: str) -> str:
    """What makes two texts the same: the pipeline compares them so as well."""
    return f"{_role(role)} {folded(Text(text).clean.text)}"


def _role(role: str) -> str:
    """The role of a training row: the user's own words, or what came from outside."""
    return "tool" if role in ("tool", "function", "retrieved") else "user"


def _row(
    each: Resolved, text: Captured, label: str, traffic: str, today: str
) -> dict[str, Any]:
    role = _role(text.role)
    told: dict[str, Any] = {"labels": {label: each.value}, "category": ""}
    if label == INJECTION:
        told = {"label": each.value, "category": _CATEGORIES[role, each.value]}
    return {
        "text": text.text,
        **told,
        "lang": None,
        "provenance": {
            "traffic": traffic,
            "request": text.id,
            "position": text.position,
            "role": text.role,
            "kept": text.kept,
            "annotators": list(each.annotators),
            "agreement": round(each.agreement, 4),
            "labelled": each.at,
            "merged": today,
        },
    }


def _name(row: Mapping[str, Any]) -> str:
    origin = row["provenance"]
    return f"{origin['request']}-{origin['position']}"


def _value(row: Mapping[str, Any], label: str) -> int:
    value: int = row["label"] if "label" in row else row["labels"][label]
    return value


def _there(into: Path) -> dict[str, dict[str, Any]]:
    """The rows of the file, by their text."""
    if not into.exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for place, row in records(into):
        origin = row.get("provenance")
        if not isinstance(origin, dict) or not {"request", "role"} <= origin.keys():
            raise PipelineError(
                f"{place}: a row without provenance; merge into a file of its own"
            )
        found[_key(origin["role"], row["text"])] = row
    return found


def _write(into: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    content = lines.encode("utf-8", "surrogatepass")
    if into.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    into.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(into, content)
    # It is what people wrote.
    into.chmod(0o600)


def _trained_on(config: Config, label: str, into: Path) -> dict[str, int]:
    """What the training says of texts, but for what was merged into this file before.

    A text that is told both ways there is left to the training, which drops it.
    """
    found: dict[str, int] = {}
    name = into.name.partition(".")[0]
    for source, entry in load_sources(config.sources_file).used("train").items():
        marked = label in entry.marks if entry.marks else label == config.target
        if source == name or not (marked or label in entry.clean):
            continue
        for row in read(config, source, entry):
            if label in row.labels:
                found[_key(row.role, row.text)] = row.labels[label]
    return found


def _named(traffic: str) -> str:
    from sqlalchemy import make_url

    return make_url(traffic).render_as_string(hide_password=True)
