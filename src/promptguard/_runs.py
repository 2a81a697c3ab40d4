"""What the engine keeps about texts and guards while it works."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .verdict import Finding, Usage

if TYPE_CHECKING:
    from .errors import PromptGuardError
    from .guard import Guard
    from .queries import Query
    from .text import Text

__all__ = ["Case", "Event", "Run", "Step", "coverage", "label", "own", "place"]


class Case:
    """One text on its way through the guards."""

    __slots__ = (
        "blocked",
        "closed",
        "coverage",
        "errors",
        "findings",
        "index",
        "late",
        "runs",
        "text",
        "wanted",
    )

    def __init__(self, index: int, text: Text) -> None:
        self.index = index
        self.text = text
        self.runs: list[Run] = []
        self.findings: list[Finding] = []
        self.errors: list[PromptGuardError] = []
        # Those of guards that were not done when the time was up.
        self.late: list[PromptGuardError] = []
        self.wanted: dict[Query, None] = {}
        self.coverage = 1.0
        self.blocked = False
        self.closed = False

    def fatal(self, on_error: str, then: str | None) -> PromptGuardError | None:
        """The first error that is to be raised; ``then`` is for guards that are late.

        A mistake in the configuration is nobody's outage: it always shows.
        """
        for error in self.errors:
            what = then or on_error if error in self.late else on_error
            if isinstance(error, ConfigError) or (what == "block" and not self.blocked):
                return error
        return None


class Run:
    """One guard over one text."""

    __slots__ = (
        "asked",
        "case",
        "closed",
        "guard",
        "missing",
        "seconds",
        "single",
        "steps",
        "usage",
    )

    def __init__(self, guard: Guard, case: Case) -> None:
        self.guard = guard
        self.case = case
        self.steps: Generator[Any, Any, None] | None = None
        self.asked: tuple[Query, ...] = ()
        self.missing: set[Query] = set()
        self.single = True
        self.seconds = 0.0
        self.usage: Usage | None = None
        self.closed = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one event led to.

    Args:
        queries: Newly wanted answers.
        findings: New findings, each with the index of its text.
        dropped: Queries handed out earlier whose answers are no longer wanted.
    """

    queries: tuple[Query, ...] = ()
    findings: tuple[tuple[int, Finding], ...] = ()
    dropped: tuple[Query, ...] = ()


_NOTHING = Step()


class Event:
    """What has come of an event so far."""

    __slots__ = ("dropped", "findings", "queries")

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self.findings: list[tuple[int, Finding]] = []
        self.dropped: list[Query] = []

    def step(self) -> Step:
        if self.queries or self.findings or self.dropped:
            return Step(tuple(self.queries), tuple(self.findings), tuple(self.dropped))
        return _NOTHING


def label(guard: Guard, finding: Finding) -> Finding:
    """The finding with the guard's name and action where it has none of its own."""
    action = finding.action
    if finding.guard and action is not None:
        return finding
    return Finding(
        finding.label,
        finding.score,
        finding.start,
        finding.end,
        finding.guard or guard.name,
        guard.action_of(finding.label) if action is None else action,
        finding.operator,
    )


def own(error: BaseException) -> BaseException:
    """The error, unless it is one that ends the program.

    A guard runs between two waits, where no cancellation of its caller arrives: one
    that comes out of it is its own, and must not pass for the caller's.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return error


def place(finding: Finding) -> tuple[int, int, str, str]:
    return finding.start, finding.end, finding.guard, finding.label


def coverage(value: object) -> float:
    """The share of the text an answer speaks for; only models state one."""
    share = getattr(value, "coverage", 1.0)
    return share if isinstance(share, float) else 1.0
