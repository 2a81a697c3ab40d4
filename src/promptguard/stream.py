"""Gate: how much of a growing text may go. It waits for nothing itself.

With guards that all have a ``reach``, text goes out as soon as nothing that may still
follow can change what they make of it. Otherwise it is held until it is complete.
Either way what comes out is, for every chunking, what redacting the whole text gives.
Of a text that flows and is blocked, what stands before the finding still goes, and
nothing from its start on; a blocked text that was held does not go at all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from itertools import accumulate
from typing import NoReturn

from ._costs import Budget
from .engine import Engine, OnError
from .errors import Blocked
from .escapes import decided, moved, pieces, raised, still_json, veiled, view
from .guard import Guard
from .placeholders import Placeholders, merge, replacement
from .text import Text
from .verdict import Action, Finding, Verdict

__all__ = ["Gate"]

Checks = Generator[Engine, tuple[Verdict, ...], str]

# A scan reads again what is held. Waiting until this share of it is new bounds the work
# by a multiple of the text, however small the chunks and however much is held.
NEW_SHARE = 24
# And a scan has a price of its own, whatever is held: a few tokens go together.
FEWEST = 12


class Gate:
    """Lets one text of an answer out as far as the guards are done with it.

    What is held is bounded by the text alone: a stretch without a place to cut, such as
    one very long run of letters, is held to its end rather than blocked or let go.

    Args:
        guard: What to look for.
        placeholders: Where redacted values are kept.
        on_error: See Engine.
        json: The text is JSON: its escapes are undone for the guards, and a redaction
            after which it is JSON no more blocks.
        own: The placeholders of the call, in which the guards are to find nothing.
        budget: Seconds for each look at the text; see Engine.
    """

    def __init__(
        self,
        guard: Guard,
        placeholders: Placeholders,
        *,
        on_error: OnError = "block",
        json: bool = False,
        own: Placeholders | None = None,
        budget: float | Budget | None = None,
    ) -> None:
        self._guard = guard
        self._reach = guard.reach
        self._placeholders = placeholders
        self._on_error = on_error
        self._json = json
        self._own = own
        self._budget = budget
        # What came and was not scanned yet; with JSON, an undecided escape before it.
        self._fresh: list[str] = []
        self._fresh_size = 0
        self._tail = ""
        # The window: context that is out already, then from _start on what is held.
        self._window = ""
        self._pieces: list[str] = []
        self._start = 0
        self._base = 0
        self._scanned = False
        # What the verdict will say.
        self._original: list[str] = []
        self._released: list[str] = []
        self._findings: list[Finding] = []
        self._timings: dict[str, float] = {}
        self._coverage = 1.0
        self._degraded = False

        # What stands before a finding that blocks, and may still go.
        self.rest = ""

    def feed(self, text: str) -> None:
        """Take more of the text."""
        self._original.append(text)
        self._fresh.append(text)
        self._fresh_size += len(text)

    def release(self, end: bool = False) -> Checks:
        """Give what may go now; the engines it yields are to be driven.

        Args:
            end: The text is complete, so all of it goes.

        Raises:
            Blocked: A guard decided that the text must not go on; ``rest`` may.
        """
        if not end and (
            self._reach is None
            or not self._fresh_size
            or self._fresh_size < max(FEWEST, len(self._window) // NEW_SHARE)
        ):
            return ""
        self._absorb(end)
        if self._start == len(self._window) and (self._scanned or not end):
            return self._finish("") if end else ""
        text = Text(veiled(self._window, self._own), "assistant", start=self._start)
        # What begins before the limit is seen as it will be seen in the whole text.
        limit = len(self._window)
        if not end:
            limit = self._decided(text, text.settled(limit))
            if limit <= self._start:
                return ""
        self._scanned = True
        findings = yield from self._inspect(text, limit, end)
        cut = limit if end else _cut(text, limit, findings)
        released = self._out(findings, max(cut, self._start), end)
        if end:
            return self._finish(released)
        self._forget(text)
        return released

    def verdict(self, partial: bool = False) -> Verdict:
        """The verdict on what came so far.

        Args:
            partial: No more will be released; what was held counts as not covered.
        """
        worst = max((f.action or Action.ALLOW for f in self._findings), default=None)
        original = "".join(self._original)
        coverage = self._coverage
        if partial and original:
            done = len(self._raw(0, self._start)) + self._base
            coverage *= done / len(original)
        return Verdict(
            original=original,
            findings=tuple(self._findings),
            action=worst or Action.ALLOW,
            text=original if worst is Action.BLOCK else "".join(self._released),
            coverage=coverage,
            timings=tuple(self._timings.items()),
            degraded=self._degraded,
        )

    def _absorb(self, end: bool) -> None:
        fresh = "".join([self._tail, *self._fresh])
        self._fresh.clear()
        self._fresh_size = 0
        if self._json:
            parts, self._tail = (pieces(fresh), "") if end else decided(fresh)
            self._pieces += parts
            fresh = view(parts)
        self._window += fresh

    def _inspect(
        self, text: Text, limit: int, end: bool
    ) -> Generator[Engine, tuple[Verdict, ...], list[Finding]]:
        """The findings that begin before the limit."""
        (verdict,) = yield self._engine(self._guard, text, self._on_error)
        self._note(verdict)
        findings = verdict.findings
        if verdict.blocked:
            blocks = any(
                f.action is Action.BLOCK and (end or f.start < limit) for f in findings
            )
            if blocks and self._reach is None:
                self._findings += self._placed(findings)
                raise Blocked(self.verdict())
            # A block keeps the guards after it from running, and at the end of what
            # came it may be one that more text undoes: each guard is asked alone.
            findings = yield from self._each(
                text, "allow" if blocks else self._on_error
            )
            if blocks:
                self._stop(findings, limit, end)
        return [
            f if f.start >= self._start else replace(f, start=self._start)
            for f in findings
            if end or (f.start < limit and f.end > self._start)
        ]

    def _each(
        self, text: Text, on_error: OnError
    ) -> Generator[Engine, tuple[Verdict, ...], tuple[Finding, ...]]:
        """What every guard finds by itself."""
        found: list[Finding] = []
        for part in self._guard.parts:
            (verdict,) = yield self._engine(part, text, on_error)
            self._note(verdict)
            found += verdict.findings
        return tuple(sorted(found, key=lambda f: (f.start, f.end, f.guard, f.label)))

    def _stop(self, findings: tuple[Finding, ...], limit: int, end: bool) -> NoReturn:
        """Block, after what stands before the first finding that does."""
        cut = min(
            f.start
            for f in findings
            if f.action is Action.BLOCK and (end or f.start < limit)
        )
        cut = min((f.start for f in findings if f.start < cut < f.end), default=cut)
        before = [f for f in findings if f.start < cut]
        known = not self._degraded or self._on_error == "allow"
        if known and cut > self._start:
            self.rest = self._out(before, cut, False)
            findings = tuple(f for f in findings if f.start >= cut)
        self._findings += self._placed(findings)
        raise Blocked(self.verdict())

    def _engine(self, guard: Guard, text: Text, on_error: OnError) -> Engine:
        return Engine(guard, (text,), on_error=on_error, budget=self._budget)

    def _note(self, verdict: Verdict) -> None:
        self._coverage = min(self._coverage, verdict.coverage)
        self._degraded = self._degraded or verdict.degraded
        for name, seconds in verdict.timings:
            self._timings[name] = self._timings.get(name, 0.0) + seconds

    def _decided(self, text: Text, position: int) -> int:
        """The first place where a finding may begin that more text could change."""
        place = position
        for reading in (*text.readings, *text.foldings):
            seen = reading.text[: reading.position(position)]
            at = min(part.undecided(seen) for part in self._guard.parts)
            if at <= 0:
                return 0
            if at < len(seen):
                place = min(place, reading.span(at, at + 1)[0])
        return max(0, place)

    def _before(self, text: Text, position: int) -> int:
        """The last place that is a whole reach before a position, in all readings."""
        reach = max(1, self._reach or 0)
        place = position - reach
        for reading in (*text.readings, *text.foldings):
            at = reading.position(position) - reach
            if at < 0:
                return 0
            place = min(place, reading.span(at, at + 1)[0])
        return max(0, place)

    def _out(self, findings: Iterable[Finding], cut: int, end: bool) -> str:
        """What leaves up to the cut, redacted."""
        leaving = [f for f in findings if end or f.start < cut]
        self._findings += self._placed(leaving)
        out, last = [], self._start
        for finding in merge(leaving):
            out.append(self._raw(last, finding.start))
            value = self._window[finding.start : finding.end]
            out.append(replacement(finding, value, self._placeholders))
            last = finding.end
        out.append(self._raw(last, cut))
        self._start = cut
        released = "".join(out)
        self._released.append(released)
        return released

    def _raw(self, start: int, end: int) -> str:
        if self._json:
            return "".join(self._pieces[start:end])
        return self._window[start:end]

    def _placed(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings with positions in the whole text."""
        found = list(findings)
        if self._json and found:
            starts = [0, *accumulate(map(len, self._pieces))]
            return [moved(f, starts, self._base) for f in found]
        base = self._base
        return [replace(f, start=base + f.start, end=base + f.end) for f in found]

    def _forget(self, text: Text) -> None:
        """Drop what no guard can need as context any more."""
        context = text.settled(self._before(text, self._start))
        if self._json:
            self._base += sum(map(len, self._pieces[:context]))
            del self._pieces[:context]
        else:
            self._base += context
        self._window = self._window[context:]
        self._start -= context

    def _finish(self, released: str) -> str:
        if self._json:
            verdict = self.verdict()
            if not still_json(verdict.original, verdict.text):
                raise Blocked(raised(verdict))
        return released


def _cut(text: Text, limit: int, findings: Iterable[Finding]) -> int:
    """The last place up to the limit where no finding and no reading is cut in two."""
    spans: list[tuple[int, int]] = []
    for finding in sorted(findings, key=lambda f: f.start):
        if spans and finding.start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], finding.end)
        else:
            spans.append((finding.start, finding.end))
    cut = text.settled(limit)
    for start, end in reversed(spans):
        if start < cut < end:
            cut = text.settled(start)
    return cut
