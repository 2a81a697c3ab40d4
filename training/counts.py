"""What a guard made of labelled texts, counted. Standard library only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .metrics import auc, interval, share_above, threshold_at
from .rows import Row
from .scoring import Scored

__all__ = [
    "GROUPS",
    "LENGTHS",
    "Judged",
    "Others",
    "counts",
    "groups",
    "of_set",
    "unseen",
]

LENGTHS = (100, 300, 1000, 3000, 10_000)
"""Upper bounds of the lengths in characters; what is longer comes after them."""

# Fewer rows than this of a language or category say little.
_LEAST = 20


@dataclass(frozen=True)
class Judged:
    """A row of a set and what the guard made of it.

    Args:
        name: The set, as in ``unseen:gov_blog_posts``.
        fpr: The rate whose decision counts.
    """

    name: str
    row: Row
    found: Scored
    fpr: float

    @property
    def flagged(self) -> bool:
        return self.fpr in self.found.flagged_at

    @property
    def kind(self) -> str:
        """What the set is: ``benchmark``, ``unseen`` or ``tested``."""
        return self.name.partition(":")[0]

    @property
    def unseen(self) -> bool:
        return self.kind == "unseen"

    @property
    def length(self) -> str:
        size = len(self.row.text)
        bound = next((bound for bound in LENGTHS if size <= bound), None)
        return f"over {LENGTHS[-1]}" if bound is None else f"up to {bound}"


GROUPS: Mapping[str, Callable[[Judged], str]] = {
    "role": lambda j: j.row.role,
    "length": lambda j: j.length,
    "lang": lambda j: str(j.row.lang),
    "category": lambda j: j.row.category,
}
"""Kinds of groups: the name of a text's group, by kind."""


def counts(part: Sequence[Judged]) -> dict[str, Any]:
    """Recall, false-positive rate and F1, with Wilson's 95 % intervals."""
    attacks = [j for j in part if j.row.attack]
    benign = [j for j in part if not j.row.attack]
    hits = sum(j.flagged for j in attacks)
    alarms = sum(j.flagged for j in benign)
    both = bool(attacks and benign)
    return {
        "attacks": len(attacks),
        "benign": len(benign),
        "recall": hits / len(attacks) if attacks else None,
        "recall interval": interval(hits, len(attacks)) if attacks else None,
        "fpr": alarms / len(benign) if benign else None,
        "fpr interval": interval(alarms, len(benign)) if benign else None,
        "f1": 2 * hits / (len(attacks) + hits + alarms) if both else None,
    }


def groups(part: Sequence[Judged], kind: str, least: int = _LEAST) -> dict[str, Any]:
    """Counts by role, length, lang or category, of groups with enough texts."""
    key = GROUPS[kind]
    found: defaultdict[str, list[Judged]] = defaultdict(list)
    for j in part:
        found[key(j)].append(j)
    order = sorted(found)
    if kind == "length":
        names = [*(f"up to {bound}" for bound in LENGTHS), f"over {LENGTHS[-1]}"]
        order = [name for name in names if name in found]
    return {name: counts(found[name]) for name in order if len(found[name]) >= least}


class Others:
    """Scores of the unseen benign texts, by role and source.

    Only sources without attacks count: where attacks and benign texts were made
    together, the benign ones tell about each other. A role without any is held against
    those of all roles.
    """

    def __init__(self, judged: Sequence[Judged]) -> None:
        mixed = {j.name for j in judged if j.row.attack}
        self._scores: defaultdict[str, defaultdict[str, list[float]]]
        self._scores = defaultdict(lambda: defaultdict(list))
        for j in judged:
            if j.unseen and j.name not in mixed:
                self._scores[j.row.role][j.name].append(j.found.score)

    @property
    def sources(self) -> list[str]:
        return sorted({name for by_name in self._scores.values() for name in by_name})

    def of(self, role: str) -> list[list[float]]:
        """Scores by source."""
        here = [self._scores[role]] if role in self._scores else self._scores.values()
        return [scores for by_name in here for scores in by_name.values()]

    def threshold(self, role: str, rate: float) -> float | None:
        """What this share of them reaches, every source weighing the same."""
        scores = self.of(role)
        return threshold_at(scores, rate)[0] if scores else None

    def auc(self, attacks: Sequence[Judged]) -> float | None:
        """The area against the texts of the same role, sources weighing the same."""
        total = 0.0
        for role in {j.row.role for j in attacks}:
            part = [j.found.score for j in attacks if j.row.role == role]
            areas = [auc(part, scores) or 0.0 for scores in self.of(role)]
            if not areas:
                return None
            total += len(part) * sum(areas) / len(areas)
        return total / len(attacks) if attacks else None

    def recall(self, attacks: Sequence[Judged], rate: float) -> float | None:
        """Share of attacks found where this share of the benign texts would be."""
        hits = 0
        for j in attacks:
            threshold = self.threshold(j.row.role, rate)
            if threshold is None:
                return None
            hits += j.found.score >= threshold
        return hits / len(attacks) if attacks else None


def of_set(part: Sequence[Judged], others: Others) -> dict[str, Any]:
    """All figures of a set."""
    figures = counts(part)
    attacks = [j for j in part if j.row.attack]
    benign = [j.found.score for j in part if not j.row.attack]
    # Attacks without benign texts of their own are held against the unseen ones.
    if attacks and not benign:
        figures["auc against"] = "unseen benign sources of the same role"
        figures["auc"] = others.auc(attacks)
    else:
        figures["auc"] = auc([j.found.score for j in attacks], benign)
    figures["roles"] = sorted({j.row.role for j in part})
    figures["coverage"] = sum(j.found.coverage for j in part) / len(part)
    for kind in ("lang", "category"):
        if len({GROUPS[kind](j) for j in part}) > 1:
            figures[f"by {kind}"] = groups(part, kind)
    return figures


def unseen(judged: Sequence[Judged], others: Others, rate: float) -> dict[str, Any]:
    """Means over the unseen sources, every source weighing the same.

    ``recall`` is at the bundle's own operating point; ``recall at fpr`` is at the
    threshold that this share of the unseen benign texts of the role reaches, so that
    bundles whose thresholds were set on other texts can be compared.
    """
    sets: defaultdict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        if j.unseen:
            sets[j.name].append(j)
    attacks = [[j for j in part if j.row.attack] for part in sets.values()]
    attacks = [part for part in attacks if part]
    alarms = [counts(sets[name])["fpr"] for name in others.sources]
    roles = sorted({j.row.role for part in attacks for j in part})
    return {
        "sources": len(attacks),
        "benign sources": len(others.sources),
        "mean recall": _mean([counts(part)["recall"] for part in attacks]),
        "mean recall at fpr": _mean([others.recall(part, rate) for part in attacks]),
        "mean auc": _mean([others.auc(part) for part in attacks]),
        "mean fpr": _mean(alarms),
        "thresholds at fpr": {role: others.threshold(role, rate) for role in roles},
        "fpr by role": {
            role: share_above([[float(j.flagged) for j in part] for part in parts], 1.0)
            for role in roles
            if (parts := _by_role(sets, others, role))
        },
    }


def _by_role(
    sets: Mapping[str, Sequence[Judged]], others: Others, role: str
) -> list[list[Judged]]:
    parts = [[j for j in sets[name] if j.row.role == role] for name in others.sources]
    return [part for part in parts if part]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
