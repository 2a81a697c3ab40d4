"""Captured texts, as far as labelling needs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from promptguard import PromptGuardError
from promptguard.traffic import Filters, Traffic
from promptguard.traffic.reading import Kept, Request

from ..errors import PipelineError

__all__ = ["Captured", "TrafficError", "captured", "requests"]


class TrafficError(PipelineError):
    """The database of traffic cannot be read."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A text as it was kept.

    Args:
        id: Of its request.
        position: Its place in the request.
        direction: ``input`` or ``output``.
        role: Whose text it is.
        length: Its characters, as it came.
        action: What the guards decided.
        scores: The highest score of each label that was found.
        found: Labels that each guard found and did something about.
        ran: The guards that looked at it.
        kept: How it was kept: ``whole``, ``redacted``, ...
        time: When the request came, in seconds since the epoch.
        text: What was kept of it, or None.
    """

    id: str
    position: int
    direction: str
    role: str
    length: int
    action: str
    scores: dict[str, float]
    found: dict[str, frozenset[str]]
    ran: frozenset[str]
    kept: str
    time: float
    text: str | None = field(repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """Its request, and its place there."""
        return self.id, self.position


def requests(
    traffic: str, filters: Filters | None = None
) -> Iterator[tuple[Request, Kept]]:
    """Texts with their requests, in the order in which they came.

    Raises:
        TrafficError: The database is not there, locked, or of another kind.
    """
    try:
        with Traffic(traffic) as opened:
            found = list(opened.texts(filters))
    except PromptGuardError as error:
        raise TrafficError(f"traffic: {error}") from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "sqlalchemy":
            raise
        # Its message may quote a text.
        name = type(getattr(error, "orig", None) or error).__name__
        raise TrafficError(
            f"traffic: the database cannot be read ({name}); see who holds it, and run "
            "the same command again"
        ) from None
    # The newest comes first from there.
    found.sort(key=lambda pair: (pair[0].about["time"], pair[0].about["key"]))
    return iter(found)


def captured(traffic: str, filters: Filters | None = None) -> Iterator[Captured]:
    """Texts as labelling needs them, in the order in which they came.

    Raises:
        TrafficError: As ``requests``.
    """
    for request, text in requests(traffic, filters):
        yield of(request, text)


def of(request: Request, text: Kept) -> Captured:
    """A text with its request as labelling needs it."""
    scores: dict[str, float] = {}
    found: dict[str, frozenset[str]] = {}
    for finding in text.findings:
        scores[finding.label] = max(scores.get(finding.label, 0.0), finding.score)
        if finding.action != "allow":
            known = found.get(finding.guard, frozenset())
            found[finding.guard] = known | {finding.label}
    return Captured(
        id=request.about["request"],
        position=text.about["position"],
        direction=text.about["direction"],
        role=text.about["role"],
        length=text.about["length"],
        action=text.about["action"],
        scores=scores,
        found=found,
        ran=frozenset(text.about["timings"]),
        kept=text.about["kept"],
        time=request.about["time"],
        text=text.text,
    )
