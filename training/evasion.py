"""How much a disguise hides from the guard, and what it makes of honest texts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from promptguard.measure.figures import share

from .config import Config
from .errors import PipelineError
from .rows import Row
from .scoring import score_all

__all__ = ["Disguise", "known", "measure", "sample"]

LONGEST = 1000
"""Texts with more characters are not drawn, so that all disguises take minutes."""


class Disguise(Protocol):
    """A way to write a text that people still read and filters may not."""

    @property
    def name(self) -> str: ...

    @property
    def tier(self) -> str: ...

    def apply(self, text: str, rng: random.Random) -> str:
        """The text in disguise."""

    def applies(self, text: str) -> bool:
        """Whether this text can be disguised so."""


def known() -> tuple[Disguise, ...]:
    """The disguises of this repository."""
    try:
        from .disguises import DISGUISES
    except ModuleNotFoundError:
        return ()
    return tuple(DISGUISES)


def measure(
    config: Config,
    sets: Mapping[str, Sequence[Row]],
    model: str | None,
    disguises: Sequence[Disguise] | None = None,
) -> dict[str, Any]:
    """Recall under each disguise over plain recall on the same texts.

    The retention of a disguise is that ratio, None where nothing was found plain. The
    retention of a tier is the mean over its disguises.

    Args:
        sets: Rows by source; attacks and benign texts are drawn evenly from them.
        disguises: By default all of this repository.
    """
    if disguises is None:
        disguises = known()
    rng = random.Random(f"{config.seed}:evasion")
    drawn = [
        row
        for attack in (True, False)
        for row in sample(sets, attack, config.evaluate.disguised, rng)
    ]
    tries = [
        (disguise, place)
        for disguise in disguises
        for place, row in enumerate(drawn)
        if disguise.applies(row.text)
    ]
    rows = [
        _disguised(drawn[place], disguise, config.seed) for disguise, place in tries
    ]
    # In one go, so that all cores have work to the end.
    flagged = _flagged([*drawn, *rows], config, model)
    plain, after = flagged[: len(drawn)], flagged[len(drawn) :]
    pairs: defaultdict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for (disguise, place), now in zip(tries, after, strict=True):
        pairs[disguise.name].append((drawn[place].attack, plain[place], now))
    found = {
        disguise.name: {"tier": str(disguise.tier), **_figures(pairs[disguise.name])}
        for disguise in disguises
    }
    if not found:
        return {}
    return {
        "attacks": sum(row.attack for row in drawn),
        "benign": sum(not row.attack for row in drawn),
        "disguises": found,
        "tiers": {
            tier: _means(row for row in found.values() if row["tier"] == tier)
            for tier in sorted({row["tier"] for row in found.values()})
        },
        "mean": _means(found.values()),
    }


def sample(
    sets: Mapping[str, Sequence[Row]], attack: bool, count: int, rng: random.Random
) -> list[Row]:
    """English texts, the same number of each source as far as there are any."""
    parts: defaultdict[str, list[Row]] = defaultdict(list)
    for name, rows in sorted(sets.items()):
        for row in rows:
            fits = row.lang == "en" and len(row.text) <= LONGEST
            if fits and row.attack == attack:
                parts[name].append(row)
    for part in parts.values():
        rng.shuffle(part)
    drawn: list[Row] = []
    while len(drawn) < count and any(parts.values()):
        drawn += [part.pop() for part in parts.values() if part]
    return drawn[:count]


def _disguised(row: Row, disguise: Disguise, seed: int) -> Row:
    # Each text has numbers of its own, so that one more or less changes no other.
    text = disguise.apply(row.text, random.Random(f"{seed}:{disguise.name}:{row.text}"))
    if not isinstance(text, str):
        raise PipelineError(f"the disguise {disguise.name!r} made no text")
    return Row(text, row.role, row.labels, row.source, row.category, row.lang)


def _flagged(rows: Sequence[Row], config: Config, model: str | None) -> list[bool]:
    fpr = config.evaluate.fpr
    found = score_all(rows, "evasion", model=model, rates=(fpr,))
    return [fpr in one.flagged_at for one in found]


def _figures(pairs: Sequence[tuple[bool, bool, bool]]) -> dict[str, Any]:
    attacks = [(before, after) for attack, before, after in pairs if attack]
    benign = [(before, after) for attack, before, after in pairs if not attack]
    recall, disguised = _shares(attacks)
    alarms, raised = _shares(benign)
    return {
        "attacks": len(attacks),
        "recall plain": recall,
        "recall": disguised,
        "retention": disguised / recall if recall and disguised is not None else None,
        "benign": len(benign),
        "fpr plain": alarms,
        "fpr": raised,
        "fpr increase": None if raised is None or alarms is None else raised - alarms,
    }


def _shares(pairs: Sequence[tuple[bool, bool]]) -> tuple[float | None, float | None]:
    """Shares that were flagged before and after."""
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    return share(sum(before), len(pairs)), share(sum(after), len(pairs))


def _means(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    parts = list(rows)
    means: dict[str, Any] = {"disguises": len(parts)}
    for key in ("retention", "fpr increase"):
        values = [part[key] for part in parts if part[key] is not None]
        means[key] = sum(values) / len(values) if values else None
    return means
