"""Names of people, places and organisations, which a model tells and no pattern."""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import cache
from importlib.resources import files

from ...errors import ModelError
from ...queries import Classify, Name, Scores, classify
from ...text import Reading, Text

__all__ = ["NAMES", "check_names", "named"]

NAMES = ("LOCATION", "ORGANIZATION", "PERSON")


def check_names(wanted: tuple[str, ...], model: str | None) -> None:
    """See that the model that is shipped tells names, if it is to.

    Another model is read when it is loaded, by ``warmup`` or on first use.

    Raises:
        ModelError: It does not.
    """
    if wanted and model is None and not _shipped():
        raise _nameless(wanted)


@cache
def _shipped() -> bool:
    """True when the model that is shipped has a head for names, or cannot be asked.

    Its description is read, and nothing is loaded: what is wrong with that is told by
    whoever loads it.
    """
    try:
        path = files("promptguard").joinpath("models", "bundle.json")
        return "names" in json.loads(path.read_text("utf-8")).get("token_heads", ())
    except (OSError, ValueError, AttributeError):
        return True


def _nameless(wanted: tuple[str, ...]) -> ModelError:
    return ModelError(
        "the model tells no names: its bundle has no head for them; pass model= "
        f"with a bundle that has one, or leave {', '.join(wanted)} out of entities"
    )


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
        raise _nameless(wanted)
    if not scores.windows:
        return []
    least = {label: scores.threshold(label, text.role, fpr) for label in wanted}
    return [
        name
        for name in scores.names
        if name.label in least and name.score >= least[name.label]
    ]
