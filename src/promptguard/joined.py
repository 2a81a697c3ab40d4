"""What is split over the parts of one message, found where its pieces stand.

The content of a message may be a list of texts, which a model reads as one. Each is
looked at by itself, and then all of them together: once glued, since a word may be cut
in two, and once with a space between them, since a part may end with a word.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TypeVar

from ._costs import Limit
from .combining import AnyOf
from .engine import Engine, OnError
from .guard import Guard
from .items import Part
from .shapes import Path
from .text import Text
from .turns import covers, widened
from .verdict import Finding, Verdict

__all__ = ["joined"]

T = TypeVar("T")
Checks = Generator[Engine, tuple[Verdict, ...], T]

# The lists that hold the texts of one message.
_LISTS = frozenset({"content", "parts"})


def joined(
    guard: Guard,
    parts: Sequence[Part],
    texts: Sequence[Text],
    verdicts: tuple[Verdict, ...],
    on_error: OnError,
    budget: Limit,
) -> Checks[tuple[Verdict, ...]]:
    """The verdicts with what is found over the parts of a message.

    Args:
        guard: What to look for.
        parts: Where the texts of a call or an answer stand.
        texts: Them, as the guards see them.
        verdicts: What each came to by itself.
        on_error: See Engine.
        budget: See Engine.
    """
    groups = _groups(parts)
    across = tuple(part for part in guard.parts if part.across) if groups else ()
    if not across or any(verdict.blocked for verdict in verdicts):
        return verdicts
    made = list(verdicts)
    todo = [
        (group, glue)
        for group in groups
        for glue in _glues([texts[place].original for place in group])
    ]
    wholes = [
        Text(
            glue.join(texts[place].original for place in group),
            texts[group[0]].role,
            texts[group[0]].history,
        )
        for group, glue in todo
    ]
    seen = yield Engine(
        AnyOf(across), wholes, on_error=on_error, budget=budget, together=True
    )
    for (group, glue), verdict in zip(todo, seen, strict=True):
        sizes = [len(texts[place].original) + len(glue) for place in group]
        begins = [0, *accumulate(sizes)]
        for place, (begin, end) in zip(group, pairwise(begins), strict=True):
            old = made[place]
            new = [
                finding
                for finding in _within(verdict.findings, begin, end - len(glue))
                if not any(covers(known, finding) for known in old.findings)
            ]
            if new or verdict.degraded:
                made[place] = widened(old, new, verdict)
    return tuple(made)


def _groups(parts: Sequence[Part]) -> list[list[int]]:
    """Which parts are one text for whoever reads the message."""
    owners: dict[tuple[Path, str], list[int]] = {}
    for place, part in enumerate(parts):
        if part.form == "text" and part.text:
            owner = _owner(part)
            if owner is not None:
                owners.setdefault((owner, part.role), []).append(place)
    return [group for group in owners.values() if len(group) > 1]


def _owner(part: Part) -> Path | None:
    path = part.path
    if part.prose and path[:1] == ("output",):
        # Clients of the Responses API give the texts of all messages as one.
        return path[:1]
    for depth in reversed(range(1, len(path))):
        if isinstance(path[depth], int) and path[depth - 1] in _LISTS:
            return path[:depth]
    return None


def _glues(said: Sequence[str]) -> tuple[str, ...]:
    """What to put between the texts, each in turn."""
    apart = all(a[-1:].isspace() or b[:1].isspace() for a, b in pairwise(said))
    return ("",) if apart else ("", " ")


def _within(findings: Sequence[Finding], begin: int, end: int) -> list[Finding]:
    """What of the findings stands between two places, counted from the first."""
    return [
        replace(f, start=max(f.start, begin) - begin, end=min(f.end, end) - begin)
        for f in findings
        if f.start < end and f.end > begin
    ]
