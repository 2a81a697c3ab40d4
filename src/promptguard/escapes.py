"""JSON text read as what it says: escapes undone, one by one, with their places.

A guard that looked at the raw arguments of a tool call would take the ``n`` of ``\\n``
for the first letter of the next word, and miss whatever is written as ``\\u0061``.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import accumulate

from .placeholders import Placeholders, merge, replacement
from .verdict import Action, Finding, Verdict

__all__ = [
    "Escaped",
    "decided",
    "fixed",
    "pieces",
    "raised",
    "still_json",
    "veiled",
    "view",
]

# From here on more than the form of a number says that it is a value: a word near it.
_SURE = 0.95

_ESCAPE = re.compile(
    r"[^\\]+"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\.|\\",
    re.DOTALL,
)
_LONGEST = len(r"\ud83d\ude00")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Escaped:
    """A JSON text whose escapes are undone for the guards."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self._pieces = pieces(raw)
        self.view = view(self._pieces)

    def verdict(self, verdict: Verdict, placeholders: Placeholders | None) -> Verdict:
        """A verdict on the view as one on the raw text.

        A redaction after which the text would be JSON no more becomes a block.
        """
        starts = [0, *accumulate(map(len, self._pieces))]
        text = self.raw
        if verdict.action is Action.REDACT and placeholders is not None:
            out, last = [], 0
            for finding in merge(verdict.findings):
                value = self.view[finding.start : finding.end]
                out += self._pieces[last : finding.start]
                out.append(replacement(finding, value, placeholders))
                last = finding.end
            text = "".join([*out, *self._pieces[last:]])
        findings = tuple(moved(f, starts) for f in verdict.findings)
        verdict = replace(verdict, original=self.raw, findings=findings, text=text)
        return verdict if still_json(self.raw, text) else raised(verdict)


def pieces(raw: str) -> list[str]:
    """The raw text in pieces that each say one character."""
    if "\\" not in raw:
        return list(raw)
    found: list[str] = []
    for match in _ESCAPE.findall(raw):
        if match[0] == "\\":
            found.append(match)
        else:
            found.extend(match)
    return found


def decided(raw: str) -> tuple[list[str], str]:
    """The pieces that no further text can change, and the raw rest."""
    found = pieces(raw)
    keep, where = len(found), len(raw)
    for index in reversed(range(len(found))):
        where -= len(found[index])
        if where <= len(raw) - _LONGEST:
            break
        if found[index][0] == "\\":
            keep = index
    return found[:keep], "".join(found[keep:])


def view(parts: list[str]) -> str:
    """What the pieces say."""
    return "".join([part if len(part) == 1 else _said(part) for part in parts])


def veiled(text: str, own: Placeholders | None) -> str:
    """The text with the nonces of the call's own placeholders made unremarkable.

    They are random: a pattern for numbers or keys would find something in many.
    """
    if not own:
        return text
    return text.replace(own.nonce, "z" * len(own.nonce))


def moved(finding: Finding, starts: list[int], base: int = 0) -> Finding:
    """A finding with its positions looked up in a list, and shifted."""
    return replace(
        finding, start=base + starts[finding.start], end=base + starts[finding.end]
    )


def raised(verdict: Verdict) -> Verdict:
    """The verdict with its redactions made blocks, because they cannot be delivered."""
    findings = tuple(
        replace(f, action=Action.BLOCK) if f.action is Action.REDACT else f
        for f in verdict.findings
    )
    return replace(
        verdict, findings=findings, action=Action.BLOCK, text=verdict.original
    )


def fixed(verdict: Verdict, ids: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on a text that cannot be rewritten: what it would redact, it blocks.

    Args:
        verdict: What came of the check.
        ids: Numbers that stand in the place of an id. Every thirtieth of 16 digits has
            the form of a card by chance; where nothing but its form speaks for a value,
            such a number is flagged and goes on.
    """
    if verdict.action is not Action.REDACT:
        return verdict
    findings = tuple(
        replace(f, action=Action.FLAG) if _by_form(verdict, f, ids) else f
        for f in verdict.findings
    )
    action = max((f.action or Action.ALLOW for f in findings), default=Action.REDACT)
    verdict = replace(verdict, findings=findings, action=action)
    if action is Action.REDACT:
        return raised(verdict)
    return replace(verdict, text=verdict.original)


def _by_form(verdict: Verdict, finding: Finding, ids: frozenset[str]) -> bool:
    value = verdict.original[finding.start : finding.end]
    redacts = finding.action is Action.REDACT
    return redacts and value in ids and finding.score < _SURE


def still_json(before: str, after: str) -> bool:
    """False when text was JSON, or may have been, and is no more."""
    return before == after or _is_json(before) is False or _is_json(after) is True


def _said(escape: str) -> str:
    if escape[1] != "u" or len(escape) == 2:
        return _LETTERS.get(escape[1], escape[1])
    first = int(escape[2:6], 16)
    if len(escape) == _LONGEST:
        return chr(0x10000 + ((first - 0xD800) << 10) + int(escape[8:], 16) - 0xDC00)
    return chr(first)


def _is_json(text: str) -> bool | None:
    """None when it is too deep to tell."""
    try:
        # Numbers stay text: Python refuses to convert very long ones.
        json.loads(text, parse_int=str, parse_float=str)
    except RecursionError:
        return None
    except ValueError:
        return False
    return True
