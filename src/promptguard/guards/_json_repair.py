"""Small repairs of JSON that a model wrote almost right."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Edit", "repairs"]

_MOST_EDITS = 10_000


@dataclass(frozen=True, slots=True)
class Edit:
    """A part of the text, and what is to stand in its place.

    Args:
        start: First character.
        end: One past the last; there is always at least one.
        new: What stands there instead.
        cut: It completes a text that ends too early: something is lost.
    """

    start: int
    end: int
    new: str
    cut: bool = False


class _NotMended(Exception):
    """The text is wrong in a way that is not repaired."""


def repairs(text: str) -> tuple[Edit, ...] | None:
    """What to change so that a JSON object or array is left; None if that is too much.

    Taken out: what stands before and after it, a code fence, comments, commas before a
    closing bracket. Rewritten: single and typographic quotes, keys without quotes, line
    ends inside strings, Python's True, False and None. Completed: strings, brackets,
    keys and words where the text ends too early. What comes out may still be wrong.
    """
    start = _start(text)
    if start is None:
        return None
    mend = _Mend(text, start)
    try:
        return mend.run()
    except _NotMended:
        return None


_FENCE = re.compile(r"```[\w-]*\s*(?=[{\[])")
_OPENING = re.compile(r"[{\[]")


def _start(text: str) -> int | None:
    fence = _FENCE.search(text)
    if fence is not None:
        return fence.end()
    opening = _OPENING.search(text)
    return None if opening is None else opening.start()


_TOKEN = re.compile(
    r"(?P<blank>(?:\s|//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))++)"
    r'|(?P<string>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))'
    r"|(?P<single>'(?:[^'\\]|\\.)*+(?:'|\\?\Z))"
    r"|(?P<curly>“(?:[^”\\]|\\.)*+(?:”|\\?\Z))"
    r"|(?P<word>[\w.+-]+)"
    r"|(?P<mark>[{}\[\]:,])",
    re.DOTALL,
)
_PLAIN_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"True": "true", "False": "false", "None": "null"}
_LITERALS = ("true", "false", "null")
_CLOSING = {"{": "}", "[": "]"}
_QUOTES = {"string": '"', "single": "'", "curly": "”"}
# What has to change inside a string; a half escape can only stand at its very end.
_INSIDE = re.compile(r"[\x00-\x1f]|\\u[0-9A-Fa-f]{0,3}\Z|\\\Z|\\.|\"", re.DOTALL)
_ESCAPES = frozenset('"\\/bfnrtu')
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class _Mend:
    """Walks through the text once, knowing what may come next."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.edits: list[Edit] = []
        self.stack: list[str] = []
        # What may come: a value, a key, a colon, or a comma.
        self.next = "value"
        self.comma: Edit | None = None
        self.before = ""

    def run(self) -> tuple[Edit, ...]:
        text, at = self.text, self.start
        if at:
            self.edit(0, at, "")
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _NotMended
            kind = match.lastgroup or ""
            getattr(self, f"on_{kind}", self.on_text)(match)
            at = match.end()
            if kind != "blank":
                self.before = match[0]
            if not self.stack:
                self.rest(at)
                break
        else:
            self.close()
        return self.ordered()

    def rest(self, at: int) -> None:
        """What stands behind the value goes, but for another one."""
        if "{" in self.text[at:]:
            raise _NotMended
        if at < len(self.text):
            self.edit(at, len(self.text), "")

    def ordered(self) -> tuple[Edit, ...]:
        # A comma is taken out only when the bracket behind it comes.
        return tuple(sorted(self.edits, key=lambda edit: edit.start))

    def edit(self, start: int, end: int, new: str, cut: bool = False) -> None:
        if len(self.edits) >= _MOST_EDITS:
            raise _NotMended
        self.edits.append(Edit(start, end, new, cut))

    def on_blank(self, match: re.Match[str]) -> None:
        if not _PLAIN_BLANK.fullmatch(match[0]):
            self.edit(*match.span(), " ")

    def on_mark(self, match: re.Match[str]) -> None:
        mark = match[0]
        if mark in _CLOSING and self.next == "value":
            self.stack.append(mark)
            self.next = "key" if mark == "{" else "value"
            self.comma = None
        elif mark in "}]":
            self.end(mark)
        elif mark == ":" and self.next == "colon":
            self.next = "value"
        elif mark == "," and self.next == "comma":
            self.comma = Edit(*match.span(), "")
            self.next = "key" if self.stack[-1] == "{" else "value"
        else:
            raise _NotMended

    def end(self, mark: str) -> None:
        """A closing bracket, perhaps after a comma."""
        opened = self.stack.pop()
        if _CLOSING[opened] != mark:
            raise _NotMended
        if self.next != "comma":
            if self.comma is not None and self.before == ",":
                self.edits.append(self.comma)
            elif self.before != opened:
                raise _NotMended
        self.comma, self.next = None, "comma"

    def on_text(self, match: re.Match[str]) -> None:
        """A string of some kind, or a word."""
        if self.next not in ("key", "value"):
            raise _NotMended
        kind, key = match.lastgroup or "", self.next == "key"
        if kind == "word":
            self.word(match, key)
        else:
            self.string(match, _QUOTES[kind])
        self.next = "colon" if key else "comma"
        self.comma = None

    def word(self, match: re.Match[str], key: bool) -> None:
        word, last = match[0], match.end() == len(self.text)
        if key:
            self.edit(*match.span(), f'"{word}"')
        elif word in _WORDS:
            self.edit(*match.span(), _WORDS[word])
        elif word not in _LITERALS and not _NUMBER.fullmatch(word):
            whole = next((w for w in _LITERALS if last and w.startswith(word)), None)
            if whole is None:
                raise _NotMended
            self.edit(*match.span(), whole, True)

    def string(self, match: re.Match[str], quote: str) -> None:
        start, end = match.span()
        whole = end - start > 1 and self.text[end - 1] == quote
        inside = end - 1 if whole else end
        if quote != '"':
            self.edit(start, start + 1, '"')
        for part in _INSIDE.finditer(self.text, start + 1, inside):
            new = _inside(part[0])
            if new != part[0]:
                self.edit(*part.span(), new)
        if whole and quote != '"':
            self.edit(inside, end, '"')
        elif not whole:
            self.add('"')

    def add(self, new: str) -> None:
        """Put something behind the end of the text."""
        size = len(self.text)
        self.edits[:] = self.ordered()
        if self.edits and self.edits[-1].end == size:
            last = self.edits.pop()
            self.edits.append(Edit(last.start, size, last.new + new, True))
        else:
            self.edit(size - 1, size, self.text[-1] + new, True)

    def close(self) -> None:
        """The text is over: complete what is open."""
        if self.next == "colon":
            self.add(": null")
        elif self.before == ":":
            self.add(" null")
        elif self.comma is not None:
            self.edits.append(self.comma)
        self.add("".join(_CLOSING[mark] for mark in reversed(self.stack)))


def _inside(part: str) -> str:
    if part == '"':
        return '\\"'
    if part[0] != "\\":
        return _CONTROLS.get(part, f"\\u{ord(part):04x}")
    if len(part) == 1 or (part[1] == "u" and len(part) > 2):
        return ""
    return part if part[1] in _ESCAPES else part[1:].replace('"', '\\"')
