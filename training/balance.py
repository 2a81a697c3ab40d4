"""How much each row counts, so that no source and no class drowns the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from .rows import Row

__all__ = ["weights"]

_LEAST, _MOST = 1 / 3, 3.0


def weights(rows: Sequence[Row], balance: float) -> list[float]:
    """A weight for each row; their mean is 1, and attacks weigh as much as the rest.

    A source's rows of one class weigh (their number / the median number) to the power
    of minus ``balance``, within a third and three times the median's.
    """
    if not rows:
        return []
    counts = Counter(_kind(row) for row in rows)
    middle = median(counts.values())
    by_kind = {
        kind: min(_MOST, max(_LEAST, (count / middle) ** -balance))
        for kind, count in counts.items()
    }
    totals = Counter[bool]()
    for kind, count in counts.items():
        totals[kind[1]] += by_kind[kind] * count
    share = len(rows) / len(totals)
    return [by_kind[kind] * share / totals[kind[1]] for kind in map(_kind, rows)]


def _kind(row: Row) -> tuple[str, bool]:
    # Pieces of one source, planted in or cut out, belong to what was done to them.
    return row.source.partition(":")[0], row.attack
