"""A progress bar on standard error, for people who wait at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
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


def progress(
    items: Iterable[T],
    total: int | None,
    what: str,
    at: Callable[[], int] | None = None,
) -> Iterator[T]:
    """Pass the items on, and show on a terminal how many are done.

    Args:
        items: The items.
        total: How many there are, or what ``at`` comes to at the end; None if nobody
            knows, and then only the items that are done are counted.
        what: What is done to them.
        at: Says how far it is, where that is not the number of items.
    """
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
                far = done if at is None else at()
                stream.write(_CLEAR + _bar(what, done, far, total, now - begun))
                stream.flush()
            yield item
    finally:
        stream.write(_CLEAR)
        stream.flush()


def _bar(what: str, done: int, far: int, total: int | None, seconds: float) -> str:
    if total is None:
        return f"{what} {done:,} done, {done / seconds:,.1f} a second"
    share = min(1.0, far / total) if total else 1.0
    full = int(share * _WIDTH)
    left = round(seconds / far * max(0, total - far)) if far else 0
    hours, rest = divmod(left, 3600)
    clock = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    bar = "#" * full + "-" * (_WIDTH - full)
    many = f"{done:,} of {total:,}" if far == done else f"{done:,} done"
    return f"{what} {bar} {many} ({share:.0%}), {clock} left"
