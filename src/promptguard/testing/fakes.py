"""Guards that find what a test tells them to, for testing an application."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..errors import ConfigError
from ..guard import Guard, Inspection
from ..queries import Ask, Classify, Query
from ..text import Text
from ..verdict import Finding

__all__ = ["FakeGuard"]


@dataclass(frozen=True, kw_only=True)
class FakeGuard(Guard):
    """A guard with a script: it looks at nothing and finds what it is told to.

    Args:
        findings: What to find in every text that is not empty; a span that reaches
            beyond the text ends with it.
        word: Find ``findings`` only in texts that contain this; without findings,
            find the word itself, everywhere.
        error: Raise this.
        query: Ask this first, as a guard with a model or an LLM would.
        delay: Seconds that the guard takes, as one that waits for an LLM would.
    """

    findings: tuple[Finding, ...] = ()
    word: str = field(default="", repr=False)
    error: Exception | None = None
    query: Query | None = None
    delay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.findings, tuple):
            object.__setattr__(self, "findings", tuple(self.findings))
        if self.query is not None and not isinstance(self.query, Classify | Ask):
            raise ConfigError(
                f"query must be a Classify or an Ask, not {type(self.query).__name__}"
            )

    @property
    def reach(self) -> int | None:
        """A word of its own is found in a stream as it passes."""
        if self.word and not self.findings and not self.query and not self.delay:
            return len(self.word)
        return None

    def inspect(self, text: Text) -> Inspection:
        if self.delay:
            yield Ask(_Sleeper(self.delay), "wait", "")
        if self.query is not None:
            yield self.query
        if self.error is not None:
            raise self.error
        original = text.original
        if self.word and not self.findings:
            start = original.find(self.word, text.start)
            while start >= 0:
                end = start + len(self.word)
                yield Finding(self.name, 1.0, start, end)
                start = original.find(self.word, end)
        elif original and self.word in original:
            for finding in self.findings:
                start = min(finding.start, len(original))
                end = min(finding.end, len(original))
                yield Finding(
                    finding.label,
                    finding.score,
                    start,
                    end,
                    finding.guard,
                    finding.action,
                )


@dataclass(frozen=True)
class _Sleeper:
    """What takes the time: a driver calls it where it may wait."""

    seconds: float

    def __call__(self, rubric: str, text: str) -> str:
        time.sleep(self.seconds)
        return ""
