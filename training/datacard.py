"""The data card: what the training texts are, and what is lopsided about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .bias import FACTOR, by_language, by_terms
from .rows import INJECTION, Row

__all__ = ["card", "glance", "markdown"]

_COLUMNS = (
    *("source", "use", "licences", "from", "attacks", "benign", "held out"),
    *("left out", "characters"),
)
_OF_RELEASE = (
    "The texts that the model is trained on, before windows are cut and attacks "
    "planted. `benign` is of `heldout`; `unseen` and `tests` are never trained on. "
    "Attacks are prompt attacks; by source, they are whatever a head looks for."
)
_OF_TASK = (
    "The texts that the model is trained on, before windows are cut. What this task "
    "tells is `{}`: a text that has it is counted as an attack, any other as benign. "
    "`tests` are never trained on."
)
_QUANTILES = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)


def card(
    parts: Mapping[str, Sequence[Row]],
    inputs: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, Any],
    about: str = "",
) -> dict[str, Any]:
    """Everything that is counted.

    Args:
        parts: Rows by part; ``train`` is what the figures are about.
        inputs: What the sources stage wrote, by source.
        report: What the data stage left out and why, and what was odd.
        about: The label of a task: what is counted as an attack is what has it.
    """
    labels = _by_label(parts["train"])
    if about:
        parts = {name: _told(rows, about) for name, rows in parts.items()}
    rows = parts["train"]
    return {
        **({"about": about} if about else {}),
        "texts": {name: _labels(part) for name, part in parts.items()},
        "sources": _sources(parts, inputs),
        "licences": _tally(
            ", ".join(sorted(inputs[row.source]["licences"])) for row in rows
        ),
        "categories": _tally(row.category for row in rows),
        "roles": _tally(row.role for row in rows),
        "characters": {
            "attack": _quantiles([len(row.text) for row in rows if row.attack]),
            "benign": _quantiles([len(row.text) for row in rows if row.benign]),
        },
        "removed": report["removed"],
        "overlap": _by_set(report["overlap"]),
        "odd": _odd(report["validation"]),
        "shares": [s.table() for s in (*by_language(rows), *by_terms(rows))],
        "share of attacks": round(_labels(rows)["share"], 4),
        "labels": labels,
    }


def glance(card: Mapping[str, Any]) -> str:
    """The card without its tables by source: what is printed."""
    return "\n".join(_head(card)) + "\n"


def markdown(card: Mapping[str, Any]) -> str:
    """The card as a page."""
    return "\n".join([*_head(card), *_by_source(card)]) + "\n"


def _head(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# Data card", "")
    yield _OF_TASK.format(card["about"]) if "about" in card else _OF_RELEASE
    yield ""
    yield from _table(
        ("part", "attacks", "benign", "share of attacks"),
        (
            (name, p["attack"], p["benign"], f"{p['share']:.1%}")
            for name, p in card["texts"].items()
        ),
    )
    yield from ("", "## What was left out", "")
    removed = {why: sum(counts.values()) for why, counts in card["removed"].items()}
    yield from _table(("reason", "texts"), removed.items())
    yield from ("", "Overlaps with a test set or an unseen source:", "")
    yield from _table(("set", "texts"), card["overlap"].items())
    yield from ("", "## What they are", "")
    for key in ("licences", "categories", "roles"):
        yield from _table((key, "texts"), card[key].items())
        yield ""
    yield from _table(
        ("characters", *(f"{q:.0%}" for q in _QUANTILES)),
        ((label, *values) for label, values in card["characters"].items()),
    )
    yield from ("", "## What is known of them", "")
    yield "A head learns only from the texts that know its label."
    yield ""
    yield from _table(
        ("label", "texts", "of these it is true"),
        ((n, c["rows"], c["positive"]) for n, c in card["labels"].items()),
    )
    yield from ("", "## Odd texts", "")
    yield "As they were published; empty ones are left out, the others are cleaned."
    yield ""
    yield from _table(("source", "what", "texts"), card["odd"])
    yield from ("", "## Who is flagged", "")
    yield (
        "The share of texts that are labelled attacks, with Wilson's 95 % interval, "
        "and the lift: the share as a multiple of the whole's. Dialects and groups of "
        "people are looked for in English texts, by the words in terms.toml, which "
        "are our own choice; a word is not a person."
    )
    for shares in _kinds(card["shares"]):
        yield ""
        yield from _table(
            (shares[0]["kind"], "texts", "attacks", "share", "", "interval", "lift"),
            map(_share, shares),
        )
    yield from ("", "## Warnings", "")
    warned = [s for s in card["shares"] if s["warning"]]
    for s in warned:
        yield (
            f"- {s['kind']} {s['name']}: {s['attacks']} of {s['texts']} texts are "
            f"attacks, {s['lift']:.2f} times the whole's share"
        )
    if not warned:
        yield f"No share is more than {FACTOR:g} times above or below the whole's."


def _by_source(card: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Sources", "")
    yield from _table(
        _COLUMNS,
        (
            (
                *(name, s["use"], s["licences"], s["from"]),
                *(s["attacks"], s["benign"], s["held out"], s["left out"]),
                s["median"],
            )
            for name, s in card["sources"].items()
        ),
    )


def _sources(
    parts: Mapping[str, Sequence[Row]], inputs: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    used: defaultdict[str, Counter[str]] = defaultdict(Counter)
    lengths: defaultdict[str, list[int]] = defaultdict(list)
    for name in ("train", "heldout", "unseen"):
        for row in parts[name]:
            used[row.source]["held out" if name == "heldout" else _sign(row)] += 1
            lengths[row.source].append(len(row.text))
    table = {}
    for name, entry in inputs.items():
        counts = used[name]
        table[name] = {
            "use": entry["use"],
            "licences": ", ".join(entry["licences"]),
            "from": entry["from"],
            "attacks": counts["attack"],
            "benign": counts["benign"],
            "held out": counts["held out"],
            "left out": sum(entry["rows"].values()) - counts.total(),
            "median": sorted(lengths[name])[counts.total() // 2] if counts else 0,
        }
    return table


def _by_set(overlap: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for counts in overlap.values():
        total.update(counts)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _odd(validation: Mapping[str, Mapping[str, int]]) -> list[list[Any]]:
    return [
        [name, what, count]
        for name, counts in validation.items()
        for what, count in counts.items()
        if what not in ("attack", "benign")
    ]


def _told(rows: Sequence[Row], about: str) -> list[Row]:
    """The rows with a task's label in the place of that of a prompt attack."""
    return [
        replace(row, labels=row.labels | {INJECTION: row.labels[about]})
        for row in rows
        if about in row.labels
    ]


def _labels(rows: Sequence[Row]) -> dict[str, Any]:
    attacks, benign = (sum(r.attack for r in rows), sum(r.benign for r in rows))
    share = attacks / (attacks + benign) if attacks + benign else 0.0
    return {"attack": attacks, "benign": benign, "share": share}


def _by_label(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """How many rows know a label, and of how many it is true."""
    known, positive = Counter[str](), Counter[str]()
    for row in rows:
        known.update(row.labels.keys())
        positive.update(label for label, value in row.labels.items() if value)
    return {
        label: {"rows": count, "positive": positive[label]}
        for label, count in sorted(known.items())
    }


def _sign(row: Row) -> str:
    return "attack" if row.positive else "benign"


def _tally(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda i: (-i[1], i[0])))


def _quantiles(lengths: list[int]) -> list[int]:
    lengths.sort()
    return [lengths[int(q * (len(lengths) - 1))] for q in _QUANTILES if lengths]


def _kinds(shares: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    kinds: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for share in shares:
        kinds[share["kind"]].append(share)
    return list(kinds.values())


def _share(share: Mapping[str, Any]) -> tuple[object, ...]:
    low, high = share["interval"]
    mark = " (!)" if share["warning"] else ""
    return (
        *(share["name"], share["texts"], share["attacks"], f"{share['share']:.1%}"),
        "█" * round(10 * share["share"]),
        *(f"{low:.1%} to {high:.1%}", f"{share['lift']:.2f}{mark}"),
    )


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """A table in Markdown; columns of numbers are set to the right."""
    lines = [list(row) for row in rows]
    if not lines:
        yield "None."
        return
    right = [isinstance(v, int) or str(v)[:1].isdigit() for v in lines[0]]
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---:' if is_right else '---' for is_right in right)} |"
    for line in lines:
        cells = [f"{v:,}" if isinstance(v, int) else str(v) for v in line]
        yield f"| {' | '.join(cells)} |"
