"""A gate for guards that judge a stream a few sentences at a time.

They come first: what they have not judged goes no further. What they let go passes the
gate of the other guards, which redact as if there were nothing in front of them.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from typing import Any, NamedTuple

from ._costs import Budget
from .engine import Engine, OnError
from .errors import Blocked
from .escapes import veiled
from .guard import AnyOf, Guard
from .placeholders import Placeholders
from .stream import Gate
from .text import Text
from .verdict import Action, Finding, Verdict

__all__ = ["SentenceGate", "gate_of"]

Checks = Generator[Engine, tuple[Verdict, ...], str]

# The least that is worth a look of its own, and the most that is waited for. Where a
# stretch ends depends on the text alone, not on how it is cut into chunks.
LEAST = 200
MOST = 1_000
_END = re.compile(r"(?:[.!?\u2026][\"')\]\u201d\u2019]*\s+|[。！？]|\n\s*)(?=\S)")


def gate_of(guard: Guard, placeholders: Placeholders, **options: Any) -> AnyGate:
    """The gate for a guard.

    Args:
        guard: What to look for.
        placeholders: Where redacted values are kept.
        options: Those of Gate.
    """
    judges = tuple(part for part in guard.parts if part.window is not None)
    # A redaction by a judge would move what comes behind it, and JSON has no sentences.
    fits = all(part.action is not Action.REDACT for part in judges)
    if not judges or not fits or options.get("json"):
        return Gate(guard, placeholders, **options)
    others = tuple(part for part in guard.parts if part.window is None)
    if any(part.reach is None for part in others):
        # The text is held to its end anyway.
        return Gate(guard, placeholders, **options)
    inner = Gate(AnyOf(others), placeholders, **options) if others else None
    return SentenceGate(AnyOf(judges), inner, **options)


class SentenceGate:
    """Lets sentences out as far as those that judge them are done.

    Args:
        guard: What judges sentences.
        inner: The gate behind this one, if there is any.
        on_error: See Engine.
        json: The text is no JSON.
        own: The placeholders of the call, in which the guards are to find nothing.
        budget: Seconds for each look at the text; see Engine.
    """

    def __init__(
        self,
        guard: Guard,
        inner: Gate | None,
        *,
        on_error: OnError = "block",
        json: bool = False,
        own: Placeholders | None = None,
        budget: float | Budget | None = None,
    ) -> None:
        assert not json
        self._guard = guard
        self._inner = inner
        self._on_error = on_error
        self._own = own
        self._budget = budget
        self._context_size = max(part.window or 0 for part in guard.parts)
        self._original: list[str] = []
        self._context = ""
        self._held = ""
        self._base = 0
        self._looked = False
        self._passed: list[str] = []
        self._notes = _Notes((), {}, 1.0, False)
        self.rest = ""

    def feed(self, text: str) -> None:
        """Take more of the text."""
        self._original.append(text)
        self._held += text

    def release(self, end: bool = False) -> Checks:
        """Give what may go now; the engines it yields are to be driven.

        Args:
            end: The text is complete, so all of it goes.

        Raises:
            Blocked: A guard decided that the text must not go on; ``rest`` may.
        """
        out: list[str] = []
        try:
            while size := _stretch(self._held, end):
                yield from self._judge(self._held[:size])
                out.append((yield from self._through(size)))
            if end:
                if not self._looked:
                    yield from self._judge("")
                out.append((yield from self._finish()))
        except Blocked:
            self.rest = "".join([*out, self.rest])
            raise
        return "".join(out)

    def verdict(self, partial: bool = False) -> Verdict:
        """The verdict on what came so far.

        Args:
            partial: No more will be released; what was held counts as not covered.
        """
        original = "".join(self._original)
        text = "".join(self._passed)
        findings, timings, coverage, degraded = self._notes
        if self._inner is not None:
            inner = self._inner.verdict(partial)
            findings = (*findings, *inner.findings)
            for name, seconds in inner.timings:
                timings = {**timings, name: timings.get(name, 0.0) + seconds}
            text, coverage = inner.text, min(coverage, inner.coverage)
            degraded = degraded or inner.degraded
        if partial and original:
            coverage *= self._base / len(original)
        action = max((f.action or Action.ALLOW for f in findings), default=Action.ALLOW)
        return Verdict(
            original=original,
            findings=tuple(sorted(findings, key=lambda f: (f.start, f.end))),
            action=action,
            text=original if action is Action.BLOCK else text,
            coverage=coverage,
            timings=tuple(timings.items()),
            degraded=degraded,
        )

    def _judge(self, stretch: str) -> Generator[Engine, tuple[Verdict, ...], None]:
        self._looked = True
        before = len(self._context)
        text = Text(
            veiled(self._context + stretch, self._own), "assistant", start=before
        )
        (verdict,) = yield Engine(
            self._guard, (text,), on_error=self._on_error, budget=self._budget
        )
        self._notes = self._notes.more(verdict, before, self._base)
        if not verdict.blocked:
            return
        if self._inner is not None:
            try:
                self.rest = yield from self._inner.release(end=True)
            except Blocked as blocked:
                self.rest = self._inner.rest
                raise Blocked(self.verdict()) from blocked
        raise Blocked(self.verdict())

    def _through(self, size: int) -> Checks:
        """What of a stretch that was judged passes the other guards."""
        stretch, self._held = self._held[:size], self._held[size:]
        self._base += size
        self._context = (self._context + stretch)[-self._context_size :]
        if self._inner is None:
            self._passed.append(stretch)
            return stretch
        self._inner.feed(stretch)
        return (yield from self._guarded(end=False))

    def _finish(self) -> Checks:
        if self._inner is None:
            return ""
        return (yield from self._guarded(end=True))

    def _guarded(self, end: bool) -> Checks:
        assert self._inner is not None
        try:
            return (yield from self._inner.release(end))
        except Blocked as blocked:
            self.rest = self._inner.rest
            raise Blocked(self.verdict()) from blocked


AnyGate = Gate | SentenceGate


class _Notes(NamedTuple):
    """What the judges said so far, with positions in the whole text."""

    findings: tuple[Finding, ...]
    timings: dict[str, float]
    coverage: float
    degraded: bool

    def more(self, verdict: Verdict, before: int, base: int) -> _Notes:
        """These and those of another stretch."""
        timings = self.timings.copy()
        for name, seconds in verdict.timings:
            timings[name] = timings.get(name, 0.0) + seconds
        new = [
            replace(f, start=max(0, f.start - before) + base, end=f.end - before + base)
            for f in verdict.findings
            if f.end > before or f.start == f.end == before or verdict.blocked
        ]
        new = [f if f.end >= f.start else replace(f, end=f.start) for f in new]
        return _Notes(
            (*self.findings, *new),
            timings,
            min(self.coverage, verdict.coverage),
            self.degraded or verdict.degraded,
        )


def _stretch(held: str, end: bool) -> int:
    """How much of what is held is looked at together; 0 when that is not known yet."""
    found = _END.search(held, LEAST, MOST)
    if found is not None and found.end() < MOST:
        return found.end()
    if len(held) > MOST:
        return held.rfind(" ", LEAST, MOST) + 1 or MOST
    return len(held) if end else 0
