"""The commands ``promptguard eval`` and ``promptguard calibrate``."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import PromptGuardError, PromptInjection
    from .rows import Row, Source
    from .scoring import Measured

__all__ = ["add_commands"]

_EVAL = """\
Measure PromptInjection on labelled texts and print how well it does.

A file holds JSON lines, packed by gzip or not. A row has `text`, `label` (1: attack,
0: benign) and, where you have them, `role`, `category`, `lang` and `source`, which
are told apart in the report. Nothing leaves this machine, and no text is printed.

examples:
  promptguard eval prompts.jsonl
  promptguard eval --fpr 0.001 --plots plots --json report.json a.jsonl b.jsonl.gz
  promptguard eval --field text=prompt --field label=is_attack prompts.jsonl
  promptguard eval --role tool --calibration points.json - < pages.jsonl
"""

_CALIBRATE = """\
Measure operating points on your own benign traffic and write them into a file.

A row has `text` and, where you have it, `role`; rows with `label` 1 are left out. A
rate needs at least 3 / rate texts of a role, and ten times as many to be sharp.

examples:
  promptguard calibrate --fpr 0.01 traffic.jsonl --out points.json
  promptguard calibrate --fpr 0.01 --fpr 0.001 *.jsonl.gz --out points.json
  promptguard check --calibration points.json "..."
"""

_CODES = """\
exit status:
  0  measured
  2  not measured: the line on standard error says what to do
"""

_NOTES = 3
_HIGHEST = 5


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add both commands to the command line."""
    evaluate = _command(commands, "eval", "measure the guard on labelled texts", _EVAL)
    evaluate.set_defaults(run=_evaluate, parser=evaluate)
    strictness = evaluate.add_mutually_exclusive_group()
    strictness.add_argument(
        "--fpr",
        type=float,
        metavar="RATE",
        help="share of benign texts that may be stopped (default: 0.01)",
    )
    strictness.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="stop a text from this probability on, 0 to 1",
    )
    evaluate.add_argument(
        "--calibration", metavar="FILE", help="operating points of your own"
    )
    evaluate.add_argument("--json", metavar="OUT", help="write the figures here, too")
    evaluate.add_argument(
        "--plots",
        metavar="FOLDER",
        help="draw ROC, scores and reliability (needs promptguard-llm[eval])",
    )
    calibrate = _command(
        commands, "calibrate", "measure thresholds on your own traffic", _CALIBRATE
    )
    calibrate.set_defaults(run=_calibrate, parser=calibrate)
    calibrate.add_argument(
        "--fpr",
        type=float,
        action="append",
        metavar="RATE",
        help="a rate to measure; may be given several times (default: 0.01)",
    )
    calibrate.add_argument(
        "--out", required=True, metavar="FILE", help="where the points are written"
    )


def _command(
    commands: argparse._SubParsersAction[Any], name: str, what: str, text: str
) -> argparse.ArgumentParser:
    from ..text import ROLES
    from .rows import FIELDS

    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=text,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "files", nargs="+", metavar="FILE", help="JSON lines; - is standard input"
    )
    command.add_argument(
        "--field",
        action="append",
        default=[],
        type=_field,
        metavar="KIND=NAME",
        help=f"what a field is called in your rows: {', '.join(FIELDS)}",
    )
    command.add_argument(
        "--role",
        default="user",
        choices=ROLES,
        metavar="ROLE",
        help=f"role of rows that name none: {', '.join(ROLES)} (default: user)",
    )
    command.add_argument(
        "--limit", type=_count, metavar="N", help="only the first N rows of each file"
    )
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder, or a model's name on the Hub (default: the shipped one)",
    )
    command.add_argument(
        "--revision",
        metavar="COMMIT",
        help="of a model on the Hub: the id of a commit, a tag or a branch",
    )
    return command


def _field(value: str) -> tuple[str, str]:
    from .rows import FIELDS

    kind, equals, name = value.partition("=")
    if kind not in FIELDS or not equals or not name:
        raise argparse.ArgumentTypeError(
            f"say KIND=NAME with one of {', '.join(FIELDS)}, such as text=prompt"
        )
    return kind, name


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(value)


def _evaluate(chosen: argparse.Namespace) -> int:
    from .. import ConfigError, PromptInjection
    from . import plots, report, writing

    given = _given(chosen, "fpr", "threshold", "calibration", "model", "revision")
    guard = PromptInjection(**given)
    folder = None if chosen.plots is None else plots.prepare(chosen.plots)
    if chosen.json is not None:
        writing.check_writable(chosen.json)
    sources = _sources(chosen, labelled=True)
    rows = chain.from_iterable(sources)
    measured, left_out = _measured(guard, rows, _survey(sources).total(), "eval")
    if not measured:
        raise ConfigError("there is no text to measure in the files")
    shown = given if "threshold" in given else {"fpr": guard.fpr} | given
    settings = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    figures = report.evaluate(measured)
    head = writing.header(measured, sources) | {
        "guard": f"PromptInjection({settings})",
        "left_out": left_out,
    }
    counts = f"{figures['attacks']:,} attacks, {figures['benign']:,} benign"
    print(f"{head['guard']} on {figures['texts']:,} texts: {counts}")
    if left_out:
        print(f"and {left_out:,} texts that it could not decide about, left out")
    print(f"model {head['bundle'][:12]}, promptguard {head['version']}\n")
    for line in report.lines(figures):
        print(line)
    if chosen.json is not None:
        writing.write_json(chosen.json, head | figures)
    if folder is not None:
        guarded = f"PromptInjection({next(iter(shown))}={next(iter(shown.values()))})"
        for path in plots.draw(measured, folder, f"{guarded}: {counts}"):
            print(f"wrote {path}")
    return 0


def _calibrate(chosen: argparse.Namespace) -> int:
    from .. import ConfigError, PromptInjection
    from . import points, writing

    rates = sorted(set(chosen.fpr or (0.01,)))
    if not all(0 < rate < 1 for rate in rates):
        raise ConfigError("--fpr must be a share between 0 and 1, such as 0.01")
    guard = PromptInjection(threshold=0.0, **_given(chosen, "model", "revision"))
    writing.check_writable(chosen.out)
    sources = _sources(chosen, labelled=False)
    kinds = _survey(sources)
    roles = [(role, count) for (attack, role), count in kinds.items() if not attack]
    benign = sum(count for _, count in roles)
    attacks = kinds.total() - benign
    points.check_enough(points.counts(roles), rates)
    rows = (row for row in chain.from_iterable(sources) if row.label is not True)
    measured, left_out = _measured(guard, rows, benign, "calibrate")
    found = points.measure(measured, rates)
    texts = points.counts((m.row.role, 1) for m in measured)
    head = writing.header(measured, sources) | {
        "what": "operating points of PromptInjection, measured on own traffic",
        "format": 1,
        "rates": rates,
        "texts": texts,
        "left_out": {"attacks": attacks, "undecided": left_out},
        "interval": "exact binomial (Clopper and Pearson), 95 %",
        "operating_points": [point.table() for point in found],
    }
    writing.write_json(chosen.out, head)
    print(f"measured on {len(measured):,} benign texts")
    if attacks:
        print(f"{attacks:,} rows labelled 1 were left out")
    if left_out:
        print(f"{left_out:,} texts that it could not decide about were left out")
    highest = sorted(measured, key=lambda m: -m.score)[:_HIGHEST]
    shown = ", ".join(f"{m.row.place} ({m.score:.3f})" for m in highest)
    print(f"highest scores, which may be attacks: {shown}")
    for line in points.lines(found, texts, rates):
        print(line)
    print(f'\nwrote {chosen.out}; use it: PromptInjection(calibration="{chosen.out}")')
    return 0


def _given(chosen: argparse.Namespace, *names: str) -> dict[str, Any]:
    """What the guard is told: the options that were given."""
    if chosen.revision is not None and chosen.model is None:
        chosen.parser.error("--revision goes with --model, the name on the Hub")
    values = {name: getattr(chosen, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _sources(chosen: argparse.Namespace, *, labelled: bool) -> list[Source]:
    from .rows import Source

    return [
        Source(
            path,
            fields=dict(chosen.field),
            role=chosen.role,
            labelled=labelled,
            limit=chosen.limit,
        )
        for path in chosen.files
    ]


def _survey(sources: Sequence[Source]) -> Counter[tuple[bool, str]]:
    """How many rows there are of each kind: (attack, role).

    Reading all of them first shows a bad row before the first text is scored, and not
    after the last hour.
    """
    return Counter(
        (row.label is True, row.role) for row in chain.from_iterable(sources)
    )


def _measured(
    guard: PromptInjection, rows: Iterable[Row], total: int, what: str
) -> tuple[list[Measured], int]:
    """What the guard made of the rows, and how many it could not decide about."""
    from .progress import progress, say
    from .scoring import measure

    noted = 0

    def left_out(row: Row, error: PromptGuardError) -> None:
        nonlocal noted
        noted += 1
        if noted <= _NOTES:
            more = "; more are counted" if noted == _NOTES else ""
            say(f"promptguard: {row.place}: {error}; left out{more}")

    return list(measure(guard, progress(rows, total, what), left_out)), noted
