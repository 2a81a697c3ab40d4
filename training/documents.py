"""Long documents: benign ones that are flagged, and attacks that hide in them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptguard.measure.figures import share, wilson
from promptguard.runtime.bundle import Bundle
from promptguard.runtime.encode import Encoder

from .config import Config
from .disguises import embedded
from .evasion import sample
from .rows import Row
from .scoring import score_all

__all__ = ["PLACES", "measure"]

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where in them: the share of the document that stands before the attack."""

_DOCUMENTS = 100
# The longer the document, the fewer: about as many windows of each length.
_ATTACKS, _WINDOWS = 40, 1_600
_SHORTEST = 200


def measure(
    config: Config, sets: Mapping[str, Sequence[Row]], model: str | None
) -> dict[str, Any]:
    """Flagged long benign documents, and recall of attacks by length and place.

    Documents are made of whole texts of unseen benign sources that stand in content,
    each of one source, drawn by the seed. ``retention`` is recall in the document over
    recall of the same attacks alone, as content too.

    Args:
        sets: Rows by source; those with attacks alone give no documents.
    """
    rng = random.Random(f"{config.seed}:documents")
    bundle = Bundle.load(model)
    count = _Counter(Encoder(bundle.tokenizer, bundle.window, bundle.overlap))
    prose = {
        name: texts
        for name, rows in sets.items()
        if (texts := [r for r in rows if _prose(r)])
    }
    attacks = sample(sets, True, _ATTACKS, rng)
    if not prose or not attacks:
        return {}
    long = [
        replace(rng.choice(texts), text=count.joined(texts, config.evaluate.long, rng))
        for name, texts in prose.items()
        for _ in range(_DOCUMENTS // len(prose))
    ]
    fpr = config.evaluate.fpr
    flagged = [
        fpr in found.flagged_at
        for found in score_all(long, "documents", model=model, rates=(fpr,))
    ]
    alone = [replace(row, role="tool") for row in attacks]
    plain = score_all(alone, "alone", model=model, rates=(fpr,))
    found = [fpr in one.flagged_at for one in plain]
    hidden = {}
    for length in config.evaluate.lengths:
        windows = max(1, length // bundle.window)
        some = range(min(_ATTACKS, len(alone), max(8, _WINDOWS // windows)))
        texts = [
            replace(
                alone[number],
                text=embedded(
                    alone[number].text,
                    count.joined(rng.choice(list(prose.values())), length, rng),
                    place,
                    rng,
                ),
            )
            for place in PLACES
            for number in some
        ]
        scored = score_all(texts, f"{length} tokens", model=model, rates=(fpr,))
        hits = [fpr in one.flagged_at for one in scored]
        hidden[str(length)] = _hidden(hits, [found[number] for number in some])
    return {
        "benign": {
            "tokens": config.evaluate.long,
            "documents": len(long),
            "sources": sorted(prose),
            "fpr": share(sum(flagged), len(flagged)),
            "fpr interval": wilson(sum(flagged), len(flagged)),
        },
        "attacks": hidden,
    }


def _hidden(hits: Sequence[bool], plain: Sequence[bool]) -> dict[str, Any]:
    size = len(plain)
    recall = {
        f"{place:g}": sum(hits[number * size : (number + 1) * size]) / size
        for number, place in enumerate(PLACES)
    }
    both = sum(plain) * len(PLACES)
    return {
        "attacks": size,
        "recall plain": sum(plain) / size,
        "recall": sum(hits) / len(hits),
        "retention": sum(hits) / both if both else None,
        "by place": recall,
    }


def _prose(row: Row) -> bool:
    return row.benign and row.role == "tool" and len(row.text) > _SHORTEST


class _Counter:
    """Joins texts up to a number of tokens."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def joined(self, rows: Sequence[Row], tokens: int, rng: random.Random) -> str:
        parts, left = [], tokens
        while left > 0:
            text = rng.choice(rows).text
            spans = self._encoder.tokens(text)[1]
            if len(spans) > left:
                text = text[: spans[left - 1][1]]
            parts.append(text)
            left -= max(1, len(spans))
        return "\n\n".join(parts)
