"""What the data and the new model are held against before it may take over."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptguard.text import Text

from .. import taskreport
from ..bias import TERMS, by_terms
from ..config import Config, Continuous
from ..counts import Judged, counts
from ..data import kept_away
from ..evaluate import judge
from ..gate import Check
from ..metrics import interval
from ..records import records
from ..rows import INJECTION, Row, read_rows
from ..scoring import Scored, score_all
from .labelled import DECIDES, LEARNT

__all__ = ["biased", "data_checks", "judged", "sizes", "traffic_checks"]

_TEMPLATES = Path("benchmarks", "toxicity", "jigsaw_identity_templates.jsonl.gz")
_LEAST_TEXTS = 20


def sizes(folder: Path, target: str = INJECTION) -> dict[str, int]:
    """Texts to train on, and attacks among them, as the stage ``data`` counted.

    Args:
        target: What the run is about; what has this label counts as an attack.
    """
    rows = read_rows(folder / "train.jsonl.gz")
    told = [row.labels[target] for row in rows if target in row.labels]
    return {"texts": len(told), "attacks": sum(told)}


def data_checks(
    config: Config, folder: Path, was: Mapping[str, int], now: Mapping[str, int]
) -> list[Check]:
    """Sizes, balance, duplicates and leakage of the texts to train on.

    Args:
        folder: Of the stage ``data``.
        was: The sizes of the champion's; empty where nobody knows.
        now: Those of ``sizes``.
    """
    settings = config.continuous
    share = now["attacks"] / now["texts"] if now["texts"] else 0.0
    least, most = settings.balance
    of = repr(config.target) if config.task else "attacks"
    found = [
        _least(f"data: share of {of}", share, least),
        _most(f"data: share of {of}", share, most),
    ]
    if was:
        floor = (1 - settings.shrink) * was["texts"]
        found.append(_least("data: texts to train on", now["texts"], floor))
        moved = abs(share - was["attacks"] / max(was["texts"], 1))
        name = f"data: shift of the share of {of}"
        found.append(_most(name, moved, settings.shift))
    rows = read_rows(folder / "train.jsonl.gz")
    keys = [(row.role, row.text) for row in rows]
    double = len(keys) - len(set(keys))
    found.append(_most("data: texts that stand there twice", double, 0))
    removed = json.loads((folder / "validation.json").read_bytes())["removed"]
    both = removed.get("both labels", {}).get(LEARNT, 0)
    learnt = [row for row in rows if row.source == LEARNT]
    limit = 0.2 * (len(learnt) + both)
    found.append(_most("data: labelled traffic told otherwise", both, limit))
    # The stage has left out what it found; that nothing is left is looked at again, of
    # what is new.
    away = kept_away(config)
    leaked = sum(bool(away.of(Text(row.text, row.role).clean.text)) for row in learnt)
    found.append(_most("data: labelled traffic of a test set", leaked, 0))
    return found


def biased(
    config: Config, challenger: Sequence[Judged], champion: Sequence[Judged] | None
) -> list[Check]:
    """False alarms by language, and in texts about groups of people."""
    settings = config.continuous
    found = []
    there = _alarms(champion or ())
    for name, (alarms, count) in _alarms(challenger).items():
        if count < _LEAST_TEXTS:
            continue
        low, _ = interval(alarms, count)
        before = there.get(name)
        if before is None or not before[1]:
            continue
        limit = before[0] / before[1] + settings.bias
        # What chance does with a few texts is no bias.
        passed = alarms / count <= limit or low <= limit
        found.append(
            Check(
                figure=f"false alarms, {name}",
                demand="bias",
                value=alarms / count,
                limit=limit,
                passed=passed,
                note=f"{name}: {alarms} of {count}, champion {before[0]} of {before[1]}"
                if not passed
                else "",
            )
        )
    return found


def traffic_checks(
    settings: Continuous,
    challenger: Sequence[Judged],
    champion: Sequence[Judged] | None,
) -> tuple[list[Check], str]:
    """Right decisions and false alarms about recent labelled traffic, and a note."""
    here = [j for j in challenger if j.name == f"tested:{DECIDES}"]
    there = [j for j in champion or () if j.name == f"tested:{DECIDES}"]
    if len(here) < settings.least:
        said = f"labelled traffic: {len(here)} texts that decide, fewer than "
        return [], f"{said}{settings.least}: nothing is said about it"
    if not there:
        return [], f"labelled traffic: {len(here)} texts, and no champion"
    one, other = counts(here), counts(there)
    found = [
        replace(
            _least(
                "labelled traffic: right decisions",
                _right(here),
                _right(there) - settings.tolerance,
            ),
            note=f"of {len(here)}: {_right(here):.4f}, champion {_right(there):.4f}",
        )
    ]
    if one["fpr"] is not None:
        limit = other["fpr"] + settings.tolerance
        found.append(_most("labelled traffic: false alarms", one["fpr"], limit))
    return found, f"labelled traffic: {len(here)} texts decide"


def judged(config: Config, model: str) -> list[Judged]:
    """Every text that is measured, with those about groups of people if there are.

    Of a task, what has its label takes the place of an attack, and what is likelier
    than not to have it is flagged, as in its report.
    """
    if config.task:
        return _of_task(config, model)
    found = judge(config, model)
    rows = list(_templates(Path(config.data_root) / _TEMPLATES))
    rates = [config.evaluate.fpr]
    scores = score_all(rows, "groups", model=model, rates=rates) if rows else []
    found += [
        Judged("groups:identity_templates", row, one, config.evaluate.fpr)
        for row, one in zip(rows, scores, strict=True)
    ]
    return found


def _of_task(config: Config, model: str) -> list[Judged]:
    data, fpr = Path(config.build) / "data", config.evaluate.fpr
    found = []
    for name, pairs in taskreport.judge_sets(config, data, model).items():
        if name.startswith("test:"):
            # A part of what all sources have kept back.
            continue
        if name == f"benchmark:{DECIDES}":
            name = f"tested:{DECIDES}"
        for row, one in pairs:
            told = replace(row, labels={INJECTION: row.labels[config.target]})
            score = one.scores[config.target]
            likely = taskreport.LIKELY in one.flagged
            scored = Scored(score, frozenset({fpr} if likely else ()), 1.0)
            found.append(Judged(name, told, scored, fpr))
    return found


def _templates(path: Path) -> Iterator[Row]:
    """Sentences that say who somebody is, and nothing bad of them."""
    if not path.is_file():
        return
    for _, record in records(path):
        labels: Any = record.get("labels")
        if isinstance(labels, dict) and labels.get("toxic") == 0:
            text = str(record["text"])
            told = {INJECTION: 0}
            yield Row(text, "user", told, path.stem, "benign_chat", "en")


def _alarms(judged: Sequence[Judged]) -> dict[str, tuple[int, int]]:
    """False alarms and texts, by language and by group of people."""
    benign = [j for j in judged if j.row.benign]
    parts: defaultdict[str, list[Judged]] = defaultdict(list)
    for j in benign:
        parts[f"language {j.row.lang or 'unknown'}"].append(j)
    found = {
        name: (sum(j.flagged for j in part), len(part)) for name, part in parts.items()
    }
    # What is flagged takes the place of what is an attack: the same words are counted.
    rows = [replace(j.row, labels={INJECTION: int(j.flagged)}) for j in benign]
    for share in by_terms(rows, TERMS):
        found[f"{share.kind} {share.name}"] = share.attacks, share.count
    return found


def _right(part: Sequence[Judged]) -> float:
    """The mean of the shares of attacks and of benign texts that are told right."""
    found = counts(part)
    shares = [found["recall"], None if found["fpr"] is None else 1 - found["fpr"]]
    known = [float(share) for share in shares if share is not None]
    return sum(known) / len(known)


def _least(figure: str, value: float, limit: float) -> Check:
    passed = value >= limit
    return Check(figure=figure, demand="floor", value=value, limit=limit, passed=passed)


def _most(figure: str, value: float, limit: float) -> Check:
    passed = value <= limit
    return Check(
        figure=figure, demand="ceiling", value=value, limit=limit, passed=passed
    )
