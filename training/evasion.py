"""How much a disguise hides from the guard, and what it makes of honest texts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from promptguard.measure.figures import share

from .config import Config
from .disguises import DISGUISES, FORGING, Disguise
from .rows import Row
from .scoring import score_all

__all__ = ["measure", "sample"]

LONGEST = 1000
"""Texts with more characters are not drawn, so that all disguises take minutes."""

POOL = 60
"""Attacks, and benign texts, that are drawn; each disguise is tried on some of them."""


def measure(
    config: Config,
    sets: Mapping[str, Sequence[Row]],
    model: str | None,
    disguises: Sequence[Disguise] = DISGUISES,
) -> dict[str, Any]:
    """Recall under each disguise over plain recall on the same texts.

    The retention of a disguise is that ratio, None where nothing was found plain. That
    of a tier is over all tries of its disguises. A disguise that forges the voice
    of a system or an assistant is tried on attacks alone, because it is one itself.

    Args:
        sets: Rows by source; attacks and benign texts are drawn evenly from them.
        disguises: By default all of this repository.
    """
    rng = random.Random(f"{config.seed}:evasion")
    drawn = [row for attack in (True, False) for row in sample(sets, attack, POOL, rng)]
    tries = [
        (disguise, place)
        for disguise in disguises
        for attack in ((True,) if disguise.name in FORGING else (True, False))
        for place in _places(drawn, disguise, attack, config)
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
    tiers: defaultdict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for disguise in disguises:
        tiers[disguise.tier] += pairs[disguise.name]
    return {
        "attacks": sum(row.attack for row in drawn),
        "benign": sum(not row.attack for row in drawn),
        "disguises": {
            disguise.name: {"tier": disguise.tier, **_figures(pairs[disguise.name])}
            for disguise in disguises
        },
        "tiers": {
            tier: {
                "disguises": sum(disguise.tier == tier for disguise in disguises),
                **_figures(tiers[tier]),
            }
            for tier in sorted(tiers)
        },
        "all": _figures([pair for part in pairs.values() for pair in part]),
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


def _places(
    drawn: Sequence[Row], disguise: Disguise, attack: bool, config: Config
) -> list[int]:
    """Which texts a disguise is tried on: others for each, so that none stands out."""
    fitting = [
        place
        for place, row in enumerate(drawn)
        if row.attack == attack and disguise.applies(row.text)
    ]
    rng = random.Random(f"{config.seed}:{disguise.name}")
    return rng.sample(fitting, min(len(fitting), config.evaluate.disguised))


def _disguised(row: Row, disguise: Disguise, seed: int) -> Row:
    # Each text has numbers of its own, so that one more or less changes no other.
    text = disguise.apply(row.text, random.Random(f"{seed}:{disguise.name}:{row.text}"))
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
