"""What the engine keeps about texts and guards while it works."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .errors import GuardError
from .verdict import Finding

if TYPE_CHECKING:
    from .errors import PromptGuardError
    from .guard import Guard
    from .queries import Query
    from .text import Text

__all__ = ["Case", "Late", "Run", "coverage", "label", "own", "place"]


class Late(GuardError):
    """A guard that was not done when the time was up."""

    def __init__(self, guard: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            guard, f"it had not come to an end within the budget of {seconds:g} s"
        )

    def __reduce__(self) -> tuple[type[Late], tuple[str, float]]:  # type: ignore[override]
        return type(self), (self.guard, self.seconds)


class Case:
    """One text on its way through the guards."""

    __slots__ = (
        "blocked",
        "closed",
        "coverage",
        "errors",
        "findings",
        "index",
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
        self.wanted: dict[Query, None] = {}
        self.coverage = 1.0
        self.blocked = False
        self.closed = False


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
    )

    def __init__(self, guard: Guard, case: Case) -> None:
        self.guard = guard
        self.case = case
        self.steps: Generator[Any, Any, None] | None = None
        self.asked: tuple[Query, ...] = ()
        self.missing: set[Query] = set()
        self.single = True
        self.seconds = 0.0
        self.closed = False


def label(guard: Guard, finding: Finding) -> Finding:
    """The finding with the guard's name and action where it has none of its own."""
    if finding.guard and finding.action is not None:
        return finding
    return replace(
        finding,
        guard=finding.guard or guard.name,
        action=guard.action if finding.action is None else finding.action,
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
