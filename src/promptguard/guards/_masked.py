"""Words with signs in the place of letters: sh!t, a$$, f*ck, fu.ck.

The folded reading undoes the disguises that a reader undoes without knowing the word.
Here the word is known: each sign is read as any letter that it may stand for, and only
what then is a word of the lexicon counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from .._signs import kinds
from .._unicode import EMOJI, SOLID, one_of
from ..text import Reading
from ._lexicon import AFTER, SEVERITY, Lexicon
from ._trie import Node

__all__ = ["masked"]

# Our own choice of what is in use.
_LETTERS = dict(
    pair.split(":")
    for pair in (
        "@:a $:s !:il |:il +:t €:e £:l §:s ¢:c ¥:y #:h <:c (:c [:c {:c "
        "0:o 1:il 3:e 4:a 5:s 6:gb 7:t 8:b 9:g"
    ).split()
)
_ANY = "*#%^"
# Between letters these hide one as well.
_HIDING = "@!$?&+|\u2022\u00d7\u2588\u25a0\u25cf\u25cb\u00b0\u20ac\u00a4"
# Between letters these are nothing, and some of them may stand for one.
_BETWEEN = "._-~,/=:;"
_OMITTED = "_-~"
_SIGNS = r"*@$#%^|+€£§¢¥!<(\[{0-9?&" + _HIDING[7:]

_HINT = re.compile(
    rf"[{_SIGNS}](?:(?=[^\W\d_])|(?<=[^\W\d_].))"
    r"|[-._~,/=:;](?<=[^\W\d_].)(?:(?=[^\W\d_])|(?<=-)-|(?<=_)_|(?<=\.)\.)"
)
# The same in ASCII: a class that has nothing else is quicker to go through.
_ASCII_HINT = re.compile(
    rf"[{re.sub('[^ -~]', '', _SIGNS)}](?:(?=[^\W\d_])|(?<=[^\W\d_].))"
    r"|[-._~,/=:;](?<=[^\W\d_].)(?:(?=[^\W\d_])|(?<=-)-|(?<=_)_|(?<=\.)\.)",
    re.ASCII,
)
_ENCLOSES = kinds("'`([{")
_HINTS = _ENCLOSES | kinds(re.sub("[^ -~]", "", _SIGNS) + _BETWEEN)

# All but the ends of a word: f--k, s__t. Longer ends are words beside a dash.
_DASHED = re.compile(r"([^\W\d_]{1,2})(-{2,8}|_{2,8}|\.{2,8})([^\W\d_]{1,2})")
# i18n, a11y and the like.
_NUMERONYM = re.compile(r"[A-Za-z]1[0-9][A-Za-z]+")
# A word with a number after it, as names of accounts are.
_NUMBERED = re.compile(r"([^\W\d_]{4,})[0-9]{1,4}")
# A variable of a program, as in $hit->score or $hit = 1, is no word; nor is a call.
_VARIABLE = re.compile(r"(?<![^\s\"'*])\$[^\s$]")
_CODE = re.compile(r"(?![\s.,!?\"'*]|\Z)|[ \t]{1,4}[=\[;{)]")
_OPENING = "<([{"
_CLOSING = ">)]}"

_LONGEST = 32
_LEAST_MASKED = 4


@cache
def _run() -> re.Pattern[str]:
    signs = re.escape("".join(_LETTERS) + _ANY + _HIDING + _BETWEEN)
    solid = one_of(SOLID)[1:-1]
    return re.compile(rf"(?:[^\W_{solid}]|[{signs}])+")


def masked(
    lexicon: Lexicon, reading: Reading, begin: int
) -> Iterator[tuple[int, int, int]]:
    """Start, end and severity of what a clean reading holds in this way.

    Args:
        lexicon: The words.
        reading: The reading.
        begin: Where to begin.
    """
    text = reading.text
    if reading.lacks(_HINTS):
        return
    if reading.signs is None:
        # A picture in the place of a letter hides it as a star does.
        text = _pictures().sub("*", text)
    yield from _cut(lexicon, text, begin)
    if not reading.lacks(_ENCLOSES):
        yield from _enclosed(lexicon, text, begin)
    hints = _HINT if reading.signs is None else _ASCII_HINT
    hint = hints.search(text, begin)
    if hint is None:
        return
    run = _run()
    while hint is not None:
        start = hint.start()
        while start and run.match(text, start - 1):
            start -= 1
        match = run.match(text, start)
        end = match.end() if match else hint.end()
        found = _read(lexicon, text, start, end)
        if found is not None:
            yield found
        hint = hints.search(text, end)


@cache
def _pictures() -> re.Pattern[str]:
    return re.compile(rf"(?<=[^\W\d_]){one_of(EMOJI)}(?=[^\W\d_])")


# The beginning of a word, and stars for the rest of it. The end of what is bold has
# stars before it in its line.
_NEAR = 64
_BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])")
_CUT = re.compile(r"(?<![\w*])([^\W\d_]{2,3})(\*{2,12}+)(?!\w)")


def _cut(lexicon: Lexicon, text: str, begin: int) -> Iterator[tuple[int, int, int]]:
    """Words of which only two or three letters are left: sh**, bit**."""
    if "**" not in text:
        return
    for match in _CUT.finditer(text, begin):
        severity = _longer(lexicon, match[1].lower(), len(match[2]))
        if severity > 1:
            line = max(text.rfind("\n", 0, match.start()), match.start() - _NEAR, 0)
            if not _BOLD.search(text, line, match.start()):
                yield *match.span(), severity


def _longer(lexicon: Lexicon, beginning: str, more: int) -> int:
    """The worst severity of the words that go on so with as many letters more."""
    nodes = [lexicon.masks]
    for letter in beginning:
        nodes = [node.next[letter] for node in nodes if letter in node.next]
    for _ in range(more):
        nodes = [after for node in nodes for after in node.next.values()]
    return max((n & SEVERITY for node in nodes for n in node.ends), default=0)


# A letter or a few in brackets inside a word, or an apostrophe where none belongs.
_ENCLOSING = "'`([{"
_ENCLOSED = re.compile(
    r"[(\[{][^\W\d_]{1,3}[)\]}][^\W\d_]{1,24}"
    r"|['`\u2019](?!(?:re|ve|ll)(?![^\W_]))[^\W\d_]{2,24}"
)
_INSIDE = re.compile(rf"[{re.escape(_ENCLOSING)}](?<=[^\W\d_].)(?=[^\W\d_])")
_INSIDE_ANY = re.compile(rf"[{re.escape(_ENCLOSING)}\u2019](?<=[^\W\d_].)(?=[^\W\d_])")
_LETTER_RUN = re.compile(r"[^\W\d_]+")


def _enclosed(
    lexicon: Lexicon, text: str, begin: int
) -> Iterator[tuple[int, int, int]]:
    """Whole words with such signs inside: f(u)ck, sh'it."""
    inside = _INSIDE if text.isascii() else _INSIDE_ANY
    for sign in inside.finditer(text, begin):
        at = start = sign.start()
        while start and at - start < _LONGEST and text[start - 1].isalpha():
            start -= 1
        rest = _ENCLOSED.match(text, at)
        if rest is None or start < begin or (at - start < 2 and text[at] not in "([{"):
            continue
        word = "".join(_LETTER_RUN.findall(text, start, rest.end())).lower()
        severity = lexicon.judge(word)
        if len(word) >= _LEAST_MASKED and severity > 1:
            yield start, rest.end(), severity


def _read(
    lexicon: Lexicon, text: str, start: int, end: int
) -> tuple[int, int, int] | None:
    while start < end and text[start] in _BETWEEN + _ANY + "+|!" + _OPENING:
        start += 1
    while start < end and text[end - 1] in _BETWEEN + _ANY + "!" + _OPENING:
        end -= 1
    if not 2 < end - start <= _LONGEST or _NUMERONYM.fullmatch(text, start, end):
        return None
    if text[start] == "$" and (
        not _VARIABLE.match(text, start) or _CODE.match(text, end)
    ):
        return None
    if any(sign in text[start:end] for sign in _OPENING) and (
        end - start < _LEAST_MASKED or text[end : end + 1] in tuple(_CLOSING)
    ):
        return None
    written = text[start:end]
    numbered = _NUMBERED.fullmatch(written)
    if numbered:
        severity = lexicon.judge(numbered[1].lower())
        if severity > 1:
            return start, end, severity
    dashed = _DASHED.fullmatch(written)
    if dashed:
        written = dashed[1] + "*" * len(dashed[2]) + dashed[3]
    letters, sure, digits, between = [], 0, 0, 0
    for char in written:
        if char in _BETWEEN:
            between += 1
            letters.append(char)
            continue
        choice = _LETTERS.get(char, "")
        if char in _ANY or (char in _HIDING and 0 < len(letters) < len(written) - 1):
            choice += "*"
        elif not choice:
            choice = unicodedata.normalize("NFD", char)[0].lower()[:1]
            sure += 1
        digits += char.isdigit()
        letters.append(choice)
    if sure == len(letters):
        return None
    # Codes such as A55 are more often codes than words, and f_{k is a formula.
    signs = len(letters) - sure - digits - between
    if digits > sure + signs or (digits and sure + signs < 2) or not sure:
        return None
    if between and (signs or digits):
        return None
    severity = _walk(lexicon, letters, between, sure)
    return (start, end, severity) if severity else None


def _walk(lexicon: Lexicon, letters: list[str], between: int, sure: int) -> int:
    """The severity of the worst word that the letters may spell."""
    size = len(letters)
    worst = 0
    if "".join(choice[0] for choice in letters) in lexicon.spared:
        return 0
    ends = not letters[0].endswith("*") and not letters[-1].endswith("*")
    parted, single = between > 0, between == 1 and size > _LEAST_MASKED - 1
    for first in range(1 if parted else size):
        # Node, place, the letter before, how many were masked, the word so far.
        paths: list[tuple[Node, int, str, int, str]]
        root = lexicon.inner_masks if first else lexicon.masks
        paths = [(root, first, "", 0, "")]
        while paths:
            node, at, last, hidden, word = paths.pop()
            for number in node.ends:
                severity = number & SEVERITY
                if severity <= worst:
                    continue
                if at < size and not number & AFTER:
                    continue
                if parted and (at < size or severity < 2 or len(word) < 4):
                    continue
                if hidden and (sure < 2 or severity < 2):
                    continue
                if hidden and not _tellable(len(word), hidden, ends):
                    continue
                rest = "".join(choice[0] for choice in letters[at:])
                if word + rest not in lexicon.spared:
                    worst = severity
            if at == size:
                continue
            choice = letters[at]
            if choice in _BETWEEN:
                paths.append((node, at + 1, last, hidden, word))
                if single and word and choice in _OMITTED:
                    for letter, after in node.next.items():
                        paths.append((after, at + 1, "", hidden + 1, word + letter))
                continue
            if last and last in choice:
                # One more of the same, as in sh!!t.
                paths.append((node, at + 1, last, hidden, word))
            for letter, after in node.next.items():
                if letter in choice:
                    paths.append((after, at + 1, letter, hidden, word + letter))
                elif "*" in choice and word:
                    paths.append((after, at + 1, "", hidden + 1, word + letter))
    return worst


def _tellable(size: int, hidden: int, ends: bool) -> bool:
    """True when enough of a word is shown to know which it is."""
    shown = size - hidden
    return size >= _LEAST_MASKED and shown >= 2 and (ends or 3 * shown >= size)
