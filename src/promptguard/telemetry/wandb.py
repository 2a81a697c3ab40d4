"""Figures for a run of Weights & Biases."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from .. import ConfigError, Verdict
from ..records import Checked, Record

__all__ = ["WeightsAndBiases"]


class WeightsAndBiases:
    """Logs figures of verdicts to a run, a line for every so many of them.

        run = wandb.init(project="guards")
        hook = WeightsAndBiases(run)
        pg.on_verdict(hook)
        ...
        hook.flush()                     # before run.finish(): the last few

    A line has, since the line before: how many texts were checked, how many of them
    came to each action, findings by guard, the mean seconds of each guard, and the
    least coverage.

    Args:
        run: What ``wandb.init`` gives.
        every: How many verdicts make a line.

    Raises:
        ConfigError: The run cannot log, or ``every`` is below 1.
    """

    def __init__(self, run: Any, *, every: int = 100) -> None:
        # Any: no SDK is imported for a type; a run is known by its shape.
        log = getattr(run, "log", None)
        if not callable(log):
            raise ConfigError(
                f"run must be what wandb.init() gives, not {type(run).__name__}"
            )
        if every < 1:
            raise ConfigError("every must be at least 1")
        self._log: Callable[[dict[str, float]], object] = log
        self._every = every
        self._lock = threading.Lock()
        self._count = 0
        self._coverage = 1.0
        self._sums: Counter[str] = Counter()
        self._timed: Counter[str] = Counter()
        self._times: defaultdict[str, float] = defaultdict(float)

    def __call__(self, verdict: Verdict | Checked) -> None:
        """Take in one verdict: a hook for ``on_verdict``."""
        with self._lock:
            self._count += 1
            self._sums[f"actions/{verdict.action.name.lower()}"] += 1
            for found in verdict.findings:
                self._sums[f"findings/{_word(found.guard)}"] += 1
            for guard, seconds in verdict.timings:
                self._times[guard] += seconds
                self._timed[guard] += 1
            self._coverage = min(self._coverage, verdict.coverage)
            line = self._line() if self._count >= self._every else None
        if line is not None:
            self._log(line)

    def observe(self, record: Record) -> None:
        """Take in the verdicts of one request."""
        for check in record.checks:
            self(check)

    def flush(self) -> None:
        """Log what is not logged yet."""
        with self._lock:
            line = self._line() if self._count else None
        if line is not None:
            self._log(line)

    def _line(self) -> dict[str, float]:
        line = {
            "promptguard/texts": float(self._count),
            "promptguard/coverage": self._coverage,
        }
        line |= {f"promptguard/{name}": float(n) for name, n in self._sums.items()}
        for guard, seconds in self._times.items():
            mean = seconds / self._timed[guard]
            line[f"promptguard/seconds/{_word(guard)}"] = mean
        self._clear()
        return line

    def _clear(self) -> None:
        self._count, self._coverage = 0, 1.0
        for counted in (self._sums, self._timed, self._times):
            counted.clear()


def _word(name: str) -> str:
    """A part of the name of a figure: W&B takes a slash for a group."""
    return name.replace("/", "_")
