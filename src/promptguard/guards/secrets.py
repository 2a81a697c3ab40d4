"""Secrets: keys, tokens, passwords and private keys, before they go anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError, unknown
from ..guard import Guard, Inspection
from ..text import Reading, Text
from ..verdict import Action, Finding
from ._secrets_scan import GENERIC, REACH, placed, scan
from ._secrets_table import names, table
from ._secrets_tail import undecided

__all__ = ["Secrets"]


@dataclass(frozen=True, kw_only=True)
class Secrets(Guard):
    """Keys, tokens, passwords, private keys and credentials in URLs.

    Each finding spans the secret alone, without the name it is assigned to, and is
    labelled with its kind, such as ``aws-access-key-id``. The score says how it was
    known: 0.99 by a checksum or its structure, 0.95 by its shape, 0.85 by a shape that
    follows its provider's name, 0.5 to 0.8 by the name it is assigned to and by looking
    random (``generic-secret``, ``generic-password``).

    Args:
        patterns: The kinds to look for, as named in the documentation; all of them
            by default.
        entropy: Also look for values of unknown kind, by name and randomness.
        allow: Values that are no secrets, such as keys of a public test account. One
            that ends with ``*`` allows all that begin alike.

    Raises:
        ConfigError: A pattern has an unknown name, or an argument is of the wrong type.
    """

    patterns: tuple[str, ...] | None = None
    entropy: bool = True
    allow: tuple[str, ...] = ()
    action: Action = Action.REDACT

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patterns is not None:
            chosen = _strings("patterns", self.patterns)
            object.__setattr__(self, "patterns", chosen)
            for name in chosen:
                if name not in names():
                    raise unknown("pattern", name, names())
        if not isinstance(self.entropy, bool):
            raise ConfigError("entropy must be True or False")
        allow = _strings("allow", self.allow)
        object.__setattr__(self, "allow", allow)
        if any(value in ("", "*") for value in allow):
            raise ConfigError("allow must not allow everything: give values")

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(names()) | GENERIC

    @property
    def reach(self) -> int:
        return REACH

    def undecided(self, text: str) -> int:
        return undecided(text, REACH)

    def inspect(self, text: Text) -> Inspection:
        """Find secrets in every reading of the text."""
        for reading in text.readings:
            for finding in self._findings(reading, reading.position(text.start)):
                if not placed(text.original, finding.start, finding.end):
                    yield finding

    def _findings(self, reading: Reading, start: int) -> Iterable[Finding]:
        clean = reading.text
        for secret in scan(clean, start, table(self.patterns), self.entropy):
            if not self._allows(clean[secret.start : secret.end]):
                span = reading.span(secret.start, secret.end)
                yield Finding(secret.label, secret.score, *span)

    def _allows(self, value: str) -> bool:
        return any(
            value.startswith(known[:-1]) if known.endswith("*") else value == known
            for known in self.allow
        )


def _strings(name: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f'{name} must be several: {name}=("one", "two")')
    values = tuple(given)
    for value in values:
        if not isinstance(value, str):
            raise ConfigError(f"{name} holds a {type(value).__name__}, not a str")
    return values
