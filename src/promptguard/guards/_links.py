"""Finds URLs in a text: where one ends, its host, and whether a reader loads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .._signs import kinds
from .._unicode import SOLID, one_of

__all__ = ["REACH", "SIGNS", "Link", "links"]

# How far is looked back for what stands before a URL; and how far from its start it may
# hold letters of scripts without spaces, between which a stream is cut.
_NEAR = 256
_LONGEST_SCHEME = 32
REACH = _NEAR + 4 * _LONGEST_SCHEME

_LONGEST_AUTHORITY = 512
# Parts of a path up to a SHA-256 in hexadecimal with an ending, and hosts of usual
# length, are names.
_NAMELIKE = 72
_LONG_HOST = 100


@dataclass(frozen=True, slots=True)
class Link:
    """A URL in a text.

    Args:
        start: First character.
        end: One past the last.
        scheme: In lower case; empty where it begins with its host.
        host: As it is written; None for a scheme that has none.
        named: A user name stands before the host.
        carried: Characters of the query, and of parts too long for names.
        loads: It is loaded by itself, as images are, rather than clicked on.
    """

    start: int
    end: int
    scheme: str
    host: str | None
    named: bool = False
    carried: int = 0
    loads: bool = False


# One of these is in every URL, but in one that begins with www.
SIGNS = kinds(":/\\")


def links(text: str, start: int = 0) -> Iterator[Link]:
    """The URLs that begin at or after a place."""
    match = _SIGN.search(text, start)
    while match is not None:
        link = _link(text, match)
        if link is not None and link.start >= start:
            yield link
        end = match.end() if link is None else max(link.end, match.end())
        match = _SIGN.search(text, end)


# What no text without a URL has: a colon and slashes, of which browsers take any number
# of either kind, a colon and something else, two slashes, or www.
_SIGN = re.compile(
    r"[:/\\wW](?:(?<=:)(?:[/\\]{1,16}|(?=\S))"
    r"|(?<=[/\\])[/\\]{1,15}|(?<=[wW])[wW]{2}\.(?=[^\s.]))"
)
_SCHEME = re.compile(r"(?<![a-zA-Z])[a-zA-Z][a-zA-Z0-9+.-]{0,31}+\Z")
_OPAQUE = re.compile(
    r"(?<![a-z])(?:javascript|vbscript|livescript|mailto|tel|sms|blob|view-source|data)\Z",
    re.IGNORECASE,
)
_DATA = re.compile(r"(?:[\w.+-]{1,64}/[\w.+-]{1,64})?[;,]")
# Before two slashes that stand for a scheme and two slashes.
_RELATIVE = re.compile(r"(?:\]\(<?|[=(][\"']|url\()\Z")


def _link(text: str, sign: re.Match[str]) -> Link | None:
    """The URL that a sign belongs to."""
    at, body = sign.span()
    near = max(0, at - _LONGEST_SCHEME)
    if sign[0][0] in "wW":
        if at and (text[at - 1].isalnum() or text[at - 1] in "@/._-"):
            return None
        return _web(text, at, at, "")
    if sign[0][0] != ":":
        return _web(text, at, body, "") if _RELATIVE.search(text, near, at) else None
    found = _OPAQUE.search(text, near, at)
    if found is not None:
        scheme = found[0].lower()
        if scheme == "data" and not _DATA.match(text, at + 1):
            return None
        start = found.start()
        end = _rest(text, start, at + 1, text[start - 1 : start] if start else "")
        return Link(start, end, scheme, None)
    found = _SCHEME.search(text, near, at) if body > at + 1 else None
    # With one slash it is the drive of a path, but for browsers.
    if found is None or (body < at + 3 and found[0].lower() not in ("http", "https")):
        return None
    return _web(text, found.start(), body, found[0].lower())


def _web(text: str, start: int, body: int, scheme: str) -> Link:
    before = text[start - 1 : start] if start else ""
    authority = _authority(before).match(text, body)
    stop = body if authority is None else _near(text, start, authority.end())
    user = text.rfind("@", body, stop) + 1
    if stop - body >= _LONGEST_AUTHORITY:
        # Where it ends is anybody's guess.
        return Link(start, stop, scheme, "", named=True)
    found = _HOST.match(text, user or body, stop)
    host = "" if found is None else found[0]
    if (more := _SENTENCE.search(host)) is not None:
        host = host[: more.start()]
    last = (user or body) + len(host)
    port = _PORT.match(text, last, stop)
    last = last if port is None else port.end()
    if last < stop:
        # A comma, a quote, or the next sentence: the URL ended before.
        return Link(start, _trimmed(text, body, last), scheme, host, user > 0)
    end = _rest(text, start, stop, before)
    path, _, query = text[stop:end].partition("#")[0].partition("?")
    carried = len(query) + len(host) * (len(host) > _LONG_HOST)
    if len(path) > _NAMELIKE:
        parts = re.split(r"[/\\]", path)
        carried += sum(len(part) for part in parts if len(part) > _NAMELIKE)
    return Link(start, end, scheme, host, user > 0, carried, _loads(text, start))


_HOST = re.compile(
    r"\[[0-9A-Fa-f:.%\w]*\]"
    r"|(?:[^\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\xbf\u2000-\u206f\u3000-\u301f]"
    r"|%[0-9A-Fa-f]{2}|\u3002(?=[A-Za-z0-9]))+"
)
# No top-level domain goes on in letters of another kind: those are the next sentence.
_SENTENCE = re.compile(r"(?<=[A-Za-z])[^\x00-\x7f][^.\u3002%]*\Z")
_PORT = re.compile(r":[0-9]{0,5}")

# What stands before a URL may say what ends it.
_CLOSERS = {'"': '"', "'": "'", "`": "`", "<": ">", "(": ")"}
_PARENTHESES = re.compile(r"[()\s]")
_OPENERS = {")": "(", "]": "[", "}": "{"}
_TRAILING = ".,;:!?'\"*_~`|\\"


@cache
def _authority(before: str) -> re.Pattern[str]:
    """Up to the path. In front of an @ neither quote nor angle bracket ends a URL."""
    close = _CLOSERS.get(before, "")
    return re.compile(rf"[^\s/\\?#{close}]{{0,{_LONGEST_AUTHORITY}}}+")


def _rest(text: str, start: int, at: int, before: str) -> int:
    """Where a URL ends whose path begins at a place."""
    if before == "(":
        return _near(text, start, _closed(text, at))
    match = _path(before).match(text, at)
    end = at if match is None else match.end()
    return _near(text, start, end) if before in _CLOSERS else _trimmed(text, at, end)


@cache
def _path(before: str) -> re.Pattern[str]:
    if before in _CLOSERS:
        return re.compile(rf"[^\s{_CLOSERS[before]}]*+")
    # By itself it ends at a script without spaces, which is the next sentence.
    return re.compile(rf'[^\s<>"{one_of(SOLID, "3000-303F")[1:-1]}]*+')


def _near(text: str, start: int, end: int) -> int:
    """The end, or before it the first letter that stands too far from the start."""
    if end - start <= _NEAR:
        return end
    far = _solid().search(text, start + _NEAR, end)
    return end if far is None else far.start()


@cache
def _solid() -> re.Pattern[str]:
    return re.compile(one_of(SOLID))


def _closed(text: str, at: int) -> int:
    """The first space, or parenthesis that nothing inside has opened."""
    depth = 0
    for match in _PARENTHESES.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(match[0], -len(text))
        if depth < 0:
            return match.start()
    return len(text)


def _trimmed(text: str, start: int, end: int) -> int:
    """Without the punctuation of the sentence around it."""
    surplus = {
        close: text.count(close, start, end) - text.count(opened, start, end)
        for close, opened in _OPENERS.items()
    }
    while end > start:
        last = text[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return end


_LOADING = re.compile(
    r"(?:<(?:img|image|picture|source|video|audio|track|iframe|frame|embed|object|input"
    r"|script|link|style|body|table|td|svg|use|form|meta|base)\b[^<>]*[=,;\s(][\"']?"
    r"|url\(\s*[\"']?|(?:^|\n) {0,3}\[[^\[\]]+\]:\s*<?|@import\s*[\"'])\Z",
    re.IGNORECASE,
)


def _loads(text: str, start: int) -> bool:
    """True where a reader loads the address by itself: an image, a frame, a style."""
    before = text[max(0, start - _NEAR) : start]
    if not before.endswith(("](", "](<")):
        return _LOADING.search(before) is not None
    depth = 0
    for at in range(before.rfind("]("), -1, -1):
        depth += {"]": 1, "[": -1}.get(before[at], 0)
        if not depth:
            return before[at - 1 : at] == "!" if at else False
    # Its description is longer than what is looked at.
    return "![" in before
