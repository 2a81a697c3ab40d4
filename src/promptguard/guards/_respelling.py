"""Words as people spell them to get past a list: fuk, biatch, azzhole, phuck.

A rule for each habit; what comes out counts only if it is no usual English word, and if
the word list does not say that it is another word (see ``otherwise`` in the lists).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from .._language import known

__all__ = ["respelt"]

# What stands for what, by sound or by look.
_HABITS = tuple(
    tuple(pair.split(":"))
    for pair in (
        "ck:k ck:q ck:kk ck:cc ck:qq ck:xk ck:kc ck:c ck:gk ck:cck ck:ckk "
        "u:oo u:uu u:v u:a u:x u:w u:ou u:o u:e u:eu i:ee i:y i:ii i:e i:j i:x i:ie "
        "i:ea i:ia o:oo o:x o:q o:0 o:oe o:aw a:x a:u a:aa e:x e:3 e:ee f:ph f:ff f:v "
        "er:a er:ah er:uh er:ur er:r er:or er:ar er:ir or:oar or:oor or:aw "
        "s:z ss:zz ss:z ss:sz ss:s gg:g gg:gh gg:qq gg:bb gg:jj gg:ck t:tt t:d tt:t "
        "sh:sch sh:ssh sh:sj sh:zh tch:ch tch:ttch tch:tsh tch:cth tch:thc tch:tcth "
        "c:k c:q wh:h wh:w hole:hoal hole:whole hole:hol n:nn n:m g:gg ing:in "
        "ing:en ing:ng ing:un ing:an y:ie y:i y:ee y:eh d:dd p:pp k:kk l:ll l:ii b:bb "
        "i:l l:i"
    ).split()
)
_VOWELS = "aeiou"
# A variant of two habits is still told apart only from longer words.
_LONG = 5
_LEAST = 4


@cache
def respelt(word: str) -> frozenset[str]:
    """Other spellings of a word, none of them a usual word.

    Args:
        word: In lower case.
    """
    once = {*_changed(word), *_shortened(word), *_exchanged(word)}
    twice: set[str] = set()
    if len(word) >= _LONG:
        twice = {more for one in _changed(word) for more in _changed(one)}
        twice |= {more for one in _shortened(word) for more in _changed(one)}
    return frozenset(
        one
        for one in once | twice
        if len(one) >= _LEAST and one != word and not known(one)
    )


def _changed(word: str) -> Iterator[str]:
    """One habit, at one place."""
    for habit, instead in _HABITS:
        at = word.find(habit)
        while at >= 0:
            # The first letter is what a word is known by.
            if at or instead in ("ph", "q", "k", "z", "w", "sch"):
                yield word[:at] + instead + word[at + len(habit) :]
            at = word.find(habit, at + 1)


def _shortened(word: str) -> Iterator[str]:
    """A vowel left out, or all of them."""
    for at in range(1, len(word) - 1):
        if word[at] in _VOWELS:
            yield word[:at] + word[at + 1 :]
    bare = word[0] + "".join(letter for letter in word[1:] if letter not in _VOWELS)
    if len(bare) >= _LONG:
        yield bare


def _exchanged(word: str) -> Iterator[str]:
    """Two letters in the wrong order."""
    for at in range(1, len(word) - 1):
        if len(word) >= _LONG and word[at] != word[at + 1]:
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]
