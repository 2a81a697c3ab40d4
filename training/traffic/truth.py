"""Ground truth for captured traffic: labels as annotators of a chosen quality give."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import PipelineError
from ..labels.records import Label, read_labels, write_labels
from ..labels.traffic import Captured, captured
from .sending import Sent

__all__ = ["Filled", "Quality", "fill"]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good labels are.

    Args:
        quality: Probability that a label is right.
        share: Of the requests, how many are labelled.
        annotators: Who labels; each decides by themselves.
        seed: Seeds what is drawn. Which requests are labelled does not depend on how
            many were sent.
    """

    quality: float = 1.0
    share: float = 1.0
    annotators: tuple[str, ...] = ("truth",)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("quality", "share"):
            if not 0 <= getattr(self, name) <= 1:
                raise PipelineError(f"traffic: label {name} is a share from 0 to 1")
        if not self.annotators or len(set(self.annotators)) < len(self.annotators):
            raise PipelineError("traffic: annotators have names, each another one")


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of it.

    Args:
        labels: Labels that were written.
        requests: Requests that have some.
        missing: Requests of the share that are not in the traffic.
    """

    labels: int
    requests: int
    missing: int


def fill(
    sent: Sequence[Sent],
    traffic: str,
    out: Path,
    quality: Quality,
    *,
    patience: float = 10.0,
) -> Filled:
    """Write labels of sent requests; those of others that the file has stay.

    Args:
        sent: What was sent.
        traffic: The database that the service keeps it in.
        out: A file of JSON lines.
        quality: How good the labels are.
        patience: Seconds to wait for what the service has not written yet.

    Raises:
        PipelineError: The database cannot be read, or has another text under the id
            of a request.
    """
    wanted = {s.request: s for s in sent if _chosen(s, quality)}
    until = time.monotonic() + patience
    while True:
        texts = {name: None for name in wanted} | _texts(traffic, wanted)
        missing = sum(text is None for text in texts.values())
        if not missing or time.monotonic() > until:
            break
        time.sleep(0.25)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = [
        Label(text.name, label, value, annotator, now)
        for name, text in texts.items()
        if text is not None
        for annotator in quality.annotators
        for label, value in _said(wanted[name], annotator, quality).items()
    ]
    own = {(label.id, label.annotator) for label in made}
    others = [x for x in _there(out) if (x.id, x.annotator) not in own]
    write_labels(out, [*others, *made])
    return Filled(len(made), len(texts) - missing, missing)


def _chosen(sent: Sent, quality: Quality) -> bool:
    rng = random.Random(f"{quality.seed}:chosen:{sent.number}")
    return rng.random() < quality.share


def _said(sent: Sent, annotator: str, quality: Quality) -> dict[str, int]:
    """What this annotator says of a request."""
    rng = random.Random(f"{quality.seed}:label:{annotator}:{sent.number}")
    return {
        label: value if rng.random() < quality.quality else 1 - value
        for label, value in sorted(sent.truth.items())
    }


def _texts(traffic: str, wanted: dict[str, Sent]) -> dict[str, Captured | None]:
    """The text of each request, by its id."""
    found: dict[str, Captured | None] = {}
    for text in captured(traffic):
        sent = wanted.get(text.id)
        if sent is None or text.direction != "input" or text.role != sent.role:
            continue
        if sent.role == "tool" or text.position == 0:
            if text.length != sent.length:
                raise PipelineError(
                    f"traffic: the request {text.id} has a text of {text.length} "
                    f"characters, and one of {sent.length} was sent; the file of what "
                    "was sent does not belong to this database"
                )
            found[text.id] = text
    return found


def _there(out: Path) -> list[Label]:
    return list(read_labels(out)) if out.exists() else []
