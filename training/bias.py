"""How often texts of a language, a dialect or about a group are labelled attacks."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .metrics import interval
from .overlap import folded
from .rows import INJECTION, Row

__all__ = ["FACTOR", "TERMS", "Share", "by_language", "by_terms"]

TERMS = Path(__file__).parent / "terms.toml"

FACTOR = 3.0
"""A share of attacks this many times above or below the whole's is warned about."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many texts of a group are attacks, against all that it was taken from.

    Args:
        kind: ``language``, ``dialect``, or the kind of group, such as ``religion``.
        whole: Share of attacks among all texts that were looked at.
    """

    kind: str
    name: str
    attacks: int
    count: int
    whole: float

    @property
    def share(self) -> float:
        return self.attacks / self.count

    @property
    def lift(self) -> float:
        """The share, as a multiple of the whole's."""
        return self.share / self.whole if self.whole else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the share, 95 %."""
        return interval(self.attacks, self.count)

    @property
    def warned(self) -> bool:
        """True if the share is far from the whole's, and not by chance."""
        low, high = self.interval
        is_far = not 1 / FACTOR <= self.lift <= FACTOR
        return is_far and not low <= self.whole <= high

    def table(self) -> dict[str, object]:
        """For JSON."""
        low, high = self.interval
        return {
            "kind": self.kind,
            "name": self.name,
            "attacks": self.attacks,
            "texts": self.count,
            "share": round(self.share, 4),
            "interval": [round(low, 4), round(high, 4)],
            "lift": round(self.lift, 3),
            "warning": self.warned,
        }


def by_language(rows: Sequence[Row]) -> list[Share]:
    """A share for each language, those with most texts first."""
    rows = [row for row in rows if INJECTION in row.labels]
    groups = ((row.lang or "unknown", row.attack) for row in rows)
    return sorted(
        _shares("language", groups, _whole(rows)), key=lambda s: (-s.count, s.name)
    )


def by_terms(rows: Sequence[Row], terms: Path = TERMS) -> list[Share]:
    """A share for each dialect and group of people, by the words of the table.

    Only texts in English, or of unknown language, are looked at: the words are English.
    """
    table: Mapping[str, Mapping[str, Sequence[str]]] = tomllib.loads(
        terms.read_text("utf-8")
    )
    wanted = {
        (kind, name): [folded(word) for word in words]
        for kind, groups in table.items()
        for name, words in groups.items()
    }
    words = {w: key for key, all_ in wanted.items() for w in all_ if " " not in w}
    phrases = [
        (f" {w} ", key) for key, all_ in wanted.items() for w in all_ if " " in w
    ]
    rows = [row for row in rows if INJECTION in row.labels]
    english = [row for row in rows if row.lang in ("en", None)]
    found: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
    for row in english:
        text = folded(row.text)
        keys = {words[word] for word in words.keys() & set(text.split(" "))}
        keys |= {key for phrase, key in phrases if phrase in f" {text} "}
        for kind, name in keys:
            found[kind].append((name, row.attack))
    whole = _whole(english)
    return [
        share
        for kind, names in table.items()
        for share in _shares(kind, found[kind], whole, order=names)
    ]


def _whole(rows: Sequence[Row]) -> float:
    return sum(row.attack for row in rows) / len(rows) if rows else 0.0


def _shares(
    kind: str,
    groups: Iterable[tuple[str, bool]],
    whole: float,
    order: Iterable[str] | None = None,
) -> list[Share]:
    counts, attacks = Counter[str](), Counter[str]()
    for name, attack in groups:
        counts[name] += 1
        attacks[name] += attack
    return [
        Share(
            kind=kind,
            name=name.replace("_", " "),
            attacks=attacks[name],
            count=counts[name],
            whole=whole,
        )
        for name in (counts if order is None else order)
        if counts[name]
    ]
