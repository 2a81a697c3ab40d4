"""What the role is worth: the same words as a user's own and as a tool's content."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from .config import Config
from .metrics import auc
from .rows import Row
from .scoring import score_all

__all__ = ["BARE", "measure"]

BARE = "indirect_injection_bare"
"""The category of requests that are attacks only because of where they stand."""

_MOST = 200
_LEAST = 1e-6


def measure(
    config: Config, sets: Mapping[str, Sequence[Row]], model: str | None
) -> dict[str, Any]:
    """Score the texts of that category in both roles, and benign content beside them.

    ``as tool`` and ``as user`` are the shares that are flagged; as a user's own words
    such a text is a request like any other. ``higher`` is the share of the texts whose
    score is higher in a tool's content, ``median shift`` how much, in log-odds. ``auc``
    tells such texts from benign content of the same set with the role, ``auc blind``
    when all of it is read as a user's.

    Args:
        sets: Rows by name; those without such texts are left out.
    """
    found = {}
    for name, rows in sorted(sets.items()):
        rng = random.Random(f"{config.seed}:roles:{name}")
        bare = _drawn(rng, [row for row in rows if row.category == BARE])
        if bare:
            benign = [row for row in rows if row.benign and row.role == "tool"]
            found[name] = _set(config, bare, _drawn(rng, benign), model)
    return found


def _drawn(rng: random.Random, rows: Sequence[Row]) -> list[Row]:
    return rng.sample(rows, min(_MOST, len(rows)))


def _set(
    config: Config, bare: Sequence[Row], benign: Sequence[Row], model: str | None
) -> dict[str, Any]:
    fpr = config.evaluate.fpr
    both = [
        replace(r, role=role) for role in ("tool", "user") for r in (*bare, *benign)
    ]
    scored = score_all(both, "roles", model=model, rates=(fpr,))
    half = len(scored) // 2
    tool, user = scored[:half], scored[half:]
    count = len(bare)
    shifts = [
        _odds(a.score) - _odds(b.score)
        for a, b in zip(tool[:count], user[:count], strict=True)
    ]
    shares = {
        word: sum(fpr in s.flagged_at for s in part[:count]) / count
        for word, part in (("as tool", tool), ("as user", user))
    }
    areas = {
        word: auc([s.score for s in part[:count]], [s.score for s in part[count:]])
        for word, part in (("auc", tool), ("auc blind", user))
    }
    return {
        "texts": count,
        **shares,
        "higher": sum(shift > 0 for shift in shifts) / count,
        "median shift": median(shifts),
        "benign": len(benign),
        **areas,
    }


def _odds(score: float) -> float:
    score = min(1 - _LEAST, max(_LEAST, score))
    return math.log(score / (1 - score))
