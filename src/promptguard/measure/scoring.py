"""Texts through the public guard: what it makes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter

from .. import (
    Action,
    ConfigError,
    Guard,
    PromptGuardError,
    PromptInjection,
    Text,
)
from ..guard import Inspection
from ..queries import Scores, Window
from .rows import Row

__all__ = ["BUCKETS", "Measured", "bucket", "lengths", "measure"]

BUCKETS = (1, 2, 4, 8, 16)
"""Upper bounds of the numbers of windows that are told apart; the last is open."""


def bucket(windows: int) -> int:
    """The bucket of a text of so many windows."""
    return next((b for b in BUCKETS if windows <= b), BUCKETS[-1])


def lengths(size: int) -> str:
    """How a bucket of window counts is written: 1, 2, 3..4, ..., 9 and more."""
    if size <= 2:
        return str(size)
    least = BUCKETS[BUCKETS.index(size) - 1] + 1
    return f"{least} and more" if size == BUCKETS[-1] else f"{least}..{size}"


_COUNTED = Window(0, 0, ())


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of one text. It holds none of the text.

    Args:
        row: The row, without its text.
        score: The highest score of its windows; 0 for a text without a token.
        flagged: The guard's decision.
        coverage: Share of the text that the model knows.
        seconds: How long the check took; None for a text that was met before,
            because its scores may have been kept.
        answer: What the model said, with windows that are only to be counted.
    """

    row: Row
    score: float
    flagged: bool
    coverage: float
    seconds: float | None
    answer: Scores

    @property
    def windows(self) -> int:
        """How many windows the text was read in."""
        return len(self.answer.windows)

    @property
    def attack(self) -> bool:
        """True when its row says so."""
        return self.row.label is True


@dataclass(frozen=True, kw_only=True)
class _Listener(Guard):
    """Hears what the model says to another guard; finds nothing.

    It asks what that guard asks, so that the model runs once for both.
    """

    guard: PromptInjection
    hear: Callable[[Scores], None]

    def inspect(self, text: Text) -> Inspection:
        steps = self.guard.inspect(text)
        query = next(steps)
        steps.close()
        self.hear((yield query))


def measure(
    guard: PromptInjection,
    rows: Iterable[Row],
    left_out: Callable[[Row, PromptGuardError], None],
) -> Iterator[Measured]:
    """Check rows one by one, each in its role.

    Args:
        guard: The guard, whose own path and decision are measured.
        rows: What to check.
        left_out: Told of a row that the guard cannot decide about.

    Raises:
        ModelError: The model cannot be loaded.
        ConfigError: The guard cannot decide about any text.
    """
    heard: list[Scores] = []
    met: set[int] = set()
    # The band makes the guard tell the score of a text that it lets pass as well.
    # Action.FLAG, because a block would not wait for the other guard.
    shown = replace(guard, band=(0.0, 1.0), action=Action.FLAG)
    both = shown | _Listener(guard=shown, hear=heard.append)
    both.warmup()
    for row in rows:
        heard.clear()
        begun = perf_counter()
        try:
            verdict = both.check(row.text, row.role)
        except ConfigError:
            raise
        except PromptGuardError as error:
            left_out(row, error)
            continue
        seconds = perf_counter() - begun
        key = hash((row.role, row.text))
        (answer,) = heard
        yield Measured(
            replace(row, text=""),
            max(
                (f.score for f in verdict.findings if f.label == "injection"),
                default=0.0,
            ),
            verdict.flagged,
            verdict.coverage,
            None if key in met else seconds,
            replace(answer, windows=(_COUNTED,) * len(answer.windows)),
        )
        met.add(key)
