"""A progress bar on standard error, for people who wait at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeVar

__all__ = ["progress", "say"]

T = TypeVar("T")

_EVERY = 0.2
_WIDTH = 24
_CLEAR = "\r\x1b[K"


def say(message: str) -> None:
    """Put a line on standard error, in the place of a bar that may stand there."""
    if sys.stderr is not None:
        clear = _CLEAR if sys.stderr.isatty() else ""
        print(clear + message, file=sys.stderr)


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass the items on, and show on a terminal how many are done."""
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield from items
        return
    begun = shown = monotonic()
    try:
        for done, item in enumerate(items):
            now = monotonic()
            if done and now - shown >= _EVERY:
                shown = now
                stream.write(_CLEAR + _bar(what, done, total, now - begun))
                stream.flush()
            yield item
    finally:
        stream.write(_CLEAR)
        stream.flush()


def _bar(what: str, done: int, total: int, seconds: float) -> str:
    share = done / total if total else 1.0
    full = int(share * _WIDTH)
    left = round(seconds / done * (total - done))
    hours, rest = divmod(left, 3600)
    clock = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    bar = "#" * full + "-" * (_WIDTH - full)
    return f"{what} {bar} {done:,} of {total:,} ({share:.0%}), {clock} left"
