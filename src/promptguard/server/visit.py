"""One request on its way through the service, and the record that comes of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from time import time as now
from typing import Any

from .. import Action, Verdict
from ..records import Checked, Direction, Latency, Outcome, Record, Said

__all__ = ["Visit"]

_PLAIN = re.compile(r"[\w.:/@+=-]{1,128}", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OUTCOMES: dict[Action, Outcome] = {
    Action.ALLOW: "allowed",
    Action.FLAG: "flagged",
    Action.REDACT: "redacted",
    Action.BLOCK: "blocked",
}


@dataclass(slots=True)
class Visit:
    """What is known of a request so far.

    Args:
        endpoint: Its path, if the service has such an endpoint.
        texts: Somebody keeps what was said.
    """

    endpoint: str
    texts: bool
    id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    time: float = field(default_factory=now)
    begun: float = field(default_factory=perf_counter)
    caller: str = ""
    client: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    error: str = ""
    failed: bool = False
    checks: list[Checked] = field(default_factory=list)
    said: list[Said] = field(default_factory=list, repr=False)
    input: float = 0.0
    upstream: float = 0.0
    output: float = 0.0
    first: float | None = None
    upstream_status: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    retries: int = 0
    traceparent: str = ""

    @property
    def since(self) -> float:
        """Seconds since the request came."""
        return perf_counter() - self.begun

    def asked(self, body: Mapping[str, Any]) -> None:
        """Note what a request asks for."""
        model = body.get("model")
        if isinstance(model, str) and _PLAIN.fullmatch(model):
            self.model = model
        self.stream = body.get("stream") is True

    def traced(self, header: str) -> None:
        """Note the trace that the caller is in."""
        if _TRACE.fullmatch(header):
            self.traceparent = header

    def checked(
        self, verdicts: Iterable[Verdict], direction: Direction, roles: Iterable[str]
    ) -> None:
        """Note what was found."""
        for verdict, role in zip(verdicts, roles, strict=False):
            self.checks.append(Checked.of(verdict, direction, role))
            if self.texts:
                went = verdict.text or verdict.original
                if verdict.blocked and not verdict.dry_run:
                    went = ""
                said = Said(direction, role, verdict.original, went)
                self.said.append(said)

    def counted(self, answer: Mapping[str, Any]) -> None:
        """Note the tokens that an answer or a chunk tells of."""
        response = answer.get("response")
        owner = response if isinstance(response, dict) else answer
        usage = owner.get("usage")
        if not isinstance(usage, dict):
            return
        read = usage.get("prompt_tokens", usage.get("input_tokens"))
        wrote = usage.get("completion_tokens", usage.get("output_tokens"))
        if type(read) is int and read >= 0:
            self.tokens_in = read
        if type(wrote) is int and wrote >= 0:
            self.tokens_out = wrote

    def record(self) -> Record:
        """What there is to note of the request, when it is over."""
        return Record(
            id=self.id,
            time=self.time,
            endpoint=self.endpoint,
            model=self.model,
            caller=self.caller,
            stream=self.stream,
            status=self.status,
            outcome=self._outcome(),
            error=self.error,
            checks=tuple(self.checks),
            latency=Latency(
                self.since,
                self.input,
                self.upstream,
                self.output,
                self.first,
            ),
            upstream_status=self.upstream_status,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            texts=tuple(self.said),
            retries=self.retries,
            traceparent=self.traceparent,
        )

    def _outcome(self) -> Outcome:
        worst = max((c.action for c in self.checks if not c.dry_run), default=None)
        if worst is Action.BLOCK:
            return "blocked"
        if self.failed or self.status >= 500:
            return "refused" if self.error == "overloaded" else "failed"
        if self.error or self.status >= 400:
            return "refused"
        return _OUTCOMES[worst or Action.ALLOW]
