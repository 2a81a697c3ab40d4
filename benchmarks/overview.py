"""What `docs/benchmarks.md` says: what people look for, and where all of it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .beside import beside, growth
from .report import RESULTS, Row, table

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
HEAD = """\
# Benchmarks

What was measured, with the command, the machine and the versions of each run. This
page is written from the files under `benchmarks/results`, and nothing in it by hand.
`make figures` writes it again, after whichever of these commands you have run:

```sh
python benchmarks/latency.py
python benchmarks/import_time.py --size
python benchmarks/concurrency.py
python benchmarks/streaming.py
python benchmarks/guards.py pii
python -m benchmarks.peers
```

Figures of quality come from `python -m training evaluate` and
`python benchmarks/quality.py`, on public test sets and on sources that were kept out of
training; the texts themselves are not part of the repository.
"""

Rows = Sequence[Row]
Results = Callable[[str], Any]


@dataclass(frozen=True)
class Chapter:
    """What is shown of one result file.

    Args:
        shown: Headings of the file's sections, by their beginnings; none shows all.
        tables: Makes tables of a file that has no sections.
    """

    title: str
    name: str
    about: str
    command: str
    shown: tuple[str, ...] = ()
    picture: str = ""
    tables: Callable[[Any], dict[str, Rows]] | None = None


def overview(result: Results) -> str:
    """The page, from what the results say."""
    parts = [HEAD]
    for chapter in CHAPTERS:
        parts += _chapter(chapter, result(chapter.name))
    told = {chapter.name for chapter in CHAPTERS}
    others = [p for p in sorted(RESULTS.glob("*.md")) if p.stem not in told]
    if others:
        parts.append("## More results\n")
        parts.append("\n".join(f"- {_link(_title(path), path)}" for path in others))
        parts.append("")
    return "\n".join(parts)


def _chapter(chapter: Chapter, found: Any) -> Iterable[str]:
    yield f"## {chapter.title}\n"
    yield f"{chapter.about}\n"
    if found is None:
        yield f"Not measured yet: `{chapter.command}` writes it.\n"
        return
    if chapter.picture and (PICTURES / f"{chapter.picture}.svg").exists():
        yield f"![{chapter.title}](pictures/{chapter.picture}.svg)\n"
    for heading, rows in _sections(chapter, found).items():
        yield f"**{heading}**\n"
        yield f"{table(_without_spread(rows))}\n"
    yield f"{_source(chapter.name, found)}\n"


def _sections(chapter: Chapter, found: Any) -> dict[str, Rows]:
    if chapter.tables:
        return chapter.tables(found)
    sections: dict[str, Rows] = found["results"]
    if not chapter.shown:
        return sections
    return {
        heading: rows
        for beginning in chapter.shown
        for heading, rows in sections.items()
        if heading.startswith(beginning)
    }


def _without_spread(rows: Rows) -> Rows:
    """Rows without quartiles, which are in the file itself."""
    return [
        {k: v for k, v in row.items() if not k.endswith((" p25", " p75", "p25", "p75"))}
        for row in rows
    ]


def _source(name: str, found: Any) -> str:
    machine = found["machine"]
    if isinstance(machine, dict):
        machine = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    date = f", {found['date']}" if "date" in found else ""
    link = _link("all of it, with versions and spread", RESULTS / f"{name}.md")
    return f"`{found['command']}`{date}; {machine}; {link}."


def _link(words: str, path: Path) -> str:
    return f"[{words}](../benchmarks/results/{path.name})"


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _per_call(found: Any) -> dict[str, Rows]:
    """The times of a check, a row for each guard instead of one for each length."""
    sections = found["results"]
    calls: dict[str, Row] = {}
    others: list[Row] = []
    for row in sections["Per call"]:
        if not row["what"].startswith("check: "):
            others.append(row)
            continue
        guard = row["what"].removeprefix("check: ")
        calls.setdefault(guard, {"guard": guard})
        calls[guard][f"{row['characters']:,} characters, µs"] = row["µs median"]
    return {
        "A check with the model, beside a bare run of it": sections[
            "PromptInjection().check beside a bare session run"
        ],
        "A check, by guard": list(calls.values()),
        "Around a check": others,
    }


def _injection(found: Any) -> dict[str, Rows]:
    sets = [
        {
            "set": name.replace(":", ": "),
            "attacks": one["attacks"],
            "recall": one["recall"],
            "benign": one["benign"],
            "flagged": one["fpr"],
            "AUC": one["auc"],
        }
        for name, one in found["sets"].items()
    ]
    tiers = [
        {
            "disguises": f"tier {name}, {one['disguises']} of them",
            "recall plain": one["recall plain"],
            "recall in disguise": one["recall"],
            "benign in disguise, flagged": one["fpr"],
        }
        for name, one in found["evasion"]["tiers"].items()
    ]
    return {f"Sets, at a rate of {found['fpr']:g}": sets, "Disguised attacks": tiers}


def _labels(found: Any) -> dict[str, Rows]:
    rows = [
        {
            "set": name.replace(":", ": "),
            "guard": guard,
            "positives": one["positives"],
            "recall": at["0.01"].get("recall"),
            "negatives": one["negatives"],
            "flagged": at["0.01"].get("flagged"),
            "AUC": one["auc"],
        }
        for name, one in found["sets"].items()
        for guard, at in one["guards"].items()
        if "0.01" in at
    ]
    return {"Sets, at a rate of 0.01": rows}


def _pii(found: Any) -> dict[str, Rows]:
    sections = found["results"]
    alls = [
        {"cases": heading, **rows[-1]}
        for heading, rows in sections.items()
        if rows and rows[-1].get("entity") == "all"
    ]
    digits = "Valid values among random strings of digits"
    return {
        "All entities together": [
            {k: v for k, v in row.items() if k != "entity"} for row in alls
        ],
        digits: sections[digits],
    }


CHAPTERS = (
    Chapter(
        "Time of a check",
        "latency",
        "Texts that no guard has seen before, one after the other, on one thread. The "
        "bare run is ONNX Runtime with the same tokens and nothing around it.",
        "python benchmarks/latency.py",
        picture="latency",
        tables=_per_call,
    ),
    Chapter(
        "Import, first verdict, size, memory",
        "import_time",
        "Fresh processes, taken in turn.",
        "python benchmarks/import_time.py --size",
    ),
    Chapter(
        "Many at once",
        "concurrency",
        "How late an event loop runs while it checks, and how long a wait may last.",
        "python benchmarks/concurrency.py",
    ),
    Chapter(
        "Streams",
        "streaming",
        "Answers with personal data, secrets and words of the application in them, cut "
        "in every way.",
        "python benchmarks/streaming.py",
        shown=("What comes out", "Characters held back"),
        picture="held-back",
    ),
    Chapter(
        "Prompt injection",
        "quality-injection",
        "`PromptInjection()` over public test sets and sources that were kept out of "
        "training. An empty cell: the set has no texts of that kind. The curves are "
        "drawn from `python -m benchmarks.curves`, where that was run.",
        "python -m training evaluate training/configs/release.toml",
        picture="roc",
        tables=_injection,
    ),
    Chapter(
        "Toxicity",
        "quality-toxicity",
        "`Toxicity()` with all labels (any label) or with one.",
        "python benchmarks/quality.py --parts toxicity,harmful",
        tables=_labels,
    ),
    Chapter(
        "Harmful requests",
        "quality-harmful",
        "`HarmfulRequest()`.",
        "python benchmarks/quality.py --parts toxicity,harmful",
        picture="operating-points",
        tables=_labels,
    ),
    Chapter(
        "Personal data",
        "guards-pii",
        "The test cases of Presidio's recognisers, and made-up values among random "
        "digits.",
        "python benchmarks/guards.py pii",
        tables=_pii,
    ),
    Chapter(
        "Secrets",
        "guards-secrets",
        "Lines of public test suites, one line a text.",
        "python benchmarks/guards.py secrets",
    ),
    Chapter(
        "Profanity",
        "guards-profanity",
        "Public lists, and texts that hold no profanity.",
        "python benchmarks/guards.py profanity",
    ),
    Chapter(
        "Code, language, refusal, links, invisible text",
        "guards-hygiene",
        "Shares of texts by category. The guards were developed with this data, so "
        "these are no figures of unseen texts.",
        "python benchmarks/guards.py hygiene",
        shown=("Language", "Refusal, on answers"),
    ),
    Chapter(
        "Beside other libraries",
        "peers",
        "The same texts in one run, each library in an environment of its own "
        "([how](peers.md)). Ratios are taken text by text or round by round: median, "
        "and in brackets the quartiles; above 1, promptguard is faster or smaller.",
        "python -m benchmarks.peers",
        picture="peers",
        tables=beside,
    ),
    Chapter(
        "Long texts",
        "scale",
        "One call, from a line to a book. A library is asked for longer texts as long "
        "as a call is not likely to take more than half a minute.",
        "python -m benchmarks.peers",
        picture="lengths",
        tables=growth("Length", "ms median"),
    ),
    Chapter(
        "Many threads",
        "scale",
        "One process whose threads call the same guard at once.",
        "python -m benchmarks.peers",
        picture="threads",
        tables=growth("Threads", "a second median"),
    ),
)
