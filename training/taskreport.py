"""What a task's model makes of the texts that it was kept from.

Everything is measured through the guard ``Classifier``, so that the figures are a
user's. The texts that sources keep back share no run of eight words with one that is
trained on; of texts that nearly repeat each other, ``distinct`` counts one.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptguard import Action, Classifier
from promptguard.measure.figures import exact
from promptguard.runtime.bundle import Bundle

from .config import Config
from .data import benchmark_rows
from .errors import PipelineError
from .folder import read_statement, write_statement
from .metrics import auc, interval, kappa
from .overlap import repeats
from .rows import Row, load_sources, read_rows
from .scoring import Judgement, judge_all
from .stage import write_atomically

__all__ = ["LIKELY", "evaluate", "figures", "judge_sets", "make", "markdown"]

LIKELY = "likelier than not"
"""The decision at a calibrated probability of a half."""

_EVERY = "tests"
_DRAWS = 500

_Pairs = Sequence[tuple[Row, Judgement]]


@dataclass(frozen=True)
class _Set:
    name: str
    rows: Sequence[Row]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write the report as JSON and as Markdown, and the scores behind it."""
    model = str(needed["calibrate"])
    judged = judge_sets(config, needed["data"], model)
    command = "python -m training evaluate " + config.file.as_posix()
    report = evaluate(config, model, command, judged=judged)
    report["agreement"] = _agreement(config, judged, needed)
    write_atomically(out / "report.json", json.dumps(report, indent=1).encode())
    write_atomically(out / "report.md", markdown(report).encode())
    _write_scores(config, judged, out / "scores.jsonl.gz")
    print(markdown(report))


def evaluate(
    config: Config,
    model: str,
    command: str,
    *,
    judged: Mapping[str, _Pairs] | None = None,
) -> dict[str, Any]:
    """Measure a bundle; by default on the texts that the data stage kept back.

    Raises:
        PipelineError: There are no texts, or the bundle has no such label or rate.
    """
    from .evaluate import head_of

    if judged is None:
        judged = judge_sets(config, Path(config.build) / "data", model)
    texts = hashlib.sha256()
    for name, pairs in judged.items():
        for row, _ in pairs:
            said = f"{name} {row.labels[config.target]}\0{row.text}\0"
            texts.update(said.encode("utf-8", "replace"))
    rates = _rates(config, model)
    return {
        "what": "Classifier(model=...).check_batch over texts that were kept back",
        "task": config.target,
        **head_of(model, command),
        "fpr": config.evaluate.fpr,
        "rates": rates,
        "texts": texts.hexdigest(),
        "sets": {
            name: figures(pairs, config.target, rates, seed=config.seed)
            for name, pairs in judged.items()
        },
    }


def figures(
    pairs: _Pairs, target: str, rates: Sequence[float], *, seed: int = 0
) -> dict[str, Any]:
    """How well the label is told: at a half, and at each false-positive rate."""
    signs = [bool(row.labels[target]) for row, _ in pairs]
    scores = [judged.scores[target] for _, judged in pairs]
    flagged = [LIKELY in judged.flagged for _, judged in pairs]
    table: dict[str, Any] = {
        "positives": sum(signs),
        "negatives": len(signs) - sum(signs),
        **_counts(signs, flagged),
        "f1 interval": _resampled(signs, flagged, seed),
        "auc": auc(
            [s for s, sign in zip(scores, signs, strict=True) if sign],
            [s for s, sign in zip(scores, signs, strict=True) if not sign],
        ),
        "rates": {
            f"{rate:g}": _counts(signs, [rate in j.flagged for _, j in pairs])
            for rate in rates
        },
    }
    first = [other is None for other in repeats([row.text for row, _ in pairs])]
    table["distinct"] = {"texts": sum(first)} | _counts(
        [sign for sign, one in zip(signs, first, strict=True) if one],
        [flag for flag, one in zip(flagged, first, strict=True) if one],
    )
    return table


def _counts(signs: Sequence[bool], flagged: Sequence[bool]) -> dict[str, Any]:
    pairs = list(zip(signs, flagged, strict=True))
    hits = sum(sign and flag for sign, flag in pairs)
    alarms = sum(flag and not sign for sign, flag in pairs)
    positives, negatives = sum(signs), len(signs) - sum(signs)
    recall = hits / positives if positives else None
    passed = (negatives - alarms) / negatives if negatives else None
    both = recall is not None and passed is not None
    return {
        "f1": 2 * hits / (positives + hits + alarms) if both else None,
        "precision": hits / (hits + alarms) if hits + alarms else None,
        "recall": recall,
        "recall interval": interval(hits, positives) if positives else None,
        "fpr": alarms / negatives if negatives else None,
        "fpr interval": interval(alarms, negatives) if negatives else None,
        "accuracy": (hits + negatives - alarms) / len(pairs) if pairs else None,
        "balanced accuracy": (recall + passed) / 2 if both else None,  # type: ignore[operator]  # both are numbers
    }


def _resampled(
    signs: Sequence[bool], flagged: Sequence[bool], seed: int
) -> list[float] | None:
    """Where F1 lies in 95 of 100 draws of as many texts (Efron 1979, the bootstrap)."""
    pairs = list(zip(signs, flagged, strict=True))
    if not any(signs) or all(signs):
        return None
    rng = random.Random(f"{seed}:resampled")
    found = []
    for _ in range(_DRAWS):
        drawn = rng.choices(pairs, k=len(pairs))
        hits = sum(sign and flag for sign, flag in drawn)
        wrong = sum(sign != flag for sign, flag in drawn)
        found.append(2 * hits / max(1, 2 * hits + wrong))
    found.sort()
    return [found[int(_DRAWS * 0.025)], found[int(_DRAWS * 0.975) - 1]]


def judge_sets(config: Config, data: Path, model: str) -> dict[str, _Pairs]:
    """What a bundle makes of every text that is measured, by set.

    Args:
        data: The folder of the stage ``data``.
    """
    found: dict[str, _Pairs] = {}
    for part in _sets(config, data):
        judged = _judge(config, part, model)
        found[part.name] = list(zip(part.rows, judged, strict=True))
        names = sorted({row.source for row in part.rows})
        if part.name == _EVERY and len(names) > 1:
            for name in names:
                own = [pair for pair in found[_EVERY] if pair[0].source == name]
                found[f"test:{name}"] = own
    return found


def _judge(config: Config, part: _Set, model: str) -> list[Judgement]:
    # Action.FLAG, because a block would end what the other guards ask.
    settings: dict[str, Any] = {
        "labels": (config.target,),
        "model": model,
        "action": Action.FLAG,
    }
    guards: dict[Any, Classifier] = {LIKELY: Classifier(threshold=0.5, **settings)}
    for rate in _rates(config, model):
        guards[rate] = Classifier(fpr=rate, **settings)
    return judge_all(part.rows, part.name, model=model, guards=guards)


def _sets(config: Config, data: Path) -> Iterator[_Set]:
    kept = read_rows(data / "tests.jsonl.gz")
    kept = [row for row in kept if config.target in row.labels]
    if len({row.labels[config.target] for row in kept}) < 2:
        raise PipelineError(
            f"evaluate: of the {len(kept)} texts that were kept back to be measured on "
            f"none or all have the label {config.target!r}; raise test of the sources, "
            "which is the share that is kept back, or add texts"
        )
    yield _Set(_EVERY, kept)
    sources = load_sources(config.sources_file)
    for name, rows in benchmark_rows(config, sources).items():
        known = [row for row in rows if config.target in row.labels]
        yield _Set(f"benchmark:{name}", known)


def _rates(config: Config, model: str) -> list[float]:
    points = Bundle.load(model).operating_points
    rates = sorted({p.fpr for p in points if p.label == config.target})
    if config.evaluate.fpr not in rates:
        known = ", ".join(f"{rate:g}" for rate in rates) or "none"
        raise PipelineError(
            f"evaluate: the bundle has no operating point of {config.target!r} at "
            f"{config.evaluate.fpr:g}; it has {known}"
        )
    return rates


def _agreement(
    config: Config, judged: Mapping[str, _Pairs], needed: Mapping[str, Path]
) -> dict[str, Any]:
    """Whether the weights decide as those decide that were not rounded."""
    # What sources keep back is in a set of all of it and in one of its source.
    parts = [part for name, part in judged.items() if not name.startswith("test:")]
    pairs = [pair for part in parts for pair in part]
    if len(pairs) > config.evaluate.compared:
        rng = random.Random(f"{config.seed}:agreement")
        pairs = rng.sample(pairs, config.evaluate.compared)
    with tempfile.TemporaryDirectory(prefix="unquantised.") as name:
        folder = Path(name)
        shutil.copy(needed["export"] / "model.onnx", folder)
        shutil.copy(needed["calibrate"] / "tokenizer.json", folder)
        write_statement(folder, read_statement(needed["calibrate"]))
        part = _Set("agreement", [row for row, _ in pairs])
        others = _judge(config, part, name)
    decided = [
        (LIKELY in one.flagged, LIKELY in other.flagged)
        for (_, one), other in zip(pairs, others, strict=True)
    ]
    same = sum(one == other for one, other in decided)
    return {
        "texts": len(pairs),
        "decisions": same / len(pairs),
        "interval": exact(same, len(pairs)),
        "kappa": kappa([a for a, _ in decided], [b for _, b in decided]),
        "largest difference": max(
            abs(one.scores[config.target] - other.scores[config.target])
            for (_, one), other in zip(pairs, others, strict=True)
        ),
    }


def _write_scores(config: Config, judged: Mapping[str, _Pairs], path: Path) -> None:
    """What was found, text by text and without the text."""
    lines = (
        json.dumps(
            {
                "set": name,
                "source": row.source,
                "label": row.labels[config.target],
                "characters": len(row.text),
                "score": found.scores[config.target],
                "flagged_at": sorted(r for r in found.flagged if r != LIKELY),
            }
        )
        for name, pairs in judged.items()
        for row, found in pairs
    )
    content = "".join(line + "\n" for line in lines).encode()
    write_atomically(path, gzip.compress(content, mtime=0))


def markdown(report: Mapping[str, Any]) -> str:
    """The report as tables."""
    versions = sorted(report["versions"].items())
    lines = [
        f"# Quality of the task {report['task']!r}",
        "",
        f"{report['what']}. Flagged is what is {LIKELY} to have the label. 95 % "
        "intervals; of F1 by 500 draws of the texts.",
        "",
        f"- command: `{report['command']}`",
        f"- machine: {report['machine']}",
        f"- versions: {', '.join(f'{name} {value}' for name, value in versions)}",
        f"- bundle: {report['bundle']['name']}, digest `{report['bundle']['digest']}`",
        "",
        "| set | positives | recall | negatives | flagged | precision | F1 | accuracy "
        "| AUC | F1, each near duplicate once |",
        f"| --- |{' ---: |' * 9}",
    ]
    for name, row in report["sets"].items():
        distinct = row["distinct"]
        lines.append(
            f"| {name} | {row['positives']} | {_share(row, 'recall')} "
            f"| {row['negatives']} | {_share(row, 'fpr')} "
            f"| {_number(row['precision'])} | {_share(row, 'f1')} "
            f"| {_number(row['accuracy'])} | {_number(row['auc'])} "
            f"| {_number(distinct['f1'])} of {distinct['texts']} |"
        )
    lines += [
        *("", "The same at thresholds by false-positive rate, as `fpr=` takes them:"),
        *("", "| set | fpr | recall | flagged | precision | F1 |"),
        f"| --- |{' ---: |' * 5}",
    ]
    for name, row in report["sets"].items():
        for rate, counts in row["rates"].items():
            lines.append(
                f"| {name} | {rate} | {_share(counts, 'recall')} "
                f"| {_share(counts, 'fpr')} | {_number(counts['precision'])} "
                f"| {_number(counts['f1'])} |"
            )
    if found := report.get("agreement"):
        low, high = found["interval"]
        lines += [
            "",
            f"The weights of the bundle decide as those that were not rounded on "
            f"{found['decisions']:.2%} ({low:.2%}..{high:.2%}) of {found['texts']:,} "
            f"texts; Cohen's kappa {_number(found['kappa'])}, largest difference of a "
            f"score {_number(found['largest difference'])}.",
        ]
    return "\n".join([*lines, ""])


def _share(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None or row.get(f"{key} interval") is None:
        return _number(row[key])
    low, high = row[f"{key} interval"]
    return f"{row[key]:.3f} ({low:.3f}..{high:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
