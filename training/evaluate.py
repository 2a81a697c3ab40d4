"""The evaluate stage: what the library makes of test sets and of unseen sources."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from promptguard.runtime.bundle import Bundle

from .config import Config
from .data import benchmark_rows
from .metrics import auc, interval
from .rows import Row, load_sources
from .scoring import Scored, score
from .sources import read
from .stage import write_atomically

__all__ = ["evaluate", "make", "markdown"]

# Fewer rows than this of a language say little.
_LEAST = 20


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write the report as JSON and as Markdown."""
    command = "python -m training evaluate " + config.file.as_posix()
    report = evaluate(config, str(needed["calibrate"]), command)
    write_atomically(out / "report.json", (json.dumps(report, indent=1)).encode())
    write_atomically(out / "report.md", markdown(report).encode())
    print(markdown(report))


def evaluate(config: Config, model: str | None, command: str) -> dict[str, Any]:
    """Score every set through ``PromptInjection`` and count.

    Args:
        model: A bundle's folder; None is the model that the library ships.
        command: How to make the report again; it stands in the report.
    """
    sources = load_sources(config.sources_file)
    sets = {f"benchmark:{n}": r for n, r in benchmark_rows(config, sources).items()}
    for name, source in sources.used("unseen").items():
        sets[f"unseen:{name}"] = list(read(config, name, source))
    fpr = config.evaluate.fpr
    judged = [
        Judged(name, row, found)
        for name, rows in tqdm(sets.items(), "evaluate", unit="set")
        for row, found in zip(rows, _score(rows, model, fpr), strict=True)
    ]
    # Attacks without benign texts of their own are held against the unseen ones.
    others: defaultdict[str, list[float]] = defaultdict(list)
    for j in judged:
        if j.name.startswith("unseen:") and not j.row.attack:
            others[j.row.role].append(j.found.score)
    return {
        "what": "PromptInjection().check_batch over public test sets and sources that "
        "were kept out of training",
        "command": command,
        "machine": _machine(),
        "versions": {n: version(n) for n in ("numpy", "onnxruntime", "tokenizers")}
        | {"python": platform.python_version()},
        "bundle": {
            "name": (bundle := Bundle.load(model)).name,
            "digest": bundle.digest,
            "model.onnx": _digest(bundle),
        },
        "fpr": fpr,
        "sets": {
            name: _figures([j for j in judged if j.name == name], others)
            for name in sets
        },
        "unseen": _summary(judged, others),
    }


@dataclass(frozen=True)
class Judged:
    """A row of a set and what the guard made of it."""

    name: str
    row: Row
    found: Scored


def _score(rows: Sequence[Row], model: str | None, fpr: float) -> Iterator[Scored]:
    for start in range(0, len(rows), 32):
        yield from score(rows[start : start + 32], model=model, fpr=fpr)


def _figures(
    part: Sequence[Judged], others: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    figures = _counts(part)
    positives = [j.found.score for j in part if j.row.attack]
    negatives = [j.found.score for j in part if not j.row.attack]
    if positives and not negatives:
        negatives = [s for role in _roles(part) for s in others.get(role, ())]
        figures["auc against"] = "unseen benign sources of the same role"
    figures["auc"] = auc(positives, negatives)
    figures["roles"] = _roles(part)
    figures["coverage"] = sum(j.found.coverage for j in part) / len(part)
    for key in ("lang", "category"):
        groups: defaultdict[str, list[Judged]] = defaultdict(list)
        for j in part:
            groups[str(getattr(j.row, key))].append(j)
        if len(groups) > 1:
            figures[f"by {key}"] = {
                name: _counts(group)
                for name, group in sorted(groups.items())
                if len(group) >= _LEAST
            }
    return figures


def _counts(part: Sequence[Judged]) -> dict[str, Any]:
    attacks = [j for j in part if j.row.attack]
    benign = [j for j in part if not j.row.attack]
    hits = sum(bool(j.found.flagged) for j in attacks)
    alarms = sum(bool(j.found.flagged) for j in benign)
    precision = hits / (hits + alarms) if hits + alarms else 0.0
    recall = hits / len(attacks) if attacks else None
    both = attacks and benign and precision + (recall or 0.0)
    return {
        "attacks": len(attacks),
        "benign": len(benign),
        "recall": recall,
        "recall interval": interval(hits, len(attacks)) if attacks else None,
        "fpr": alarms / len(benign) if benign else None,
        "fpr interval": interval(alarms, len(benign)) if benign else None,
        "f1": 2 * precision * (recall or 0.0) / both if both else None,
    }


def _summary(
    judged: Sequence[Judged], others: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Means over the unseen attack sources, every source weighing the same."""
    sets: defaultdict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        if j.name.startswith("unseen:") and j.row.attack:
            sets[j.name].append(j)
    if not sets:
        return {}
    recalls = [_counts(part)["recall"] for part in sets.values()]
    areas = [_figures(part, others)["auc"] or 0.0 for part in sets.values()]
    return {
        "sources": len(sets),
        "mean recall": sum(recalls) / len(recalls),
        "mean auc": sum(areas) / len(areas),
    }


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a table, with all that is needed to make it again."""
    lines = [
        "# Quality of PromptInjection",
        "",
        f"{report['what']}, at `fpr={report['fpr']}`. 95 % intervals.",
        "",
        f"- command: `{report['command']}`",
        f"- machine: {report['machine']}",
        "- versions: "
        + ", ".join(f"{n} {v}" for n, v in sorted(report["versions"].items())),
        f"- bundle: {report['bundle']['name']}, digest `{report['bundle']['digest']}`",
        "",
        "| set | role | attacks | recall | benign | flagged | F1 | AUC |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in report["sets"].items():
        area = _number(row["auc"]) + (" *" if "auc against" in row else "")
        lines.append(
            f"| {name} | {', '.join(row['roles'])} "
            f"| {row['attacks'] or ''} | {_share(row, 'recall')} "
            f"| {row['benign'] or ''} | {_share(row, 'fpr')} "
            f"| {_number(row['f1'])} | {area} |"
        )
    if unseen := report["unseen"]:
        lines += [
            "",
            f"Mean over the {unseen['sources']} unseen attack sources: recall "
            f"{unseen['mean recall']:.3f}, AUC {unseen['mean auc']:.3f}.",
            "\\* against the unseen benign sources of the same role.",
        ]
    return "\n".join([*lines, "", *_languages(report), ""])


def _languages(report: Mapping[str, Any]) -> Iterator[str]:
    yield "| set | language | attacks | recall | benign | flagged |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for name, row in report["sets"].items():
        for lang, counts in row.get("by lang", {}).items():
            yield (
                f"| {name} | {lang} | {counts['attacks'] or ''} "
                f"| {_share(counts, 'recall')} | {counts['benign'] or ''} "
                f"| {_share(counts, 'fpr')} |"
            )


def _share(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key} interval"]
    return f"{row[key]:.3f} ({low:.3f}..{high:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _roles(part: Sequence[Judged]) -> list[str]:
    return sorted({j.row.role for j in part})


def _digest(bundle: Bundle) -> str:
    return hashlib.sha256(bundle.model).hexdigest()


def _machine() -> str:
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
