"""How much each row counts, so that no source and no class drowns the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import median

from .rows import INJECTION, Row

__all__ = ["weights"]

_LEAST, _MOST = 1 / 3, 3.0
# Of a label's rows of one class against the other: a hundred threats among ten thousand
# comments must not count a hundred times each.
_RAREST = 8.0


def weights(
    rows: Sequence[Row],
    balance: float,
    heads: Mapping[str, Sequence[str]] | None = None,
    shares: Mapping[str, float] | None = None,
) -> list[dict[str, float]]:
    """A weight for each row and label; those that a row does not know are absent.

    A source's rows of one class weigh (their number / the median number) to the power
    of minus ``balance``, within a third and three times the median's; both classes of
    a label weigh the same, unless one would have to count more than eight times. Over
    all rows, the mean of a head's weights is its share, of which each label has what
    goes with the root of its rarer class.

    Args:
        heads: The labels of each head; injection alone by default.
        shares: How much a head counts; 1 where nothing is said.
    """
    found: list[dict[str, float]] = [{} for _ in rows]
    for head, labels in (heads or {INJECTION: (INJECTION,)}).items():
        counts = {label: _rarer(rows, label) for label in labels}
        whole = sum(map(sqrt, counts.values())) or 1.0
        for label, count in counts.items():
            part = sqrt(count) / whole * (shares or {}).get(head, 1.0)
            for place, weight in _of_label(rows, label, balance).items():
                found[place][label] = weight * part
    return found


def _of_label(rows: Sequence[Row], label: str, balance: float) -> dict[int, float]:
    """Weights of the rows that know a label, by place; they sum to all rows."""
    kinds = {
        # Pieces of one source, planted in or cut out, belong to what was done to them.
        place: (row.source.partition(":")[0], bool(row.labels[label]))
        for place, row in enumerate(rows)
        if label in row.labels
    }
    if not kinds:
        return {}
    counts = Counter(kinds.values())
    middle = median(counts.values())
    by_kind = {
        kind: min(_MOST, max(_LEAST, (count / middle) ** -balance))
        for kind, count in counts.items()
    }
    totals = Counter[bool]()
    for kind, count in counts.items():
        totals[kind[1]] += by_kind[kind] * count
    most = max(totals.values())
    factors = {sign: min(_RAREST, most / total) for sign, total in totals.items()}
    whole = sum(factors[sign] * total for sign, total in totals.items())
    return {
        place: by_kind[kind] * factors[kind[1]] * len(rows) / whole
        for place, kind in kinds.items()
    }


def _rarer(rows: Sequence[Row], label: str) -> int:
    counts = Counter(row.labels[label] for row in rows if label in row.labels)
    # With one class alone there is nothing to tell apart, but to keep it low or high.
    return min(counts.values()) if len(counts) > 1 else min(1, len(rows))
