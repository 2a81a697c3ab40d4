"""What is taken out of a text before it leaves for a judge."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from ..guard import Guard
from ..placeholders import Placeholders, redact
from ..verdict import Action, Finding

__all__ = ["Numbered", "default", "without"]


@cache
def default() -> Guard:
    """Personal data and secrets."""
    from ..guards.pii import PII
    from ..guards.secrets import Secrets

    return PII() | Secrets()


class Numbered:
    """An operator that puts the label and a number in place of a value.

    The same value has the same number in all texts of one question, so that an answer
    can be compared with its context. Unlike a placeholder it holds no nonce: it is
    never restored, and the same text is to be the same question again.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, label: str, value: str) -> str:
        kind = "".join(c if c.isalnum() else "_" for c in label.upper())
        number = self._numbers.get((kind, value))
        if number is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._numbers[kind, value] = number
        return f"[{kind}_{number}]"


def without(text: str, findings: list[Finding], numbered: Numbered) -> str:
    """The text without what was found, whatever the findings' own action is."""
    taken = [replace(f, action=Action.REDACT, operator=numbered) for f in findings]
    return redact(text, taken, Placeholders()) if taken else text
