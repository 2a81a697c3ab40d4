"""Conversations that callers redact and restore in, by an id that nobody guesses."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from .. import Conversation
from .errors import Refused

__all__ = ["Conversations"]


class Conversations:
    """Conversations in the memory of this process, each of one caller.

    Args:
        most: How many are kept; the one used longest ago goes first.
        seconds: How long one is kept after it was used last.
        now: The clock.
    """

    def __init__(
        self, most: int, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._kept: OrderedDict[tuple[str, str], tuple[float, Conversation]]
        self._kept = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, caller: str) -> tuple[str, Conversation]:
        """A new conversation and its id."""
        name, made = f"conv_{secrets.token_hex(16)}", Conversation()
        self._kept[caller, name] = self._now(), made
        self._forget()
        return name, made

    def get(self, caller: str, name: str) -> Conversation:
        """A conversation of this caller.

        Raises:
            Refused: There is none, or no more.
        """
        self._forget()
        found = self._kept.pop((caller, name), None)
        if found is None:
            raise unknown()
        self._kept[caller, name] = self._now(), found[1]
        return found[1]

    def end(self, caller: str, name: str) -> None:
        """Forget a conversation and what was taken out in it.

        Raises:
            Refused: There is none, or no more.
        """
        if self._kept.pop((caller, name), None) is None:
            raise unknown()

    def _forget(self) -> None:
        since = self._now() - self._seconds
        while self._kept:
            key, (used, _) = next(iter(self._kept.items()))
            if len(self._kept) <= self._most and used >= since:
                return
            del self._kept[key]


def unknown() -> Refused:
    """The refusal of a conversation that is not there."""
    message = "There is no such conversation, or it was not used for too long."
    return Refused(404, "conversation_not_found", message, param="conversation")
