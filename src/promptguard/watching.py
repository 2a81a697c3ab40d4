"""A stream that is looked at and goes on as it is: the dry run of Chunks."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from ._costs import Limit
from .chunks import Chunks
from .errors import Blocked, PromptGuardError
from .guard import Guard
from .hooks import unseen
from .verdict import Verdict

__all__ = ["WatchedChunks"]


class WatchedChunks(Chunks):
    """Looks at the chunks of a stream, which go on as they are."""

    holds = False

    def __init__(self, guard: Guard | None, budget: Limit = None) -> None:
        super().__init__(guard, "allow", budget=budget)
        self._over = False

    def feed(self, chunk: Any) -> Generator[Any, Any, list[Any]]:
        yield from self._looked(super().feed(chunk))
        return [chunk]

    def end(self) -> Generator[Any, Any, list[Any]]:
        yield from self._looked(super().end())
        return []

    def _looked(self, steps: Generator[Any, Any, list[Any]]) -> Generator[Any]:
        if self._over:
            return
        try:
            yield from steps
        except Blocked as blocked:
            self._over = True
            self._tell(blocked.verdict)
        except PromptGuardError as error:
            self._over = True
            unseen(error)

    def _tell(self, verdict: Verdict) -> None:
        super()._tell(replace(verdict, dry_run=True))
