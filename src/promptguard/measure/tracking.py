"""Where an evaluation is logged: a run of MLflow or of Weights & Biases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .. import ConfigError

if TYPE_CHECKING:
    from .grades import Evaluation

__all__ = ["log"]

_TABLE = "judge.md"


def log(evaluation: Evaluation, run: Any) -> None:
    """Log figures and table; the run is known by its shape.

    Raises:
        ConfigError: It is of no known shape.
    """
    figures = _figures(evaluation)
    table = evaluation.table("markdown") + "\n"
    if callable(getattr(run, "log_metrics", None)) and hasattr(run, "log_text"):
        run.log_metrics(figures)
        run.log_text(table, _TABLE)
    elif hasattr(getattr(run, "info", None), "run_id"):
        from mlflow import MlflowClient

        client, own = MlflowClient(), run.info.run_id
        for name, value in figures.items():
            client.log_metric(own, name, value)
        client.log_text(own, table, _TABLE)
    elif callable(getattr(run, "log", None)) and hasattr(run, "summary"):
        run.log(figures)
    else:
        raise ConfigError(
            "run must be the module mlflow, a run of MLflow or a run of Weights & "
            f"Biases, not {type(run).__name__}"
        )


def _figures(evaluation: Evaluation) -> dict[str, float]:
    figures: dict[str, float] = {}
    for variant in evaluation.variants:
        for rubric in evaluation.rubrics:
            mean = evaluation.mean(variant, rubric)
            if mean is not None:
                figures[_name(variant, rubric)] = mean.mean
                if mean.spread is not None:
                    figures[_name(variant, rubric, "spread")] = mean.spread
    usage = evaluation.usage
    figures |= {
        _name("failed"): float(evaluation.failed),
        _name("calls"): float(usage.calls),
        _name("prompt_tokens"): float(usage.prompt_tokens),
        _name("completion_tokens"): float(usage.completion_tokens),
    }
    if usage.cost is not None:
        figures[_name("cost")] = usage.cost
    return figures


def _name(*parts: str) -> str:
    """A name of a metric, of what MLflow allows in one."""
    return "/".join(["judge", *(re.sub(r"[^A-Za-z0-9_. -]", "_", p) for p in parts)])
