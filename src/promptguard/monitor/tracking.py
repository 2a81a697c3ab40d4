"""A report as a run of MLflow."""

from __future__ import annotations

import json
import re

from .. import ConfigError
from ..errors import no_mlflow
from .pages import page
from .report import VERDICTS, Report

__all__ = ["log", "require_mlflow"]

EXPERIMENT = "promptguard-monitor"


def log(report: Report, uri: str, experiment: str = EXPERIMENT) -> str:
    """Log a report: figures as metrics, the verdict as a tag, page and JSON as files.

    Args:
        report: The report.
        uri: The tracking server or database, such as ``sqlite:///mlflow.db``.
        experiment: The experiment; it is made where it is not there.

    Returns:
        The id of the run.

    Raises:
        ConfigError: MLflow is not installed, or did not take it.
    """
    require_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        number = client.create_experiment(experiment) if found is None else None
        own = found.experiment_id if number is None else number
        run = client.create_run(own, run_name=f"monitor: {report.verdict}").info.run_id
        client.set_tag(run, "promptguard.verdict", report.verdict)
        client.set_tag(run, "promptguard.drift", report.kind)
        for name, value in _metrics(report).items():
            client.log_metric(run, name, value)
        client.log_text(run, json.dumps(report.to_dict(), indent=1), "report.json")
        client.log_text(run, page(report), "report.html")
        client.set_terminated(run)
    except MlflowException as error:
        # The first line says what; the rest may be the whole answer of a server.
        said = str(error).splitlines()[0]
        raise ConfigError(f"MLflow did not take the report: {said}") from None
    return str(run)


def require_mlflow() -> None:
    """See that MLflow is there.

    Raises:
        ConfigError: It is not.
    """
    try:
        from mlflow import MlflowClient  # noqa: F401
        from mlflow.exceptions import MlflowException  # noqa: F401
    except ImportError:
        raise no_mlflow() from None


def _metrics(report: Report) -> dict[str, float]:
    metrics = {"verdict": float(VERDICTS.index(report.verdict))}
    for name, window in (("current", report.current), ("reference", report.reference)):
        metrics[f"{name}/requests"] = float(window.requests)
        metrics[f"{name}/texts"] = float(window.texts)
    for check in report.checks:
        metrics[_name("checks", check.name, check.group)] = check.value
    for row in report.quality:
        for figure in ("precision", "recall", "f1", "fpr"):
            share = getattr(row, figure)
            if share is not None:
                where = "quality", row.window, row.label, row.language, figure
                metrics[_name(*where)] = share.value
    return metrics


def _name(*parts: str) -> str:
    """A name of a metric, of what MLflow allows in one."""
    return "/".join(re.sub(r"[^A-Za-z0-9_. -]", "_", part) for part in parts)
