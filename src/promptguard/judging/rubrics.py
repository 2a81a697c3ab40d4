"""Rubrics: what a judge grades a text by."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ..errors import ConfigError, unknown

__all__ = ["GRADES", "Rubric", "ready", "rubrics"]

GRADES = (1, 2, 3, 4, 5)
"""Single digits: one token each, so that their log-probabilities can be read."""

NEEDS = ("question", "context", "topics", "reference", "other")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Rubric:
    """What a judge grades a text by, from 1 to 5.

    Args:
        question: A sentence that says what is graded. It is trusted: never make it of
            a text that somebody else wrote.
        name: The key in the judge's reply: lower-case letters, digits, underscores.
        kind: ``quality``: a high grade is good, and a low one is found. ``risk``: a
            high grade is what is found.
        low: What a 1 is.
        high: What a 5 is.
        needs: What the text is graded against: ``question``, ``context``, ``topics``,
            ``reference``, ``other``.
        label: The label of a finding; the name by default.
        threshold: Risk from which a text is found, 0 to 1; by default the judge's.

    Raises:
        ConfigError: An argument is of the wrong type or out of range.
    """

    question: str
    _: KW_ONLY
    name: str = "rubric"
    kind: Literal["risk", "quality"] = "quality"
    low: str = "The text plainly breaks this."
    high: str = "The text plainly keeps to this."
    needs: tuple[str, ...] = ()
    label: str = ""
    threshold: float | None = None

    def __post_init__(self) -> None:
        for field in ("question", "low", "high"):
            value: object = getattr(self, field)
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"{field} of a rubric must be a sentence")
        for field in ("name", "label"):
            value = getattr(self, field)
            if value == "" and field == "label":
                object.__setattr__(self, "label", self.name)
            elif not isinstance(value, str) or not _NAME.fullmatch(value):
                raise ConfigError(
                    f"{field} of a rubric must be of lower-case letters, digits and "
                    "underscores, such as names_competitors"
                )
        if self.kind not in ("risk", "quality"):
            raise unknown("kind of rubric", self.kind, ("risk", "quality"))
        needs: object = self.needs
        if isinstance(needs, str) or not isinstance(needs, Iterable):
            raise ConfigError('needs must be several: needs=("question",)')
        object.__setattr__(self, "needs", tuple(needs))
        for need in self.needs:
            if need not in NEEDS:
                raise unknown("need of a rubric", need, NEEDS)
        if self.threshold is not None:
            check_share("threshold of a rubric", self.threshold)

    def risk(self, share: float) -> float:
        """The risk that belongs to a grade, given as a share of the way to a 5."""
        return share if self.kind == "risk" else 1.0 - share


@cache
def ready() -> Mapping[str, Rubric]:
    """The ready rubrics by name."""
    path = Path(__file__).parents[1] / "data" / "rubrics.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return MappingProxyType(
        {name: Rubric(name=name, **row) for name, row in table.items()}
    )


def rubrics(given: object) -> tuple[Rubric, ...]:
    """Rubrics from names, sentences and Rubric objects, one or several.

    Raises:
        ConfigError: There is none, a name is unknown, or two have the same name.
    """
    several = (given,) if isinstance(given, str | Rubric) else given
    if not isinstance(several, Iterable) or isinstance(several, Mapping):
        raise ConfigError(
            "rubrics must be a name, a sentence, a Rubric, or several of them"
        )
    found: list[Rubric] = []
    for one in several:
        rubric = one if isinstance(one, Rubric) else _named(one, len(found))
        if any(rubric.name == other.name for other in found):
            raise ConfigError(
                f"two rubrics are named {rubric.name!r}; name them apart with "
                'Rubric("...", name="...")'
            )
        found.append(rubric)
    if not found:
        raise ConfigError("a judge needs at least one rubric")
    return tuple(found)


def check_share(what: str, value: object) -> None:
    """See that a value is a probability.

    Raises:
        ConfigError: It is not.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator] # a number
        raise ConfigError(f"{what} must be a number from 0 to 1")


def _named(given: object, place: int) -> Rubric:
    if not isinstance(given, str):
        raise ConfigError(
            f"a rubric is a name, a sentence or a Rubric, not a {type(given).__name__}"
        )
    name = given.strip().lower().replace("-", "_").replace(" ", "_")
    if not _NAME.fullmatch(name) or len(given.split()) > 2:
        return Rubric(given, name=f"rubric_{place + 1}" if place else "rubric")
    if name not in ready():
        raise unknown("rubric", given, ready())
    return ready()[name]
