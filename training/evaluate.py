"""The evaluate stage: what the library makes of test sets and of unseen sources.

Everything is measured through the public guard, so that the figures are a user's.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from promptguard.runtime.bundle import Bundle

from . import agreement, documents, evasion, plots, roles, timing
from .config import Config
from .counts import GROUPS, Judged, Others, groups, of_set, unseen
from .data import benchmark_rows
from .errors import PipelineError
from .rows import INJECTION, Row, load_sources, read_rows
from .scoring import score_all
from .sources import read
from .stage import write_atomically
from .tables import markdown

__all__ = ["PARTS", "evaluate", "head_of", "make", "markdown"]

PARTS = ("sets", "roles", "documents", "evasion", "latency")


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write the report as JSON and as Markdown, the scores behind it, and plots."""
    if config.task:
        from . import taskreport

        taskreport.make(config, needed, out)
        return
    plots.prepare()
    model = str(needed["calibrate"])
    judged = judge(config, model)
    command = "python -m training evaluate " + config.file.as_posix()
    report = evaluate(config, model, command, judged=judged)
    texts, on = [j for j in judged if j.kind == "benchmark"], "benchmarks"
    if not texts:
        held_out = read_rows(needed["data"] / "heldout.jsonl.gz")
        texts, on = _judged(config, {"held-out": held_out}, model), "held-out rows"
    report["agreement"] = {"on": on} | agreement.measure(
        config, texts, needed["export"] / "model.onnx", needed["calibrate"]
    )
    write_atomically(out / "report.json", (json.dumps(report, indent=1)).encode())
    write_atomically(out / "report.md", markdown(report).encode())
    _write_scores(judged, out / "scores.jsonl.gz")
    plots.draw(judged, report, out)
    print(markdown(report))


def evaluate(
    config: Config,
    model: str | None,
    command: str,
    *,
    parts: Collection[str] = PARTS,
    judged: Sequence[Judged] | None = None,
) -> dict[str, Any]:
    """Measure a bundle through ``PromptInjection``.

    Args:
        model: A bundle's folder; None is the model that the library ships.
        command: How to make the report again; it stands in the report.
        parts: What to measure, of ``PARTS``.
        judged: What ``judge`` gave, where the sets have been scored already.

    Raises:
        PipelineError: A part is unknown, a file is not there, or the bundle has no
            operating point at the configured rate.
    """
    for part in parts:
        if part not in PARTS:
            raise PipelineError(
                f"unknown part {part!r} of an evaluation. Known: {', '.join(PARTS)}"
            )
    report: dict[str, Any] = {
        "what": "PromptInjection().check_batch over public test sets and sources that "
        "were kept out of training",
        **head_of(model, command),
        "fpr": config.evaluate.fpr,
    }
    if "sets" in parts:
        if judged is None:
            judged = judge(config, model)
        report |= _counted(judged, config.evaluate.fpr)
    if "roles" in parts:
        sets = _away(config, "unseen") | benchmark_rows(
            config, load_sources(config.sources_file)
        )
        report["roles"] = roles.measure(config, sets, model)
    if "documents" in parts:
        sets = _away(config, "unseen")
        report["documents"] = documents.measure(config, sets, model)
    if "evasion" in parts:
        report["evasion"] = evasion.measure(config, _away(config, "unseen"), model)
    if "latency" in parts:
        report["latency"] = timing.measure(config, _away(config, "unseen"), model)
    return report


def head_of(model: str | None, command: str) -> dict[str, Any]:
    """What a report is of, and how to make it again."""
    bundle = Bundle.load(model)
    return {
        "command": command,
        "machine": _machine(),
        "versions": {n: version(n) for n in ("numpy", "onnxruntime", "tokenizers")}
        | {"python": platform.python_version()},
        "bundle": {
            "name": bundle.name,
            "digest": bundle.digest,
            "model.onnx": hashlib.sha256(bundle.model).hexdigest(),
        },
    }


def judge(config: Config, model: str | None) -> list[Judged]:
    """Every text of the test sets and of sources kept away, scored and decided."""
    sources = load_sources(config.sources_file)
    sets = {f"benchmark:{n}": r for n, r in benchmark_rows(config, sources).items()}
    for use in ("unseen", "tested"):
        sets |= {f"{use}:{n}": r for n, r in _away(config, use).items()}
    return _judged(config, sets, model)


def _judged(
    config: Config, sets: Mapping[str, Sequence[Row]], model: str | None
) -> list[Judged]:
    fpr = config.evaluate.fpr
    rates = sorted({point.fpr for point in Bundle.load(model).operating_points})
    if fpr not in rates:
        known = ", ".join(f"{rate:g}" for rate in rates) or "none"
        raise PipelineError(
            f"evaluate: the bundle has no operating point at {fpr:g}; it has {known}"
        )
    named = [(name, row) for name, rows in sets.items() for row in rows]
    found = score_all([row for _, row in named], "sets", model=model, rates=rates)
    return [
        Judged(name, row, one, fpr)
        for (name, row), one in zip(named, found, strict=True)
    ]


def _away(config: Config, use: str) -> dict[str, list[Row]]:
    return {
        name: rows
        for name, source in load_sources(config.sources_file).used(use).items()
        # Sources of other heads tell nothing about injection.
        if (rows := [r for r in read(config, name, source) if INJECTION in r.labels])
    }


def _counted(judged: Sequence[Judged], fpr: float) -> dict[str, Any]:
    others = Others(judged)
    sets: defaultdict[str, list[Judged]] = defaultdict(list)
    kinds: defaultdict[str, list[Judged]] = defaultdict(list)
    texts = hashlib.sha256()
    for j in judged:
        sets[j.name].append(j)
        kinds[j.kind].append(j)
        texts.update(
            f"{j.name} {j.row.role} {j.row.attack}\0{j.row.text}\0".encode(
                "utf-8", "replace"
            )
        )
    return {
        "texts": texts.hexdigest(),
        "sets": {name: of_set(part, others) for name, part in sets.items()},
        "groups": {
            name: {kind: groups(part, kind) for kind in GROUPS}
            for name, part in kinds.items()
        },
        "unseen": unseen(judged, others, fpr),
    }


def _write_scores(judged: Sequence[Judged], path: Path) -> None:
    """What was found, text by text and without the text."""
    lines = (
        json.dumps(
            {
                "set": j.name,
                "role": j.row.role,
                "attack": j.row.attack,
                "category": j.row.category,
                "lang": j.row.lang,
                "characters": len(j.row.text),
                "score": j.found.score,
                "flagged_at": sorted(j.found.flagged_at),
            }
        )
        for j in judged
    )
    content = "".join(line + "\n" for line in lines).encode()
    write_atomically(path, gzip.compress(content, mtime=0))


def _machine() -> str:
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
