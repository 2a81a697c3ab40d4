"""Labels of captured texts, and their file.

A line is ``{"id", "label", "value", "annotator", "at"}``. The ``id`` is that of the
request, or its key, as ``promptguard traffic export`` gives them, a dash, and the
position of the text; of a request with one text the position may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from ..files import write_atomically
from ..records import records

__all__ = ["Label", "read_labels", "write_labels"]


@dataclass(frozen=True, slots=True)
class Label:
    """What one annotator says of one text.

    Args:
        id: Of the text.
        label: What is asked, such as ``injection``.
        value: 1 for yes, 0 for no.
        annotator: Who says so.
        at: When, in ISO 8601; empty where it is not known.
    """

    id: str
    label: str
    value: int
    annotator: str
    at: str


def read_labels(path: Path) -> list[Label]:
    """The labels of a file; of one annotator and text the last line counts.

    Raises:
        PipelineError: The file cannot be read, or a line is no label; the line is
            named, and nothing of the file is taken.
    """
    found: dict[tuple[Any, ...], Label] = {}
    for place, record in records(path):
        label = _label(place, record)
        found[label.id, label.label, label.annotator] = label
    return list(found.values())


def _label(place: str, record: dict[str, Any]) -> Label:
    for name in ("id", "label", "annotator"):
        if not isinstance(record.get(name), str) or not record[name]:
            raise PipelineError(f"{place}: {name!r} has to be a text")
    value, at = record.get("value"), record.get("at") or ""
    if type(value) is not int or value not in (0, 1):
        raise PipelineError(f"{place}: 'value' has to be 0 or 1")
    if not isinstance(at, str):
        raise PipelineError(f"{place}: 'at' has to be a time, as a text")
    return Label(record["id"], record["label"], value, record["annotator"], at)


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write labels, whole or not at all, in the order of texts and annotators."""
    ordered = sorted(labels, key=lambda x: (x.id, x.label, x.annotator))
    rows = ({k: v for k, v in asdict(x).items() if k != "at" or v} for x in ordered)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lines.encode())
