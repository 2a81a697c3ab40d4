"""What a check gives: Action, Finding, Verdict."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import Blocked, GuardError

__all__ = ["Action", "Finding", "Operator", "Usage", "Verdict"]

Operator = Callable[[str, str], str]
"""What stands in place of a redacted value: a function of its label and the value."""


class Action(enum.IntEnum):
    """What happens to a text; a verdict takes the worst of its findings."""

    ALLOW = 0
    FLAG = 1
    REDACT = 2
    BLOCK = 3


@dataclass(frozen=True, slots=True, init=False)
class Finding:
    """One thing that a guard saw.

    Args:
        label: What it is, such as ``injection`` or ``email``.
        score: Calibrated probability, 0 to 1; higher is riskier.
        start: First character in the text the caller gave.
        end: One past the last character.
        guard: Name of the guard; filled in by the engine.
        action: What to do about it; None means the guard's own action.
        operator: What a redaction puts in its place; None means a placeholder. Not in
            the repr, and dropped by a pickle: it may hold a key.
    """

    label: str
    score: float
    start: int
    end: int
    guard: str = ""
    action: Action | None = None
    operator: Operator | None = field(default=None, repr=False, compare=False)

    def __init__(
        self,
        label: str,
        score: float,
        start: int,
        end: int,
        guard: str = "",
        action: Action | None = None,
        operator: Operator | None = None,
    ) -> None:
        # Through the slots, in the order of the fields: see below.
        put = _FINDING
        put[0](self, label)
        put[1](self, score)
        put[2](self, start)
        put[3](self, end)
        put[4](self, guard)
        put[5](self, action)
        put[6](self, operator)

    def __reduce__(self) -> tuple[Any, ...]:
        place = self.label, self.score, self.start, self.end
        return type(self), (*place, self.guard, self.action)


@dataclass(frozen=True, slots=True)
class Usage:
    """What asking an LLM took.

    Args:
        calls: Requests that were answered; an answer from a cache takes none.
        prompt_tokens: Tokens read, as the endpoint counts them.
        completion_tokens: Tokens written.
        cost: What they cost, in the currency of the prices; None without prices.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            sum(costs) if costs else None,
        )


@dataclass(frozen=True, slots=True, init=False)
class Verdict:
    """The outcome of checking one text.

    Args:
        original: The text that was checked; not in the repr. A pickle drops it: it
            comes back as None, and so does ``text`` unless it was redacted.
        findings: What was found, by position.
        action: The worst action of the findings.
        text: The text to go on with: redacted where a finding says so.
        coverage: Share of the text that the guards could look at, 0 to 1; the
            least of all guards.
        timings: Seconds spent inside each guard, as (name, seconds).
        degraded: True when a guard failed and the caller chose to go on.
        dry_run: True when this is only what would have happened.
        usage: What asking LLMs took, as (name, usage) of each guard that asked. An
            answer that two guards asked for counts for both.
    """

    original: str = field(repr=False)
    findings: tuple[Finding, ...] = ()
    action: Action = Action.ALLOW
    text: str = field(default="", repr=False)
    coverage: float = 1.0
    timings: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    degraded: bool = False
    dry_run: bool = False
    usage: tuple[tuple[str, Usage], ...] = field(default=(), compare=False)

    def __init__(
        self,
        original: str,
        findings: tuple[Finding, ...] = (),
        action: Action = Action.ALLOW,
        text: str = "",
        coverage: float = 1.0,
        timings: tuple[tuple[str, float], ...] = (),
        degraded: bool = False,
        dry_run: bool = False,
        usage: tuple[tuple[str, Usage], ...] = (),
    ) -> None:
        # As for a Finding; in the order of the fields.
        put = _VERDICT
        put[0](self, original)
        put[1](self, findings)
        put[2](self, action)
        put[3](self, text)
        put[4](self, coverage)
        put[5](self, timings)
        put[6](self, degraded)
        put[7](self, dry_run)
        put[8](self, usage)

    @property
    def blocked(self) -> bool:
        """True when the text must not go on."""
        return self.action is Action.BLOCK

    @property
    def flagged(self) -> bool:
        """True when something was found that is more than allowed."""
        return self.action > Action.ALLOW

    def raise_if_blocked(self) -> Verdict:
        """Return the verdict itself.

        Raises:
            Blocked: The text must not go on.
        """
        if self.blocked:
            raise Blocked(self)
        return self

    def __copy__(self) -> Verdict:
        return self

    def __deepcopy__(self, memo: object) -> Verdict:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle outlives the call: it keeps the redacted text and drops the
        # original. A blocked or flagged text is not redacted, so it is dropped too.
        # None, not "": whoever sends it on by mistake is to notice.
        text = self.text if self.action is Action.REDACT else None
        return type(self), (
            None,
            self.findings,
            self.action,
            text,
            self.coverage,
            self.timings,
            self.degraded,
            self.dry_run,
            self.usage,
        )


# Frozen classes are written once, when they are made. Through the slots themselves that
# takes half the time of what a dataclass does by itself, object.__setattr__ by name.
_FINDING = tuple(vars(Finding)[name].__set__ for name in Finding.__slots__)
_VERDICT = tuple(vars(Verdict)[name].__set__ for name in Verdict.__slots__)


def plausible(finding: Finding, length: int) -> Finding:
    """The finding itself, if it can be true of a text of this length.

    Raises:
        GuardError: It cannot. Such a finding comes from a broken guard: redacting a
            span outside the text or comparing with NaN would let things through.
    """
    label: object = finding.label
    if not isinstance(label, str) or len(label) > 100 or len(label.splitlines()) > 1:
        # Labels are logged; this one might be the text.
        raise GuardError(finding.guard, "a label is not a short name")
    if type(finding.start) is not int or type(finding.end) is not int:
        raise GuardError(finding.guard, "a span is not of whole numbers")
    if not 0 <= finding.start <= finding.end <= length:
        raise GuardError(
            finding.guard,
            f"span {finding.start}..{finding.end} lies outside the text of "
            f"{length} characters",
        )
    if not 0 <= finding.score <= 1:  # NaN is not, either
        raise GuardError(finding.guard, f"score {finding.score} is not within 0..1")
    if not isinstance(finding.action, Action):
        raise GuardError(finding.guard, "action is not an Action")
    operator: object = finding.operator
    if operator is not None and not callable(operator):
        raise GuardError(finding.guard, "operator is not a function")
    return finding
