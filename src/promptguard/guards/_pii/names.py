"""Names of people, places and organisations, which a model tells and no pattern."""

from __future__ import annotations

from collections.abc import Generator

from ...errors import ModelError
from ...queries import Classify, Name, Scores, classify
from ...text import Reading, Text

__all__ = ["NAMES", "named"]

NAMES = ("LOCATION", "ORGANIZATION", "PERSON")


def named(
    reading: Reading,
    text: Text,
    wanted: tuple[str, ...],
    fpr: float,
    model: str | None,
    revision: str | None,
) -> Generator[Classify, Scores, list[Name]]:
    """The names in a reading that are likely enough.

    Raises:
        ModelError: The model tells no names.
        ConfigError: It does not tell one of those, or the rate was not measured.
    """
    scores = yield from classify(model, reading.text, text.role, revision, names=True)
    if scores.names is None:
        raise ModelError(
            "the model tells no names: its bundle has no head for them; pass model= "
            f"with a bundle that has one, or leave {', '.join(wanted)} out of entities"
        )
    if not scores.windows:
        return []
    least = {label: scores.threshold(label, text.role, fpr) for label in wanted}
    return [
        name
        for name in scores.names
        if name.label in least and name.score >= least[name.label]
    ]
