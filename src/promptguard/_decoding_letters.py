"""Where a text spells its words in an unusual way, so that the folded form is needed.

Folding takes the accents of French away as well as those of a disguise. Here is told
where it undoes a disguise: look-alikes, letters apart, digits for letters, letters
doubled and doubled again. Texts without such a place need no other reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ._folding import fold
from ._language import known, likeliest, reads
from ._offsets import Offsets, Rewrite
from ._skeleton import disguised
from ._unicode import EMOJI, ENCLOSING, MARKS, one_of

__all__ = ["spell", "spelt_oddly"]

Span = tuple[int, int]

_APART = re.compile(
    r"(?<![^\W_])[^\W_](?:[\W_]{1,8}+[^\W_](?![^\W_])){3,}+"
)
_LEET = re.compile(r"(?<![^\W_])(?=[^\W\d_]*[\d@$!])[A-Za-z\d@$!]{3,}+(?![^\W_])")
_STARRED = re.compile(r"[^\W\d_]\*++(?=[^\W\d_])")
_STRETCHED = re.compile(r"([^\W\d_])\1\1")
_STRETCH = re.compile(r"([^\W\d_])\1{2,}+")
_STRETCHED_WORD = re.compile(r"[^\W\d_]*?([^\W\d_])\1\1[^\W\d_]*+")
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
    text, stages = fold(text)
    if not _STRETCHED.search(text):
        return text, stages
    rewrite = Rewrite(text)
    for match in _STRETCHED_WORD.finditer(text):
        rewrite.replace(*match.span(), _squeezed(match[0]))
    text, offsets = rewrite.finish()
    return text, stages if offsets is None else (*stages, offsets)


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
    for match in _APART.finditer(text):
        run = match[0]
        if sum(map(str.isalpha, run)) < 5:
            continue
        if max(map(len, fold(run)[0].split()), default=0) < 3:
            continue
        if reads("".join(filter(str.isalpha, run))) and len(set(run)) > 6:
            yield match.span()


def _leet(text: str) -> Iterator[Span]:
    """Digits and signs for letters, in two words or more or one in three."""
    found = []
    for match in _LEET.finditer(text):
        word = match[0]
        letters = sum(map(str.isalpha, word))
        if not letters or letters == len(word.rstrip("!")):
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
    if len(found) >= _MANY:
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


def _lookalikes(text: str) -> Iterator[Span]:
    yield from disguised(text)


_LOOKS = (_apart, _leet, _starred, _stretched, _unspaced)
_WIDE_LOOKS = (_emoji, _lookalikes)
