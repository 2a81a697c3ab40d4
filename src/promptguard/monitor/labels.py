"""What people said of texts: a file of labels, and the texts that they belong to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import ConfigError
from ..traffic.times import moment
from .samples import Sample

__all__ = ["Labelled", "Labels"]

Labelled = Mapping[str, tuple[NDArray[np.intp], NDArray[np.bool_]]]
"""Of each label: the labelled texts of a sample, and whether they have it."""

_NEEDED = ("id", "label", "value")
_TWICE = -1


@dataclass(frozen=True)
class Labels:
    """Labels of texts, one verdict for each text and label.

    Args:
        source: Where they are from, in words.
        values: By id and label, whether the text has it.
        disputed: How many of them annotators do not agree on; these are left out.
    """

    source: str
    values: Mapping[str, Mapping[str, bool]]
    disputed: int = 0

    @classmethod
    def load(cls, path: str) -> Labels:
        """Read a file of JSON lines: id, label, value, and annotator and at.

        The id is the key (or the id) of a request, a dash and the position of the text,
        as tasks for Label Studio have it; where a request has one text, its key or id
        is enough. Of what an annotator said twice of a text the later counts; of what
        several said, the majority.

        Raises:
            ConfigError: It cannot be read, or a line is no label.
        """
        said: dict[tuple[str, str], dict[str, tuple[float, bool]]] = {}
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: this is no file in UTF-8") from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            key, label, value, annotator, at = _read(line, where)
            by = said.setdefault((key, label), {})
            if annotator not in by or by[annotator][0] <= at:
                by[annotator] = at, value
        values: dict[str, dict[str, bool]] = {}
        disputed = 0
        for (key, label), by in said.items():
            counts = Counter(value for _, value in by.values())
            if counts[True] == counts[False]:
                disputed += 1
                continue
            values.setdefault(key, {})[label] = counts[True] > counts[False]
        if not said:
            raise ConfigError(f"{path}: there are no labels in this file")
        return cls(path, values, disputed)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted({name for of in self.values.values() for name in of}))

    def of(self, sample: Sample) -> Labelled:
        """The labels of the texts of a sample."""
        found: dict[str, dict[int, bool]] = {}
        for row, values in self._rows(sample).items():
            for label, value in values.items():
                found.setdefault(label, {})[row] = value
        return {
            label: (
                np.array(sorted(rows), np.intp),
                np.array([rows[n] for n in sorted(rows)], bool),
            )
            for label, rows in sorted(found.items())
        }

    def matched(self, sample: Sample) -> int:
        """How many of the labelled texts are in a sample."""
        return len(self._rows(sample))

    def _rows(self, sample: Sample) -> dict[int, dict[str, bool]]:
        places: dict[str, int] = {}
        for row, (key, request, position) in enumerate(sample.ids):
            names = {key, request, f"{key}-{position}", f"{request}-{position}"}
            for name in names:
                places[name] = _TWICE if name in places else row
        rows: dict[int, dict[str, bool]] = {}
        for name, values in self.values.items():
            row = places.get(name, _TWICE)
            if row != _TWICE:
                rows.setdefault(row, {}).update(values)
        return rows


def _read(line: str, where: str) -> tuple[str, str, bool, str, float]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: this is no JSON object; labels are one a line")
    missing = [name for name in _NEEDED if row.get(name) in (None, "")]
    if missing:
        raise ConfigError(
            f"{where}: {missing[0]!r} is missing; a label is "
            '{"id": ..., "label": "injection", "value": 0 or 1, "annotator": ..., '
            '"at": ...}'
        )
    if row["value"] not in (0, 1, True, False):
        raise ConfigError(f"{where}: 'value' must be 0 or 1")
    at = 0.0
    if row.get("at") is not None:
        at = moment(str(row["at"]), f"{where}: 'at'")
    annotator = str(row.get("annotator") or "")
    return str(row["id"]), str(row["label"]), bool(row["value"]), annotator, at
