"""The release note: what changed, how champion and challenger do, what was decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..config import Config
from ..counts import Judged, counts
from ..files import write_atomically
from ..gate import Check
from .state import OUTCOMES, State

__all__ = ["Told", "compared", "words", "write"]

Figures = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any] | None]]


@dataclass
class Told:
    """What is to be told of a run.

    Args:
        checks: What was looked at.
        figures: By set, what the challenger and the champion make of it.
        notes: What else is to be said.
    """

    checks: list[Check] = field(default_factory=list)
    figures: Figures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compared(
    challenger: Sequence[Judged], champion: Sequence[Judged] | None
) -> Figures:
    """The figures of both, set by set."""
    here, there = _by_set(challenger), _by_set(champion or ())
    return {
        name: (counts(part), counts(there[name]) if name in there else None)
        for name, part in here.items()
    }


def words(check: Check) -> str:
    """A check in a line."""
    sign = {"floor": "at least", "champion": "at least"}.get(check.demand, "at most")
    value = "not known" if check.value is None else f"{check.value:.4f}"
    limit = "" if check.limit is None else f", {sign} {check.limit:.4f}"
    return f"{check.figure}: {value}{limit}"


def write(state: State, told: Told, folder: Path, config: Config) -> Path:
    """Write the note of a run; the same run writes the same file."""
    day = datetime.fromtimestamp(state.at, UTC).date().isoformat()
    path = folder / f"{day}-{state.id}.md"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, _page(state, told, config, day).encode())
    return path


def _page(state: State, told: Told, config: Config, day: str) -> str:
    name = config.publish.model
    lines = [f"# {name}: {OUTCOMES[state.outcome]}", "", f"{day}, run `{state.id}`."]
    if state.champion:
        lines.append(f"Champion before: version {state.champion}.")
    if state.version:
        lines.append(f"Champion now: version {state.version}.")
    lines += ["", "## Decision", "", *(f"- {why}" for why in state.why)]
    lines += ["", "## What changed", ""]
    for trigger in state.triggers:
        mark = "**yes**" if trigger.fired else "no"
        lines.append(f"- {trigger.name}: {mark}")
        lines += [f"    - {why}" for why in trigger.why]
    if told.checks:
        lines += ["", "## Checks", "", "| figure | value | limit | verdict |"]
        lines.append("| --- | ---: | ---: | --- |")
        lines += [_row(check) for check in told.checks]
    if told.figures:
        lines += ["", "## Challenger and champion", ""]
        lines.append("| set | texts | recall | champion | false alarms | champion |")
        lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
        lines += [
            f"| {set_} | {one['attacks'] + one['benign']} "
            f"| {_number(one['recall'])} | {_number((other or {}).get('recall'))} "
            f"| {_number(one['fpr'])} | {_number((other or {}).get('fpr'))} |"
            for set_, (one, other) in told.figures.items()
        ]
    if told.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in told.notes)]
    if state.outcome == "promoted" and state.champion:
        back = f"python -m training rollback {config.file.as_posix()}{config.options}"
        lines += ["", "## Back", "", "```", back, "```"]
    return "\n".join(lines) + "\n"


def _row(check: Check) -> str:
    value, limit = _number(check.value), _number(check.limit)
    word = "passed" if check.passed else "**failed**"
    return f"| {check.figure} | {value} | {limit} | {word} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _by_set(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    found: defaultdict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        found[j.name].append(j)
    return dict(found)
