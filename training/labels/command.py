"""The commands ``python -m training labels``: out to people, and back."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from ..errors import PipelineError
from ..files import write_atomically
from ..rows import INJECTION
from .choosing import REASONS, Wanted, choose
from .raters import agreement
from .records import Label, read_labels, write_labels
from .studio import Imported, read_studio

__all__ = ["add_commands", "brought"]

DONE, PROBLEMS = 0, 1

_TEXT = """\
Have people label captured traffic, and learn from it: choose what is worth their time,
import what they said in Label Studio, see how far they agree, merge it into the data.
"""
_EXAMPLES = """\
examples:
  python -m training labels select --traffic sqlite:///traffic.db --out tasks.json \\
      --interface labels.xml
  python -m training labels import project-1.json --labels labels.jsonl
  python -m training labels agree --labels labels.jsonl
  python -m training labels merge --labels labels.jsonl \\
      --traffic sqlite:///traffic.db --config training/configs/release.toml \\
      --into build/labelled.jsonl
"""


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add ``labels`` and the commands below it."""
    labels = commands.add_parser(
        "labels",
        help="have people label captured traffic, and learn from it",
        description=_TEXT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = labels.add_subparsers(required=True, metavar="COMMAND")
    _add_select(below.add_parser("select", help="uncertain and disputed texts"))
    brought = below.add_parser("import", help="an export of Label Studio into labels")
    brought.set_defaults(run=_import)
    brought.add_argument("export", type=Path, help="of Label Studio, format JSON")
    brought.add_argument("--labels", type=Path, required=True, help="file to add to")
    brought.add_argument("--label", default=INJECTION, help="what was asked")
    agree = below.add_parser("agree", help="how far annotators agree beyond chance")
    agree.set_defaults(run=_agree)
    agree.add_argument("--labels", type=Path, required=True)
    agree.add_argument("--label", default=INJECTION)
    agree.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    agree.add_argument("--seed", type=int, default=0)
    agree.add_argument("--out", type=Path, help="a page of Markdown")
    _add_merge(below.add_parser("merge", help="decided labels into training rows"))


def _add_select(select: argparse.ArgumentParser) -> None:
    select.set_defaults(run=_select)
    add = select.add_argument
    add("--traffic", required=True, metavar="URL", help="the database")
    add("--out", required=True, metavar="FILE", help="tasks for Label Studio")
    add("--interface", type=Path, metavar="FILE", help="the labelling interface")
    add("--labels", type=Path, metavar="FILE", help="labels that there are already")
    add("--label", default=INJECTION, help="what is asked (default: injection)")
    add("--limit", type=int, default=200, help="texts (default: 200)")
    add("--reasons", default=",".join(REASONS), help="of " + ", ".join(REASONS))
    add("--enough", type=int, default=1, help="annotators of a text (default: 1)")
    add("--model", metavar="FOLDER", help="that looks again (default: the shipped one)")
    add("--no-rescore", action="store_true", help="scores that were kept count")
    add("--between", default="0.3,0.7", help="of those, which are uncertain")


def _add_merge(merge: argparse.ArgumentParser) -> None:
    merge.set_defaults(run=_merge)
    add = merge.add_argument
    add("--labels", type=Path, required=True)
    add("--traffic", required=True, metavar="URL")
    add("--config", type=Path, required=True, help="of the training, a TOML file")
    add("--data", help="data folder, instead of data_root")
    add("--into", type=Path, required=True, metavar="FILE", help="rows, .jsonl[.gz]")
    add("--label", default=INJECTION)
    add("--ties", default="drop", help="drop, positive, negative or an annotator")
    add("--least", type=int, default=1, help="annotators that a text needs")
    add("--agreement", type=float, default=0.5, help="share of them that a label needs")
    add("--report", type=Path, metavar="FILE", help="what became of each, as JSON")


def _select(options: argparse.Namespace) -> int:
    from promptguard import PromptGuardError
    from promptguard.traffic.exporting import export, labelling

    labels = read_labels(options.labels) if options.labels else []
    wanted = Wanted(
        label=options.label,
        reasons=tuple(r.strip() for r in options.reasons.split(",") if r.strip()),
        limit=options.limit,
        rescore=not options.no_rescore,
        model=options.model,
        between=_between(options.between),
        enough=options.enough,
    )
    chosen = choose(options.traffic, wanted, labels)
    try:
        export(((c.request, c.kept) for c in chosen), "label-studio", options.out)
    except PromptGuardError as error:
        raise PipelineError(f"labels: {error}") from None
    if options.interface is not None:
        found = {f.label for c in chosen for f in c.kept.findings} | {options.label}
        page = labelling(found, [options.label])
        write_atomically(options.interface, page.encode())
    counts = Counter(reason for c in chosen for reason in c.reasons)
    told = ", ".join(f"{name} {counts[name]:,}" for name in REASONS if counts[name])
    print(f"{len(chosen):,} texts in {options.out}{f' ({told})' if told else ''}")
    return DONE


def _between(given: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in given.split(","))
    except ValueError:
        raise PipelineError(
            'labels: --between is two scores, as in "0.3,0.7"'
        ) from None
    return low, high


def _import(options: argparse.Namespace) -> int:
    found = brought(options.export, options.labels, options.label)
    print(
        f"{len(found.labels):,} labels; {found.skipped:,} skipped or unsure, "
        f"{found.empty:,} without an answer"
    )
    for problem in found.problems:
        print(f"  not understood: {problem}")
    return PROBLEMS if found.problems else DONE


def brought(export: Path, labels: Path, label: str) -> Imported:
    """Add what an export of Label Studio holds to a file of labels.

    Raises:
        PipelineError: A file cannot be read, or the export is no list of tasks.
    """
    there = read_labels(labels) if labels.exists() else []
    found = read_studio(export, label)
    known = {(x.id, x.label, x.annotator): x for x in there}
    known |= {(x.id, x.label, x.annotator): x for x in found.labels}
    write_labels(labels, known.values())
    return found


def _agree(options: argparse.Namespace) -> int:
    labels = _about(read_labels(options.labels), options.label)
    if options.draws < 1:
        raise PipelineError("labels: draws must be at least 1")
    found = agreement(labels, options.label, draws=options.draws, seed=options.seed)
    page = found.markdown()
    if options.out is not None:
        write_atomically(options.out, page.encode())
    print(page, end="")
    return DONE


def _about(labels: list[Label], name: str) -> list[Label]:
    found = [label for label in labels if label.label == name]
    if not found:
        known = ", ".join(sorted({label.label for label in labels})) or "none"
        raise PipelineError(f"labels: there are none of {name!r}. Known: {known}")
    return found


def _merge(options: argparse.Namespace) -> int:
    from ..config import load
    from .merging import merge

    labels = _about(read_labels(options.labels), options.label)
    config = load(options.config, data_root=options.data)
    merged = merge(
        labels,
        options.traffic,
        config,
        options.into,
        label=options.label,
        ties=options.ties,
        least=options.least,
        agreement=options.agreement,
        today=datetime.now(UTC).date().isoformat(),
    )
    if options.report is not None:
        page = json.dumps(merged.texts, indent=1) + "\n"
        write_atomically(options.report, page.encode())
    print(f"{options.into}: {merged}")
    return DONE
