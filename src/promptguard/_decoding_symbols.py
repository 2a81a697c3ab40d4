"""Codes that write each letter as a number, a sign or a word.

International Morse code is Recommendation ITU-R M.1677-1, the spelling alphabet that of
ICAO Annex 10, Braille that of grade 1.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable

from ._decoding_bytes import printable, text_of
from ._decoding_runs import Found
from ._language import known_share, reads, surprise

__all__ = ["CODES"]

_BINARY = re.compile(r"(?<!\w)[01]{7,}+(?:[\s,_.|-]{1,2}+[01]{7,}+)*+(?!\w)")
_GLUE = (
    r"(?:[\s,;:+|/-]{1,3}|\)[^\w\n]{1,4}(?:[A-Za-z.]{0,12}?"
    r"(?:[Cc]hr|CHR|[Cc]har|CHAR|CharCode)\())"
)
_ITEM = r"(?:0[xX])?+[0-9A-Fa-f]{2,7}+"
_NUMBERS = re.compile(
    rf"(?<![0-9A-Za-z]){_ITEM}(?:{_GLUE}{_ITEM}(?![0-9A-Za-z])){{3,}}+"
)
_FEWEST = 4
_SOME_BINARY = re.compile("[01]{7}")
_SOME_LETTER_NUMBERS = re.compile(
    "[0-9][-., /]{1,3}[0-9]{1,2}[-., /]{1,3}[0-9]{1,2}[-., /]{1,3}[0-9]"
)
_SOME_NUMBERS = re.compile(
    r"[0-9][0-9A-Fa-f]{0,6}[^\w\n]{1,4}(?:[A-Za-z.]{0,12}\()?[0-9A-Fa-fxX]{2,9}"
    r"[^\w\n]"
)
_LETTER_NUMBERS = re.compile(
    r"(?<![\w.])[12]?[0-9](?:[\W_]{1,24}[12]?[0-9](?![0-9])){5,}+(?:-?[^\w\s])*+"
)
_MORSE = re.compile(
    r"(?<![^\s:\"'(])(?:[.-]{1,6}(?:[ ]{1,3}|[ ]?[/|][ ]?|\n))(?:(?:[.-]{1,6}|[^\w\s])"
    r"(?:[ ]{1,7}|[ ]?[/|][ ]?|\n)){3,}[.-]{1,6}"
)
_SOME_MORSE = re.compile(r"[.-][ /|]+[.-]{1,6}[ /|]+[.-]{1,6}[ /|]+[.-]")
_BRAILLE = re.compile("[\u2801-\u28ff](?:[ \\-'.,!?]{0,2}[\u2801-\u28ff])+")

_SIGNS = {
    sign[1:]: sign[0]
    for sign in (
        "a.- b-... c-.-. d-.. e. f..-. g--. h.... i.. j.--- k-.- l.-.. m-- n-. o--- "
        "p.--. q--.- r.-. s... t- u..- v...- w.-- x-..- y-.-- z--.. 0----- 1.---- "
        "2..--- 3...-- 4....- 5..... 6-.... 7--... 8---.. 9----. ?..--.. ,--..-- "
        "..-.-.- '.----. /-..-. (-.--. )-.--.- :---... =-...- !-.-.-- @.--.-."
    ).split()
}
_LETTERS = string.ascii_lowercase
_CELLS = dict(zip("⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", _LETTERS, strict=True))
_CELLS |= dict(zip("⠂⠆⠒⠲⠖⠦⠄⠤", ",;:.!?'-", strict=True))
_DIGITS = dict(zip("abcdefghij", "1234567890", strict=True))
_CALLED = (
    "alfa alpha bravo charlie delta echo foxtrot golf hotel india juliett juliet kilo "
    "lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey "
    "whisky x-ray xray yankee zulu"
).split()
_FIGURES = dict(
    zip(
        "zero one two three four five six seven eight nine".split(),
        "0123456789",
        strict=True,
    )
)
_NAME = rf"(?:{'|'.join((*_CALLED, *_FIGURES))})"
_BETWEEN_NAMES = r"(?:\(space\)|[\W_]){1,9}+"
_NATO = re.compile(
    rf"(?<!\w){_NAME}(?:{_BETWEEN_NAMES}{_NAME}(?!\w)){{3,}}", re.IGNORECASE
)
_NATO_ITEM = re.compile(
    rf"{_NAME}|\s*(?:/|\||\n|\(space\)|  )\s*|[^\w\s]", re.IGNORECASE
)
_SOME_NATO = "echo tango alfa alpha oscar india november romeo sierra".split()


def _binary(text: str) -> Found:
    if not _SOME_BINARY.search(text):
        return
    for match in _BINARY.finditer(text):
        digits = "".join(char for char in match[0] if char in "01")
        groups = re.findall("[01]+", match[0])
        size = 7 if all(len(group) == 7 for group in groups) else 8
        data = bytes(
            int(digits[at : at + size], 2)
            for at in range(0, len(digits) - size + 1, size)
        )
        said = text_of(data)
        if said and len(digits) >= 4 * size and (reads(said) or len(said) >= 8):
            yield *match.span(), said


def _numbers(text: str) -> Found:
    if not _SOME_NUMBERS.search(text):
        return
    for match in _NUMBERS.finditer(text):
        items = [*re.finditer(_ITEM + r"(?![0-9A-Za-z])", match[0])]
        # A word such as "add" may stand before them.
        while items and items[0][0].isalpha():
            items.pop(0)
        while items and items[-1][0].isalpha() and len(items[-1][0]) != 2:
            items.pop()
        if len(items) < _FEWEST:
            continue
        values = [item[0] for item in items]
        readings = [
            said
            for said in _spelt(values)
            if said and sum(map(str.isalpha, said)) >= _FEWEST and reads(said)
        ]
        if readings:
            start = match.start()
            best = min(readings, key=surprise)
            yield start + items[0].start(), start + items[-1].end(), best


def _spelt(values: list[str]) -> list[str | None]:
    said = []
    if all(len(value.lower().removeprefix("0x")) == 2 for value in values):
        said.append(text_of(bytes(int(value, 16) for value in values)))
    if all(value.isdecimal() for value in values):
        if all(len(value) == 3 and value <= "377" for value in values) and not set(
            "".join(values)
        ) & {"8", "9"}:
            said.append(text_of(bytes(int(value, 8) for value in values)))
        said.append(_from_points([int(value) for value in values]))
    elif all(len(value) <= 6 for value in values):
        said.append(_from_points([int(value, 16) for value in values]))
    return said


def _from_points(points: list[int]) -> str | None:
    if max(points) <= 0xFF and (said := text_of(bytes(points))):
        return said
    if max(points) > 0x10FFFF:
        return None
    # Units of UTF-16 are written as numbers too.
    units = "".join(map(chr, points)).encode("utf-16-be", "surrogatepass")
    try:
        said = units.decode("utf-16-be")
    except UnicodeDecodeError:
        return None
    return said if printable(said) else None


def _letter_numbers(text: str) -> Found:
    if not _SOME_LETTER_NUMBERS.search(text):
        return
    for match in _LETTER_NUMBERS.finditer(text):
        run = match[0]
        gaps = Counter(re.findall(r"(?<=[0-9])(?:[^\w\s/] ?| +)(?=[0-9])", run))
        if not gaps or any(int(number) > 26 for number in re.findall(r"\d+", run)):
            continue
        usual = gaps.most_common(1)[0][0]
        # A slash ends a word; beside another separator it may be one of the signs.
        run = re.sub(r"\s*/\s*" if usual.isspace() else r"\s+/\s+", "\n", run)
        said = re.sub("[1-9][0-9]?", lambda number: chr(96 + int(number[0])), run)
        gap = re.escape(usual)
        # Three in a row are a sign between two separators.
        said = re.sub(rf"(?<=\S){gap}(?:({gap}){gap})?(?=\S)", r"\1", said)
        said = said.replace("\n", " ")
        # Lists of small numbers are many, and some look like syllables.
        if known_share(said) >= 0.5 or (len(said) >= 20 and reads(said)):
            yield *match.span(), said


def _morse(text: str) -> Found:
    if not _SOME_MORSE.search(text):
        return
    for match in _MORSE.finditer(text):
        words = re.split(r"\s*[/|]\s*|\n| {2,}", match[0])
        said = " ".join("".join(map(_sent, word.split())) for word in words)
        if reads(said):
            yield *match.span(), said


def _sent(sign: str) -> str:
    """The letter for a sign; what is no sign stands for itself."""
    return _SIGNS.get(sign, "" if set(sign) <= {".", "-"} else sign)


def _braille(text: str) -> Found:
    if text.isascii():
        return
    for match in _BRAILLE.finditer(text):
        said = []
        figures = False
        for cell in match[0]:
            if cell == "⠼":
                figures = True
                continue
            letter = _CELLS.get(cell, cell if cell < "\x7f" else "")
            figures = figures and letter in _DIGITS
            said.append(_DIGITS[letter] if figures else letter)
        yield *match.span(), "".join(said)


def _nato(text: str) -> Found:
    lower = text.lower()
    if sum(name in lower for name in _SOME_NATO) < 3:
        return
    for match in _NATO.finditer(text):
        said = []
        for item in _NATO_ITEM.finditer(match[0]):
            name = item[0].strip().lower()
            if name in _FIGURES:
                said.append(_FIGURES[name])
            elif name[:1].isalpha():
                said.append(name[0])
            elif name in ("/", "|", "(space)", ""):
                said.append(" ")
            else:
                said.append(name)
        yield *match.span(), "".join(said)


CODES: tuple[Callable[[str], Found], ...] = (
    _binary,
    _numbers,
    _letter_numbers,
    _morse,
    _braille,
    _nato,
)
