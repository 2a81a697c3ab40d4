"""What is split over the turns of a conversation, found where the last part stands."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from ._costs import Limit
from .combining import AnyOf
from .engine import Engine, OnError
from .guard import Guard
from .text import Text
from .verdict import Action, Finding, Verdict

__all__ = ["Turn", "Window", "checked", "covers", "widened", "windows"]

T = TypeVar("T")
Checks = Generator[Engine, tuple[Verdict, ...], T]
Turn = tuple[str, str]

# Of the turns before no more characters than these are looked at again.
MOST = 8_000


class Window(NamedTuple):
    """A new turn and what was said before it.

    Args:
        place: Which of the new texts it is.
        before: The turns before, as one text.
        text: The new one.
    """

    place: int
    before: str
    text: Text

    @property
    def joined(self) -> Text:
        """Both as one text. Words that are split stay apart: they would be in a reply
        to "go on" too."""
        whole = f"{self.before} {self.text.original}"
        return Text(whole, self.text.role, self.text.history)

    @property
    def earlier(self) -> Text:
        """What was said before alone."""
        return Text(self.before, self.text.role, self.text.history)


def windows(
    texts: Sequence[Text], history: Sequence[Turn], most: int
) -> tuple[Window, ...]:
    """The new texts of a call, each with the turns of its role before it.

    Args:
        texts: The new texts, in their order.
        history: The turns before them.
        most: How many turns before a text are looked at.
    """
    past: dict[str, list[str]] = {}
    for role, said in history:
        past.setdefault(role, []).append(said)
    found = []
    for place, text in enumerate(texts):
        turns = past.setdefault(text.role, [])
        before = " ".join(turns[-most:] if most else ())[-MOST:]
        if before.strip() and text.original.strip():
            found.append(Window(place, before, text))
        turns.append(text.original)
    return tuple(found)


def checked(
    guard: Guard,
    texts: Sequence[Text],
    windows: Sequence[Window],
    on_error: OnError,
    budget: Limit,
) -> Checks[tuple[Verdict, ...]]:
    """One verdict for each text, with what stands in it of findings over turns.

    Args:
        guard: What to look for.
        texts: The new texts of one call.
        windows: Them and the turns before; only guards that look for something of
            which a part may be in one turn and the rest in the next see these.
        on_error: See Engine.
        budget: See Engine.
    """
    across = tuple(part for part in guard.parts if part.across)
    if not across:
        windows = ()
    yielded = yield Engine(
        guard, texts, on_error=on_error, budget=budget, together=True
    )
    verdicts = list(yielded)
    if not windows or any(verdict.blocked for verdict in verdicts):
        return tuple(verdicts)
    wide = AnyOf(across)
    seen = yield Engine(
        wide,
        [window.joined for window in windows],
        on_error=on_error,
        budget=budget,
        together=True,
    )
    for window, verdict in zip(windows, seen, strict=True):
        old = verdicts[window.place]
        new = _new(verdict.findings, len(window.before) + 1, old.findings)
        if any(finding.start == 0 for finding in new):
            # Was it there before this turn, and let go on?
            (before,) = yield Engine(
                wide, (window.earlier,), on_error=on_error, budget=budget
            )
            known = {(f.guard, f.label) for f in before.findings}
            new = [f for f in new if (f.guard, f.label) not in known]
        verdicts[window.place] = widened(old, new, verdict)
    return tuple(verdicts)


def _new(
    findings: Sequence[Finding], offset: int, known: Sequence[Finding]
) -> list[Finding]:
    """What of the findings in a window stands in the new turn and was not known."""
    new = []
    for finding in findings:
        if finding.end > offset:
            moved = replace(
                finding, start=max(0, finding.start - offset), end=finding.end - offset
            )
            if not any(covers(other, moved) for other in known):
                new.append(moved)
    return new


def covers(one: Finding, other: Finding) -> bool:
    """True when one finding says what the other does, and more of the text."""
    same = one.guard == other.guard and one.label == other.label
    return same and one.start <= other.start and other.end <= one.end


def widened(verdict: Verdict, new: Sequence[Finding], seen: Verdict) -> Verdict:
    """The verdict with more findings, and with what it took to find them."""
    timings = dict(verdict.timings)
    for name, seconds in seen.timings:
        timings[name] = timings.get(name, 0.0) + seconds
    findings = sorted((*verdict.findings, *new), key=lambda f: (f.start, f.end))
    actions = [finding.action or Action.ALLOW for finding in findings]
    if any(v.degraded and v.flagged for v in (verdict, seen)):
        # A guard was late, and that is to be noted.
        actions.append(Action.FLAG)
    return replace(
        verdict,
        findings=tuple(findings),
        action=max(actions, default=Action.ALLOW),
        coverage=min(verdict.coverage, seen.coverage),
        timings=tuple(timings.items()),
        degraded=verdict.degraded or seen.degraded,
    )
