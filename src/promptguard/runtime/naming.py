"""What a token head gave, window by window, as the names in a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..queries import Name
from .encode import Encoded, Encoder

__all__ = ["Naming"]

# A word is part of a name when it is likelier to be that than not.
_LEAST = 0.5
# An initial or "Inc." ends in a full stop, and an @handle begins with its sign.
_BEFORE = ".,;:!?)]}>\"'”’»/|-–— \t\n\r"
_AFTER = ",;:!?([{<\"'“‘«/|-–—@# \t\n\r"

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Naming:
    """Reads names out of the logits of a token head.

    Args:
        tags: What its columns stand for: ``O``, and ``B-`` and ``I-`` with a label.
    """

    tags: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(tag[2:] for tag in self.tags if tag.startswith("B-"))

    def names(
        self, encoder: Encoder, text: str, encoded: Encoded, logits: Sequence[Floats]
    ) -> tuple[Name, ...]:
        """The names of a text, in its order.

        Args:
            encoder: Who cut the text into windows.
            encoded: Its windows.
            logits: Of each window, of its tokens, the frame's among them.

        Raises:
            ModelError: A logit is not a number.
        """
        if not encoded.pieces:
            return ()
        chances = _shares(_joined(logits, encoder.stride, len(encoded.spans)))
        if np.isnan(chances).any():
            raise ModelError("the model gave a score that is not a number")
        begins = encoder.begins(_ids(encoded, encoder.stride))
        found = self._found(chances, begins, encoded.spans)
        return tuple(_whole(text, (_trimmed(text, name) for name in found)))

    def _found(
        self,
        chances: Floats,
        begins: Sequence[bool],
        spans: Sequence[tuple[int, int]],
    ) -> Iterator[Name]:
        first = [2 * n + 1 for n in range(len(self.labels))]
        starts, goes_on = chances[:, first], chances[:, [n + 1 for n in first]]
        # A sum over the labels: whether a name begins is asked before whose it is.
        anew = starts.sum(1) > goes_on.sum(1)
        named = chances[:, 0] < _LEAST
        by_label = starts + goes_on
        words: list[int] = []
        last = -1
        for token, begin in enumerate(begins):
            if not begin:
                # The rest of a word is where its first piece is.
                last = token if last >= 0 else -1
                continue
            if words and (not named[token] or anew[token]):
                yield self._name(by_label[words], spans[words[0]][0], spans[last][1])
                words = []
            if named[token]:
                words.append(token)
            last = token if words else -1
        if words:
            yield self._name(by_label[words], spans[words[0]][0], spans[last][1])

    def _name(self, chances: Floats, start: int, end: int) -> Name:
        means = chances.mean(0)
        best = int(means.argmax())
        score = min(1.0, max(0.0, float(means[best])))
        return Name(self.labels[best], score, start, end)


def _trimmed(text: str, name: Name) -> Name:
    """The name without punctuation around it; nothing may be left."""
    start, end = name.start, name.end
    while start < end and text[start] in _BEFORE:
        start += 1
    while end > start and text[end - 1] in _AFTER:
        end -= 1
    return replace(name, start=start, end=end)


def _whole(text: str, names: Iterable[Name]) -> Iterator[Name]:
    """The names; lines of an address that is told in parts are one."""
    last: Name | None = None
    for name in names:
        if name.start == name.end:
            continue
        if last is not None and _one_address(text, last, name):
            last = replace(last, score=max(last.score, name.score), end=name.end)
            continue
        if last is not None:
            yield last
        last = name
    if last is not None:
        yield last


def _one_address(text: str, one: Name, other: Name) -> bool:
    """A number in one of two places, and nothing but a comma between them."""
    if one.label != other.label or one.label != "LOCATION":
        return False
    if text[one.end : other.start].strip() not in ("", ","):
        return False
    return any(sign.isdigit() for sign in text[one.start : other.end])


def _joined(logits: Sequence[Floats], stride: int, total: int) -> Floats:
    """The logits of every token, each from the window that has most around it."""
    whole = np.concatenate([logits[0][1:-1], np.empty((0, logits[0].shape[1]))])
    if len(logits) == 1:
        return whole
    made = np.empty((total, logits[0].shape[1]))
    made[: len(whole)] = whole
    for place, window in enumerate(logits[1:], start=1):
        start = place * stride
        shared = max(0, len(logits[place - 1]) - 2 - stride)
        made[start + shared // 2 : start + len(window) - 2] = window[
            1 + shared // 2 : -1
        ]
    return made


def _ids(encoded: Encoded, stride: int) -> list[int]:
    """The ids of every token, frames left out."""
    *before, last = encoded.pieces
    return [
        *(id for piece in before for id in piece.ids[1 : 1 + stride]),
        *last.ids[1:-1],
    ]


def _shares(logits: Floats) -> Floats:
    grown = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = grown / grown.sum(1, keepdims=True)
    return shares
