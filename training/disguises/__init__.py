"""Disguises of attacks: the same text, written so that a detector may not know it.

``augment`` puts them on a share of the training texts, attacks and benign ones alike,
or the disguise itself becomes the mark of an attack; the four in ``FORGING`` are for
attacks only. ``evaluate`` puts them on attacks that are found in plain letters, and
counts how many are still found.

====  ==================================  =============================================
tier  what it is                          modules
====  ==================================  =============================================
A     characters, which a canonical form  ``characters``, ``alphabets``, ``spacing``
      brings back
B     a code or a container, to be        ``encodings``, ``smuggling``, ``markup``,
      decoded or opened                   ``containers``, reversals in ``spacing``
C     lossy: a reader understands it, no  ``words``, gaps and word order in ``spacing``
      table takes it back
L     length and position                 ``lengths``: ``embedded`` takes a filler
====  ==================================  =============================================

Tier D is not here: paraphrase, role play, other languages, stories and pictures of
letters change what is said, and a function of the text cannot write them.

    rng = random.Random(7)
    choices = [each for each in by_tier("A") if each.applies(text)]
    disguised = rng.choice(choices).apply(text, rng)

A disguised text may be many times as long: some nine characters for each letter under
``zalgo``, and for each byte in ``binary``.
"""

from __future__ import annotations

from ..errors import PipelineError
from . import (
    alphabets,
    characters,
    containers,
    encodings,
    lengths,
    markup,
    smuggling,
    spacing,
    words,
)
from .chains import chains
from .containers import FORGING
from .disguise import Disguise
from .lengths import embedded

__all__ = ["DISGUISES", "FORGING", "TIERS", "Disguise", "by_tier", "embedded", "named"]

TIERS = ("A", "B", "C", "L")

_SINGLE = (
    *alphabets.DISGUISES,
    *characters.DISGUISES,
    *containers.DISGUISES,
    *encodings.DISGUISES,
    *lengths.DISGUISES,
    *markup.DISGUISES,
    *smuggling.DISGUISES,
    *spacing.DISGUISES,
    *words.DISGUISES,
)

DISGUISES: tuple[Disguise, ...] = tuple(
    sorted((*_SINGLE, *chains(_SINGLE)), key=lambda each: (each.tier, each.name))
)
"""All of them, by tier and name."""

_BY_NAME = {disguise.name: disguise for disguise in DISGUISES}


def by_tier(tier: str) -> tuple[Disguise, ...]:
    """The disguises of one tier, by name.

    Raises:
        PipelineError: There is no such tier.
    """
    if tier not in TIERS:
        raise PipelineError(f"no tier {tier!r} of disguises; known: {', '.join(TIERS)}")
    return tuple(disguise for disguise in DISGUISES if disguise.tier == tier)


def named(name: str) -> Disguise:
    """One disguise.

    Raises:
        PipelineError: There is none of that name.
    """
    if name not in _BY_NAME:
        raise PipelineError(f"no disguise {name!r}; known: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
