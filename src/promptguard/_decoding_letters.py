"""Where a text spells its words in an unusual way, so that the folded form is needed.

Folding takes the accents of French away as well as those of a disguise. Here is told
where it undoes a disguise: look-alikes, letters apart, digits for letters, letters
doubled and doubled again. Texts without such a place need no other reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ._folding import flag_letters, fold, letters_apart
from ._language import known, likeliest, reads
from ._offsets import Offsets, Rewrite
from ._skeleton import disguised
from ._unicode import EMOJI, ENCLOSING, MARKS, one_of

__all__ = ["spell", "spelt_oddly"]

Span = tuple[int, int]

_SOME_APART = re.compile(
    r"[^A-Za-z0-9\s]\s?[^\W_][^A-Za-z0-9\s]{1,2}\s?[^\W_][^A-Za-z0-9\s]"
)
_SOME_LEET = re.compile("[0-9@$!]+[A-Za-z]")
_LEET = re.compile(r"(?<![^\W_])(?=[^\W\d_]*[\d@$!])[A-Za-z\d@$!]{3,}+(?![^\W_])")
# Not 1st, $price or 50ft: between letters, or on both sides of one.
_LEET_INSIDE = re.compile(
    r"[A-Za-z][\d@$!]+[A-Za-z]|\d[A-Za-z]+\d|[@$!]\d*[A-Za-z]+[\d@$]"
)
_LEET_TOKEN = re.compile(r"(?<![^\W_])(?=[A-Za-z]*+[\d@$!])[A-Za-z\d@$!]++(?![^\W_])")
_FIGURES = dict(
    zip("0123456789@$!", "o il z e a s gb t b g a s i".split(), strict=True)
)
_LONGEST_LEET = 24
_STARRED = re.compile(r"[A-Za-z]\*++(?=[A-Za-z])")
_STRETCHED = re.compile(r"([A-Za-z])\1\1")
_STRETCH = re.compile(r"([A-Za-z])\1{2,}+")
_STRETCHED_WORD = re.compile(r"[A-Za-z]*?([A-Za-z])\1\1[A-Za-z]*+")
_HUMPS = re.compile(r"(?:[A-Z]?[a-z]+)(?:[A-Z][a-z]*+){5,}+")
_TAG = re.compile(
    r"(?<=[^\W_])(?:<!--[^<>]{0,64}-->|<wbr ?/?>|<(?P<tag>[a-z]{1,8})(?: [^<>]{0,64})?>"
    r"</(?P=tag)>)++(?=[^\W_])"
)
_FEW = 2
_MANY = 4


def untag(text: str) -> tuple[str, Offsets | None, list[Span]]:
    """The text without elements that show nothing and stand inside words."""
    if "<" not in text:
        return text, None, []
    matches = [*_TAG.finditer(text)]
    if len(matches) < _FEW:
        return text, None, []
    rewrite = Rewrite(text)
    spans = []
    gone = 0
    for match in matches:
        start, end = match.span()
        rewrite.replace(start, end, "")
        spans.append((start - gone, start - gone))
        gone += end - start
    text, offsets = rewrite.finish()
    return text, offsets, spans


def spell(text: str) -> tuple[str, tuple[Offsets, ...]]:
    """The text folded, with stretched words as they are usually written."""
    text, stages = fold(_unleet(text))
    if not _STRETCHED.search(text):
        return text, stages
    rewrite = Rewrite(text)
    for match in _STRETCHED_WORD.finditer(text):
        rewrite.replace(*match.span(), _squeezed(match[0]))
    text, offsets = rewrite.finish()
    return text, stages if offsets is None else (*stages, offsets)


def _unleet(text: str) -> str:
    """Usual words for what is written with digits and signs, where that is the rule."""
    if sum(1 for _ in _leet(text)) < _FEW:
        return text
    rewrite = Rewrite(text)
    for match in _LEET_TOKEN.finditer(text):
        word = match[0]
        if len(word) <= _LONGEST_LEET:
            spelt = _unleeted(word)
            if len(spelt) == len(word):
                rewrite.align(*match.span(), spelt)
    return rewrite.finish()[0]


def _unleeted(word: str) -> str:
    body = word.rstrip("!") if word.strip("!") else word
    parts = [(_FIGURES.get(char) or char.lower()) for char in body]
    spelt = likeliest([tuple(part) for part in parts])
    if known(spelt) or len(word) == 1 and word in "1!4@7":
        return spelt + word[len(body) :]
    return word


def _squeezed(word: str) -> str:
    parts: list[tuple[str, ...]] = []
    at = 0
    for match in _STRETCH.finditer(word):
        parts.append((word[at : match.start()],))
        parts.append((match[1], match[1] * 2))
        at = match.end()
    parts.append((word[at:],))
    return likeliest(parts)


def spelt_oddly(text: str) -> list[Span]:
    """Where folding undoes a disguise, in order."""
    spans: list[Span] = []
    for look in _LOOKS:
        spans += look(text)
    if not text.isascii():
        for look in _WIDE_LOOKS:
            spans += look(text)
    return sorted(spans)


def _apart(text: str) -> Iterator[Span]:
    """Letters spaced or punctuated apart that make words."""
    if [*map(len, text.split())].count(1) < _MANY and not _SOME_APART.search(text):
        return
    for match in letters_apart(text):
        run = match[0]
        if sum(map(str.isalpha, run)) < 5:
            continue
        if max(map(len, fold(run)[0].split()), default=0) < 3:
            continue
        if reads("".join(filter(str.isalpha, run))) and len(set(run)) > 6:
            yield match.span()


def _leet(text: str) -> Iterator[Span]:
    """Digits and signs for letters, in two words or more or one in three."""
    if not _SOME_LEET.search(text):
        return
    found = []
    for match in _LEET.finditer(text):
        word = match[0]
        if not _LEET_INSIDE.search(word):
            continue
        plain = fold(word)[0].strip("!$@")
        if len(plain) > 2 and plain.isalpha() and known(plain):
            found.append(match.span())
    if len(found) >= _FEW or (found and len(found) * 3 >= text.count(" ")):
        yield from found


def _starred(text: str) -> Iterator[Span]:
    if text.count("*") < _MANY:
        return
    found = [match.span() for match in _STARRED.finditer(text)]
    if len(found) >= _MANY and len(found) * 4 >= len(text.split()):
        yield from found


def _stretched(text: str) -> Iterator[Span]:
    """Words with a letter three times or more, when that is the rule."""
    if not _STRETCHED.search(text):
        return
    found = [match.span() for match in _STRETCHED_WORD.finditer(text)]
    if len(found) >= _FEW and len(found) * 3 >= len(text.split()):
        yield from found


def _unspaced(text: str) -> Iterator[Span]:
    """Text whose words are joined by capitals, underscores or hyphens alone."""
    size = len(text)
    if size < 16 or text.count(" ") * 30 > size:
        return
    joins = text.count("_") + text.count("-")
    humps = _HUMPS.search(text)
    if humps and known_words(fold(humps[0])[0]) or (
        joins * 12 >= size and known_words(fold(text)[0])
    ):
        yield 0, size


def known_words(text: str) -> bool:
    words = text.split()
    return len(words) >= _MANY and sum(map(known, words)) * 2 >= len(words)


def _emoji(text: str) -> Iterator[Span]:
    found = [match.span() for match in _inside().finditer(text)]
    if len(found) >= _FEW:
        yield from found


@cache
def _inside() -> re.Pattern[str]:
    return re.compile(
        rf"(?<=[^\W_]){one_of(EMOJI)}{one_of(EMOJI, MARKS, ENCLOSING)}*+(?=[^\W_])"
    )



_LOOKS = (_apart, _leet, _starred, _stretched, _unspaced)
_WIDE_LOOKS = (_emoji, disguised, flag_letters)
