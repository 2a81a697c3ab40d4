"""Thresholds of the token head, over the path of a user, on texts that are held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from promptguard import Classify
from promptguard.runtime.bundle import Bundle
from promptguard.runtime.infer import answer

from .scoring import pinned
from .tokenlabels import NAMES, UNSURE, read_marked

if TYPE_CHECKING:
    from .calibrate import Measured

__all__ = ["measured_names"]


def measured_names(bundle: Bundle, needed: Mapping[str, Path]) -> Iterator[Measured]:
    """Texts without a name of a label, and the score of the likeliest that is found.

    In both roles: what is a name is one wherever it stands.
    """
    from .calibrate import Measured

    labels = _labels(bundle)
    if not labels:
        return
    model = pinned(str(bundle.path))
    for row in tqdm(read_marked(needed["names"] / "heldout.jsonl.gz"), "names"):
        there = {label for _, _, label in row.marks}
        if UNSURE in there:
            continue
        for role in ("user", "tool"):
            found = answer(Classify(model, row.text, role, names=True))
            for label in labels:
                if label not in there:
                    scores = [n.score for n in found.names or () if n.label == label]
                    yield Measured(
                        source=row.source,
                        role=role,
                        windows=len(found.windows),
                        score=max(scores, default=0.0),
                        label=label,
                    )


def _labels(bundle: Bundle) -> Sequence[str]:
    tags = dict(bundle.token_heads).get(NAMES, ())
    return [tag[2:] for tag in tags if tag.startswith("B-")]
