"""Decoded readings: what a text says once codes and ciphers in it are undone.

A model that reads "SWdub3JlIGFsbA==" sees noise; the LLM behind it may well decode it.
So every coded part is written out, in place, and what is decoded is looked at again,
three times over. What was undone is read with some of the text around it; plain text
has nothing to undo, and costs one look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from . import _decoding_escapes, _decoding_runs, _decoding_symbols
from ._cleaning import clean
from ._decoding_ciphers import decipher
from ._decoding_hidden import reveal
from ._decoding_letters import spell, spelt_oddly, untag
from ._decoding_runs import Found
from ._offsets import Offsets, Rewrite

__all__ = ["CONTEXT", "DEPTH", "MOST_RUNS", "Decoded", "decode"]

DEPTH = 3
"""How many times what was decoded is decoded again."""

MOST_RUNS = 20_000
"""Coded parts of each kind that are written out, in one text and at one depth."""

CONTEXT = 240
"""Characters to either side of what was undone that are read with it."""

MOST_GROWTH, ALLOWANCE = 3, 1_000
"""A decoded text has at most so many times the original's characters, and so many."""

Span = tuple[int, int]

_CODES: tuple[Callable[[str], Found], ...] = (
    *_decoding_escapes.CODES,
    *_decoding_symbols.CODES,
    *_decoding_runs.CODES,
    decipher,
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text decoded.

    Args:
        text: What it says, the parts where something was undone; nothing where the
            clean reading says it as well.
        stages: How positions changed on the way from the original.
        undecoded: Parts that are codes as well, but beyond a limit.
    """

    text: str
    stages: tuple[Offsets, ...]
    undecoded: int


class _Chain:
    """A text on its way, with where in it something was undone."""

    def __init__(self, text: str, stages: tuple[Offsets, ...]) -> None:
        self.text = text
        self.stages = stages
        self.spans: list[Span] = []
        self.undecoded = 0

    def become(self, text: str, *stages: Offsets | None) -> None:
        for offsets in stages:
            if offsets is None:
                continue
            self.spans = [
                (offsets.position(start), offsets.position(end))
                for start, end in self.spans
            ]
            self.stages += (offsets,)
        self.text = text

    def replace(self, code: Callable[[str], Found]) -> int:
        """Write out what a code finds, and give how many parts that were."""
        found = [*islice(code(self.text), MOST_RUNS + 1)]
        if len(found) > MOST_RUNS:
            found.pop()
            self.undecoded += 1
        if not found:
            return 0
        rewrite = Rewrite(self.text)
        spans = []
        shift = 0
        for start, end, said in found:
            rewrite.replace(start, end, said)
            spans.append((start + shift, start + shift + len(said)))
            shift += len(said) - end + start
        self.become(*rewrite.finish())
        self.spans += spans
        return len(found)


def decode(original: str, cleaned: str, stages: tuple[Offsets, ...]) -> Decoded | None:
    """What a text says, or None if that is what anybody reads.

    Args:
        original: The text as it was given.
        cleaned: The clean reading of it.
        stages: How positions changed between the two.
    """
    chain = _Chain(cleaned, stages)
    if not original.isascii():
        text, offsets, spans = reveal(original)
        if offsets is not None:
            chain = _Chain(original, ())
            _clean_again(chain, text, offsets, spans)
    for _ in range(DEPTH):
        if not _undo(chain):
            break
    else:
        # Something may be left that is coded more than three times over.
        chain.undecoded += sum(len([*islice(code(chain.text), 1)]) for code in _CODES)
    _take(chain, *untag(chain.text))
    chain.spans += spelt_oddly(chain.text)
    if not chain.spans:
        return None
    _crop(chain)
    chain.become(*_spelt(chain.text))
    most = MOST_GROWTH * len(original) + ALLOWANCE
    if len(chain.text) > most:
        # No code is known that gets there; should there be one, it is not believed.
        rewrite = Rewrite(chain.text)
        rewrite.replace(most, len(chain.text), "")
        chain.become(*rewrite.finish())
        chain.undecoded += 1
    if chain.text.casefold() in cleaned.casefold():
        # What the clean reading says as well is not worth a second look.
        chain.become("")
    return Decoded(chain.text, chain.stages, chain.undecoded)


def _undo(chain: _Chain) -> int:
    """Undo every code once; what is hidden in what it says is shown."""
    done = sum(chain.replace(code) for code in _CODES)
    if done and not chain.text.isascii():
        _clean_again(chain, *reveal(chain.text))
    return done


def _clean_again(
    chain: _Chain, text: str, offsets: Offsets | None, spans: list[Span]
) -> None:
    _take(chain, text, offsets, spans)
    cleaned = clean(text)
    chain.become(cleaned.text, *cleaned.stages)


def _take(chain: _Chain, text: str, offsets: Offsets | None, spans: list[Span]) -> None:
    chain.become(text, offsets)
    chain.spans += spans


def _spelt(text: str) -> tuple[str, *tuple[Offsets, ...]]:
    if not spelt_oddly(text):
        return (text,)
    text, stages = spell(text)
    return text, *stages


def _crop(chain: _Chain) -> None:
    """Leave out what is far from anything that was undone."""
    text = chain.text
    size = len(text)
    keep: list[list[int]] = []
    for start, end in sorted(chain.spans):
        start, end = max(0, start - CONTEXT), min(size, end + CONTEXT)
        if keep and start <= keep[-1][1]:
            keep[-1][1] = max(keep[-1][1], end)
        else:
            keep.append([start, end])
    for part in keep:
        # At a space, if there is one near.
        if part[0]:
            space = text.find(" ", part[0], part[0] + 32)
            part[0] = space + 1 if space >= 0 else part[0]
        if part[1] < size:
            space = text.rfind(" ", part[1] - 32, part[1])
            part[1] = space if space >= 0 else part[1]
    rewrite = Rewrite(text)
    at = 0
    for start, end in keep:
        if at < start:
            rewrite.replace(at, start, "\n" if at else "")
        at = end
    if at < size:
        rewrite.replace(at, size, "")
    text, offsets = rewrite.finish()
    chain.become(text, offsets)
