"""Looks for secrets in one reading: what the table knows, then what is assigned."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ._secrets_assignments import Assignment, assignments, verdict
from ._secrets_checks import CHECKS, PLACEHOLDER, entropy, is_placeholder
from ._secrets_keys import last_lines, whole_keys
from ._secrets_table import Row, Table

__all__ = ["REACH", "Secret", "placed", "scan"]

REACH = 768
"""How far a finding depends on what stands around its start, in characters.

Longer secrets, such as private keys, are found as well: a stream is only cut between
ordinary words, of which those have none (see ``_secrets_table``).
"""

PROVED = 0.99
DISTINCT = 0.95
NAMED = 0.85

GENERIC = frozenset({"generic-password", "generic-secret"})
"""What is told by the name it is assigned to, and by looking random."""

_NEAR = 96
"""How far before a value the name of its provider may stand."""

# A line that goes on in the next one, and a string that goes on in the next string.
_SEAM = re.compile(
    r"\\\r?\n[ \t]{0,40}"
    r"|([\"'])(?:\s{0,8}[+.&][ \t]{0,8}(?:\\?\r?\n)?|[ \t]{0,8}\\?\r?\n)\s{0,40}\1"
)
_MOST_JOINED = 400
# What has a structure of its own needs no randomness.
_CHECKED = (
    "after-zeros",
    "any",
    "jwt",
    "numbered",
    "password",
    "password-with-digit",
    "private-key",
)
_CHECKSUMS = ("bech32", "crc16", "crc32")
_JWK = 640
_JWK_MEMBER = re.compile(r"""["'](?:kty|crv|AQAB|RSA|oct)\\?["']""")
# A stream is not cut between these: none of them begins with a letter.
_MEMBERS = re.compile(
    r'\\?"(?:\s{0,8},\s{0,40}\\?"\w{1,10}\\?"\s{0,4}:\s{0,4}"[^"\s]{0,1400}"){0,8}'
)


@dataclass(frozen=True)
class Secret:
    """Something found, in characters of the text that was scanned."""

    label: str
    score: float
    start: int
    end: int
    first: int
    """Where what was looked at begins: the keyword or the name."""


def scan(text: str, start: int, table: Table, generic: bool) -> list[Secret]:
    """The secrets that begin at or after ``start``, each once.

    Args:
        text: A clean reading.
        start: Where to report from; a reach before it is looked at.
        table: The rows to look for.
        generic: Also report what is assigned and merely looks like a secret.
    """
    begin = max(0, start - REACH)
    found = list(_found(text, begin, table, generic, _NEAR))
    found += _joined(text, begin, table, generic)
    found = [secret for secret in found if secret.start >= start]
    if not found:
        return found
    return _outermost(_unplaced(text, found))


def _found(
    text: str, begin: int, table: Table, generic: bool, near: int
) -> Iterator[Secret]:
    lower = text.lower()
    if len(lower) != len(text):
        # The one letter that gets longer.
        lower = text.replace("\u0130", "I").lower()
    yield from _distinct(text, lower, begin, table)
    if table.has_private_keys:
        for left, right in whole_keys(text, begin):
            yield Secret("private-key", PROVED, left, right, left)
        for left, right, first in last_lines(text, begin):
            yield Secret("private-key", PROVED, left, right, first)
    if generic or table.providers is not None:
        for found in assignments(text, lower, begin):
            yield from _assigned(found, lower, table, generic, near)


def _distinct(text: str, lower: str, begin: int, table: Table) -> Iterator[Secret]:
    """Secrets that are known by themselves."""
    escaped = "\\" in text or "%" in text
    for row, keyword in _announced(text, lower, begin, table, escaped):
        first = keyword
        if row.back:
            before = text[max(0, first - row.back) : first]
            first -= len(before) - len(before.rstrip(_TOKEN))
        match = row.compiled.match(text, first)
        if match is None or match.end() <= keyword:
            continue
        left, right = match.span("value" if "value" in row.compiled.groupindex else 0)
        score = _score(row, text[left:right], DISTINCT, table)
        if score and (row.check != "jwk" or _in_jwk(text, left, right)):
            yield Secret(row.name, score, left, right, first)


def _announced(
    text: str, lower: str, begin: int, table: Table, escaped: bool
) -> Iterator[tuple[Row, int]]:
    """Rows, and where a keyword of theirs stands."""
    words, at = table.escaped if escaped else table.plain, begin
    if words is not None and not escaped and lower.isascii():
        for place in _places(lower, begin, table):
            if (hit := words.match(lower, place)) is not None:
                for row in table.by_keyword[hit[0]]:
                    yield row, place
        words = None
    while words is not None and (hit := words.search(lower, at)) is not None:
        at = hit.start() + 1
        for row in table.by_keyword[hit[0]]:
            yield row, hit.start()
    words, at = table.within, begin
    if lower == text and "+" not in text:
        # Every one of them has a capital or this sign.
        words = None
    while words is not None and (hit := words.search(text, at)) is not None:
        at = hit.start() + 1
        for row in table.inside[hit[0]]:
            yield row, hit.start()


def _places(lower: str, begin: int, table: Table) -> list[int]:
    """Where a keyword may stand in plain ASCII; wherever one does is among them."""
    places: set[int] = set()
    if table.begins is not None:
        low = max(0, begin - 1)
        spaced = lower[low:].encode("ascii").translate(_SPACED)
        if begin == 0:
            # The first word has no space before it.
            low, spaced = -1, b" " + spaced
        places = {low + hit.end() for hit in table.begins.finditer(spaced)}
    for word in table.signed:
        at = lower.find(word, begin)
        while at >= 0:
            places.add(at)
            at = lower.find(word, at + 1)
    return sorted(places)


# A byte of a word as itself, and any other as a space.
_SPACED = bytes(at if chr(at).isalnum() or at == 95 else 32 for at in range(128))
_SPACED += b" " * 128
_TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~+/=*"


def _assigned(
    found: Assignment, lower: str, table: Table, generic: bool, near: int
) -> Iterator[Secret]:
    known = False
    if table.providers is not None and len(found.value) >= 14:
        around = lower[max(0, found.start - near) : found.left]
        words = set(table.providers.findall(around))
        for row in table.near if words else ():
            if not words.isdisjoint(row.keywords) and row.compiled.fullmatch(
                found.value
            ):
                score = _score(row, found.value, NAMED, table)
                if score:
                    known = True
                    yield Secret(row.name, score, found.left, found.right, found.start)
                    break
    if generic and not known and not found.value.startswith(table.beginnings):
        seen = verdict(found)
        if seen is not None:
            yield Secret(*seen, found.left, found.right, found.start)


def _score(row: Row, value: str, score: float, table: Table) -> float:
    """How sure a match is; 0 for one that is no secret."""
    if value.startswith(table.beginnings):
        return 0
    proved = row.proof is not None and CHECKS[row.proof](value)
    if proved and row.proof in _CHECKSUMS:
        # Chance does not make one right.
        return PROVED
    if row.check is not None and not CHECKS[row.check](value):
        return 0
    if row.check not in _CHECKED:
        floor = row.entropy
        if floor is None:
            floor = 3.0 if len(value) >= 24 else 2.6
        if entropy(value) < floor or is_placeholder(value):
            return 0
    return PROVED if proved or row.check in ("jwt", "private-key") else score


def _in_jwk(text: str, left: int, right: int) -> bool:
    """True when a JSON Web Key is around (RFC 7517, section 4)."""
    name = text[max(0, left - 16) : left].rstrip("\\\"' :").rpartition('"')[2]
    if right - left >= (43 if name in ("d", "k") else 86):
        return entropy(text[left:right]) >= 4.5
    after = _MEMBERS.match(text, right)
    end = right if after is None else after.end()
    around = text[max(0, left - _JWK) : left] + text[right:end]
    return _JWK_MEMBER.search(around) is not None


def _joined(text: str, begin: int, table: Table, generic: bool) -> Iterator[Secret]:
    """Secrets that go over the end of a line or of a string."""
    if not any(char in text for char in "\\\"'") or not _SEAM.search(text, begin):
        return
    pieces, starts, moved, last, size = [], [0], [begin], begin, 0
    for seam in _SEAM.finditer(text, begin):
        pieces.append(text[last : seam.start()])
        size += len(pieces[-1])
        last = seam.end()
        starts.append(size)
        moved.append(last)
    pieces.append(text[last:])
    whole = "".join(pieces)

    def origin(index: int) -> int:
        piece = bisect_right(starts, index) - 1
        return moved[piece] + index - starts[piece]

    for secret in _found(whole, 0, table, generic, 0):
        first, left = origin(secret.first), origin(secret.start)
        right = origin(secret.end - 1) + 1
        crosses = right - first > secret.end - secret.first
        if crosses and right - first <= _MOST_JOINED:
            yield replace(secret, start=left, end=right, first=first)


def placed(text: str, start: int, end: int) -> bool:
    """True for a span that touches a placeholder in the caller's own text.

    A reading that takes back what was typed may have erased the placeholder's end.
    """
    return any(
        match.start() <= end and start <= match.end()
        for match in PLACEHOLDER.finditer(text, max(0, start - REACH), end + REACH)
    )


def _unplaced(text: str, found: list[Secret]) -> list[Secret]:
    """Without those that touch a placeholder: what stood there is out already.

    A placeholder counts as letters, as what it stands for did: redacting that does not
    make a secret of what was glued to it.
    """
    taken = [match.span() for match in PLACEHOLDER.finditer(text)]
    starts = [start for start, _ in taken]

    def free(secret: Secret) -> bool:
        last = bisect_right(starts, secret.end) - 1
        return last < 0 or taken[last][1] < secret.start

    return [secret for secret in found if free(secret)] if taken else found


def _outermost(found: list[Secret]) -> list[Secret]:
    """Without those that lie inside another one which is as sure or surer."""
    kept: list[Secret] = []
    around: list[Secret] = []
    for secret in sorted(found, key=lambda s: (s.start, -s.end, -s.score)):
        around = [other for other in around if other.end > secret.start]
        if not any(o.end >= secret.end and o.score >= secret.score for o in around):
            around.append(secret)
            kept.append(secret)
    return kept
