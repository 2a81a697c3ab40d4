"""Ciphers of old, and words written backwards or upside down.

They make words of words, so they are looked for only where several words in a row are
none that language knows, and taken back only where that gives words that it knows.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from ._decoding_runs import Found
from ._language import common, known, known_share, surprise

__all__ = ["decipher"]

Transform = Callable[[str], str]

# So many words without one that every sentence has are looked at, twelve at a time.
_STRETCH = 5
_PART = 12
_SHORTEST = 8
# Of the shifts of the alphabet, those that make its usual letters usual are tried.
_LIKELIEST = 3
# Bits for each pair of letters: of language, and of what a cipher makes of it.
_LANGUAGE, _NOISE = 3.6, 4.2
_TOKEN = re.compile(r"\S+")
_WORD = re.compile(r"[^\W\d_]+")
_SPLIT = re.compile(r"[^a-z]+")
_END = re.compile(r"[.:!?][\"')\]]*\s|\n")
_LINE_END = re.compile("\n")
_EDGES = string.punctuation + "…“”‘’«»¿¡"

# A stretch ends where known words outweigh the unknown ones by so much.
_DROP = 3.0
_LEAST = 1.6
# Longer ones are looked at in parts, so that a cipher in a page of code stands out.
_LONGEST = 1_200
# A stretch takes in words to either side, no further than this.
_WIDEST = 80
# Shorter texts are often something else backwards.
_FEWEST = 11

_LOWER = string.ascii_lowercase
_PRINTED = "".join(map(chr, range(33, 127)))
_ROT47 = str.maketrans(_PRINTED, _PRINTED[47:] + _PRINTED[:47])
_ATBASH = str.maketrans(_LOWER + _LOWER.upper(), _LOWER[::-1] + _LOWER.upper()[::-1])
_TURNED = dict(
    zip(
        "ɐɔǝɟƃɓɥᴉıɾʞꞁןɯɹʇʌʍʎ¡¿˙⅋ϛㄥɛɩᄅㄣ", "acefgghiijkllmrtvwy!?.&573124", strict=True
    )
)
_TURN = str.maketrans(
    _TURNED | dict(zip("bqdpnu69,'()[]{}<>", "qbpdun96',)(][}{><", strict=True))
)
_UPSIDE = re.compile("[ɐɔǝɟƃɥᴉɾʞꞁןɯɹʇʌʍʎ]")


def decipher(text: str) -> Found:
    """Stretches of words that a cipher makes language, and what they say."""
    at = 0
    for first, last in _regions(text):
        at = max(at, first)
        upside = not text.isascii() and bool(_UPSIDE.search(text, first, last))
        while (stretch := _stretch(text, at, last, upside)) is not None:
            start, end = stretch
            found = _best(text[start:end])
            if found is not None:
                transform, said = found
                wider = _widened(text, at, start, end, transform)
                if wider != stretch:
                    start, end = wider
                    said = transform(text[start:end])
                yield start, end, said
            at = end


def _regions(text: str) -> Iterator[tuple[int, int]]:
    """Where words in a row are none that a sentence has, and no other language."""
    words = text.split()
    flags = bytes(map(common().__contains__, words))
    least = min(_STRETCH, len(words))
    if len(words) <= 2 * _PART and sum(flags) * 4 <= len(words):
        flags = bytes(len(words))
    odd: list[tuple[int, int]] = []
    for run in re.finditer(b"\0{%d,}" % max(least, 1), flags):
        for first in range(run.start(), run.end(), _PART):
            last = min(first + _PART, run.end())
            if not _odd(" ".join(words[first:last])):
                continue
            first, last = max(0, first - _PART), min(len(words), last + _PART)
            if odd and first <= odd[-1][1]:
                odd[-1] = odd[-1][0], last
            else:
                odd.append((first, last))
    if odd:
        places = [match.span() for match in _TOKEN.finditer(text)]
        for first, last in odd:
            yield places[first][0], places[last - 1][1]


def _odd(part: str) -> bool:
    """True for what does not read like any language."""
    if not part.isascii():
        if _UPSIDE.search(part):
            return True
        part = " ".join(filter(str.isascii, part.split()))
    if len(part) < _SHORTEST or known_share(part) > 0.35:
        return False
    letters = sum(map(str.isalpha, part))
    if letters * 10 < 6 * len("".join(part.split())):
        return True
    bits = surprise(part)
    # Words of a language that is hardly known are still worse when read backwards.
    return bits > _NOISE or (bits > _LANGUAGE and surprise(part[::-1]) < bits)


def _stretch(text: str, first: int, last: int, upside: bool) -> tuple[int, int] | None:
    """The first stretch of unknown words, of a limited length."""
    total = peak = 0.0
    start = end = -1
    for match in _TOKEN.finditer(text, first, last):
        value = _oddity(match[0], upside)
        if start < 0:
            if value <= 0:
                continue
            start, total, peak = match.start(), 0.0, 0.0
        total += value
        if total > peak:
            peak, end = total, match.end()
        if total < peak - _DROP or total <= 0 or match.end() - start > _LONGEST:
            if peak >= _LEAST:
                return start, end
            start = -1
    return (start, end) if start >= 0 and peak >= _LEAST else None


def _oddity(token: str, upside: bool) -> float:
    """Above 0 for what is no word, below for one; more, the longer it is."""
    core = token.strip(_EDGES).lower()
    if not core:
        return 0.3 if len(token) > 3 else 0.0
    if not core.isascii():
        return 1.0 if upside and _UPSIDE.search(core) else -1.0
    if core.isdecimal():
        return 0.0
    parts = [part for part in _SPLIT.split(core) if part]
    if not parts:
        return 1.0
    if len("".join(parts)) + 2 < len(core):
        return 1.0
    if all(known(part) for part in parts):
        size = max(map(len, parts))
        return -0.4 if size <= 2 else -0.8 if size == 3 else -1.5
    if len(core) == 1:
        return 0.2
    return 1.0 if len(core) > 2 else 0.4


def _best(text: str) -> tuple[Transform, str] | None:
    """The cipher whose undoing gives the most usual words, if it gives enough."""
    now, bits = known_share(text), surprise(text)
    best: tuple[float, Transform, str] | None = None
    for transform in _transforms(text):
        said = transform(text)
        letters = sum(map(str.isalpha, said))
        if letters < _FEWEST or letters * 10 < 6 * len("".join(said.split())):
            continue
        share = known_share(said)
        if share < max(0.5, now + 0.25):
            # Of other languages few words are known, but their pairs of letters are.
            after = surprise(said)
            if after > (4.8 if transform is _turned else 4.0):
                continue
            if (
                transform is not _turned
                and share < now + 0.2
                and (letters < 24 or bits < after + 0.6)
            ):
                continue
            share = max(share, (bits - after) / 4)
        if best is None or share > best[0]:
            best = share, transform, said
    return None if best is None else best[1:]


def _transforms(text: str) -> Iterator[Transform]:
    if not text.isascii() and len(_UPSIDE.findall(text)) >= 4:
        yield _turned
        return
    yield _backwards
    yield from _substitutions(text)
    yield _rot47


def _backwards(text: str) -> str:
    """Letters and words in reverse, then letters alone: which it was, who can say."""
    return f"{text[::-1]}\n{_WORD.sub(lambda word: word[0][::-1], text)}"


def _turned(text: str) -> str:
    # Of a dot above, normalisation makes a space with a mark.
    text = text.lower().replace(" \u0307", ".").replace("\u0307", ".")
    return text.translate(_TURN)[::-1]


def _rot47(text: str) -> str:
    return text.translate(_ROT47)


# How rare each letter of the alphabet is in English, in tenths of a bit, counted over
# the texts that ``data/language.toml`` tells of.
_RARE = "37 62 45 48 30 59 54 53 37 89 70 44 51 38 39 50 86 38 38 36 49 64 62 77 59 93"
_RARITY = tuple(map(int, _RARE.split()))


def _substitutions(text: str) -> Iterator[Transform]:
    """Shifts of the alphabet, and it backwards, that make usual letters the usual."""
    counts = Counter(ord(char) - 97 for char in text.lower() if "a" <= char <= "z")
    costs = [
        (sum(_RARITY[(at + shift) % 26] * n for at, n in counts.items()), shift)
        for shift in range(1, 26)
    ]
    costs.append((sum(_RARITY[25 - at] * n for at, n in counts.items()), 0))
    for _, shift in sorted(costs)[:_LIKELIEST]:
        yield _shifted(shift)


@cache
def _shifted(shift: int) -> Transform:
    """The alphabet moved by so many letters, or backwards for 0."""
    if shift == 0:
        table = _ATBASH
    else:
        moved = _LOWER[shift:] + _LOWER[:shift]
        table = str.maketrans(_LOWER + _LOWER.upper(), moved + moved.upper())
    return lambda text: text.translate(table)


def _widened(
    text: str, first: int, start: int, end: int, transform: Transform
) -> tuple[int, int]:
    """The stretch with the words next to it that the cipher makes words as well.

    At most a few to either side, none before ``first``, and none of another sentence.
    """
    # ROT47 writes letters as signs.
    until = _LINE_END if transform is _rot47 else _END
    first = max(first, start - _WIDEST)
    while first and first < start and not text[first - 1].isspace():
        first += 1
    for word in reversed([*_TOKEN.finditer(text, first, start)]):
        gap = until.search(text, word.start(), start)
        if gap or not _fits(word[0], transform):
            break
        start = word.start()
    for word in _TOKEN.finditer(text, end, min(end + _WIDEST, len(text))):
        gap = until.search(text, max(end - 2, 0), word.start())
        if gap or not _fits(word[0], transform):
            break
        end = word.end()
    return start, end


def _fits(word: str, transform: Transform) -> bool:
    if _oddity(word, False) >= 1.0:
        return True
    said = transform(word).partition("\n")[0].strip(_EDGES).lower()
    if len(said) == 1:
        return said in "ai"
    return said != "" and all(known(part) for part in _SPLIT.split(said) if part)
