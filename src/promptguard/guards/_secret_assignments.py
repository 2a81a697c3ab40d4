"""Assignments to names that hold secrets, in any of the ways people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ._secret_checks import entropy, is_placeholder, is_random, is_wordy
from ._secret_names import kind_of

__all__ = ["Assignment", "assignments", "verdict"]

MOST_NAME = 64
"""Characters of a name that are read on either side of the word that tells."""

MOST_VALUE = 512
"""A longer value is no password, and keys that long have patterns of their own."""

# The words that tell, each found by a letter that is rare in prose.
_TELLING = re.compile(
    r"k(?:ey|(?<=tok)en)|p(?:ass|wd|sw(?!i)|w\b|at\b)|c(?:ret(?<=secret)|red|e(?<=nonce))"
    r"|u(?<=au)th|lt(?<=salt)\b|j(?:wt)|bearer",
    re.ASCII,
)
_TYPE = r"(?:\s{0,3}:\s{0,3}&?(?:str|string|String|char|NSString|SecretStr|Option|Any)\??)?"
_OPERATOR = (
    # XML and HTML: an element, or two attributes.
    r"(?:(?P<element>[^<>\n]{0,40}>)|[\"']\s{1,4}(?:value|content)\s{0,2}="
    # A name in quotes or brackets may be followed by a comma.
    r"|\\?[\"'`]?[\])]{0,2}(?P<typed>" + _TYPE + r")\s{0,24}"
    r"(?::{1,3}=|[!=~]={1,3}|[?+.]?=>?|->|:|\|\||(?<=[\"'`)\]]),|(?<=[\"'`)\]] ),)"
    r"|(?P<call>\()"
    r"|(?P<says>(?:\s{1,3}(?:for|of)\s[^\n.:=]{1,40}?)?\s{1,3}(?:is|was|ist)(?:\s{0,2}:)?\s)"
    r"|(?P<blank>\s))"
)
_VALUE = (
    r"[\s]{0,24}(?:[rRbBuUfFL@]{1,2}(?=[\"'`]))?"
    r"(?:(?P<quote>\\?[\"'`]|&quot;)(?P<quoted>(?:(?!(?P=quote))\S){1,%(n)d}+)(?P=quote)"
    r"|(?P<bare>[^\s\"'`<>;,(){}\[\]\\&|]{1,%(n)d}+)(?![\"'`<({\[\\|]))"
) % {"n": MOST_VALUE}
_ASSIGNED = re.compile(
    rf"(?P<tail>(?:\w|[.-](?=\w)){{0,{MOST_NAME}}}+){_OPERATOR}{_VALUE}", re.ASCII
)
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# What stands before a name that is set off from its value by nothing but a space.
_FLAG = re.compile(r"(?:(?:^|\s)--?|\b(?:ENV|define|set|setx|ARG)[ \t]{1,3})$", re.ASCII)
_FIRST = re.compile(r"(?:set|with|add|use|put|make|new|is|has|verify|check)", re.I)

_PATH = re.compile(
    r"(?:[A-Za-z]:|~|\.{1,2})?[/\\][\w./\\ -]*|[\w./\\-]+\.(?:pem|json|ya?ml|txt|key|crt"
    r"|cer|p12|pfx|jks|py|js|ts|html?|env|cfg|ini|conf|xml|csv|md|rb|go|java|properties)",
    re.ASCII,
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.*|[\w.+-]+@[\w-]+\.[\w.]+", re.I | re.DOTALL)
_CODE = re.compile(
    r"[A-Za-z_$][\w$]*(?:(?:\.|::|->)[A-Za-z_][\w]*)*:?|.*\.(?:get|env|value|length)\b.*",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_VERSION = re.compile(r"v?\d+(?:\.\d+)+(?:[-+.]?\w+)*|\d{4}-\d\d-\d\d.*|[\d.,:+-]+")


@dataclass(frozen=True)
class Assignment:
    """A name and the value that follows it.

    Args:
        start: Where the name starts.
        name: The name.
        kind: What its words say, see ``kind_of``.
        left: Where the value starts.
        right: One past its end.
        value: The value.
        quoted: It stands in quotes.
    """

    start: int
    name: str
    kind: str
    left: int
    right: int
    value: str
    quoted: bool


def assignments(text: str, lower: str, start: int) -> Iterator[Assignment]:
    """What is assigned to a name with a telling word at or after ``start``.

    Args:
        text: The text.
        lower: The same in small letters, of the same length.
        start: Where to look from.
    """
    at = start
    while (hit := _TELLING.search(lower, at)) is not None:
        at = hit.start() + 1
        match = _ASSIGNED.match(text, hit.end())
        if match is None or _TELLING.search(lower, at, match.end("tail")) is not None:
            # Of two telling words in one name the last one is looked at.
            continue
        found = _assignment(text, hit.start(), match)
        if found is not None:
            yield found


def _assignment(text: str, hit: int, match: re.Match[str]) -> Assignment | None:
    before = text[max(0, hit - MOST_NAME) : hit]
    start = hit - len(before) + len(before.rstrip(_NAME))
    name = text[start : match.end("tail")].strip("-.")
    kind = kind_of(name)
    if kind is None:
        return None
    quoted = match["quoted"] is not None
    left, right = match.span("quoted" if quoted else "bare")
    value = text[left:right]
    if not quoted:
        value = value.rstrip(".:!?" if match["says"] else ".:")
        right = left + len(value)
    if not value or not _follows(text, start, name, match, kind, value, quoted):
        return None
    return Assignment(start, name, kind, left, right, value, quoted)


def _follows(
    text: str,
    start: int,
    name: str,
    match: re.Match[str],
    kind: str,
    value: str,
    quoted: bool,
) -> bool:
    """True when the value belongs to the name, by what stands between them."""
    if match["element"] is not None:
        return text[start - 1 : start] == "<" or "=" in text[max(0, start - 24) : start]
    if match["call"] is not None:
        return quoted and (_FIRST.match(name) is not None or kind != "password")
    if match["says"] is not None:
        return quoted or any(map(str.isdigit, value)) and len(value) >= 6
    if match["blank"] is not None:
        flagged = _FLAG.search(text[max(0, start - 12) : start].rstrip("_")) is not None
        return flagged and not value.startswith("-")
    return True


def verdict(found: Assignment) -> tuple[str, float] | None:
    """The label and score of a value by the looks of it, if it may be a secret."""
    value, name = found.value, found.name
    if is_placeholder(value) or value.lower() == name.lower():
        return None
    if found.kind == "password":
        return ("generic-password", 0.6) if _is_password(found) else None
    if (
        len(value) < (8 if found.kind == "secret" else 12)
        or _URL.fullmatch(value)
        or _PATH.fullmatch(value)
        and not is_random(value, 4.2)
        or _VERSION.fullmatch(value)
    ):
        return None
    if _UUID.fullmatch(value):
        return ("generic-secret", 0.5) if found.kind == "secret" else None
    floor = (2.6 if len(value) < 16 else 3.0) if found.kind == "secret" else 3.0
    if not is_random(value, floor):
        return None
    if found.kind == "key" and not _HEX.fullmatch(value) and entropy(value) < 3.3:
        return None
    return "generic-secret", round(min(0.8, 0.35 + 0.1 * entropy(value)), 2)


def _is_password(found: Assignment) -> bool:
    value = found.value
    if len(value) < 4 or _URL.fullmatch(value):
        return False
    plain = value.isalnum() and not value.isdigit()
    digits = sum(map(str.isdigit, value))
    if found.quoted:
        if _PATH.fullmatch(value) or _is_name(value):
            return False
        return not (value.isalpha() and len(value) < 6)
    if value.isdigit():
        return len(value) >= 4
    if _CODE.fullmatch(value) and not (plain and digits):
        return False
    if _PATH.fullmatch(value) or _VERSION.fullmatch(value) or _is_name(value):
        return False
    return digits > 0 or not is_wordy(value)


def _is_name(value: str) -> bool:
    """True for what names a password: userPassword, DB_PASSWORD, password-field."""
    if any(map(str.isdigit, value)):
        return False
    return kind_of(value) == "password" or re.fullmatch(
        r"[a-z]+(?:[A-Z][a-z]+)+|[A-Z]+(?:_[A-Z]+)+|[a-z]+(?:[-.][a-z]+){2,}", value
    ) is not None
