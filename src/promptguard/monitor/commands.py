"""The command ``promptguard monitor``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .profile import Profile
    from .report import Report
    from .samples import Sample

__all__ = ["add_commands"]

STATUS = {"pass": 0, "fail": 1, "warn": 3}
_VARIABLE = "PROMPTGUARD_CAPTURE"

_MONITOR = """\
Compare a window of kept traffic with a reference: has what comes in changed, what
guards make of it, and how well they do? Texts are read from what a service or a Writer
kept, or from an export of it; none of them is in the report.

examples:
  promptguard monitor --traffic sqlite:///traffic.db --since 24h \\
      --reference-since 30d --reference-until 24h
  promptguard monitor --traffic sqlite:///traffic.db --since 2026-01-01 \\
      --save-reference profile.json
  promptguard monitor --traffic sqlite:///traffic.db --reference profile.json \\
      --html report.html --json report.json
  promptguard monitor --traffic week.jsonl --reference month.parquet \\
      --labels labels.jsonl --thresholds drift.toml
  promptguard monitor --print-thresholds > drift.toml

A label is a line of JSON: {"id": "KEY-0", "label": "injection", "value": 1,
"annotator": "ann", "at": "2026-01-31T12:00"}; the id is the key or id of the request, a
dash, and the position of the text in it, as exports have them.
"""
_CODES = """\
exit status:
  0  pass: nothing has moved as far as the thresholds say; or printed, or saved
  1  fail
  2  nothing was decided: the line on standard error says what to do
  3  warn
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``monitor`` to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "monitor",
        help="look for drift in kept traffic, and for loss of quality",
        description=_MONITOR,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=_monitor, parser=command)
    add = command.add_argument
    where = "a database (sqlite:///traffic.db), or an export: JSON lines or .parquet"
    add("--traffic", metavar="SOURCE", help=f"{where} (default: ${_VARIABLE})")
    add("--since", metavar="TIME", help="2026-01-31T12:00 (UTC), or 24h for that ago")
    add("--until", metavar="TIME", help="likewise")
    add(
        "--reference",
        metavar="SOURCE",
        help="likewise, or a profile.json that --save-reference wrote (default: the "
        "traffic, in the window of --reference-since and --reference-until)",
    )
    add("--reference-since", metavar="TIME", help="of the reference")
    add("--reference-until", metavar="TIME", help="of the reference")
    add("--labels", metavar="FILE", help="what people said of the texts; JSON lines")
    add("--thresholds", metavar="FILE", help="what is taken for drift; TOML")
    add("--json", metavar="FILE", help="write the report; - prints it")
    add("--html", metavar="FILE", help="write the report as a page; - prints it")
    add("--mlflow", metavar="URI", help="log it, such as sqlite:///mlflow.db")
    add(
        "--save-reference",
        metavar="FILE",
        help="write statistics of the window, to be a reference; no texts",
    )
    add(
        "--print-thresholds",
        action="store_true",
        help="print the shipped thresholds, to be changed, and end",
    )


def _monitor(chosen: argparse.Namespace) -> int:
    from .comparing import compare
    from .labels import Labels
    from .profile import Profile
    from .reading import sample
    from .thresholds import Thresholds, shipped

    if chosen.print_thresholds:
        print(shipped(), end="")
        return STATUS["pass"]
    _check(chosen)
    _check_outputs(chosen)
    thresholds = Thresholds.load(chosen.thresholds)
    labels = None if chosen.labels is None else Labels.load(chosen.labels)
    # The reference first: of a window as large only its statistics stay in memory.
    reference: Profile | None = None
    if _compares(chosen):
        made = _reference(chosen)
        if not isinstance(made, Profile):
            made = Profile.of(made, {} if labels is None else labels.of(made))
        reference = made
    current = sample(chosen.traffic, since=chosen.since, until=chosen.until)
    if chosen.save_reference is not None:
        known = {} if labels is None else labels.of(current)
        Profile.of(current, known).save(chosen.save_reference)
        _say(f"wrote the profile of {current.requests:,} requests")
    if reference is None:
        return STATUS["pass"]
    report = compare(current, reference, labels=labels, thresholds=thresholds)
    _write(report, chosen)
    return STATUS[report.verdict]


def _compares(chosen: argparse.Namespace) -> bool:
    given = chosen.reference, chosen.reference_since, chosen.reference_until
    return any(value is not None for value in given)


def _check(chosen: argparse.Namespace) -> None:
    from ..traffic.times import moment
    from .reading import check_source

    chosen.traffic = chosen.traffic or os.environ.get(_VARIABLE)
    if not chosen.traffic:
        chosen.parser.error(
            "say which traffic: --traffic sqlite:///traffic.db, or set " + _VARIABLE
        )
    read: dict[str, float] = {}
    for name in ("since", "until", "reference_since", "reference_until"):
        value = getattr(chosen, name)
        if value is None:
            continue
        # Where one window ends and the other begins "24h" ago, that is one moment.
        if value not in read:
            read[value] = moment(value, f"--{name.replace('_', '-')}")
        setattr(chosen, name, read[value])
    if not _compares(chosen):
        if chosen.save_reference is None:
            chosen.parser.error(
                "say what to compare with: --reference SOURCE, or --reference-since "
                "and --reference-until for a window of the same traffic"
            )
        for name in ("json", "html", "mlflow", "thresholds"):
            if getattr(chosen, name) is not None:
                chosen.parser.error(
                    f"--{name} is about a comparison, and there is nothing to compare "
                    "with: add --reference or --reference-until, or leave it out"
                )
        return
    if chosen.reference in (None, chosen.traffic):
        check_source(chosen.traffic)
        first = max(chosen.since or 0.0, chosen.reference_since or 0.0)
        endless = float("inf")
        last = min(chosen.until or endless, chosen.reference_until or endless)
        if first < last:
            chosen.parser.error(
                "the two windows overlap: let the reference end, with "
                "--reference-until, where the window begins"
            )


def _check_outputs(chosen: argparse.Namespace) -> None:
    """See that all can be written, before hours of traffic are read."""
    from ..traffic.outputs import check_outputs

    if chosen.save_reference == "-":
        chosen.parser.error("--save-reference wants the name of a file")
    check_outputs(
        {
            "--save-reference": chosen.save_reference,
            "--json": chosen.json,
            "--html": chosen.html,
            # Runs are added to a database of their own.
            "--mlflow": chosen.mlflow if "://" in (chosen.mlflow or "") else None,
        },
        {
            name: getattr(chosen, name.removeprefix("--"))
            for name in ("--traffic", "--reference", "--labels", "--thresholds")
        },
    )
    if chosen.mlflow is not None:
        from .tracking import require_mlflow

        require_mlflow()


def _reference(chosen: argparse.Namespace) -> Sample | Profile:
    from .profile import Profile
    from .reading import sample

    source = chosen.reference or chosen.traffic
    if source.endswith(".json") and "://" not in source:
        if chosen.reference_since is not None or chosen.reference_until is not None:
            chosen.parser.error("a profile has no window of time to choose")
        return Profile.load(source)
    return sample(source, since=chosen.reference_since, until=chosen.reference_until)


def _write(report: Report, chosen: argparse.Namespace) -> None:
    data = json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n"
    if "-" not in (chosen.json, chosen.html):
        _print(report)
    if chosen.json is not None:
        _put(chosen.json, data)
    if chosen.html is not None:
        from .pages import page

        _put(chosen.html, page(report))
    if chosen.mlflow is not None:
        from .tracking import log

        _say(f"logged as run {log(report, chosen.mlflow)}")


def _print(report: Report) -> None:
    print(f"{report.verdict}: {report.summary}")
    for check in report.checks:
        if check.verdict == "pass":
            continue
        chance = "" if check.p_adjusted is None else f", p {check.p_adjusted:.2g}"
        print(
            _plain(
                f"{check.verdict}  {check.name} of {check.group}: {check.statistic} "
                f"{check.value:.3f} (warn {check.warn:g}, fail {check.threshold:g}"
                f"{chance})"
            )
        )
    for row in report.quality:
        figures = ", ".join(
            f"{name} {share.value:.2f} ({share.low:.2f} to {share.high:.2f})"
            for name in ("precision", "recall", "f1", "fpr")
            if (share := getattr(row, name)) is not None
        )
        where = f"{row.label}, {row.language}, {row.window}: {row.texts:,.0f} labelled"
        print(_plain(f"quality  {where}; {figures}"))
    for note in report.notes:
        print(_plain(f"note  {note}"))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _put(path: str, data: str) -> None:
    """Write it into a file, or print it."""
    if path == "-":
        print(data, end="")
        return
    from pathlib import Path

    from .. import ConfigError

    file = Path(path)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_text(data, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _say(message: str) -> None:
    if sys.stderr is not None:
        print(f"promptguard: {message}", file=sys.stderr)
