"""Labels of captured texts, and their file.

A line is ``{"id", "label", "value", "annotator", "at"}``, where ``id`` is that of the
request, as ``promptguard traffic export`` gives it. ``position`` says which of the
request's texts is meant; where it is not given, the first one that was checked.
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
        id: Of the request.
        label: What is asked, such as ``injection``.
        value: 1 for yes, 0 for no.
        annotator: Who says so.
        at: When, in ISO 8601.
        position: Of the text in its request.
    """

    id: str
    label: str
    value: int
    annotator: str
    at: str
    position: int = 0

    @property
    def text(self) -> tuple[str, int]:
        """Which text it is about."""
        return self.id, self.position


def read_labels(path: Path) -> list[Label]:
    """The labels of a file; of one annotator and text the last line counts.

    Raises:
        PipelineError: The file cannot be read, or a line is no label; the line is
            named, and nothing of the file is taken.
    """
    found: dict[tuple[Any, ...], Label] = {}
    for place, record in records(path):
        label = _label(place, record)
        found[*label.text, label.label, label.annotator] = label
    return list(found.values())


def _label(place: str, record: dict[str, Any]) -> Label:
    for name in ("id", "label", "annotator"):
        if not isinstance(record.get(name), str) or not record[name]:
            raise PipelineError(f"{place}: {name!r} has to be a text")
    value, position = record.get("value"), record.get("position", 0)
    if type(value) is not int or value not in (0, 1):
        raise PipelineError(f"{place}: 'value' has to be 0 or 1")
    if type(position) is not int or position < 0:
        raise PipelineError(f"{place}: 'position' has to be a whole number")
    at = record.get("at", "")
    if not isinstance(at, str):
        raise PipelineError(f"{place}: 'at' has to be a time, as a text")
    return Label(
        record["id"], record["label"], value, record["annotator"], at, position
    )


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write labels, whole or not at all, in the order of requests and annotators."""
    ordered = sorted(labels, key=lambda x: (x.id, x.position, x.label, x.annotator))
    lines = "".join(json.dumps(asdict(label)) + "\n" for label in ordered)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lines.encode())
