"""Which test sets and unseen sources a text has leaked from."""

from __future__ import annotations

from collections import Counter, defaultdict

from .overlap import runs, shingles

__all__ = ["Leakage"]

# Texts this long in three-word shingles that are half the same share a run of eight
# words as well: with a word changed in every eight, fewer than half stay.
_SHORT = 64


class Leakage:
    """Texts that must not be trained on, and the sets that they are of.

    Args:
        least: Jaccard index of three-word shingles from which two texts are the same.
    """

    def __init__(self, least: float = 0.5) -> None:
        self.least = least
        self._runs: defaultdict[str, set[int]] = defaultdict(set)
        self._any: set[int] = set()
        self._short: list[tuple[str, int]] = []
        self._places: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, name: str, text: str) -> None:
        """Keep a text away, as one of this set."""
        found = runs(text)
        self._runs[name] |= found
        self._any |= found
        parts = shingles(text).tolist()
        if len(parts) <= _SHORT:
            for part in parts:
                self._places[part].append(len(self._short))
            self._short.append((name, len(parts)))

    def of(self, text: str) -> set[str]:
        """The sets that have a text that shares eight words in a row with this one.

        Or that is nearly the same: short texts can differ in every run of eight words
        and still be one text.
        """
        found = runs(text)
        names = set[str]()
        if not self._any.isdisjoint(found):
            names |= {n for n, away in self._runs.items() if not away.isdisjoint(found)}
        return names | self._nearly(text)

    def _nearly(self, text: str) -> set[str]:
        parts = shingles(text).tolist()
        if len(parts) * self.least > _SHORT:
            return set()
        shared = Counter(
            place for part in parts for place in self._places.get(part, ())
        )
        names = set[str]()
        for place, count in shared.items():
            name, size = self._short[place]
            if count >= self.least * (len(parts) + size - count):
                names.add(name)
        return names
