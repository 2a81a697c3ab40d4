"""Disguises on top of one another, as filters are evaded in practice."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from .disguise import Apply, Disguise

__all__ = ["chains"]

# The first disguise of a chain is the innermost.
_CHAINS = (
    ("A", "random-case", "cyrillic-homoglyphs", "zero-width-at-random"),
    ("A", "punctuated-letters", "fullwidth"),
    ("A", "combining-marks", "mathematical-bold"),
    ("B", "base64", "fullwidth"),
    ("B", "html-entities", "hidden-html"),
    ("B", "base64-with-request", "json-tool-result"),
    ("B", "reversed-text", "base64"),
    ("B", "unicode-tags", "mail-footer"),
)


def chains(disguises: Iterable[Disguise]) -> tuple[Disguise, ...]:
    """The chains of some disguises; each applies where its innermost one does."""
    known = {disguise.name: disguise for disguise in disguises}
    return tuple(_chain(tier, names, known) for tier, *names in _CHAINS)


def _chain(tier: str, names: list[str], known: Mapping[str, Disguise]) -> Disguise:
    steps = [known[name] for name in names]
    name = "-then-".join(names)
    return Disguise(name, tier, _applied([s.apply for s in steps]), steps[0].applies)


def _applied(steps: list[Apply]) -> Apply:
    def apply(text: str, rng: random.Random) -> str:
        for step in steps:
            text = step(text, rng)
        return text

    return apply
