"""Where results are logged: a run of MLflow or of Weights & Biases."""

from __future__ import annotations

import re
from typing import Any

from .. import ConfigError
from .page import page
from .results import Results
from .tables import as_markdown

__all__ = ["figures", "log"]

_ANSWERS, _SCORES = "answers.json", "scores.json"


def log(results: Results, run: Any, *, texts: bool = False) -> None:
    """Log figures, settings and tables to a run.

    Args:
        results: What was found.
        run: The module ``mlflow`` (its active run) or a run of Weights & Biases.
        texts: Whether questions and answers go there too: into the table of answers,
            and as the report of HTML.

    Raises:
        ConfigError: The run is neither.
    """
    if callable(getattr(run, "log_metrics", None)) and hasattr(run, "log_table"):
        _to_mlflow(results, run, texts)
    elif callable(getattr(run, "log", None)) and hasattr(run, "summary"):
        _to_wandb(results, run, texts)
    else:
        raise ConfigError(
            "run must be the module mlflow or a run of Weights & Biases, not "
            f"{type(run).__name__}"
        )


def figures(results: Results) -> dict[str, float]:
    """The figures of an experiment by name."""
    found: dict[str, float | None] = {}
    for variant in results.variants:
        for metric in results.metrics:
            mean = results.mean(variant, metric)
            if mean is not None:
                found[f"{variant}/{metric}"] = mean.mean
                found[f"{variant}/{metric}/low"] = mean.low
                found[f"{variant}/{metric}/high"] = mean.high
        cost = results.cost(variant)
        found |= {
            f"{variant}/answers": cost.answers,
            f"{variant}/refused": cost.refused,
            f"{variant}/failed": sum(count for _, count in cost.failed),
            f"{variant}/ungraded": sum(count for _, count in cost.ungraded),
            f"{variant}/seconds_p50": cost.p50,
            f"{variant}/seconds_p95": cost.p95,
            f"{variant}/tokens_in": cost.tokens_in,
            f"{variant}/tokens_out": cost.tokens_out,
            f"{variant}/cost": cost.total,
        }
    for pair in results.comparisons():
        if pair.share is not None:
            found[f"pairs/{pair.first} over {pair.second}"] = pair.share.mean
    if results.first_place is not None:
        found["pairs/first_place"] = results.first_place.mean
    return {_name(name): float(v) for name, v in found.items() if v is not None}


def _to_mlflow(results: Results, run: Any, texts: bool) -> None:
    run.log_params(_settings(results))
    run.log_metrics(figures(results))
    run.log_table(_columns(results.records(texts=texts)), _ANSWERS)
    run.log_table(_columns(_scores(results)), _SCORES)
    run.log_dict(results.experiment.settings(), "experiment.json")
    run.log_text(as_markdown(results), "report.md")
    if texts:
        run.log_text(page(results), "report.html")


def _to_wandb(results: Results, run: Any, texts: bool) -> None:
    import wandb

    run.config.update(_settings(results))
    logged: dict[str, Any] = dict(figures(results))
    for name, rows in (
        ("answers", results.records(texts=texts)),
        ("scores", _scores(results)),
    ):
        columns: list[Any] = list(rows[0]) if rows else []
        table = wandb.Table(columns, [[row[c] for c in columns] for row in rows])
        logged[name] = table
    if texts:
        logged["report"] = wandb.Html(page(results), inject=False)
    run.log(logged)


def _settings(results: Results) -> dict[str, str]:
    """What was run, as parameters: plain and short."""
    told = results.experiment.settings()
    judge = told.pop("judge") or {}
    told["variants"] = ", ".join(told["variants"])
    told |= {f"judge_{name}": value for name, value in judge.items()}
    return {name: str(value)[:250] for name, value in told.items()}


def _scores(results: Results) -> list[dict[str, Any]]:
    """A row for each variant and metric, with its intervals."""
    rows = []
    for variant in results.variants:
        for metric in results.metrics:
            mean = results.mean(variant, metric)
            apart = results.difference(variant, metric)
            rows.append(
                {
                    "variant": variant,
                    "metric": metric,
                    **_estimate("mean", mean),
                    **_estimate("difference", apart),
                    "questions": 0 if mean is None else mean.count,
                }
            )
    return rows


def _estimate(name: str, found: Any) -> dict[str, float | None]:
    return {
        name: getattr(found, "mean", None),
        f"{name}_low": getattr(found, "low", None),
        f"{name}_high": getattr(found, "high", None),
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _name(name: str) -> str:
    """A name of what MLflow allows in one."""
    return re.sub(r"[^A-Za-z0-9_. /-]", "_", name)
