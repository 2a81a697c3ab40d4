"""Labelled traffic, divided: what is learnt from, and what decides at the gate.

What decides must not have been learnt from. A text is on one side by a hash of what it
says, so that the same text is always on the same one; near copies of what decides are
left out of the training like those of a test set, because its source is a tested one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptguard.text import Text

from ..config import Config
from ..files import digest, write_atomically
from ..labels.merging import merge
from ..labels.raters import Resolved, resolve
from ..labels.records import Label, read_labels
from ..labels.traffic import Captured, captured, named
from ..overlap import folded
from ..rows import INJECTION

__all__ = ["DECIDES", "LEARNT", "Divided", "decided", "divide", "said"]

LEARNT, DECIDES = "labelled_traffic", "deciding_traffic"
"""The two sources."""

_LICENCE = "your own traffic"
_ENTRY = """
[sources.{name}]
origin = "traffic of a service, labelled"
licences = ["{licence}"]
files = "{name}.jsonl.gz"
use = "{use}"
"""
# Of a task, what decides is a test set: nothing else of it is never learnt from.
_OF_TASK = """
[task.{kind}.{name}]
origin = "traffic of a service, labelled"
licences = ["{licence}"]
files = "{name}.jsonl.gz"
label = "labels.{label}"
conflicts = "drop"
test = 0
"""


@dataclass(frozen=True)
class Divided:
    """Labelled traffic as sources.

    Args:
        config: The configuration with them.
        learnt: Rows to learn from.
        deciding: Rows that decide.
        notes: What became of the labels.
    """

    config: Config
    learnt: int
    deciding: int
    notes: tuple[str, ...] = ()


def said(file: Path | None, about: str = INJECTION) -> list[Label]:
    """What annotators said about a label.

    Raises:
        PipelineError: The file cannot be read, or a line is no label.
    """
    if file is None:
        return []
    return [label for label in read_labels(file) if label.label == about]


def decided(labels: Sequence[Label], about: str = INJECTION) -> list[Resolved]:
    """What they decided together, text by text."""
    return resolve(labels, about)[0] if labels else []


def divide(
    config: Config,
    labels: Sequence[Label],
    traffic: str | None,
    out: Path,
    now: float,
) -> Divided:
    """Write both parts into a folder, with a table that has them beside the others.

    Args:
        now: From where days are counted back, in seconds since the epoch.

    Raises:
        PipelineError: The traffic cannot be read.
    """
    if not labels:
        return Divided(config, 0, 0)
    assert traffic is not None, "labels are of captured texts"
    settings = config.continuous
    kept = list(captured(traffic))
    texts = {text.name: text for text in kept}
    since = now - settings.days * 86400
    parts: dict[str, list[Label]] = {LEARNT: [], DECIDES: []}
    for label in named(labels, kept):
        text = texts.get(label.id)
        recent = text is not None and text.time >= since
        name = DECIDES if recent and _decides(text, settings.kept) else LEARNT
        parts[name].append(label)
    notes, counts = [], {}
    # Not today's: the same labels are the same rows tomorrow.
    date = max(label.at for label in labels)[:10]
    out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        file = out / f"{name}.jsonl.gz"
        # What was decided anew, or is not recent any more, may stand on the other side.
        file.unlink(missing_ok=True)
        merged = merge(
            part,
            traffic,
            config,
            file,
            label=config.target,
            agreement=settings.agreement,
            today=date,
        )
        counts[name] = merged.rows
        for what, places in merged.texts.items():
            if places and what not in ("added", "unchanged"):
                notes.append(f"{name}: {len(places):,} {what}")
    _write_table(config, out, [name for name, count in counts.items() if count])
    sources = str((out / "sources.toml").resolve())
    data = dataclasses.replace(config.data, sources=sources)
    with_them = dataclasses.replace(config, data=data)
    return Divided(with_them, counts[LEARNT], counts[DECIDES], tuple(notes))


def _decides(text: Captured | None, share: float) -> bool:
    words = "" if text is None or text.text is None else text.text
    key = folded(Text(words).clean.text)
    drawn = hashlib.sha256(f"gate {key}".encode("utf-8", "replace")).digest()[:4]
    return int.from_bytes(drawn, "big") < share * 2**32


def _write_table(config: Config, out: Path, names: Sequence[str]) -> None:
    table = config.sources_file
    text = [
        # The hash is there so that this file is another one when that one is.
        f"# {table.name}, SHA-256 {digest(table)}, and labelled traffic.",
        f"include = {str(table)!r}",
    ]
    if config.task:
        text += ["[task]", f'allowed = ["{_LICENCE}"]']
        text += [
            _OF_TASK.format(
                kind="sources" if name == LEARNT else "tests",
                name=name,
                licence=_LICENCE,
                label=config.target,
            )
            for name in names
        ]
        write_atomically(out / "sources.toml", "\n".join(text).encode())
        return
    text.append(f'allowed = ["{_LICENCE}"]')
    text += [
        _ENTRY.format(
            name=name, licence=_LICENCE, use="train" if name == LEARNT else "tested"
        )
        for name in names
    ]
    write_atomically(out / "sources.toml", "\n".join(text).encode())
