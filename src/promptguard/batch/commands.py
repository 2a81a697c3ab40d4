"""The command ``promptguard batch``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import Budget, Guard
    from .local import Shown, Summary

__all__ = ["add_commands", "run"]

_BATCH = """\
Check a column of texts on all cores, and write the rows with the verdicts behind them.
IN and OUT end with .parquet, .csv or .jsonl, both with the same; IN may be a folder of
Parquet files. Without --guard and --policy it is checked with PromptInjection |
InvisibleText.

The same command goes on with a run that was stopped: OUT.journal has the verdicts until
OUT is there. Memory does not grow with the file, and rows stay in their order.

examples:
  promptguard batch prompts.parquet checked.parquet --column prompt
  promptguard batch pages.jsonl checked.jsonl --role retrieved --policy promptguard.toml
  promptguard batch tickets.csv clean.csv --guard pii --redacted
  promptguard batch prompts.parquet checked.parquet --workers 4 --threads 2
"""

_CODES = """\
exit status:
  0    written: rows that could not be checked are counted, and blocked in OUT
  2    not written: the line on standard error says what to do
  130  stopped with Ctrl-C: the same command goes on
"""

_LABELS = 10


def add_commands(
    commands: argparse._SubParsersAction[Any],
    run: Callable[[argparse.Namespace], int],
    add_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add the command to the command line.

    Args:
        commands: Where to.
        run: What it does.
        add_options: Adds the options that name the guards.
    """
    batch: argparse.ArgumentParser = commands.add_parser(
        "batch",
        help="check a file of texts on all cores",
        description=_BATCH,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    batch.set_defaults(run=run, parser=batch)
    batch.add_argument("source", metavar="IN", help="the file with the texts")
    batch.add_argument("out", metavar="OUT", help="the file to write")
    batch.add_argument(
        "--column",
        default="text",
        metavar="NAME",
        help="the column that has the texts (default: text)",
    )
    batch.add_argument(
        "--redacted",
        action="store_true",
        help="add a column with the text as a redaction leaves it",
    )
    batch.add_argument(
        "--prefix",
        default="verdict_",
        metavar="WORD",
        help="how the names of the added columns begin (default: verdict_)",
    )
    batch.add_argument(
        "--workers",
        type=_whole,
        metavar="N",
        help="processes, each with a model (default: the cores, by --threads)",
    )
    batch.add_argument(
        "--threads",
        type=_whole,
        default=1,
        metavar="N",
        help="texts that a process checks at once on its model (default: 1)",
    )
    batch.add_argument(
        "--rows",
        type=_whole,
        default=256,
        metavar="N",
        help="texts that a process is given at a time (default: 256)",
    )
    add_options(batch)


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(value)


def run(
    chosen: argparse.Namespace,
    guard: Guard,
    budget: Budget | float | None,
    shown: Shown,
) -> int:
    """Check the file that the options name, and say what came of it."""
    from .check import Check
    from .local import check_file

    check = Check(
        guard,
        role=chosen.role,
        prefix=chosen.prefix,
        redacted=chosen.redacted,
        threads=chosen.threads,
        budget=budget,
    )
    try:
        summary = check_file(
            chosen.source,
            chosen.out,
            check,
            column=chosen.column,
            workers=chosen.workers,
            rows=chosen.rows,
            shown=shown,
        )
    except KeyboardInterrupt:
        print("promptguard: stopped; the same command goes on", file=sys.stderr)
        raise
    _tell(summary, chosen.out, f"{chosen.prefix}error")
    return 0


def _tell(summary: Summary, out: str, column: str) -> None:
    actions = ", ".join(f"{count:,} {name}" for name, count in summary.actions)
    print(f"{summary.rows:,} rows: {actions or 'none'}")
    if summary.before:
        print(f"{summary.before:,} of them were checked by an earlier run")
    for label, count in summary.labels[:_LABELS]:
        print(f"  {label:<24} {count:>9,}")
    if summary.errors:
        print(f"{summary.errors:,} could not be checked, and are blocked: see {column}")
    if summary.ended:
        print(f"{summary.ended:,} processes ended before their time, and were replaced")
    print(f"wrote {out}")
