"""The command ``python -m training traffic``."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PipelineError
from .plan import OWN, Plan, Pool

if TYPE_CHECKING:
    from .truth import Quality

__all__ = ["add_commands"]

_TEXT = """\
Send requests to a running service, with drift in a share of them, and say what is true
of each: to see whether monitoring notices.

A run that was stopped goes on with the same command; what was sent is not sent twice.
"""
_EXAMPLES = """\
kinds of drift:
  vocabulary    words of other trades in place of the texts' own
  language      texts in --language
  obfuscation   texts in disguises: look-alikes, codes, gaps
  family        attacks of --family, and of the others none before

examples:
  promptguard serve --capture sqlite:///traffic.db --capture-texts whole
  python -m training traffic --url http://127.0.0.1:8080 --sent sent.jsonl
  python -m training traffic --url http://127.0.0.1:8080 --sent drifted.jsonl \\
      --drift language --language fr --share 0.5 --seed 2 \\
      --traffic sqlite:///traffic.db --labels labels.jsonl --label-quality 0.9
  python -m training traffic --demo --build build/traffic-demo
      a service, traffic without and with drift, labels, and the report
"""


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add ``traffic`` to the commands."""
    command = commands.add_parser(
        "traffic",
        help="send requests with drift to a running service, and label them",
        description=_TEXT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_traffic)
    where = command.add_argument_group("where").add_argument
    where("--url", help="of the service, such as http://127.0.0.1:8080")
    where("--protocol", choices=("openai", "guard"), default="openai")
    where("--model", default="echo", help="that is asked for (default: echo)")
    where("--key-variable", metavar="NAME", help="of the environment, with its key")
    where("--rate", type=float, default=20.0, help="requests a second (default: 20)")
    where("--workers", type=int, default=8, help="under way at a time (default: 8)")
    where("--sent", type=Path, metavar="FILE", help="notes of what was sent")
    add_plan(command)
    labels = command.add_argument_group("labels").add_argument
    labels("--traffic", metavar="URL", help="the database that the service keeps")
    labels("--labels", type=Path, metavar="FILE", help="labels to write")
    labels("--label-quality", type=float, default=1.0, metavar="P", help="right ones")
    labels("--label-share", type=float, default=1.0, metavar="P", help="labelled ones")
    labels("--annotators", default="truth", help="names, with commas between them")
    demo = command.add_argument_group("all of it at once").add_argument
    demo("--demo", action="store_true", help="service, traffic, labels and report")
    demo("--build", type=Path, default=Path("build/traffic-demo"), help="its folder")


def add_plan(command: argparse.ArgumentParser) -> None:
    """Add what says which requests are sent."""
    default = Plan()
    what = command.add_argument_group("what").add_argument
    what(
        "--data",
        type=Path,
        action="append",
        metavar="PATH",
        help="JSON lines with text and label, or a folder of them; again for more "
        "(default: our own rows)",
    )
    what("--requests", type=int, default=default.requests, help="how many (500)")
    what("--seed", type=int, default=default.seed)
    what("--drift", choices=("vocabulary", "language", "obfuscation", "family"))
    what("--share", type=float, default=default.share, help="with drift (0.5)")
    what("--attacks", type=float, default=default.attacks, help="share (0.1)")
    what("--synthetic", type=float, default=default.synthetic, help="share (0.2)")
    what("--base", default="en", help="languages without drift; empty: all (en)")
    what("--language", default=default.language, help="that drift brings (de)")
    what("--family", default=default.family, help="that drift brings (prompt_leak)")
    what("--longest", type=int, default=default.longest, help="characters (2000)")
    what("--roles", default="user", help="user, tool (default: user)")


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the command line states."""
    return Plan(
        requests=options.requests,
        seed=options.seed,
        drift=options.drift or "",
        share=options.share,
        attacks=options.attacks,
        synthetic=options.synthetic,
        base=names(options.base),
        language=options.language,
        family=options.family,
        longest=options.longest,
        roles=names(options.roles),
    )


def names(given: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _traffic(options: argparse.Namespace) -> int:
    pool = Pool(options.data or OWN)
    plan = plan_of(options)
    from .sending import Service, send
    from .truth import Quality, fill

    quality = Quality(
        quality=options.label_quality,
        share=options.label_share,
        annotators=names(options.annotators),
        seed=options.seed,
    )
    if options.demo:
        return _demo(options, plan, pool, quality)
    if not options.url or not options.sent:
        raise PipelineError(
            "traffic: say where, with --url and --sent, or --demo for all of it"
        )
    if (options.labels is None) != (options.traffic is None):
        raise PipelineError("traffic: --labels goes with --traffic")
    key = os.environ.get(options.key_variable or "", "")
    if options.key_variable and not key:
        raise PipelineError(f"traffic: {options.key_variable} is not set")
    service = Service(
        url=options.url, key=key, model=options.model, protocol=options.protocol
    )
    sent = send(
        plan, pool, service, options.sent, rate=options.rate, workers=options.workers
    )
    statuses = Counter(s.status for s in sent)
    drifted = sum(bool(s.drift) for s in sent)
    attacks = sum(any(s.truth.values()) for s in sent)
    print(
        f"{len(sent):,} requests, {drifted:,} with drift, {attacks:,} attacks; "
        "answers: "
        + ", ".join(f"{status} {n:,} times" for status, n in sorted(statuses.items()))
    )
    if options.labels is not None:
        filled = fill(sent, options.traffic, options.labels, quality)
        print(
            f"{filled.labels:,} labels of {filled.requests:,} requests in "
            f"{options.labels}"
        )
        if filled.missing:
            raise PipelineError(
                f"traffic: {filled.missing:,} requests are not in the traffic; is it "
                "the database of this service? What it dropped, `promptguard traffic "
                "stats` counts"
            )
    return 0


def _demo(options: argparse.Namespace, plan: Plan, pool: Pool, quality: Quality) -> int:
    from .demo import Demo, show

    demo = Demo(plan=plan, quality=quality, rate=options.rate, workers=options.workers)
    shown = show(demo, pool, options.build)
    drifted = sum(bool(sent.drift) for sent in shown.sent)
    print(
        f"{len(shown.sent):,} requests, {drifted:,} of them with drift of "
        f"{plan.drift or 'no kind'}: {shown.verdict}\n{shown.summary}\n"
        f"{options.build / 'report.html'}"
    )
    return 0
