"""Guards for batches; in a module, so that another process can import them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from promptguard import PII, Action, ConfigError, Finding, Guard, Keywords, Text
from promptguard.guard import Inspection

WORDS = (
    Keywords(("zanzibar",), name="places")
    | PII()
    | Keywords(("heron",), name="birds", action=Action.FLAG)
)
TEXTS = (
    "Where is my order?",
    "A ticket to Zanzibar, please, and mail it to joe@example.org.",
    "Mail joe@example.org about the blue heron.",
    "",
    "Ein Reiher heißt auf Englisch heron.",
    '"Quoted, with a comma",\nand a second line',
)


def numbered(count: int) -> list[str]:
    """Texts of every kind, of which no two are equal."""
    return [f"{TEXTS[n % len(TEXTS)]} {n}" for n in range(count)]


@dataclass(frozen=True)
class Kills(Guard):
    """Ends its process where a text says so, and always or once."""

    once: str = ""

    def inspect(self, text: Text) -> Inspection:
        if "boom" in text.original and self._now():
            os.kill(os.getpid(), signal.SIGKILL)
        return
        yield

    def _now(self) -> bool:
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass(frozen=True)
class Slow(Guard):
    """Takes its time, over every text or over those that hold a word."""

    seconds: float = 0.01
    word: str = ""

    def inspect(self, text: Text) -> Inspection:
        if self.word in text.original:
            time.sleep(self.seconds)
        if "heron" in text.original:
            yield Finding("bird", 0.5, 0, 1)


@dataclass(frozen=True)
class Breaks(Guard):
    """Raises what it was told to, with the text in it."""

    kind: str = "value"

    def inspect(self, text: Text) -> Inspection:
        if "broken" in text.original:
            if self.kind == "value":
                raise ValueError(text.original)
            raise ConfigError("no such rate")
        return
        yield


@dataclass(frozen=True)
class NotReady(Guard):
    """Ends its process while it is loaded."""

    def warmup(self) -> None:
        os._exit(3)
