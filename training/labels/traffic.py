"""Captured texts, as far as labelling needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from promptguard import PromptGuardError
from promptguard.traffic import Filters, Traffic
from promptguard.traffic.reading import Kept, Request

from ..errors import PipelineError
from .records import Label

__all__ = ["Captured", "TrafficError", "captured", "named", "of", "requests"]


class TrafficError(PipelineError):
    """The database of traffic cannot be read."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A text as it was kept.

    Args:
        id: Of its request.
        key: Of its request in the database.
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
    key: str
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
    def name(self) -> str:
        """What labels call it: its request, and its place there."""
        return f"{self.id}-{self.position}"


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


def named(labels: Iterable[Label], texts: Sequence[Captured]) -> list[Label]:
    """Labels with the names of the texts that they are about, whatever they say.

    A label may name the request or its key, and leave out the position where the
    request has one text. One that names no text, or several, stays as it is.
    """
    names: dict[str, str | None] = {}
    for text in texts:
        whole = {text.name, f"{text.key}-{text.position}", text.id, text.key}
        for name in whole:
            names[name] = None if name in names else text.name
    return [replace(label, id=names.get(label.id) or label.id) for label in labels]


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
        key=request.about["key"],
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
