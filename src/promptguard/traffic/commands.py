"""The command ``promptguard traffic`` and what stands below it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reading import Filters, Request, Traffic

__all__ = ["add_commands"]

DONE, ERROR = 0, 2
_VARIABLE = "PROMPTGUARD_CAPTURE"

_TRAFFIC = """\
Look at what a service, or a Writer in a program, has kept.

examples:
  promptguard traffic stats --traffic sqlite:///traffic.db
  promptguard traffic list --traffic sqlite:///traffic.db --since 24h --action block
  promptguard traffic show --traffic sqlite:///traffic.db REQUEST
  promptguard traffic export --traffic sqlite:///traffic.db --out traffic.jsonl
  promptguard traffic purge --traffic sqlite:///traffic.db --older-than 30d
"""
_LIST = """\
List requests, the newest first, one line each and without their texts.

examples:
  promptguard traffic list --since 2026-01-31T12:00 --until 2026-02-01
  promptguard traffic list --guard prompt_injection --min-score 0.4 --max-score 0.6
"""
_SHOW = """\
Show one request: its figures, its texts as they were kept, and what was found in them.
"""
_STATS = """\
Count requests, verdicts and findings; latencies, tokens, cost; what writers lost.
"""
_EXPORT = """\
Write texts into a file, one row a text, with what was found in them.

jsonl         a JSON object a line; `promptguard calibrate` reads it
parquet       the same, for pandas, DuckDB, Spark (needs promptguard-llm[parquet])
label-studio  tasks with the findings as predictions, to correct by hand; --config
              writes the labelling interface that they are made for

examples:
  promptguard traffic export --direction input --out benign.jsonl --action allow
  promptguard traffic export --format label-studio --min-score 0.3 --max-score 0.7 \\
      --out tasks.json --config labels.xml
"""
_PURGE = """\
Delete what is older than a span of time, for good.

examples:
  promptguard traffic purge --older-than 30d
"""

_CODES = """\
exit status:
  0  printed, written or deleted
  2  not done: the line on standard error says what to do
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``traffic`` and its commands to the command line."""
    from .exporting import FORMATS

    traffic = _command(commands, "traffic", "look at what was kept", _TRAFFIC)
    traffic.set_defaults(run=_help, parser=traffic)
    below = traffic.add_subparsers(metavar="COMMAND", parser_class=type(traffic))
    made: dict[str, argparse.ArgumentParser] = {}
    for name, what, text, run in (
        ("list", "list requests", _LIST, _list),
        ("show", "show one request with its texts", _SHOW, _show),
        ("stats", "count what was kept", _STATS, _stats),
        ("export", "write texts into a file", _EXPORT, _export),
        ("purge", "delete what is old", _PURGE, _purge),
    ):
        made[name] = command = _command(below, name, what, text)
        command.set_defaults(run=run, parser=command)
        command.add_argument(
            "--traffic",
            metavar="URL",
            help=f"the database, such as sqlite:///traffic.db (default: ${_VARIABLE})",
        )
        if name in ("list", "show", "stats"):
            command.add_argument("--json", action="store_true", help="print JSON")
        if name in ("list", "stats", "export"):
            _add_filters(command)
        if name in ("list", "export"):
            command.add_argument(
                "--limit",
                type=_whole,
                metavar="N",
                default=50 if name == "list" else None,
                help="at most so many"
                + (" (default: 50)" if name == "list" else " (default: all)"),
            )
    made["show"].add_argument(
        "request", metavar="REQUEST", help="a request id, or a key of list"
    )
    export = made["export"]
    export.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default="jsonl",
        metavar="FORMAT",
        help=f"{', '.join(sorted(FORMATS))} (default: jsonl)",
    )
    export.add_argument(
        "--out", required=True, metavar="FILE", help="where; - is standard output"
    )
    export.add_argument(
        "--config", metavar="FILE", help="write the interface of Label Studio here"
    )
    made["purge"].add_argument(
        "--older-than", required=True, metavar="SPAN", help="such as 30d, 12h"
    )


# Filters that a mistyped value would answer with nothing.
_VALUES = {
    "outcome": ("allowed", "flagged", "redacted", "blocked", "refused", "failed"),
    "direction": ("input", "output"),
    "action": ("allow", "flag", "redact", "block"),
}


def _add_filters(command: argparse.ArgumentParser) -> None:
    add = command.add_argument_group("filters").add_argument
    add("--since", metavar="TIME", help="2026-01-31T12:00 (UTC), or 24h for that ago")
    add("--until", metavar="TIME", help="likewise")
    for name, what in (
        ("endpoint", "of a request, such as /v1/chat/completions"),
        ("model", "of a request"),
        ("caller", "of a request"),
        (
            "outcome",
            "of a request: allowed, flagged, redacted, blocked, refused, failed",
        ),
        ("direction", "of a text: input or output"),
        ("role", "of a text: user, tool, assistant, ..."),
        ("action", "of a text: allow, flag, redact or block"),
        ("guard", "which found something"),
        ("label", "of what was found"),
    ):
        known = _VALUES.get(name)
        add(f"--{name}", metavar=name.upper(), choices=known, help=what)
    add("--min-score", type=float, metavar="P", help="of what was found, 0 to 1")
    add("--max-score", type=float, metavar="P", help="likewise")


def _command(
    commands: argparse._SubParsersAction[Any], name: str, what: str, text: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=text,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return command


def _whole(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(value)


def _help(chosen: argparse.Namespace) -> int:
    chosen.parser.error("name one of its commands: list, show, stats, export, purge")
    return ERROR


def _traffic(chosen: argparse.Namespace) -> Traffic:
    from .. import ConfigError
    from .reading import Traffic

    url = chosen.traffic or os.environ.get(_VARIABLE)
    if not url:
        raise ConfigError(
            f"say which database: --traffic sqlite:///traffic.db, or set {_VARIABLE}"
        )
    return Traffic(url)


def _filters(chosen: argparse.Namespace) -> Filters:
    from .reading import Filters
    from .times import moment

    given = {
        name: getattr(chosen, name)
        for name in Filters.__dataclass_fields__
        if getattr(chosen, name) is not None
    }
    for name in ("since", "until"):
        if name in given:
            given[name] = moment(given[name], f"--{name}")
    return Filters(**given)


def _list(chosen: argparse.Namespace) -> int:
    filters = _filters(chosen)
    with _traffic(chosen) as traffic:
        for request in traffic.requests(filters, chosen.limit):
            if chosen.json:
                print(json.dumps(_as_json(request, texts=False)))
            else:
                print(_as_line(request))
    return DONE


def _as_line(request: Request) -> str:
    from .times import shown

    about = request.about
    found: dict[str, float] = {}
    for text in request.texts:
        for finding in text.findings:
            what = f"{finding.guard}: {finding.label}"
            found[what] = max(found.get(what, 0.0), finding.score)
    listed = "; ".join(f"{what} {score:.2f}" for what, score in found.items())
    return _plain(
        f"{about['key']}  {shown(about['time'])}  {about['outcome']:<8}  "
        f"{about['endpoint'] or '-'}  {about['seconds'] * 1000:.0f} ms"
        f"{f'  {listed}' if listed else ''}{_error(about)}"
    )


def _error(about: dict[str, Any]) -> str:
    return f"  error: {about['error']}" if about["error"] else ""


def _show(chosen: argparse.Namespace) -> int:
    from .times import shown

    with _traffic(chosen) as traffic:
        requests = traffic.show(chosen.request)
    for request in requests:
        if chosen.json:
            print(json.dumps(_as_json(request, texts=True)))
            continue
        for name, value in request.about.items():
            if value not in (None, ""):
                value = shown(value) if name == "time" else value
                print(_plain(f"{name:<18} {value}"))
        for text in request.texts:
            about = text.about
            print(
                _plain(
                    f"\n{about['direction']} {about['role']}: {about['action']}, "
                    f"{about['length']} characters, coverage {about['coverage']:.2f}, "
                    f"kept: {about['kept']}"
                )
            )
            for found in text.findings:
                print(
                    _plain(
                        f"  {found.guard}: {found.label} {found.score:.2f} "
                        f"at {found.start}..{found.end} ({found.action})"
                    )
                )
            if about["digest"]:
                print(f"  digest {about['digest']}")
            if text.text is not None:
                print("\n".join(f"  | {_plain(t)}" for t in text.text.split("\n")))
    return DONE


def _as_json(request: Request, *, texts: bool) -> dict[str, Any]:
    from dataclasses import asdict

    rows = []
    for text in request.texts:
        row: dict[str, Any] = {k: v for k, v in text.about.items() if k != "key"}
        row["findings"] = [asdict(found) for found in text.findings]
        rows.append(row | {"text": text.text} if texts else row)
    return request.about | {"texts": rows}


def _stats(chosen: argparse.Namespace) -> int:
    from .times import shown

    filters = _filters(chosen)
    with _traffic(chosen) as traffic:
        stats = traffic.stats(filters)
    if chosen.json:
        print(json.dumps(stats))
        return DONE
    span = ""
    if stats["requests"]:
        span = f", {shown(stats['first'])} to {shown(stats['last'])}"
    print(f"{stats['requests']:,} requests{span}")
    for what in ("outcomes", "texts"):
        counts = sorted(stats[what].items(), key=lambda item: -item[1])
        print(_plain(f"{what}: " + ", ".join(f"{name} {n:,}" for name, n in counts)))
    for what, name in (("seconds", "whole"), ("seconds_added", "checking")):
        told = (f"{q} {value * 1000:.1f} ms" for q, value in stats[what].items())
        print(f"{name}: " + ", ".join(told))
    for guard, label, action, count, score in stats["findings"]:
        told_ = f"{guard}: {label} ({action})  {count:,} times, at most {score:.2f}"
        print(_plain(told_))
    for model, currency, count, tokens_in, tokens_out, cost in stats["models"]:
        priced = "" if cost is None else f", {cost:.4f} {currency}"
        tokens = f"{tokens_in or 0:,} tokens in, {tokens_out or 0:,} out"
        name = model or "no model"
        print(_plain(f"{name}: {count:,} requests, {tokens}{priced}"))
    writers = stats["writers"]
    print(
        f"writers: {writers['writers']:,}, {writers['written']:,} records written, "
        f"{writers['dropped']:,} dropped, {writers['ended_without_closing']:,} "
        "ended without closing"
    )
    return DONE


def _export(chosen: argparse.Namespace) -> int:
    from .exporting import export, labelling
    from .outputs import check_outputs

    if chosen.config is not None and chosen.format != "label-studio":
        chosen.parser.error("--config goes with --format label-studio")
    check_outputs(
        {"--out": chosen.out, "--config": chosen.config},
        {"--traffic": chosen.traffic or os.environ.get(_VARIABLE)},
    )
    filters = _filters(chosen)
    labels: set[str] = set()
    with _traffic(chosen) as traffic:

        def texts() -> Any:
            for request, text in traffic.texts(filters, chosen.limit):
                labels.update(found.label for found in text.findings)
                yield request, text

        count = export(texts(), chosen.format, chosen.out)
    if chosen.config is not None:
        from pathlib import Path

        Path(chosen.config).write_text(labelling(labels), encoding="utf-8")
    _say(f"wrote {count:,} texts")
    return DONE


def _purge(chosen: argparse.Namespace) -> int:
    from .times import seconds

    before = time.time() - seconds(chosen.older_than, "--older-than")
    with _traffic(chosen) as traffic:
        count = traffic.purge(before)
    print(f"deleted {count:,} requests")
    return DONE


def _plain(text: str) -> str:
    """The text as a terminal may see it: nothing that moves the cursor."""
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1]
        for char in text
    )


def _say(message: str) -> None:
    if sys.stderr is not None:
        print(f"promptguard: {message}", file=sys.stderr)
