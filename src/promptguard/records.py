"""What a service notes of one request, for whoever counts, traces or keeps it.

A record holds no text but in ``texts``, which no repr shows: a counter needs none, and
who keeps records decides what becomes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from .verdict import Action, Finding, Usage, Verdict

__all__ = [
    "Checked",
    "Direction",
    "Latency",
    "Metrics",
    "Outcome",
    "Record",
    "Said",
    "Writer",
]

Direction = Literal["input", "output"]
"""``input`` goes to the model, ``output`` comes from it."""

Outcome = Literal["allowed", "flagged", "redacted", "blocked", "refused", "failed"]
"""What became of a request.

``refused``: it was not looked at (no key, too long, too many). ``failed``: a guard or
the upstream broke, or the service was stopped first. Everything else is the worst
action of its verdicts.
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict on one text, without the text.

    Args:
        direction: Which way the text went.
        role: Whose text it is.
        length: How many characters it has.
        action: The worst action of the findings.
        findings: What was found: guard, label, score, span and action of each.
        coverage: Share of the text that the guards could look at.
        timings: Seconds spent inside each guard, as (name, seconds).
        degraded: A guard failed, and the text went on.
        dry_run: This is only what would have happened.
        usage: What asking LLMs took, as (name, usage) of each guard that asked.
    """

    direction: Direction
    role: str
    length: int
    action: Action = Action.ALLOW
    findings: tuple[Finding, ...] = ()
    coverage: float = 1.0
    timings: tuple[tuple[str, float], ...] = ()
    degraded: bool = False
    dry_run: bool = False
    usage: tuple[tuple[str, Usage], ...] = ()

    @classmethod
    def of(cls, verdict: Verdict, direction: Direction, role: str) -> Checked:
        """What a verdict says, without the text it is about."""
        return cls(
            direction,
            role,
            len(verdict.original),
            verdict.action,
            verdict.findings,
            verdict.coverage,
            verdict.timings,
            verdict.degraded,
            verdict.dry_run,
            verdict.usage,
        )


@dataclass(frozen=True, slots=True)
class Said:
    """One text of a request, as it came and as it went on.

    Args:
        direction: Which way it went.
        role: Whose it is.
        original: As it came.
        text: As it went on: redacted where a guard said so, empty where it was blocked.
    """

    direction: Direction
    role: str
    original: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the time of a request went, in seconds.

    Args:
        total: From the first byte of the request's body to the last of the answer.
        input: Checking what goes to the model.
        upstream: Waiting for the model: to its last byte, or of a stream to its first.
        output: Checking what came back; of a stream, of all its stretches together.
        first: Until the first byte of the answer's body; None if there was none.
    """

    total: float
    input: float = 0.0
    upstream: float = 0.0
    output: float = 0.0
    first: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request, when it is over.

    Args:
        id: The request's id, as the answer's header ``x-request-id`` has it.
        time: When it came, in seconds since the epoch.
        endpoint: Its path, such as ``/v1/chat/completions``; one that the service does
            not have is ``other``.
        model: The model that was asked for; empty where there is none.
        caller: Who asked: an id made of the API key by a hash, never the key itself;
            empty where no key is needed.
        stream: The answer was a stream.
        status: The HTTP status that the caller got.
        outcome: What became of it.
        error: The code of the error that the caller got, or empty.
        checks: The verdicts: those on the input first, each in the order of its texts.
        latency: Where the time went.
        upstream_status: The HTTP status of the upstream, or None if it was not asked
            or did not answer.
        tokens_in: Tokens of the prompt, as the upstream counts them.
        tokens_out: Tokens of the answer, as the upstream counts them.
        retries: Blocked prompts much like this one that the same caller sent lately,
            where this one is blocked as well.
        traceparent: The trace the caller is in, as W3C Trace Context writes it.
        texts: The texts of ``checks``, in the same order; empty where nobody keeps
            them.
    """

    id: str
    time: float
    endpoint: str
    model: str = ""
    caller: str = ""
    stream: bool = False
    status: int = 200
    outcome: Outcome = "allowed"
    error: str = ""
    checks: tuple[Checked, ...] = ()
    latency: Latency = Latency(0.0)
    upstream_status: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    retries: int = 0
    traceparent: str = ""
    texts: tuple[Said, ...] = field(default=(), repr=False)


class Metrics(Protocol):
    """Counts records, and shows what it counted."""

    def observe(self, record: Record) -> None:
        """Count a record; called on an event loop, so it must not wait."""

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""

    def close(self) -> None:
        """Show no more what this process is doing, which is at its end."""


class Writer(Protocol):
    """Keeps records."""

    def write(self, record: Record) -> None:
        """Take a record, and never block or raise."""

    def close(self) -> None:
        """Write what was taken, and end."""
