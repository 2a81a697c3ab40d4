"""What has changed, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .report import Check, Quality

if TYPE_CHECKING:
    from .quality import Weighed

__all__ = ["told"]

_DECISIONS = ("flagged", "blocked", "score")
_QUALITY = ("precision", "recall", "f1", "fpr")


def told(
    kind: str,
    checks: Sequence[Check],
    rows: Sequence[Quality],
    weighed: Mapping[str, Weighed],
) -> str:
    """A few sentences on what has changed, and what it probably is."""
    moved = [check for check in checks if check.verdict != "pass"]
    said = []
    decided = [check for check in moved if check.name in _DECISIONS]
    worse = [check for check in moved if check.name in _QUALITY]
    other = [c for c in moved if c not in decided and c not in worse]
    inputs = [check for check in other if check.name != "concept"]
    if not moved:
        said.append("Nothing has moved further than chance would have it.")
    if inputs:
        said.append(f"The inputs have changed: {_listed(inputs)}.")
    if decided:
        said.append(f"What guards make of them has changed: {_listed(decided)}.")
        if not inputs and kind == "none":
            said.append(
                "The inputs have not: look for another model, policy or threshold."
            )
    for label in sorted({row.label for row in rows if row.window == "current"}):
        own = [check for check in worse if check.group.partition(",")[0] == label]
        said += _of_label(label, own, rows, weighed.get(label), checks)
    if not any(row.window == "current" for row in rows):
        said.append(
            "Without labels it cannot be seen whether texts mean something else than "
            "they did (concept drift)."
        )
    said.append(_KINDS[kind])
    return " ".join(said)


_KINDS = {
    "none": "Drift: none.",
    "covariate": "Drift: covariate, the inputs are others than they were.",
    "concept": "Drift: concept, inputs as before mean something else.",
    "both": "Drift: both, the inputs are others, and those as before mean something "
    "else.",
}


def _of_label(
    label: str,
    worse: Sequence[Check],
    rows: Sequence[Quality],
    weighed: Weighed | None,
    checks: Sequence[Check],
) -> list[str]:
    said = []
    by = {
        row.window: row for row in rows if (row.label, row.language) == (label, "all")
    }
    if worse:
        listed = "; ".join(_figure(check) for check in worse)
        said.append(f"Of {label}: {listed}.")
    if weighed is None or "reference" not in by:
        return said
    concept = [c for c in checks if c.name == "concept" and c.group == label]
    if not concept:
        if worse:
            said.append(
                "Whether the inputs or their meaning did it cannot be told for "
                f"{label}: too few labelled texts are like those of the reference."
            )
        return said
    check, again = concept[0], weighed.quality
    shares = f"{check.reference:.0%} before and {check.current:.0%} now"
    if check.verdict != "pass":
        said.append(
            f"Of texts that are like the reference and were judged alike, others are "
            f"{label} than were ({shares}): this is concept drift; label more of them, "
            "and train again."
        )
    elif worse and again is not None and _as_before(worse, again, by["reference"]):
        said.append(
            f"Weighted to be like the reference, texts are found as {label} as well as "
            f"before{_recalls(again, by['reference'])}: the new inputs explain it, not "
            "a new meaning."
        )
    elif worse:
        said.append(
            "Neither the inputs, as far as they were looked at, nor their meaning "
            f"explain it for {label}: look at what was missed and at what was found "
            "wrongly, and label more."
        )
    return said


def _as_before(worse: Sequence[Check], weighted: Quality, reference: Quality) -> bool:
    """True where what is worse no longer is, as far as the intervals can tell."""
    for name in {check.name for check in worse} & {"precision", "recall", "fpr"}:
        now, before = getattr(weighted, name), getattr(reference, name)
        if now is None or before is None:
            return False
        if now.low > before.high if name == "fpr" else now.high < before.low:
            return False
    return True


def _recalls(weighted: Quality, reference: Quality) -> str:
    now, before = weighted.recall, reference.recall
    if now is None or before is None:
        return ""
    return f" (recall {now.value:.2f}, and {before.value:.2f} before)"


def _listed(checks: Sequence[Check]) -> str:
    groups: dict[str, list[str]] = {}
    for check in checks:
        names = groups.setdefault(check.group, [])
        if check.name not in names:
            names.append(check.name)
    return "; ".join(f"{', '.join(names)} ({group})" for group, names in groups.items())


def _figure(check: Check) -> str:
    where = check.group.partition(", ")[2]
    what = f"{check.name}{f' in {where}' if where else ''}"
    if check.reference is None or check.current is None:
        return f"{what} is {check.value:.2f}, and {check.threshold:.2f} is asked for"
    return f"{what} was {check.reference:.2f} and is {check.current:.2f}"
