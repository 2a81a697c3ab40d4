"""A report as Markdown: tables with all that is needed to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["markdown"]

# All of them are in the JSON report.
_WORST = 12


def markdown(report: Mapping[str, Any]) -> str:
    """The parts of a report that are there, as tables."""
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
    ]
    for key, part in _PARTS.items():
        if report.get(key):
            lines += ["", *part(report[key])]
    return "\n".join([*lines, ""])


def _sets(sets: Mapping[str, Any]) -> Iterator[str]:
    yield "| set | role | attacks | recall | benign | flagged | F1 | AUC |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, row in sets.items():
        area = _number(row["auc"]) + (" *" if "auc against" in row else "")
        yield (
            f"| {name} | {', '.join(row['roles'])} "
            f"| {row['attacks'] or ''} | {_share(row, 'recall')} "
            f"| {row['benign'] or ''} | {_share(row, 'fpr')} "
            f"| {_number(row['f1'])} | {area} |"
        )
    if any("auc against" in row for row in sets.values()):
        yield ""
        yield "\\* against the unseen benign sources of the same role."


def _unseen(unseen: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Over the {unseen['sources']} unseen attack sources and the "
        f"{unseen['benign sources']} unseen sources of benign texts alone, every "
        "source weighing the same:"
    )
    yield ""
    yield "| figure | |"
    yield "| --- | ---: |"
    yield f"| recall at the operating point | {_number(unseen['mean recall'])} |"
    yield f"| benign texts flagged there | {_number(unseen['mean fpr'])} |"
    for role, value in unseen["fpr by role"].items():
        yield f"| the same, role {role} | {_number(value)} |"
    recall = _number(unseen["mean recall at fpr"])
    yield f"| recall where that share of them is flagged | {recall} |"
    yield f"| AUC | {_number(unseen['mean auc'])} |"


def _groups(kinds: Mapping[str, Any]) -> Iterator[str]:
    yield "Texts of all sets of a kind together; groups of 20 texts and more."
    yield ""
    yield "| sets | group | attacks | recall | benign | flagged |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for name, groups in kinds.items():
        for kind in ("role", "length", "category", "lang"):
            for group, row in groups.get(kind, {}).items():
                unit = " characters" if kind == "length" else ""
                yield (
                    f"| {name} | {kind} {group}{unit} "
                    f"| {row['attacks'] or ''} | {_share(row, 'recall')} "
                    f"| {row['benign'] or ''} | {_share(row, 'fpr')} |"
                )


def _agreement(found: Mapping[str, Any]) -> Iterator[str]:
    low, high = found["interval"]
    yield (
        f"The int8 model decides as the unquantised one on {found['decisions']:.2%} "
        f"({low:.2%}..{high:.2%}) of {found['texts']:,} texts ({found['on']}, "
        f"{found['texts']:,} of {found['of']:,}); Cohen's kappa "
        f"{_number(found['kappa'])}, largest difference of a score "
        f"{_number(found['largest difference'])}."
    )
    rates = ", ".join(
        f"{rate}: {share:.2%}" for rate, share in found["by rate"].items()
    )
    yield ""
    yield f"Agreement by operating point: {rates}."


def _roles(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "The same words in two roles: requests that are attacks only because of where "
        "they stand, as a tool's content and as a user's own. AUC against benign "
        "content of the set, with the role and blind to it."
    )
    yield ""
    yield (
        "| set | texts | flagged as tool | as user | score higher as tool "
        "| shift of log-odds | AUC | blind |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, row in found.items():
        yield (
            f"| {name} | {row['texts']} | {row['as tool']:.3f} | {row['as user']:.3f} "
            f"| {row['higher']:.3f} | {row['median shift']:+.2f} "
            f"| {_number(row['auc'])} | {_number(row['auc blind'])} |"
        )


def _documents(found: Mapping[str, Any]) -> Iterator[str]:
    benign = found["benign"]
    yield (
        f"Of {benign['documents']} benign documents of {benign['tokens']:,} tokens "
        f"{_share(benign, 'fpr')} are flagged. Attacks in documents of unseen sources, "
        "by how much of the document stands before them; retention is over recall of "
        "the same attacks alone."
    )
    yield ""
    places = next(iter(found["attacks"].values()))["by place"]
    yield f"| tokens | attacks | alone | in | retention | {' | '.join(places)} |"
    yield f"| ---: | ---: | ---: | ---: | ---: |{' ---: |' * len(places)}"
    for length, row in found["attacks"].items():
        by_place = " | ".join(map(_number, row["by place"].values()))
        yield (
            f"| {int(length):,} | {row['attacks']} | {_number(row['recall plain'])} "
            f"| {_number(row['recall'])} | {_number(row['retention'])} | {by_place} |"
        )


def _evasion(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Evasion: each disguise on some of {found['attacks']} attacks and "
        f"{found['benign']} benign texts of unseen sources. Retention is recall under "
        "the disguise over recall without it, on the same texts."
    )
    yield ""
    yield (
        "| tier | disguises | attacks | recall plain | recall | retention "
        "| benign | flagged plain | flagged |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for tier, row in found["tiers"].items():
        yield f"| {tier} | {row['disguises']} | {_tried(row)} |"
    yield f"| all | {len(found['disguises'])} | {_tried(found['all'])} |"
    yield ""
    weak = [
        (row["retention"], name)
        for name, row in found["disguises"].items()
        if row["retention"] is not None
    ]
    worst = ", ".join(f"{name} {kept:.0%}" for kept, name in sorted(weak)[:_WORST])
    yield f"The {min(_WORST, len(weak))} disguises that keep least: {worst}."


def _tried(row: Mapping[str, Any]) -> str:
    attacks = " | ".join(
        _number(row[key]) for key in ("recall plain", "recall", "retention")
    )
    benign = " | ".join(_number(row[key]) for key in ("fpr plain", "fpr"))
    return f"{row['attacks']} | {attacks} | {row['benign'] or ''} | {benign}"


def _latency(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Latency of `check` on {found['threads']} thread, {found['note']}."
    yield ""
    yield "| characters | p50 ms | p95 ms | checks |"
    yield "| ---: | ---: | ---: | ---: |"
    for size, row in found["characters"].items():
        yield (
            f"| {int(size):,} | {row['p50 ms']:.1f} | {row['p95 ms']:.1f} "
            f"| {row['checks']} |"
        )


_PARTS = {
    "sets": _sets,
    "unseen": _unseen,
    "roles": _roles,
    "documents": _documents,
    "agreement": _agreement,
    "evasion": _evasion,
    "latency": _latency,
    "groups": _groups,
}


def _share(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return ""
    low, high = row[f"{key} interval"]
    return f"{row[key]:.3f} ({low:.3f}..{high:.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
