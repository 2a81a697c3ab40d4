"""What the guards see of the texts of a call, and what their verdicts come to there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .answers import Undeliverable, read_answer, rewritten
from .conversation import Conversation
from .escapes import Escaped, fixed, raised, veiled
from .items import Part
from .messages import Found
from .placeholders import Placeholders, redact
from .restoring import Restorer
from .shapes import Path
from .text import Text
from .turns import Window, windows
from .verdict import Action, Verdict

__all__ = ["View", "delivered", "first_blocked", "redactions", "restored", "views_of"]


class View:
    """What the guards see of one text, and what that means for the text."""

    __slots__ = ("escaped", "part", "seen")

    def __init__(self, part: Part, own: Placeholders | None) -> None:
        self.part = part
        self.escaped = Escaped(part.text) if part.form == "json" else None
        self.seen = veiled(self.escaped.view if self.escaped else part.text, own)

    def verdict(self, verdict: Verdict, placeholders: Placeholders | None) -> Verdict:
        """The verdict in the caller's own characters, and what can be delivered."""
        part, redacts = self.part, verdict.action is Action.REDACT
        if self.escaped is not None:
            verdict = self.escaped.verdict(verdict, placeholders)
        elif redacts and placeholders is not None:
            text = redact(part.text, verdict.findings, placeholders)
            verdict = replace(verdict, original=part.text, text=text)
        elif self.seen is not part.text:
            verdict = replace(verdict, original=part.text, text=part.text)
        if part.coverage < verdict.coverage:
            verdict = replace(verdict, coverage=part.coverage)
        return fixed(verdict, part.ids) if part.form == "fixed" else verdict


def views_of(
    found: Found, own: Placeholders | None, talk: Conversation | None
) -> tuple[list[View], list[Text], Sequence[Window]]:
    """The texts as the guards see them, also together with the turns before."""
    history = found.history
    if talk is not None and not history:
        history = talk.history
    views = [View(part, own) for part in found.parts]
    texts = [
        Text(view.seen, part.role, history)
        for view, part in zip(views, found.parts, strict=True)
    ]
    split = () if talk is None else windows(texts, history, talk.window)
    return views, texts, split


def first_blocked(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    for verdict in verdicts:
        if verdict.blocked:
            return verdict
    return None


def delivered(
    value: Any, found: Found, verdicts: tuple[Verdict, ...]
) -> tuple[Any, tuple[Verdict, ...]]:
    """The answer with its redactions; those that cannot be made are blocks."""
    texts = redactions(found, verdicts)
    try:
        return (rewritten(value, texts) if texts else value), verdicts
    except Undeliverable as error:
        return value, tuple(
            raised(verdict) if part.path == error.path else verdict
            for part, verdict in zip(found.parts, verdicts, strict=True)
        )


def redactions(found: Found, verdicts: tuple[Verdict, ...]) -> dict[Path, str]:
    """The texts that the guards changed."""
    return {
        part.path: verdict.text
        for part, verdict in zip(found.parts, verdicts, strict=True)
        if verdict.action is Action.REDACT and verdict.text != part.text
    }


def restored(value: Any, placeholders: Placeholders) -> Any:
    """The answer with the values back in its text, where they can be."""
    texts: dict[Path, str] = {}
    for part in read_answer(value).parts:
        if part.prose:
            text = Restorer(placeholders).feed(part.text, end=True)
            if text != part.text:
                texts[part.path] = text
    while texts:
        try:
            return rewritten(value, texts)
        except Undeliverable as error:
            del texts[error.path]
    return value
