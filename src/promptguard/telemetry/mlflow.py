"""Traces for MLflow: a span of type GUARDRAIL for every verdict."""

from __future__ import annotations

import time
from typing import Any

from .. import MissingExtra, Verdict
from ..records import Checked, Record
from . import names

__all__ = ["MLflow"]

_NANO = 1_000_000_000


class MLflow:
    """Gives a span of type ``GUARDRAIL`` for every verdict.

        pg.on_verdict(MLflow())

    Below an active span, such as of ``@mlflow.trace``, it is that span's child, else a
    trace of its own. Where traces go is what ``mlflow.set_tracking_uri`` and
    ``mlflow.set_experiment`` say. MLflow writes them on threads of its own unless it
    was told otherwise; what that costs is MLflow's.

    Args:
        experiment: Id of the experiment; None means the active one.

    Raises:
        MissingExtra: Neither mlflow nor mlflow-tracing is installed.
    """

    def __init__(self, experiment: str | None = None) -> None:
        try:
            import mlflow
        except ImportError:
            raise MissingExtra("mlflow", "mlflow") from None
        # Any: MLflow ships types for parts of itself.
        self._mlflow: Any = mlflow
        self._experiment = experiment

    def __call__(self, verdict: Verdict) -> None:
        """Trace one verdict: a hook for ``on_verdict``."""
        parent = self._mlflow.get_current_active_span()
        length = len(verdict.original)
        self._check(verdict, length, {}, time.time_ns(), parent)

    def observe(self, record: Record) -> None:
        """Trace one request: a span of its own, with its verdicts below."""
        from mlflow.entities import SpanType

        begin = int(record.time * _NANO)
        end = begin + int(record.latency.total * _NANO)
        input_end = begin + int(record.latency.input * _NANO)
        about = {
            names.HTTP_ROUTE: record.endpoint,
            names.HTTP_STATUS: record.status,
            names.REQUEST_ID: record.id,
            names.OUTCOME: record.outcome,
            names.STREAM: record.stream,
            names.ERROR: record.error,
        }
        span = self._mlflow.start_span_no_context(
            names.REQUEST_SPAN,
            span_type=SpanType.CHAIN,
            attributes=about,
            experiment_id=self._experiment,
            start_time_ns=begin,
        )
        for check in record.checks:
            where = {names.DIRECTION: check.direction, names.ROLE: check.role}
            done = input_end if check.direction == "input" else end
            self._check(check, check.length, where, done, span)
        span.end(
            status="ERROR" if record.outcome == "failed" else "OK", end_time_ns=end
        )

    def _check(
        self,
        verdict: Verdict | Checked,
        length: int,
        where: dict[str, str],
        end: int,
        parent: Any,
    ) -> None:
        from mlflow.entities import SpanType

        longest = max((seconds for _, seconds in verdict.timings), default=0.0)
        about = {
            names.CHARACTERS: length,
            names.COVERAGE_ATTRIBUTE: verdict.coverage,
            names.DEGRADED_ATTRIBUTE: verdict.degraded,
            names.DRY_RUN: verdict.dry_run,
            names.SECONDS: dict(verdict.timings),
            **where,
        }
        span = self._mlflow.start_span_no_context(
            names.CHECK_SPAN,
            span_type=SpanType.GUARDRAIL,
            parent_span=parent,
            attributes=about,
            experiment_id=None if parent is not None else self._experiment,
            start_time_ns=end - int(longest * _NANO),
        )
        findings = [
            {
                "guard": found.guard,
                "label": found.label,
                "score": found.score,
                "start": found.start,
                "end": found.end,
                "action": (found.action or verdict.action).name.lower(),
            }
            for found in verdict.findings
        ]
        action = verdict.action.name.lower()
        outputs = {"action": action, "findings": findings}
        span.end(outputs=outputs, status="OK", end_time_ns=end)
