"""Words written in look-alikes of Latin letters, read as Latin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from . import _lookalikes as look
from ._language import known
from ._offsets import Rewrite
from ._unicode import FOREIGN, SCRIPTS, SOLID, one_of

__all__ = ["certain", "disguised", "latinise"]

_LATIN = re.compile(r"[A-Za-z]")
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_MARK = re.compile("[\u0300-\u036f\u20d0-\u20f0\u0483-\u0489]")
_PLAIN_MARKS = re.compile(f"{_MARK.pattern}+")
_PICTURED = re.compile(
    "(?:[\U0001f150-\U0001f169\U0001f170-\U0001f189][^\\w\n]{0,3}){4,}"
)
_FEW_LETTERS = 6
# Vowels carry marks in many languages, and these letters are letters of one.
_UNTOLD = "aeiouyAEIOUYđĐðÐþÞłŁħĦŋŊßẞøØæÆœŒıəƏ"


def latinise(text: str) -> str:
    """Read look-alikes as Latin letters where they are not at home.

    That is in a word with Latin letters or several scripts, and in a word of nothing
    but look-alikes, unless the next word to either side that has other letters is of
    such a script: a Russian or Greek sentence stays as it is.
    """
    if not _foreign().search(text):
        return text
    rewrite = Rewrite(text)
    before = ""
    first = last = -1
    for match in _words().finditer(text):
        kind = _kind(match[0])
        if kind == "number":
            continue
        if kind == "doubtful":
            first, last = (match.start() if first < 0 else first), match.end()
            continue
        if first >= 0:
            _decide(rewrite, text, first, last, {before, kind})
            first = -1
        if kind == "mixed":
            rewrite.align(*match.span(), match[0].translate(_any_shape()))
            kind = "latin"
        before = kind
    if first >= 0:
        _decide(rewrite, text, first, last, {before})
    text, _ = rewrite.finish()
    return text.translate(_bases()) if _GREEK.search(text) else text


def certain(word: str) -> bool:
    """True when no neighbour decides how a word is read."""
    return _kind(word) not in ("number", "doubtful")


def _kind(word: str) -> str:
    latin = _LATIN.search(word) is not None
    if not _foreign().search(word):
        return "latin" if latin else "number" if word.isdecimal() else "other"
    if latin or not _one_script().fullmatch(word):
        return "mixed"
    return "doubtful" if _look_alike().fullmatch(word) else "home"


def _decide(
    rewrite: Rewrite, text: str, first: int, last: int, around: set[str]
) -> None:
    """Read words of nothing but look-alikes, given the nearest words with others."""
    if "home" in around:
        return
    words = text[first:last]
    if "latin" in around or "mixed" in around:
        words = words.translate(_look())
    else:
        words = _close_word().sub(lambda match: match[0].translate(_look()), words)
    rewrite.align(first, last, words)


def disguised(text: str) -> Iterator[tuple[int, int]]:
    """Words that are written to look like Latin ones, where no language is.

    Words of several scripts, unless it is a word with an ending of another script in a
    text of both; words that are marked all over; and other alphabets of Latin letters.
    """
    mixed: list[tuple[int, int]] = []
    marked: list[tuple[int, int]] = []
    doubtful: list[tuple[int, int]] = []
    at_home = False
    told: dict[str, str] = {}
    if not _suspect().search(text):
        return
    for match in _words_and_marks().finditer(text):
        word = match[0]
        if word.isascii():
            continue
        if word not in told:
            told[word] = _look_of(word)
        match told[word]:
            case "home":
                at_home = True
            case "mixed":
                mixed.append(match.span())
            case "marked":
                marked.append(match.span())
            case "doubtful":
                doubtful.append(match.span())
    if at_home:
        mixed = [span for span in mixed if _interleaved(text[slice(*span)])]
    elif sum(end - start for start, end in doubtful) > _FEW_LETTERS:
        mixed += doubtful
    yield from mixed
    if len(marked) > 1:
        yield from marked
    for match in _PICTURED.finditer(text):
        yield match.span()


def _look_of(word: str) -> str:
    """What a word with other letters than those of ASCII may be."""
    if not _suspect().search(word):
        return "other"
    if _all_marked(word):
        return "marked"
    if _passes(word):
        return "mixed"
    if not _foreign().search(word):
        return "other"
    kind = _kind(_PLAIN_MARKS.sub("", word))
    letters = sum(map(str.isalpha, word))
    if kind == "mixed" and not (letters > 3 and _resembles(word)):
        return "other"
    return kind


@cache
def _suspect() -> re.Pattern[str]:
    """Letters of scripts that look like Latin ones, and Latin ones with marks."""
    latin = " ".join(f"{point:X}" for point in _latin())
    marks = "C0-24F 300-36F 483-489 1E00-1EFF 20D0-20F0"
    return re.compile(one_of(FOREIGN, latin, marks, "1F150-1F189"))


def _resembles(word: str) -> bool:
    foreign = "".join(_foreign().findall(word))
    return foreign.translate(_look()).isascii() or len(foreign) > 2


def _interleaved(word: str) -> bool:
    kinds = ["l" if char.isascii() else "f" for char in word if char.isalpha()]
    changes = sum(one != other for one, other in pairwise(kinds))
    return changes > 1 or kinds.count("f") == 1 < len(kinds) - 2


def _passes(word: str) -> bool:
    """True for a usual word with a letter in it that few languages have."""
    if not any(ord(char) in _latin() and char not in _UNTOLD for char in word):
        return False
    plain = word.translate(_latin()).lower()
    return len(plain) > 3 and known(plain)


def _all_marked(word: str) -> bool:
    """True when most consonants carry a mark, or are of another alphabet."""
    if _foreign().search(word):
        return False
    plain = unicodedata.normalize("NFD", word)
    consonants = marked = 0
    for index, char in enumerate(plain):
        if not char.isalpha() or char in _UNTOLD:
            continue
        odd = ord(char) in _latin() or _MARK.match(plain, index + 1) is not None
        consonants += odd or char.isascii()
        marked += odd
    return marked >= 3 and marked * 10 >= consonants * 7


@cache
def _latin() -> dict[int, str]:
    return look.letters(look.LATIN)


@cache
def _foreign() -> re.Pattern[str]:
    return re.compile(one_of(FOREIGN))


@cache
def _words() -> re.Pattern[str]:
    # Letters of scripts without spaces are a word of their own; see _settling.
    solid = one_of(SOLID)
    return re.compile(rf"{solid}+|(?:(?!{solid})[^\W_])+")


@cache
def _words_and_marks() -> re.Pattern[str]:
    solid = one_of(SOLID)
    return re.compile(rf"(?:(?!{solid})(?:[^\W_]|{_MARK.pattern}))+")


@cache
def _one_script() -> re.Pattern[str]:
    scripts = "|".join(f"(?:{one_of(script)}|[0-9])+" for script in SCRIPTS)
    return re.compile(scripts)


@cache
def _look() -> dict[int, str]:
    # A Greek word with an accent is at home.
    return _with_marks(look.letters(look.CLOSE, look.LOOSE), range(0x400, 0x530))


@cache
def _any_shape() -> dict[int, str]:
    table = look.letters(look.CLOSE, look.LOOSE, look.SHAPES)
    return _with_marks(_with_marks(table, range(0x370, 0x530)), range(0x1F00, 0x2000))


@cache
def _look_alike() -> re.Pattern[str]:
    return _word_of(_look())


@cache
def _close_word() -> re.Pattern[str]:
    table = _with_marks(look.letters(look.CLOSE), range(0x400, 0x530))
    close = _word_of(table).pattern
    return re.compile(rf"(?<![^\W_])(?:{close})(?![^\W_])")


def _word_of(table: dict[int, str]) -> re.Pattern[str]:
    points = " ".join(f"{point:X}" for point in sorted(table))
    return re.compile(f"(?:{one_of(points)}|[0-9])++")


def _with_marks(table: dict[int, str], points: range) -> dict[int, str]:
    """The table, with letters that carry a mark read as those that do not."""
    marked = {}
    for point in points:
        base = ord(unicodedata.normalize("NFD", chr(point))[0])
        if base != point and base in table:
            marked[point] = table[base]
    return table | marked


@cache
def _bases() -> dict[int, str]:
    """Greek letters without accents, which are not written in capitals either."""
    bases = {}
    for point in (*range(0x370, 0x400), *range(0x1F00, 0x2000)):
        base = unicodedata.normalize("NFD", chr(point))[0]
        if base != chr(point):
            bases[point] = base
    return bases
