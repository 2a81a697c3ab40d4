"""A check in a process of its own, for where a process has ended before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .workers import Workers

if TYPE_CHECKING:
    from .check import Check, Row

__all__ = ["Apart"]

# Texts that the process is given at a time: what is checked again when it ends.
_AT_ONCE = 256


class Apart:
    """What ``Check.rows`` gives, from a process that may end without ending this one.

    An engine starts a worker again that has died, and gives it the same texts. If one
    of them is to blame, that never ends, or ends the run. Here its row says so.

    Args:
        check: What is done to each text.
        dumps: How the check is sent; the engine's own also sends what was defined in
            the program that was started.
    """

    def __init__(self, check: Check, dumps: Callable[[object], bytes]) -> None:
        self._workers = Workers(check, 1, dumps)

    def __call__(self, texts: Sequence[object]) -> list[Row]:
        """What is told of each text.

        Raises:
            PromptGuardError: The guards cannot be asked at all.
        """
        starts = range(0, len(texts), _AT_ONCE)
        batches = (texts[start : start + _AT_ONCE] for start in starts)
        return [row for rows in self._workers.rows(batches) for row in rows]

    @property
    def processes(self) -> tuple[int, ...]:
        """The id of the process, once there is one."""
        return self._workers.processes

    def close(self) -> None:
        """End the process."""
        self._workers.close()
