"""What is odd about texts: counted by source, an error only where nothing is usable."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from .errors import PipelineError
from .overlap import folded
from .rows import Row

__all__ = ["LONGEST", "Validation", "contradicting", "oddities", "repeated"]

LONGEST = 20_000
"""Characters; a longer text is counted as over-long. Windows of it are trained on."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def oddities(text: str) -> tuple[str, ...]:
    """What is odd about a text as it was published."""
    found = {
        "empty": not text.strip(),
        "lone surrogate": bool(_SURROGATE.search(text)),
        "replacement character": "\ufffd" in text,
        # All but tab, line feed and carriage return.
        "control character": bool(_CONTROL.search(text)),
        "over-long": len(text) > LONGEST,
    }
    return tuple(name for name, is_so in found.items() if is_so)


class Validation:
    """Counts of oddities and labels, source by source."""

    def __init__(self) -> None:
        self._sources: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, row: Row, cleaned: str) -> None:
        """Look at a row as it was published, and at what is left of it when cleaned."""
        counts = self._sources[row.source]
        counts["attack" if row.positive else "benign"] += 1
        counts.update(oddities(row.text))
        if not cleaned and row.text.strip():
            counts["empty"] += 1

    def report(self) -> dict[str, dict[str, int]]:
        """What was counted, by source.

        Raises:
            PipelineError: All texts of a source are empty.
        """
        for name, counts in self._sources.items():
            total = counts["attack"] + counts["benign"]
            if counts["empty"] == total:
                raise PipelineError(
                    f"source {name!r}: all {total} texts are empty; look at its files, "
                    'or set use = "drop"'
                )
        return {name: dict(sorted(c.items())) for name, c in self._sources.items()}


def contradicting(rows: Sequence[Row]) -> set[int]:
    """Places of rows whose text has both values of a label in the same role.

    In another role it may have another label: an order in a document is an attack, and
    a user's own is not.
    """
    labels: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    keys = [(row.role, folded(row.text)) for row in rows]
    both = set[tuple[str, str]]()
    for key, row in zip(keys, rows, strict=True):
        for label, value in row.labels.items():
            if labels[key].setdefault(label, value) != value:
                both.add(key)
    return {place for place, key in enumerate(keys) if key in both}


def repeated(rows: Iterable[Row]) -> set[int]:
    """Places of rows that say nothing that earlier rows of the same role do not."""
    seen: defaultdict[tuple[str, str], set[tuple[str, int]]] = defaultdict(set)
    places: set[int] = set()
    for place, row in enumerate(rows):
        known = seen[row.role, folded(row.text)]
        if known.issuperset(row.labels.items()):
            places.add(place)
        known.update(row.labels.items())
    return places
