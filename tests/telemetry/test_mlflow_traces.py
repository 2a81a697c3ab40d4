"""Traces as MLflow keeps them; needs MLflow."""

from __future__ import annotations

import json
import sys

import pytest
from records_made import CANARY

from promptguard import PII, MissingExtra, on_verdict
from promptguard.telemetry.mlflow import MLflow


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow = pytest.importorskip("mlflow", reason="needs MLflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("guards")
    yield mlflow
    mlflow.set_tracking_uri(before)


@pytest.mark.mlflow
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_verdict_is_a_span_of_type_guardrail_without_the_text(mlflow, record, guard):
    remove = on_verdict(MLflow())

    @mlflow.trace
    def ask() -> str:
        return PII().check(f"{CANARY}@example.com").action.name

    try:
        ask()
    finally:
        remove()
    MLflow().observe(record)
    traces = mlflow.search_traces(return_type="list")
    found = {trace.data.spans[0].name: trace.data.spans for trace in traces}
    assert [span.name for span in found["ask"]] == ["ask", "promptguard.check"]
    check = found["ask"][1]
    assert check.span_type == "GUARDRAIL"
    assert check.outputs["action"] == "redact"
    assert check.outputs["findings"][0]["label"] == "EMAIL_ADDRESS"
    request = found["promptguard.request"]
    assert [span.span_type for span in request] == ["CHAIN", "GUARDRAIL"]
    assert request[0].attributes["promptguard.outcome"] == "blocked"
    shown = json.dumps([trace.to_dict() for trace in traces], default=str)
    assert "GUARDRAIL" in shown
    assert CANARY not in shown


def test_without_mlflow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[mlflow\]"):
        MLflow()
