"""InvisibleText: what nobody sees, and a model reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .._unicode import CONTROLS, IGNORABLE, PRIVATE, one_of
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding

__all__ = ["InvisibleText"]

# What may carry a variation selector or be joined: pictures, and the signs, digits and
# letters that have a picture form.
_PICTURES = """
23 2A 30-39 A9 AE 203C 2049 2122 2139 2190-21FF 2300-23FF 24C2 25A0-27BF 2900-297F
2B00-2BFF 3030 303D 3297 3299 1F000-1FAFF
"""
_ARABIC = "600-6FF 750-77F 8A0-8FF FB50-FDFF FE70-FEFC"
_RIGHT_TO_LEFT = f"590-5FF 700-74F 7C0-7FF 800-85F FB1D-FB4F {_ARABIC}"
# The scripts of India and their neighbours, from Devanagari to Myanmar and Khmer.
_INDIC = "900-DFF E80-EFF F00-109F 1780-17FF 1980-19FF A840-A87F A8E0-A8FF AA60-AA7F"
_UNSPACED = "E00-EFF 1000-109F 1780-17FF"
_HAN = "3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF"
_MATHEMATICS = "2190-22FF 2A00-2AFF"
_MONGOLIAN = "1800-180A 1820-18AA"

# So many runs that begin within so many characters are one finding. German with a soft
# hyphen between any two syllables has fewer.
_MANY = 16
_CLOSE = 64


@dataclass(frozen=True, kw_only=True)
class InvisibleText(Guard):
    """Characters that are shown as nothing, where nothing asks for them.

    Zero-width and other default-ignorable characters, tags, variation selectors,
    direction controls, private-use and control characters; one finding for each run.
    Where 16 or more runs begin within 64 characters, they are one finding with what
    stands between them: a redaction takes that out as well.
    What belongs to a writing system or an emoji is left alone: joiners in emoji, Arabic
    and Indic words, one variation selector after a picture, the flags of England,
    Scotland and Wales, direction marks beside right-to-left letters, a byte order mark
    at the start, colours of a terminal.
    """

    action: Action = Action.FLAG

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({"invisible"})

    @property
    def reach(self) -> int:
        # A run is never cut in two, because text is only cut between words; two more
        # are what is looked at beside it.
        return _CLOSE + 2

    def inspect(self, text: Text) -> Inspection:
        """Find runs of invisible characters in the original."""
        if text.plain:
            return
        runs = [*_runs(text.original, max(0, text.start - _CLOSE))]
        for start, end in _joined(runs):
            if end > text.start:
                yield Finding("invisible", 1.0, max(start, text.start), end)


def _runs(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Runs without what belongs at their start."""
    for match in _invisible().finditer(text, start):
        begin, end = match.span()
        fair = _fair().match(text, begin)
        if fair is not None:
            begin = min(fair.end(), end)
        if begin < end:
            yield begin, end


def _joined(runs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The runs, those that are too close to one another as one."""
    done = 0
    for first, last in _crowds(runs):
        yield from runs[done:first]
        yield runs[first][0], runs[last][1]
        done = last + 1
    yield from runs[done:]


def _crowds(runs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Which runs are too close to one another: the first and the last of each crowd."""
    first = last = -1
    for at in range(_MANY - 1, len(runs)):
        begin = at - _MANY + 1
        if runs[at][0] - runs[begin][0] <= _CLOSE:
            if begin > last:
                if last >= 0:
                    yield first, last
                first = begin
            last = at
    if last >= 0:
        yield first, last


@cache
def _invisible() -> re.Pattern[str]:
    sets = IGNORABLE, CONTROLS, PRIVATE
    return re.compile(f"{one_of(*sets, rare=True)}{one_of(*sets)}*")


@cache
def _fair() -> re.Pattern[str]:
    """What may stand at the start of a run, for what is beside it."""
    picture = one_of(_PICTURES)
    right_to_left = one_of(_RIGHT_TO_LEFT)
    mark = "[\u061c\u200e\u200f]"
    regions = ("gbeng", "gbsct", "gbwls")
    tags = "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in regions)
    return re.compile(
        "|".join(
            (
                f"(?<={picture})(?:[\ufe0e\ufe0f]\u200d|\u200d)(?={picture})",
                f"(?<={picture})[\ufe0e\ufe0f]",
                f"(?<=\U0001f3f4)(?:{tags})\U000e007f",
                f"(?<={one_of(_ARABIC, _INDIC)})[\u200c\u200d]",
                f"(?<={one_of(_UNSPACED)})\u200b",
                f"(?<={one_of(_HAN)})[\ufe00-\ufe02\U000e0100-\U000e01ef]",
                f"(?<={one_of(_MATHEMATICS)})\ufe00",
                f"(?<={one_of(_MONGOLIAN)})[\u180b-\u180f]",
                f"(?<={right_to_left}){mark}|(?<={right_to_left}.){mark}",
                f"{mark}(?=.?{right_to_left})",
                "(?<=[\u1100-\u115e\ua960-\ua97c])\u1160",
                "\u115f(?=[\u1160-\u11a7\ud7b0-\ud7c6])",
                r"\A\ufeff",
                r"\x1b(?=\[[0-9;]{0,32}m)",
            )
        ),
        re.DOTALL,
    )
