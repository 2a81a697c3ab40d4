"""Redaction: taking values out of a text, and putting them back."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from .errors import GuardError, wrap
from .verdict import Action, Finding

__all__ = ["Placeholders", "redact", "replacement"]

_TOKEN = re.compile(r"<[A-Z][A-Z0-9_]*_[0-9]+:[0-9a-f]{16}>")


class Placeholders:
    """The values taken out of one call or conversation, and their tokens.

    A token such as ``<EMAIL_1:9f3c5a7b1c2d3e4f>`` carries a nonce of 64 random
    bits, so that a look-alike that somebody typed is not restored. The same value
    under the same label always has the same token. Safe to share between threads;
    never share one between users.

    Attributes:
        nonce: 16 hexadecimal digits that all tokens of this object end with.
    """

    def __init__(self) -> None:
        self.nonce = _nonce()
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._hidden: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Placeholders({len(self._values)} values)"

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> tuple[type[Placeholders], tuple[()]]:
        # The values are what was taken out of a text: they never leave by pickle.
        return type(self), ()

    def token(self, label: str, value: str) -> str:
        """The token that stands for a value, made on first use."""
        kind = _kind(label)
        with self._lock:
            token = self._tokens.get((kind, value))
            if token is None:
                number = self._counts[kind] = self._counts.get(kind, 0) + 1
                token = f"<{kind}_{number}:{self.nonce}>"
                self._tokens[kind, value] = token
                self._values[token] = value
            return token

    def hide(self, text: str) -> str:
        """Put what stands for them in place of the values, where they are whole words.

        Args:
            text: A text that may hold values that were taken out of another one.
        """
        with self._lock:
            if not self._hidden:
                return text
            if self._pattern is None:
                # The longest first: one value may be the beginning of another.
                values = sorted(self._hidden, key=len, reverse=True)
                either = "|".join(map(re.escape, values))
                self._pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)")
            pattern, hidden = self._pattern, self._hidden.copy()
        return pattern.sub(lambda value: hidden[value[0]], text)

    def note(self, value: str, shown: str) -> None:
        """Note what stands in place of a value, for ``hide``."""
        with self._lock:
            if value not in self._hidden and value.strip():
                self._hidden[value] = shown
                self._pattern = None

    def restore(self, text: str, *, everywhere: bool = False) -> str:
        """Put the values back in place of their tokens.

        Args:
            text: An answer that may hold tokens of this object.
            everywhere: Also restore inside URLs, links and code. Off by default,
                because an injected document could carry values out that way.
        """
        if self.nonce not in text:
            return text
        if everywhere:
            return _TOKEN.sub(lambda token: self._values.get(token[0], token[0]), text)
        from .restoring import Restorer

        return Restorer(self).feed(text, end=True)


@lru_cache(maxsize=1024)
def _kind(label: str) -> str:
    """A label as tokens have it. Labels are names: no value is kept."""
    kind = re.sub(r"[^A-Z0-9]+", "_", label.upper()).strip("_") or "VALUE"
    return kind if kind[0].isalpha() else f"X_{kind}"


def _nonce() -> str:
    """16 hexadecimal digits, one a letter: digits alone could pass for a number."""
    while True:
        nonce = os.urandom(8).hex()
        if not nonce.isdecimal():
            return nonce


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """Join the findings that are to be redacted into disjoint ones, by position.

    Overlapping findings become one over their union, under the label of the
    longest (the first of equals), so that every flagged character goes.
    """
    merged: list[Finding] = []
    longest = 0
    ordered = sorted(
        (f for f in findings if f.action is Action.REDACT and f.start < f.end),
        key=lambda f: (f.start, f.start - f.end, f.label),
    )
    for finding in ordered:
        length = finding.end - finding.start
        if merged and finding.start < merged[-1].end:
            last = merged[-1]
            label = finding.label if length > longest else last.label
            longest = max(longest, length)
            # Two operators over one value: neither knows what the other must hide.
            same = finding.operator == last.operator
            merged[-1] = replace(
                last,
                label=label,
                end=max(last.end, finding.end),
                operator=last.operator if same else None,
            )
        else:
            merged.append(finding)
            longest = length
    return merged


def replacement(finding: Finding, value: str, placeholders: Placeholders) -> str:
    """What stands in place of a value.

    Raises:
        GuardError: The finding's operator broke or gave something else than a string.
    """
    if finding.operator is None:
        token = placeholders.token(finding.label, value)
        placeholders.note(value, token)
        return token
    try:
        new: object = finding.operator(finding.label, value)
    except Exception as error:
        raise wrap(finding.guard, error) from None
    if not isinstance(new, str):
        reason = f"its operator gave a {type(new).__name__} instead of a string"
        raise GuardError(finding.guard, reason)
    placeholders.note(value, new)
    return new


def redact(text: str, findings: Iterable[Finding], placeholders: Placeholders) -> str:
    """Replace what is to be redacted; nothing else changes.

    Args:
        text: The text the findings point into.
        findings: Only those with the action REDACT count.
        placeholders: Where the values are kept.
    """
    pieces, last = [], 0
    for finding in merge(findings):
        value = text[finding.start : finding.end]
        pieces.append(text[last : finding.start])
        pieces.append(replacement(finding, value, placeholders))
        last = finding.end
    return "".join([*pieces, text[last:]]) if pieces else text
