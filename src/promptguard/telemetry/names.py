"""Every name that telemetry gives: of metrics, their labels, spans and attributes.

The names under ``promptguard.`` are this library's own and change with its version
only. Those under ``gen_ai.`` are the semantic conventions of OpenTelemetry, which are
still in development: https://github.com/open-telemetry/semantic-conventions-genai.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "WRITER_METRICS", "Metric"]

LATENCIES = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1),
    *(0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
# What is below the last but one was not looked at to its end.
SHARES = (0.25, 0.5, 0.75, 0.9, 0.99, 0.9999, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, for OpenTelemetry and for Prometheus.

    Args:
        name: Its name in OpenTelemetry.
        kind: ``counter`` only grows, a ``gauge`` goes up and down.
        unit: Its unit in OpenTelemetry, as UCUM writes it.
        help: What it counts.
        labels: The names of its labels; ``promptguard.`` goes before them in
            OpenTelemetry.
        buckets: Upper bounds of a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus, with the unit and, of a counter, ``_total``."""
        words = [self.name.removesuffix(".duration").replace(".", "_")]
        if self.unit == "s":
            words.append("seconds")
        elif self.unit == "1" and self.kind == "histogram":
            words.append("ratio")
        if self.kind == "counter":
            words.append("total")
        return "_".join(words)

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series that a Prometheus has of it."""
        name = self.prometheus
        if self.kind == "histogram":
            return name + "_bucket", name + "_count", name + "_sum"
        return (name,)


VERDICTS = Metric(
    "promptguard.verdicts",
    "counter",
    "{verdict}",
    "Texts that were checked, by the worst action of what was found.",
    ("direction", "role", "action", "dry_run"),
)
FINDINGS = Metric(
    "promptguard.findings",
    "counter",
    "{finding}",
    "What guards found.",
    ("guard", "label", "action"),
)
DEGRADED = Metric(
    "promptguard.degraded",
    "counter",
    "{verdict}",
    "Texts that went on although a guard had failed.",
    ("direction",),
)
COVERAGE = Metric(
    "promptguard.coverage",
    "histogram",
    "1",
    "Share of a text that the guards could look at.",
    ("direction",),
    SHARES,
)
GUARD = Metric(
    "promptguard.guard.duration",
    "histogram",
    "s",
    "Time spent inside a guard for one text, waiting included.",
    ("guard",),
    LATENCIES,
)
REQUESTS = Metric(
    "promptguard.requests",
    "counter",
    "{request}",
    "Requests, by what became of them.",
    ("endpoint", "outcome", "status"),
)
ERRORS = Metric(
    "promptguard.errors",
    "counter",
    "{request}",
    "Requests that were answered by an error, by its code.",
    ("endpoint", "error"),
)
RETRIES = Metric(
    "promptguard.retries",
    "counter",
    "{request}",
    "Blocked requests much like one that was blocked before, of the same caller.",
    ("endpoint",),
)
REQUEST = Metric(
    "promptguard.request.duration",
    "histogram",
    "s",
    "From the first byte of a request to the last of its answer.",
    ("endpoint", "stream"),
    LATENCIES,
)
CHECK = Metric(
    "promptguard.check.duration",
    "histogram",
    "s",
    "Time that checking the texts of one request took.",
    ("endpoint", "direction"),
    LATENCIES,
)
UPSTREAM = Metric(
    "promptguard.upstream.duration",
    "histogram",
    "s",
    "Time spent waiting for the model: of a stream, until its first byte.",
    ("endpoint",),
    LATENCIES,
)
TOKENS = Metric(
    "promptguard.tokens",
    "counter",
    "{token}",
    "Tokens as the upstream counts them, in the prompt and in the answer.",
    ("model", "kind"),
)
COST = Metric(
    "promptguard.cost",
    "counter",
    "{currency}",
    "What the tokens cost by the price table.",
    ("model", "currency"),
)
UNPRICED = Metric(
    "promptguard.unpriced",
    "counter",
    "{request}",
    "Requests with tokens whose model is not in the price table.",
    ("model",),
)
JUDGE_CALLS = Metric(
    "promptguard.judge.calls",
    "counter",
    "{call}",
    "Questions to an LLM that a guard asked.",
    ("guard",),
)
JUDGE_TOKENS = Metric(
    "promptguard.judge.tokens",
    "counter",
    "{token}",
    "Tokens of the questions that guards asked an LLM, and of its answers.",
    ("guard", "kind"),
)
JUDGE_COST = Metric(
    "promptguard.judge.cost",
    "counter",
    "{currency}",
    "What these questions cost, by the prices that the guard was given.",
    ("guard",),
)
WRITTEN = Metric(
    "promptguard.capture.written",
    "counter",
    "{record}",
    "Records of requests that were kept.",
)
DROPPED = Metric(
    "promptguard.capture.dropped",
    "counter",
    "{record}",
    "Records of requests that could not be kept.",
)
QUEUED = Metric(
    "promptguard.capture.queued",
    "gauge",
    "{record}",
    "Records of requests that wait to be written.",
)
RELOAD_OUTCOMES = ("reloaded", "unchanged", "refused")
RELOADS = Metric(
    "promptguard.reloads",
    "counter",
    "{reload}",
    "Tries to reload the policy: reloaded, unchanged or refused.",
    ("outcome",),
)
INFO = Metric(
    "promptguard.build.info",
    "gauge",
    "",
    "1, with the version as a label.",
    ("version",),
)

METRICS = (
    *(VERDICTS, FINDINGS, DEGRADED, COVERAGE, GUARD),
    *(REQUESTS, ERRORS, RETRIES, REQUEST, CHECK, UPSTREAM),
    *(TOKENS, COST, UNPRICED, JUDGE_CALLS, JUDGE_TOKENS, JUDGE_COST),
)
"""What is counted from verdicts and records."""

WRITER_METRICS = (WRITTEN, DROPPED, QUEUED)
"""What a writer of records counts itself."""

# Spans.
CHECK_SPAN = "promptguard.check"
REQUEST_SPAN = "promptguard.request"

# Attributes of spans; where a metric has a label of the same meaning, the same word.
ACTION = "promptguard.action"
CALLER = "promptguard.caller"
CHARACTERS = "promptguard.characters"
CHECKS = "promptguard.checks"
COST_ATTRIBUTE = "promptguard.cost"
COVERAGE_ATTRIBUTE = "promptguard.coverage"
DEGRADED_ATTRIBUTE = "promptguard.degraded"
DIRECTION = "promptguard.direction"
DRY_RUN = "promptguard.dry_run"
ERROR = "promptguard.error"
FINDINGS_ATTRIBUTE = "promptguard.findings"
GUARD_NAME = "promptguard.guard"
LABELS = "promptguard.labels"
OUTCOME = "promptguard.outcome"
REQUEST_ID = "promptguard.request.id"
ROLE = "promptguard.role"
RETRIES_ATTRIBUTE = "promptguard.retries"
SECONDS = "promptguard.seconds"
SECONDS_INPUT = "promptguard.seconds.input"
SECONDS_UPSTREAM = "promptguard.seconds.upstream"
SECONDS_OUTPUT = "promptguard.seconds.output"
STREAM = "promptguard.stream"

# The conventions of OpenTelemetry.
EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
OPERATION = "gen_ai.operation.name"
MODEL = "gen_ai.request.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
ERROR_TYPE = "error.type"

OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "chat",
}
"""What an endpoint does, as the conventions call it."""
