"""From the clean reading to the folded one: what a text spells, in plain letters.

Every stage looks no further than words and their neighbours, so that a text can be cut
between two ordinary words (see ``_settling``). A stage gives its text and offsets, None
where positions stay the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product

from . import _lookalikes as look
from ._language import known
from ._offsets import Offsets, Rewrite
from ._signs import kinds, signs
from ._skeleton import latinise
from ._unicode import EMOJI, ENCLOSING, FOREIGN, LETTERED, MARKS, one_of

__all__ = ["flag_letters", "fold", "letters_apart"]


def fold(text: str) -> tuple[str, tuple[Offsets, ...]]:
    """What a clean text spells, and how its positions changed on the way."""
    found: list[Offsets | None] = []
    if not text.isascii():
        text = _flags(text).translate(_letters())
    if not text.isascii():
        text, offsets = _unadorn(text)
        found.append(offsets)
    plain = signs(text)
    if (plain is None or b"AA" in plain.rest) and _HUMPS.search(text):
        text, offsets = _part(text)
        found.append(offsets)
    run = _run() if plain is None else _ASCII_RUN
    if (plain is None or _may_spell(text)) and run.search(text):
        text, offsets = _join(text, run)
        found.append(offsets)
    if "*" in text or "`" in text:
        text, offsets = _unstar(text)
        found.append(offsets)
    if plain is None:
        text = _unleet(_lower(latinise(text)))
    else:
        text = text.lower()
        # The steps before have taken signs out, and added none.
        if not plain.kinds.isdisjoint(_MIXED) and _may_mix(text):
            text = _unleet(text)
    text, offsets = _space(text)
    found.append(offsets)
    return text, tuple(offsets for offsets in found if offsets is not None)


_INDICATOR = "[\U0001f1e6-\U0001f1ff]"
_INDICATORS = re.compile(rf"{_INDICATOR}++(?:[ \n]{{1,4}}+{_INDICATOR}++)*+")


def flag_letters(text: str) -> Iterator[tuple[int, int]]:
    """Where regional indicators make words and not flags."""
    for match in _INDICATORS.finditer(text):
        if len(match[0]) > 3 and _flags(match[0]) != match[0]:
            yield match.span()


def _flags(text: str) -> str:
    """Regional indicators as letters, unless all those side by side make flags."""

    def read(match: re.Match[str]) -> str:
        spelt = match[0].translate(letters)
        words = spelt.split()
        pairs = {word[at : at + 2] for word in words for at in range(0, len(word), 2)}
        return match[0] if pairs <= _regions() else spelt

    letters = {0x1F1E6 + at: chr(97 + at) for at in range(26)}
    return _INDICATORS.sub(read, text)


@cache
def _regions() -> frozenset[str]:
    return frozenset(look.REGIONS.split())


@cache
def _letters() -> dict[int, str]:
    """Latin letters without what is written on and through them; ASCII marks."""
    table = look.letters(look.LATIN)
    for point in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        base = unicodedata.normalize("NFD", chr(point))[0]
        if base != chr(point):
            table[point] = table.get(ord(base), base)
    table.update(dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"))
    table.update(dict.fromkeys((0x2018, 0x2019, 0x201B), "'"))
    table.update(dict.fromkeys((0x201C, 0x201D, 0x201F), '"'))
    return table


_PAIRS = {"æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th"}
_PAIRS |= {"ß": "ss", "ẞ": "ss"}


def _unadorn(text: str) -> tuple[str, Offsets | None]:
    """Take marks off letters and emoji out of words; write ligatures as two letters."""
    if not _adornment().search(text):
        return text, None
    rewrite = Rewrite(text)
    signs = _signs()
    done = 0
    for match in _adornment().finditer(text):
        start, end = match.span()
        if match.lastgroup == "pair":
            rewrite.replace(start, end, _PAIRS[text[start]])
        elif match.lastgroup == "sign":
            rewrite.align(start, end, match[0].translate(signs))
        elif match.lastgroup == "mark" and start > done:
            # A letter and its marks are one thing to redact.
            rewrite.replace(start - 1, end, text[start - 1])
        else:
            rewrite.replace(start, end, "")
        done = end
    return rewrite.finish()


@cache
def _signs() -> dict[int, str]:
    return look.letters(look.SYMBOLS)


@cache
def _adornment() -> re.Pattern[str]:
    mark = one_of(MARKS, ENCLOSING)
    sign = "[" + "".join(map(chr, _signs())) + "]"
    signs = " ".join(f"{point:X}" for point in _signs())
    pairs = " ".join(f"{ord(char):X}" for char in _PAIRS)
    return re.compile(
        f"(?={one_of(MARKS, ENCLOSING, EMOJI, signs, pairs, rare=True)})(?:"
        rf"(?<={one_of(LETTERED)})(?P<mark>{mark}+)"
        rf"|(?<=[^\W_]){one_of(EMOJI)}{one_of(EMOJI, MARKS, ENCLOSING)}*+(?=[^\W_])"
        rf"|(?P<pair>[{''.join(_PAIRS)}]{mark}*+)"
        rf"|(?P<sign>(?<=[^\W\d_]){sign}++|(?<!{sign}){sign}++(?=[^\W\d_])"
        rf"|{sign}{{3,}}+))"
    )


_HUMPS = re.compile(r"[A-Z][a-z]*+[A-Z]")
_HUMPED = re.compile(r"(?<![A-Za-z])[A-Za-z][a-z]*+(?:[A-Z][a-z]*+){2,}+")
_HUMP = re.compile(r"(?<=.)[A-Z]")


def _part(text: str) -> tuple[str, Offsets | None]:
    """IgnoreAllOfThis as four words, but not JavaScript, and not sHoUtInG as eight."""
    rewrite = Rewrite(text)
    for match in _HUMPED.finditer(text):
        start, end = match.span()
        humps = [start + hump.start() for hump in _HUMP.finditer(match[0])]
        words = len(humps) + 1
        if end - start < words * (4 if words < 5 else 3):
            continue
        for at in humps:
            rewrite.replace(at, at + 1, " " + text[at])
    return rewrite.finish()


_STARS = re.compile(r"(?<![0-9*`])[*`]++|(?<![*`])[*`]++(?![0-9])")


def _unstar(text: str) -> tuple[str, Offsets | None]:
    """Take out asterisks and backticks, except between digits."""
    rewrite = Rewrite(text)
    for match in _STARS.finditer(text):
        rewrite.replace(*match.span(), "")
    return rewrite.finish()


_ASCII_RUN = re.compile(
    "(?<![0-9A-Za-z])(?<![0-9A-Za-z]')[0-9A-Za-z]"
    "(?:[^0-9A-Za-z]{1,8}+[0-9A-Za-z](?![0-9A-Za-z])){2,}+"
)


# An ASCII text as letters and spaces, and three letters by themselves in that.
_WORDS = bytes(97 if chr(at).isalnum() and at < 128 else 32 for at in range(256))
_THREE = re.compile(rb" a  {0,7}a  {0,7}a(?!a)")


def _may_spell(text: str) -> bool:
    """False for an ASCII text without letters that stand alone, three in a row."""
    return _THREE.search(b" " + text.encode("ascii").translate(_WORDS)) is not None


@cache
def _run() -> re.Pattern[str]:
    letter = one_of("30-39 41-5A 61-7A", FOREIGN)
    more = rf"[\W_]{{1,8}}+{letter}(?![^\W_])"
    return re.compile(rf"(?<![^\W_])(?<![^\W_]'){letter}(?:{more}){{2,}}+")


def letters_apart(text: str) -> Iterator[re.Match[str]]:
    """Letters that stand alone, three or more in a row, whatever they spell."""
    return (_ASCII_RUN if text.isascii() else _run()).finditer(text)


# What separates letters is at most this many times rarer than the most usual separator.
MOST_UNUSUAL = 8

_GAP = re.compile(r"[\W_]+")
_BLANK = re.compile(r"\r\n|\s")


def _join(text: str, run: re.Pattern[str]) -> tuple[str, Offsets | None]:
    """Join letters that stand alone: ``i g n o r e   a l l``, ``i.g.n.o.r.e a.l.l``.

    What most often stands between them separates letters, and so does what is used
    nearly as often. A wider gap separates words, and so does a space where the others
    have punctuation, or punctuation where they have none.
    """
    rewrite = Rewrite(text)
    for spelt in run.finditer(text):
        start, end = spelt.span()
        counts = Counter(gap[0] for gap in _GAP.finditer(text, start, end))
        kinds: Counter[tuple[bool, int]] = Counter()
        for gap in counts:
            kinds[_kind(gap)] += counts[gap]
        # The most usual kind of gap; of two that are as usual, the narrower.
        usual = max(kinds, key=lambda kind: (kinds[kind], -kind[1]))
        most = max(counts[gap] for gap in counts if _kind(gap) == usual)
        drop = {
            gap
            for gap in counts
            if _kind(gap) == usual
            and counts[gap] * MOST_UNUSUAL > most
            # A sign or two may be letters, as in f!r$7.
            and (gap.strip("@$!") or counts[gap] > 2)
        }
        # An apostrophe between letters makes them a word already, as in I'm.
        least = 4 if "'" in counts and usual != (True, 0) else 3
        if most < 2 or not _spells(text, start, end, drop, least):
            continue
        # An apostrophe is inside a word with a separator to either side.
        inside = 0 if usual[0] else 2 * usual[1]
        for match in _GAP.finditer(text, start, end):
            gap = match[0]
            if gap in drop:
                rewrite.replace(*match.span(), "")
            elif gap.strip() == "'" and _kind(gap)[1] in (0, inside):
                rewrite.replace(*match.span(), "'")
    return rewrite.finish()


def _kind(gap: str) -> tuple[bool, int]:
    """Whether a gap has punctuation, and how many blanks."""
    return bool(gap.strip()), len(_BLANK.findall(gap))


def _spells(text: str, start: int, end: int, drop: set[str], least: int) -> bool:
    """True when joining gives a long enough word, and not only numbers."""
    longest = size = count = 1
    letters = int(text[start].isalpha())
    for gap in _GAP.finditer(text, start, end):
        size = size + 1 if gap[0] in drop else 1
        longest = max(longest, size)
        letters += text[gap.end()].isalpha()
        count += 1
    return longest >= least and letters * 4 > count


def _lower(text: str) -> str:
    """Casefolded, one for one: what casefolds to more was taken apart before."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(c if len(c.casefold()) > 1 else c.casefold() for c in text)


# A word has at most this many digits to a letter, and from this many such words on a
# text is taken to be written like that.
MOST_DIGITS = 5
MANY_MIXED = 3

_LEETISH = re.compile(r"[0-9@$!]")
_LEET_WORD = r"(?<![a-z0-9@$!])[a-z]*+(?:[0-9@$]|!+(?=[a-z0-9@$]))[a-z0-9@$!]*+"
_LEET = re.compile(_LEET_WORD)
_BETWEEN = r"(?:[^\w@$!]|_|!(?![a-z0-9@$!])){1,3}+"
_LEET_RUN = re.compile(rf"{_LEET_WORD}(?:{_BETWEEN}{_LEET_WORD})*+")
_DIGITS = str.maketrans("023456789", "ozeasgtbg")
_LEET_SIGNS = str.maketrans("@$!", "asi")
_INSIDE = re.compile(r"(?<=[a-z0-9])[@$]+(?=[a-z0-9])|(?<=[a-z]{3})\$+(?![a-z0-9@$!])")
_MOST_ONES = 4
_MIXED = kinds("0@$")
_MIX = bytes(
    ord("0" if chr(at) in "0123456789@$" else "!" if at == 33 else "a")
    if chr(at) in "abcdefghijklmnopqrstuvwxyz0123456789@$!"
    else 32
    for at in range(256)
)
_MORE_MAIL = re.compile(r"[-.+][a-z0-9]")


# It begins with the sign that is rare, which is quick to find.
_MIXES = re.compile(rb"0(?:(?<=[a!].)|(?=[a!]))")


def _may_mix(text: str) -> bool:
    """False for a lower-case ASCII text in which no word mixes letters with digits."""
    shape = text.encode("ascii").translate(_MIX)
    return _MIXES.search(shape) is not None


def _unleet(text: str) -> str:
    """Digits and signs as letters, in words that mix them: ``1gn0r3`` is ``ignore``.

    Between such words, and at the ends of a run of many, a number is a word as well.
    """
    if not _LEETISH.search(text):
        return text
    rewrite = Rewrite(text)
    for run in _LEET_RUN.finditer(text):
        mixed = first = last = 0
        for match in _LEET.finditer(text, *run.span()):
            if _mixes(match):
                mixed += 1
                first, last = (match.start() if mixed == 1 else first), match.start()
        for match in _LEET.finditer(text, *run.span()):
            word = match[0]
            if _mixes(match):
                every = mixed > 1 or len(_LEETISH.findall(word.strip("@$!"))) > 1
            elif mixed and (mixed >= MANY_MIXED or first < match.start() < last):
                every = True
            else:
                continue
            if every:
                body = word.rstrip("!")
                word = body.translate(_LEET_SIGNS) + word[len(body) :]
            else:
                word = _INSIDE.sub(lambda sign: sign[0].translate(_LEET_SIGNS), word)
            rewrite.align(*match.span(), _ones(word.translate(_DIGITS)))
    return rewrite.finish()[0]


def _mixes(match: re.Match[str]) -> bool:
    """True for letters with digits or signs among them, but no mail address."""
    word = match[0]
    inside = "".join(_INSIDE.findall(word))
    digits = sum(map(word.count, "0123456789"))
    letters = len(word) - digits - sum(map(word.count, "@$!"))
    if "@" in inside and _MORE_MAIL.match(match.string, match.end()):
        return False
    return 0 < digits + len(inside) <= MOST_DIGITS * letters


def _ones(word: str) -> str:
    """Each 1 as an i or an l, as in a usual word, or by what stands beside it."""
    ones = word.count("1")
    if not ones:
        return word
    if ones <= _MOST_ONES:
        parts = word.split("1")
        for choice in product("il", repeat=ones):
            spelt = "".join(map("".join, zip(parts, (*choice, ""), strict=True)))
            if known(spelt):
                return spelt
    letters = ["^", *word, "$"]
    for at, letter in enumerate(letters):
        if letter == "1":
            after = look.L_BETWEEN.get(letters[at - 1], "")
            letters[at] = "l" if letters[at + 1] in after else "i"
    return "".join(letters[1:-1])


_BLANKS = r"[ \t\n\r]"
_JOINT = r"_(?<=[^\W_]_)_*+(?=[^\W_])|-(?<=[^\W\d_]-)-*+(?=[^\W\d_])"
_JOINTS = re.compile(_JOINT)
_GAPS = re.compile(rf"\t{_BLANKS}*+|\n{_BLANKS}*+|\r{_BLANKS}*+| {_BLANKS}++|{_JOINT}")


def _space(text: str) -> tuple[str, Offsets | None]:
    """One space for any gap, and for underscores and hyphens that join words."""
    if text.isascii():
        spaced = text.replace("\n", " ").replace("\t", " ").replace("\r", " ")
        if "  " not in spaced:
            if "-" in spaced or "_" in spaced:
                spaced = _JOINTS.sub(" ", spaced)
            if len(spaced) == len(text):
                return spaced, None
    else:
        spaced = _GAPS.sub(" ", text)
        if len(spaced) == len(text):
            return spaced, None
    rewrite = Rewrite(text)
    for match in _GAPS.finditer(text):
        rewrite.replace(*match.span(), " ")
    return rewrite.finish()
