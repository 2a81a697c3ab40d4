"""Putting redacted values back into an answer, also while it streams.

A value is put back into prose only. Whatever could carry it somewhere (a URL, the
target of a link, a tag) or run it (code) keeps its placeholder, because an injected
document may have asked the model to put it there. In doubt the placeholder stays.
"""

from __future__ import annotations

import re

from .placeholders import Placeholders

__all__ = ["Restorer"]

_TOKEN = r"(?P<token><[A-Z][A-Z0-9_]*+:[0-9a-f]{16}>)"
_BLANK_LINE = r"\n[ \t]*+\n"
_RAW_TAGS = "(?i:script|style|code|pre)"

# What ends each stretch in which nothing is restored, and what comes after it.
_STATES: dict[str, tuple[re.Pattern[str], dict[str, str]]] = {
    "link": (
        re.compile(rf"{_TOKEN}|(?P<angle><)|(?P<prose>\)|{_BLANK_LINE})"),
        {"angle": "angle", "prose": "prose"},
    ),
    "angle": (re.compile(rf"{_TOKEN}|(?P<prose>>|\n)"), {"prose": "prose"}),
    "reference": (re.compile(r"(?P<prose>\n)"), {"prose": "prose"}),
    "tag": (
        re.compile(rf"{_TOKEN}|(?P<double>\")|(?P<single>')|(?P<prose>>)"),
        {"double": "double", "single": "single", "prose": "prose"},
    ),
    "double": (re.compile(r"(?P<tag>\")"), {"tag": "tag"}),
    "single": (re.compile(r"(?P<tag>')"), {"tag": "tag"}),
    "raw": (re.compile(rf"(?P<tag></{_RAW_TAGS}\b)"), {"tag": "tag"}),
}
_PROSE = re.compile(
    rf"{_TOKEN}|(?P<code>`+|~~~+)|(?P<link>\]\()|(?P<reference>\]:)"
    rf"|(?P<raw><{_RAW_TAGS}\b)|(?P<tag><[A-Za-z/!?])"
)
# The end of what came, where more could make one of the above of it.
_UNDECIDED = re.compile(
    r"(?:(?<!`)`++|(?<!~)~++|\]|\n[ \t]*+|</?[A-Za-z]{0,6}"
    r"|<[A-Z][A-Z0-9_]*+(?::[0-9a-f]{0,16})?)\Z"
)
# Prose around a placeholder. Before it, back to the last space, nothing that a URL,
# an assignment or a path is made of; after it the end of a word.
_NOT_BEFORE = re.compile(r"[/\\=?&%#]")
_SCHEME = re.compile(r"[A-Za-z0-9]:\Z")
_DOTS = re.compile(r"[.:?_~+\-。．｡]*+")
_AFTER = re.compile(r"[\s\"')\]}>,;!*|<`]|[^\x00-\x7f]|\Z")


class Restorer:
    """Restores one answer; what it gives does not depend on how the answer is cut.

    Args:
        placeholders: The values that were taken out of the call.
    """

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self._held = ""
        self._state = "prose"
        self._code: re.Pattern[str] | None = None
        # About the word so far: whether it may be a URL, and its last characters.
        self._risky = False
        self._last = ""

    def feed(self, text: str, end: bool = False) -> str:
        """Take more of the answer and give what may go.

        Args:
            text: What came.
            end: Nothing more will come.
        """
        text = self._held + text
        out: list[str] = []
        at, limit = 0, len(text)
        if not end and (undecided := _UNDECIDED.search(text)):
            limit = undecided.start()
        while match := self._pattern().search(text, at):
            if match.end() > limit:
                limit = min(limit, match.start())
                break
            kind = match.lastgroup or ""
            if kind == "token" and self._state == "prose":
                self._pass(text[at : match.start()])
                tail = _DOTS.match(text, match.end())
                if tail and tail.end() == len(text) and not end:
                    out.append(text[at : match.start()])
                    self._held = text[match.start() :]
                    return "".join(out)
                value = self._value(match.group(), text, tail)
                out += (text[at : match.start()], value)
                self._pass(value)
            else:
                out.append(text[at : match.end()])
                self._pass(text[at : match.end()])
                self._turn(kind, match.group())
            at = match.end()
        out.append(text[at:limit])
        self._pass(text[at:limit])
        self._held = text[limit:]
        return "".join(out)

    def _pattern(self) -> re.Pattern[str]:
        if self._state == "prose":
            return _PROSE
        return self._code or _STATES[self._state][0]

    def _turn(self, kind: str, event: str) -> None:
        """Go to the next state."""
        if kind == "token":
            return
        if self._state == "prose" and kind == "code":
            size, mark = len(event), event[0]
            self._code = re.compile(
                rf"(?P<prose>{mark}{{{size},}})"
                if size > 2
                else rf"(?P<prose>(?<!`)`{{{size}}}(?!`)|{_BLANK_LINE})"
            )
            self._state = "code"
        elif self._state == "prose":
            self._state = kind
        else:
            self._state = (
                "prose" if self._code is not None else _STATES[self._state][1][kind]
            )
            self._code = None

    def _value(self, token: str, text: str, tail: re.Match[str] | None) -> str:
        """What to put for a token in prose: its value, or itself."""
        if self._risky or _SCHEME.search(self._last):
            return token
        if tail and not _AFTER.match(text, tail.end()):
            return token
        return self._placeholders.restore(token, everywhere=True)

    def _pass(self, text: str) -> None:
        """Note what went by of the current word."""
        words = text.split()
        word = "" if not words or text[-1].isspace() else words[-1]
        if len(word) < len(text):
            self._risky, self._last = False, ""
        self._risky = self._risky or _NOT_BEFORE.search(word) is not None
        self._last = (self._last + word)[-2:]
