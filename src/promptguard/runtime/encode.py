"""Text into overlapping windows of token ids, each with the characters it covers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from ..errors import ModelError

__all__ = ["MAX_TOKENS", "Encoded", "Encoder", "Piece"]

MAX_TOKENS = 256_000
"""Longer texts are refused: a text is read whole or not at all."""

_CHUNK = 16_384
_LONGEST_WORD = 100
_RARE = "\N{SNOWMAN}"
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Piece:
    """One window.

    Args:
        ids: Token ids, with the frame tokens around them if there are any.
        start: First character of the text that the window covers.
        end: One past the last.
    """

    ids: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the model reads it.

    Args:
        pieces: Windows that together cover the text; none for a text without a token.
        coverage: Share of the characters that are not in an unknown token.
        spans: Characters of each token of the text, the frame's not among them.
    """

    pieces: tuple[Piece, ...]
    coverage: float
    spans: Sequence[tuple[int, int]] = field(default=(), repr=False)


class Encoder:
    """Cuts texts into windows. Configured once, then only read, so threads share it.

    Args:
        tokenizer: Content of a tokenizer.json: WordPiece as an encoder has it, with
            [CLS] and [SEP] around each window, or pieces of bytes as a decoder has
            them, without a frame.
        window: Tokens in a window, the frame included.
        overlap: Tokens that neighbouring windows share.

    Raises:
        ModelError: The content is not a tokenizer, lacks the frame tokens, or would
            leave out characters without a word.
    """

    def __init__(self, tokenizer: bytes, window: int, overlap: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer)
        except Exception as error:
            raise ModelError(f"tokenizer.json cannot be read: {error}") from None
        # Some published files pad everything to 128 tokens and cut the rest off.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # "[SEP]" typed into a prompt is five characters, not the end of the prompt.
        self._tokenizer.encode_special_tokens = True
        self._first, self._last, self._unknown = self._frame()
        self._content = window - len(self._first) - len(self._last)
        self._stride = self._content - overlap

    def _frame(self) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
        """What stands before and after the tokens of a text, and the unknown one."""
        if isinstance(self._tokenizer.model, BPE):
            known = self._tokenizer.get_vocab(with_added_tokens=False)
            every = known.keys() >= set(ByteLevel.alphabet())
            if not every or not self._tokenizer.encode(_RARE).ids:
                # What it has no piece for it would pass over in silence.
                raise ModelError(
                    "tokenizer.json has pieces, but not one for every byte"
                )
            return (), (), None
        first, last, unknown = map(
            self._tokenizer.token_to_id, ("[CLS]", "[SEP]", "[UNK]")
        )
        if first is None or last is None or unknown is None:
            raise ModelError("tokenizer.json has no [CLS], [SEP] or [UNK] token")
        return (first,), (last,), unknown

    def encode(self, text: str) -> Encoded:
        """Cut a text into windows.

        Raises:
            ModelError: The text has more than ``MAX_TOKENS`` tokens.
        """
        ids, spans, unknown = self.tokens(text)
        coverage = 1.0 - unknown / len(text) if unknown else 1.0
        return Encoded(tuple(self._windows(ids, spans, len(text))), coverage, spans)

    @property
    def stride(self) -> int:
        """Tokens of the text from the beginning of one window to that of the next."""
        return self._stride

    def begins(self, ids: Sequence[int]) -> list[bool]:
        """Of each token, whether a word begins with it, or it is all of one."""
        later = self._later
        return [token not in later for token in ids]

    @cached_property
    def _later(self) -> frozenset[int]:
        """The pieces that go on with a word."""
        pieces = self._tokenizer.get_vocab(with_added_tokens=False)
        return frozenset(id for piece, id in pieces.items() if piece.startswith("##"))

    def tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]], int]:
        """Ids and spans of a text's tokens, and its characters in unknown ones."""
        if len(text) <= _CHUNK:
            return self._chunk(text)
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        unknown = 0
        for start, end in _chunks(text):
            more, places, unseen = self._chunk(text[start:end])
            ids += more
            spans += [(start + a, start + b) for a, b in places]
            unknown += unseen
            if len(ids) > MAX_TOKENS:
                raise ModelError(
                    f"the text has more than {MAX_TOKENS:,} tokens, which is the most "
                    "that is read at once; pass it in parts"
                )
        return ids, spans, unknown

    def _chunk(self, text: str) -> tuple[list[int], list[tuple[int, int]], int]:
        try:
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        except (UnicodeError, TypeError):
            # A lone surrogate; the error would carry the text along.
            plain = _SURROGATE.sub("\ufffd", text)
            encoding = self._tokenizer.encode(plain, add_special_tokens=False)
        ids: list[int] = encoding.ids
        spans: list[tuple[int, int]] = encoding.offsets
        if self._unknown is None or self._unknown not in ids:
            return ids, spans, 0
        return self._look_again(text, ids, spans)

    def _look_again(
        self, text: str, ids: list[int], spans: list[tuple[int, int]]
    ) -> tuple[list[int], list[tuple[int, int]], int]:
        """Read words that are too long for the tokenizer in parts, then count.

        Without this, a hundred letters typed together would be one unknown token.
        """
        unknown = 0
        new_ids: list[int] = []
        new_spans: list[tuple[int, int]] = []
        for token, (start, end) in zip(ids, spans, strict=True):
            if token != self._unknown or end - start <= _LONGEST_WORD:
                new_ids.append(token)
                new_spans.append((start, end))
                unknown += (end - start) * (token == self._unknown)
                continue
            for at in range(start, end, _LONGEST_WORD):
                part = self._tokenizer.encode(
                    _SURROGATE.sub("\ufffd", text[at : min(at + _LONGEST_WORD, end)]),
                    add_special_tokens=False,
                )
                for inner, (a, b) in zip(part.ids, part.offsets, strict=True):
                    new_ids.append(inner)
                    new_spans.append((at + a, at + b))
                    unknown += (b - a) * (inner == self._unknown)
        return new_ids, new_spans, unknown

    def _windows(
        self, ids: list[int], spans: list[tuple[int, int]], length: int
    ) -> Iterator[Piece]:
        total = len(ids)
        for first in range(0, total, self._stride):
            last = min(first + self._content, total)
            yield Piece(
                (*self._first, *ids[first:last], *self._last),
                spans[first][0] if first else 0,
                spans[last - 1][1] if last < total else length,
            )
            if last == total:
                return


def _chunks(text: str) -> Iterator[tuple[int, int]]:
    """Stretches the tokenizer reads apart as it would together: cut after a space."""
    start = 0
    while start < len(text):
        end = min(start + _CHUNK, len(text))
        if end < len(text):
            space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
            # One word of this length is read in parts anyway.
            end = space + 1 if space > start else end
        yield start, end
        start = end
