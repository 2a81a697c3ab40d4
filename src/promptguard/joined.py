"""What is split over the parts of one message, found where its pieces stand.

The content of a message may be a list of texts, which a model reads as one. Each is
looked at by itself, and then all of them together: once glued, since a word may be cut
in two, and once with a space between them, since a part may end with a word. Where both
may be, the joints within one word are also glued alone, and the others have a space.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

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

# Pieces that a word may be cut into beside other words.
_PIECES = 4
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
        (group, whole)
        for group in groups
        for whole in _wholes([texts[place].original for place in group])
    ]
    wholes = [
        Text(whole.text, texts[group[0]].role, texts[group[0]].history)
        for group, whole in todo
    ]
    seen = yield Engine(
        AnyOf(across), wholes, on_error=on_error, budget=budget, together=True
    )
    for (group, whole), verdict in zip(todo, seen, strict=True):
        for place, (begin, end) in zip(group, whole.spans, strict=True):
            old = made[place]
            new = [
                finding
                for finding in _within(verdict.findings, begin, end)
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


class _Whole(NamedTuple):
    """Several texts as one, and where each of them begins and ends."""

    text: str
    spans: tuple[tuple[int, int], ...]


def _wholes(texts: Sequence[str]) -> Iterator[_Whole]:
    """The texts as one, in every way that they may be meant."""
    # Elsewhere it makes no difference whether there is one more space.
    joints = [
        joint
        for joint, (one, other) in enumerate(pairwise(texts))
        if not (one[-1:].isspace() or other[:1].isspace())
    ]
    for apart in _ways(joints):
        pieces = [
            text + (" " if place in apart else "") for place, text in enumerate(texts)
        ]
        begins = accumulate(map(len, pieces), initial=0)
        spans = ((b, b + len(text)) for b, text in zip(begins, texts, strict=False))
        yield _Whole("".join(pieces), tuple(spans))


def _ways(joints: Sequence[int]) -> Iterable[frozenset[int]]:
    """Which joints to put a space in: none, all, or all but those within one word.

    A word of a few pieces is glued at so many joints in a row. Runs of one length that
    do not touch are glued in the same go, so the ways do not grow with the texts.
    """
    ways = {frozenset[int](): None, frozenset(joints): None}
    for glued in range(1, min(_PIECES, len(joints))):
        for first in range(glued + 1):
            apart = (
                joint
                for number, joint in enumerate(joints)
                if (number - first) % (glued + 1) == glued
            )
            ways[frozenset(apart)] = None
    return ways


def _within(findings: Sequence[Finding], begin: int, end: int) -> list[Finding]:
    """What of the findings stands between two places, counted from the first."""
    return [
        replace(f, start=max(f.start, begin) - begin, end=min(f.end, end) - begin)
        for f in findings
        if f.start < end and f.end > begin
    ]
