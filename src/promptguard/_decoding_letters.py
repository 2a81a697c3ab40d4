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
from ._language import known, known_share, likeliest, reads
from ._offsets import Offsets, Rewrite
from ._skeleton import disguised
from ._unicode import EMOJI, ENCLOSING, MARKS, one_of

__all__ = ["spell", "spelt_oddly", "untag"]

Span = tuple[int, int]

_SOME_APART = re.compile(
    r"[^A-Za-z0-9\s]\s?[^\W_][^A-Za-z0-9\s]{1,2}\s?[^\W_][^A-Za-z0-9\s]"
)
_SOME_LEET = re.compile("[0-9@$!][A-Za-z]")
_LEET = re.compile(r"(?<![^\W_])(?=[^\W\d_]*[\d@$!])[A-Za-z\d@$!]{3,}+(?![^\W_])")
# Not 1st, $price or 50ft: between letters, or on both sides of one.
_LEET_INSIDE = re.compile(
    r"[A-Za-z][\d@$!]+[A-Za-z]|\d[A-Za-z]+\d|[@$!]\d*[A-Za-z]+[\d@$]"
)
# Of 10:02 and 4.50 the digits are digits.
_LEET_TOKEN = re.compile(
    r"(?<![^\W_])(?<!\d[:.,/])(?=[A-Za-z]*+[\d@$!])[A-Za-z\d@$!]++"
    r"(?![^\W_]|[:.,/]\d)"
)
_FIGURES = dict(
    zip("0123456789@$!", "o il z e a s gb t b g a s i".split(), strict=True)
)
_ENDINGS = {"5": "s", "$": "s", "7": "t", "11": "ll", "r3": "re", "v3": "ve"}
_INDICATORS = {0x1F1E6 + at: 97 + at for at in range(26)}
_LONGEST_WORD = 40
_STARRED = re.compile(r"(?<![A-Za-z])[A-Za-z]++(?:\*++[A-Za-z]++)++")
_WORDS = re.compile(r"[A-Za-z][A-Za-z*']*+")
_STRETCHED = re.compile(r"([A-Za-z])\1\1")
_WORD = re.compile("[A-Za-z]+")
_STRETCH = re.compile(r"([A-Za-z])\1{2,}+")
_HUMPS = re.compile(r"(?:[A-Z][a-z]*+[0-9]*+){5,}+")
# Numbers and words of one letter are humps as well.
_HUMP = re.compile(
    "(?<=[a-z])[A-Z0-9]|(?<=[0-9])[A-Z]|(?<=[A-Z])[A-Z](?=[a-z])|(?<=[A-Z])[0-9]"
)
_SHORTEST_JOINED = 16
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
    text, joined = _spaced(text)
    if next(flag_letters(text), None):
        # "That" may be the flags of Thailand and Austria, but not beside other words.
        text = text.translate(_INDICATORS)
    text, stages = fold(_unleet(text))
    stages = stages if joined is None else (joined, *stages)
    if not _STRETCHED.search(text):
        return text, stages
    rewrite = Rewrite(text)
    for match in _stretched_words(text):
        rewrite.replace(*match.span(), _squeezed(match[0]))
    text, offsets = rewrite.finish()
    return text, stages if offsets is None else (*stages, offsets)


def _unleet(text: str) -> str:
    """Usual words for what is written with digits and signs, where that is the rule."""
    if sum(1 for _ in _leet(text)) < _FEW:
        return text
    rewrite = Rewrite(text)
    told: dict[str, str] = {}
    for match in _LEET_TOKEN.finditer(text):
        word = match[0]
        if len(word) <= _LONGEST_WORD:
            short = word in _ENDINGS and text[match.start() - 1 : match.start()] == "'"
            if word not in told:
                told[word] = _unleeted(word)
            spelt = _ENDINGS[word] if short else told[word]
            if len(spelt) == len(word):
                rewrite.align(*match.span(), spelt)
    return rewrite.finish()[0]


def _unleeted(word: str) -> str:
    spelt = likeliest([tuple(_FIGURES.get(char) or char.lower()) for char in word])
    if len(word) == 1:
        return spelt if word in "1!4@7" else word
    if known(spelt):
        return spelt
    if word[-1] == "!" and word.strip("!"):
        return _unleeted(word[:-1]) + "!"
    return spelt if len(word) > 3 and _LEET_INSIDE.search(word) else word


def _stretched_words(text: str) -> Iterator[re.Match[str]]:
    return (word for word in _WORD.finditer(text) if _STRETCHED.search(word[0]))


def _squeezed(word: str) -> str:
    if len(word) > _LONGEST_WORD:
        return _STRETCH.sub(r"\1", word)
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
        joined = fold(run)[0]
        if max(map(len, joined.split()), default=0) > 2 and (
            known_share(joined) >= 0.5 or (len(joined) > 16 and reads(joined))
        ):
            yield match.span()


def _leet(text: str) -> Iterator[Span]:
    """Digits and signs for letters, in two words or more or one in three."""
    if not _SOME_LEET.search(text):
        return
    found = []
    sure = 0
    for match in _LEET.finditer(text):
        word = match[0]
        if len(word) > _LONGEST_WORD:
            continue
        if _LEET_INSIDE.search(word):
            plain = fold(word)[0].strip("!$@")
            inside = len(plain) > 2 and plain.isalpha() and known(plain)
            sure += inside
        else:
            inside = not word.isdecimal() and known(_unleeted(word).strip("!"))
        if inside:
            found.append(match.span())
    words = text.count(" ") + 1
    if sure >= _FEW or (sure and (len(found) * 3 >= words or words <= 4)):
        yield from found


def _starred(text: str) -> Iterator[Span]:
    if text.count("*") < _MANY:
        return
    words = [(match, match[0].replace("*", "")) for match in _STARRED.finditer(text)]
    found = [match.span() for match, word in words if len(word) >= _MANY]
    if len(found) >= _FEW and len(found) * 5 >= len(_WORDS.findall(text)):
        yield from found


def _stretched(text: str) -> Iterator[Span]:
    """Words with a letter three times or more, when that is the rule."""
    if not _STRETCHED.search(text):
        return
    words = [*_stretched_words(text)]
    # One letter again and again, as in a placeholder, is no word.
    found = [word.span() for word in words if len(set(word[0].lower())) > 1]
    if len(found) >= _FEW and len(found) * 3 >= len(_WORD.findall(text)):
        yield from found


def _unspaced(text: str) -> Iterator[Span]:
    """Text whose words are joined by capitals, underscores or hyphens alone."""
    if _joint(text):
        words = fold(_spaced(text)[0])[0].split()
        if len(words) >= _MANY and sum(map(known, words)) * 2 >= len(words):
            yield 0, len(text)


def _joint(text: str) -> str:
    """What stands between the words of such a text: a sign, or ``A`` for capitals."""
    size = len(text)
    if size < _SHORTEST_JOINED or len(text.split(maxsplit=1)) > 1:
        return ""
    sign = max("_-", key=text.count)
    if text.count(sign) * 12 >= size:
        return sign
    return "A" if _HUMPS.search(text) else ""


def _spaced(text: str) -> tuple[str, Offsets | None]:
    """The text with spaces between its words, if there were none."""
    joint = _joint(text)
    if not joint:
        return text, None
    rewrite = Rewrite(text)
    if joint == "A":
        for match in _HUMP.finditer(text):
            at = match.start()
            rewrite.replace(at, at + 1, f" {text[at]}")
    else:
        for match in re.finditer(rf"(?<=.){joint}++(?=.)", text):
            rewrite.replace(*match.span(), " ")
    return rewrite.finish()


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
