"""The gate stage: whether a bundle is good enough to be released."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptguard import PromptGuardError
from promptguard.text import READING_VERSION

from . import taskreport
from .config import Config, Gate
from .errors import PipelineError
from .evaluate import evaluate
from .stage import digest, write_atomically

__all__ = ["Check", "bounds", "figures", "identity", "make", "settings", "verdict"]

RESULT = "gate.json"
_CHAMPION = "champion.json"

Figures = Mapping[str, Mapping[str, float]]
"""Numbers by set and name."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One demand and what became of it.

    Args:
        figure: What was looked at.
        demand: ``floor``, ``ceiling`` or ``champion``.
        value: What it is for this bundle; None where it cannot be said.
        limit: The least or the most it may be.
        passed: Whether it is so.
        note: What else is to be said.
    """

    figure: str
    demand: str
    value: float | None
    limit: float | None
    passed: bool
    note: str = ""


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Hold the report against floors, ceilings and the champion; write ``gate.json``.

    A bundle that fails is a result too; it is ``verdict`` that refuses to go on.

    Raises:
        PipelineError: A figure that is asked for is not in the report.
    """
    file = needed["evaluate"] / "report.json"
    report = json.loads(file.read_bytes())
    known = settings(config)
    candidate = identity(needed["calibrate"])
    found = list(bounds(figures(report), config.gate))
    if not known["champion"]:
        note = "no champion: there is no bundle in the release folder"
    elif known["champion"] == candidate:
        note = "the champion is this very bundle"
    else:
        note = f"champion: {known['champion'][:12]}"
        try:
            champion = _champion(config, report, known["champion"])
        except (PromptGuardError, PipelineError) as error:
            found.append(_unmeasured(error))
        else:
            write_atomically(out / _CHAMPION, _dump(champion))
            found += against(figures(report), champion["figures"], config.gate)
    lost = [c for c in found if not c.passed and c.demand == "champion"]
    accepted = known["accept"] if lost else ""
    failed = [c for c in found if not c.passed and not (accepted and c in lost)]
    result = {
        "passed": not failed,
        "champion": known["champion"],
        "candidate": candidate,
        "report": digest(file),
        "note": note,
        "accepted": accepted,
        "checks": [asdict(check) for check in found],
    }
    write_atomically(out / RESULT, _dump(result))
    if not failed:
        print(_table(result))


def verdict(folder: Path) -> None:
    """See that the gate was passed, with the report that is there now.

    Raises:
        PipelineError: It was not; the message has the table of what was looked at.
    """
    result = _read(folder / RESULT)
    report = folder.parent / "evaluate" / "report.json"
    if not result or not report.is_file() or result["report"] != digest(report):
        raise PipelineError(
            f"gate: {folder / RESULT} is not there or is about another evaluation; run "
            "the stages evaluate and gate"
        )
    if not result["passed"]:
        raise PipelineError(
            f"gate: the bundle is not released\n{_table(result)}\nNothing was changed "
            "but the build folder. Train a better one, or change [gate] in the "
            "configuration; --accept-loss REASON releases it in spite of the champion"
        )


def settings(config: Config) -> dict[str, Any]:
    """What the stage depends on: its table, the champion, and what was accepted.

    Once a candidate is released, the release folder holds the candidate itself. It is
    still judged by the champion it replaced, and by what was accepted for it.
    """
    build = Path(config.build)
    earlier = _read(build / "gate" / RESULT)
    candidate, release = identity(build / "calibrate"), identity(Path(config.release))
    table = asdict(config.gate) | {"champion": release}
    if earlier and earlier["candidate"] == candidate:
        table["accept"] = config.gate.accept or earlier["accepted"]
        if release == candidate:
            table["champion"] = earlier["champion"]
    return table


def identity(folder: Path) -> str:
    """What tells bundles apart that decide differently; empty where there is none."""
    table = _read(folder / "bundle.json")
    files = table.get("files", {})
    parts = [files.get(name) for name in ("model.onnx", "tokenizer.json")]
    text = json.dumps([*parts, table.get("operating_points")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest() if table else ""


def figures(report: Mapping[str, Any]) -> Figures:
    """The numbers that can be asked for."""
    sets = {name: _numbers(row) for name, row in report.get("sets", {}).items()}
    for name, row in report.get("sets", {}).items():
        if isinstance(row.get("distinct"), dict):
            # Of a task: the same where near duplicates count once.
            of_each = _numbers(row["distinct"]).items()
            sets[name] |= {f"distinct {key}": value for key, value in of_each}
    for name in ("unseen", "agreement"):
        if name in report:
            sets[name] = _numbers(report[name])
    if evasion := report.get("evasion"):
        tiers = evasion["tiers"] | {"all": evasion["all"]}
        sets["evasion"] = {
            f"{tier} {key}": value
            for tier, row in tiers.items()
            for key, value in _numbers(row).items()
        }
    return sets


def bounds(found: Figures, gate: Gate) -> Iterator[Check]:
    """Floors and ceilings."""
    for demand, table in (("floor", gate.floors), ("ceiling", gate.ceilings)):
        for name, limit in table.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise PipelineError(f"gate: the {demand} of {name!r} is not a number")
            value = _figure(found, name)
            passed = value >= limit if demand == "floor" else value <= limit
            yield Check(
                figure=name, demand=demand, value=value, limit=limit, passed=passed
            )


def against(found: Figures, champion: Figures, gate: Gate) -> Iterator[Check]:
    """The mean of the chosen figures, with each of them in the note."""
    if not gate.compare:
        return
    here = [_figure(found, name) for name in gate.compare]
    there = [_figure(champion, name) for name in gate.compare]
    limit = sum(there) / len(there) - gate.tolerance
    value = sum(here) / len(here)
    parts = zip(gate.compare, here, there, strict=True)
    yield Check(
        figure=f"mean of {len(here)} figures",
        demand="champion",
        value=value,
        limit=limit,
        passed=value >= limit,
        note="; ".join(f"{name} {a:.4f}, champion {b:.4f}" for name, a, b in parts),
    )


def _figure(found: Figures, name: str) -> float:
    kind, _, figure = name.partition(" ")
    if kind not in found:
        known = ", ".join(found)
        raise PipelineError(f"gate: {name!r} is of no set. Known: {known}")
    if figure not in found[kind]:
        known = ", ".join(found[kind])
        raise PipelineError(f"gate: {kind!r} has no figure {figure!r}. Known: {known}")
    return found[kind][figure]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: value
        for key, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _champion(config: Config, report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The champion's figures on the same texts, measured now or the last time.

    Raises:
        PipelineError: It is not there any more, or has no such operating point.
        PromptGuardError: This library cannot run it.
    """
    same = {
        "identity": name,
        "texts": report["texts"],
        "fpr": report["fpr"],
        "reading": READING_VERSION,
    }
    earlier = _read(Path(config.build) / "gate" / _CHAMPION)
    if earlier and same.items() <= earlier.items():
        return earlier
    if identity(Path(config.release)) != name:
        raise PipelineError("it has been replaced and cannot be measured again")
    # The library keeps models by their folder: one that was replaced there must not
    # answer for the champion.
    with tempfile.TemporaryDirectory(prefix="champion.") as folder:
        shutil.copytree(config.release, folder, dirs_exist_ok=True)
        if config.task:
            measured = taskreport.evaluate(config, folder, "")
        else:
            measured = evaluate(config, folder, "", parts=("sets",))
    return same | {"figures": figures(measured)}


def _unmeasured(error: Exception) -> Check:
    return Check(
        figure="the champion's figures",
        demand="champion",
        value=None,
        limit=None,
        passed=False,
        note=f"{type(error).__name__}: {error}",
    )


def _table(result: Mapping[str, Any]) -> str:
    rows = [("figure", "demand", "value", "limit", "verdict")]
    notes = []
    for check in result["checks"]:
        word = "passed" if check["passed"] else "FAILED"
        if not check["passed"] and check["demand"] == "champion" and result["accepted"]:
            word = "accepted"
        numbers = (
            "-" if check[key] is None else f"{check[key]:.4f}"
            for key in ("value", "limit")
        )
        rows.append((check["figure"], check["demand"], *numbers, word))
        notes += [check["note"]] if check["note"] else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [result["note"], *notes]
    if result["accepted"]:
        notes.append(f"the loss is accepted: {result['accepted']}")
    return "\n".join([*lines, *(f"  {note}" for note in notes)])


def _dump(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
