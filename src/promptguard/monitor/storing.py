"""What a profile's file holds, each value seen to be what it must be."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from .features import SIZE
from .figures import Floats

__all__ = ["Halves", "bins", "count", "number", "packed", "unpacked"]

# By half of the requests: the sum of their buckets, and how many they are.
Halves = tuple[tuple[Floats, float], tuple[Floats, float]]


def count(value: Any, least: int = 0) -> int:
    """A whole number that is not below the least one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError
    return value


def number(value: Any) -> float | None:
    """A number, or None."""
    if value is None:
        return None
    if not math.isfinite(value):
        raise ValueError
    return float(value)


def bins(values: Any, count: int) -> Floats:
    """So many shares or counts, none of them below 0."""
    made = np.array(values, float)
    # Sums of buckets, too, are of what was seen or not.
    if made.shape != (count,) or not np.isfinite(made).all() or (made < 0).any():
        raise ValueError
    return made


def packed(made: Halves) -> list[dict[str, Any]]:
    """Halves as the file holds them, in base64."""
    return [
        {
            "requests": count,
            "sums": base64.b64encode(
                zlib.compress(sums.astype("<f4").tobytes(), 6)
            ).decode(),
        }
        for sums, count in made
    ]


def unpacked(rows: Any) -> Halves:
    """The halves that were packed."""
    made = []
    for row in rows:
        data = zlib.decompress(base64.b64decode(row["sums"]))
        sums = np.frombuffer(data, "<f4").astype(float)
        requests = number(row["requests"])
        if requests is None or requests < 0:
            raise ValueError
        made.append((bins(sums, SIZE), requests))
    one, other = made
    return one, other
