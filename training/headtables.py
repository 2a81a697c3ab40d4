"""The figures of the heads for toxicity and harmful requests, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["markdown"]

_GUARD = {"toxicity": "Toxicity", "harmful": "HarmfulRequest"}


def markdown(report: Mapping[str, Any], part: str) -> str:
    """The report of a part as tables."""
    versions = sorted(report["versions"].items())
    lines = [
        f"# Quality of {_GUARD[part]}",
        "",
        f"`{_GUARD[part]}(fpr=...).check_batch` over test sets and sources that were "
        "kept out of training. 95 % intervals.",
        "",
        f"- command: `{report['command']}`",
        f"- machine: {report['machine']}",
        f"- versions: {', '.join(f'{name} {value}' for name, value in versions)}",
        f"- bundle: {report['bundle']['name']}, digest `{report['bundle']['digest']}`",
        "",
        *_sets(report["sets"]),
        *_chat(report.get("at benign chat", {})),
        *_labels(report["sets"]),
        *_groups(report["sets"]),
    ]
    return "\n".join([*lines, ""])


def _sets(sets: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "| set | positives | guard | fpr | recall | negatives | flagged | F1 "
        "| accuracy | AUC |"
    )
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, row in sets.items():
        for kind, rates in row["guards"].items():
            for rate, counts in rates.items():
                yield (
                    f"| {name} | {row['positives'] or ''} {row['positives are']} "
                    f"| {kind} | {rate} | {_share(counts, 'recall')} "
                    f"| {row['negatives'] or ''} | {_share(counts, 'flagged')} "
                    f"| {_number(counts['f1'])} | {_number(counts['accuracy'])} "
                    f"| {_number(row['auc'])} |"
                )


def _chat(rates: Mapping[str, Any]) -> Iterator[str]:
    if not rates:
        return
    names = list(next(iter(rates.values())))
    yield from ("", "Recall where this share of the unseen benign chat is flagged:", "")
    yield f"| share | {' | '.join(names)} |"
    yield f"| ---: |{' ---: |' * len(names)}"
    for rate, found in rates.items():
        yield f"| {rate} | {' | '.join(_number(found[name]) for name in names)} |"


def _labels(sets: Mapping[str, Any]) -> Iterator[str]:
    for name, row in sets.items():
        if areas := row.get("auc by label"):
            yield from ("", f"{name}, AUC of each label:", "", "| label | AUC |")
            yield "| --- | ---: |"
            for label, area in areas.items():
                yield f"| {label} | {_number(area)} |"


def _groups(sets: Mapping[str, Any]) -> Iterator[str]:
    for name, row in sets.items():
        if not (groups := row.get("groups")):
            continue
        kind = next(iter(row["guards"]))
        rates = list(row["guards"][kind])
        yield from ("", f"{name}, {kind}, recall and flagged by rate:", "")
        yield f"| group | texts | AUC | {' | '.join(rates)} |"
        yield f"| --- | ---: | ---: |{' ---: |' * len(rates)}"
        for group, of in groups.items():
            cells = (of["guards"][kind][rate] for rate in rates)
            shown = (
                " / ".join((_number(c["recall"]), _number(c["flagged"]))) for c in cells
            )
            yield (
                f"| {group} | {of['texts']} | {_number(of['auc'])} "
                f"| {' | '.join(shown)} |"
            )


def _share(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key} interval"]
    return f"{row[key]:.3f} ({low:.3f}..{high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
