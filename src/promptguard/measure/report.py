"""What an evaluation found: as a table of JSON, and as lines to read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import figures
from .scoring import Measured, bucket, lengths

__all__ = ["evaluate", "lines"]

RATE = 0.01
# More groups than this are for the JSON file and not for the eye.
_SHOWN = 20
_NONE = "(none)"


def evaluate(measured: Sequence[Measured]) -> dict[str, Any]:
    """All figures of an evaluation."""
    attacks = [m.score for m in measured if m.attack]
    benign = [m.score for m in measured if not m.attack]
    seconds = [m.seconds for m in measured if m.seconds is not None]
    coverage = [m.coverage for m in measured]
    report = _counts(measured)
    report["roc_auc"] = figures.area(figures.curve(attacks, benign))
    report["recall_at_1_percent"] = _recall(attacks, benign)
    report["coverage"] = {
        "mean": sum(coverage) / len(coverage),
        "least": min(coverage, default=None),
        "below_1": sum(value < 1 for value in coverage),
    }
    report["latency_ms"] = {
        "p50": _milliseconds(figures.percentile(seconds, 0.5)),
        "p95": _milliseconds(figures.percentile(seconds, 0.95)),
        "texts": len(seconds),
    }
    report["reliability"] = [
        {
            "score": round(found.score, 6),
            "texts": found.count,
            "attacks": _share(found.attacks, found.count),
        }
        for found in figures.bins(attacks, benign)
    ]
    report["by"] = {
        kind: {name: _counts(part) for name, part in groups.items()}
        for kind, groups in _groups(measured)
    }
    return report


def _counts(part: Sequence[Measured]) -> dict[str, Any]:
    found = sum(m.flagged for m in part if m.attack)
    missed = sum(m.attack for m in part) - found
    alarms = sum(m.flagged for m in part if not m.attack)
    passed = len(part) - found - missed - alarms
    return {
        "texts": len(part),
        "attacks": found + missed,
        "benign": alarms + passed,
        "true_positives": found,
        "false_negatives": missed,
        "false_positives": alarms,
        "true_negatives": passed,
        "precision": _share(found, found + alarms),
        "recall": _share(found, found + missed),
        "f1": figures.share(2 * found, 2 * found + alarms + missed),
        "false_positive_rate": _share(alarms, alarms + passed),
    }


def _share(hits: int, count: int) -> dict[str, Any]:
    return {
        "value": figures.share(hits, count),
        "interval": figures.wilson(hits, count),
    }


def _recall(attacks: Sequence[float], benign: Sequence[float]) -> dict[str, Any]:
    found = figures.recall_at(attacks, benign, RATE)
    if found is None:
        return {"value": None, "interval": None, "threshold": None}
    recall, threshold = found
    share = _share(round(recall * len(attacks)), len(attacks))
    return {**share, "threshold": threshold}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _groups(
    measured: Sequence[Measured],
) -> Iterator[tuple[str, dict[str, list[Measured]]]]:
    """The texts by each kind of group that tells at least two apart."""
    kinds: dict[str, Callable[[Measured], str]] = {
        kind: lambda m, kind=kind: dict(m.row.tags).get(kind, _NONE)  # type: ignore[misc]
        for kind in ("category", "lang", "source")
    }
    kinds["role"] = lambda m: m.row.role
    kinds["windows"] = lambda m: lengths(bucket(m.windows))
    for kind, name in kinds.items():
        groups: defaultdict[str, list[Measured]] = defaultdict(list)
        for m in measured:
            groups[name(m)].append(m)
        if len(groups) > 1:
            order = _shortest if kind == "windows" else _largest
            yield kind, dict(sorted(groups.items(), key=order))


def _largest(group: tuple[str, list[Measured]]) -> tuple[int, str]:
    return -len(group[1]), group[0]


def _shortest(group: tuple[str, list[Measured]]) -> int:
    return bucket(group[1][0].windows)


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The figures as lines to read."""
    rows = [("", "value", "95 % interval")]
    for name, key in (
        ("precision", "precision"),
        ("recall", "recall"),
        ("false-positive rate", "false_positive_rate"),
    ):
        rows.append((name, *_cells(report[key])))
    rows.append(("F1", _number(report["f1"]), ""))
    rows.append(("ROC-AUC", _number(report["roc_auc"]), ""))
    rows.append(("recall at 1 % FPR", *_cells(report["recall_at_1_percent"])))
    yield from _aligned(rows)
    yield from _remarks(report)
    for kind, groups in report["by"].items():
        yield ""
        yield from _aligned([_head(kind), *_body(groups)])
        if len(groups) > _SHOWN:
            yield f"and {len(groups) - _SHOWN} more; --json writes them all"


def _remarks(report: dict[str, Any]) -> Iterator[str]:
    yield ""
    coverage, latency = report["coverage"], report["latency_ms"]
    yield (
        f"coverage  {_number(coverage['mean'])} on average, "
        f"{_number(coverage['least'])} at least; {coverage['below_1']:,} texts below 1"
    )
    if latency["texts"]:
        yield (
            f"latency   {latency['p50']:.1f} ms (p50), {latency['p95']:.1f} ms (p95) "
            f"over {latency['texts']:,} distinct texts, one after the other"
        )
    threshold = report["recall_at_1_percent"]["threshold"]
    if threshold is not None:
        yield f"1 % FPR   threshold {threshold:.4f} on these benign texts"
        if report["benign"] < 1 / RATE:
            yield (
                f"          with {report['benign']} benign texts, none may reach it; "
                "100 or more make it a rate"
            )


def _head(kind: str) -> tuple[str, ...]:
    return (
        *(f"by {kind}", "attacks", "found", "missed", "recall", "95 % interval"),
        *("benign", "flagged", "passed", "FPR", "95 % interval"),
    )


def _body(groups: dict[str, dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for name, counts in list(groups.items())[:_SHOWN]:
        yield (
            _named(name),
            *(
                f"{counts[key]:,}"
                for key in ("attacks", "true_positives", "false_negatives")
            ),
            *_cells(counts["recall"]),
            *(
                f"{counts[key]:,}"
                for key in ("benign", "false_positives", "true_negatives")
            ),
            *_cells(counts["false_positive_rate"]),
        )


def _cells(share: dict[str, Any]) -> tuple[str, str]:
    if share["value"] is None:
        return "-", ""
    low, high = share["interval"]
    return _number(share["value"]), f"{low:.3f}..{high:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [
            cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _named(name: str) -> str:
    """A name out of a file, fit for a terminal."""
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown if len(shown) <= 32 else shown[:31] + "…"
