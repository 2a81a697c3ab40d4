"""The commands ``python -m training continuous`` and ``rollback``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import Config
from ..errors import PipelineError
from ..files import alone, write_atomically
from ..publish import FILES
from ..registry import BACK_TAG, BEFORE_TAG, Registry, Version, tracking_uri

__all__ = ["add_commands"]

DONE, REFUSED, DUE, HELD = 0, 1, 3, 4

_TEXT = """\
Look for reasons to train again, and if there is one: train, hold the result against
the champion on public sets and on labelled traffic, and let it take over or refuse it.
The same command goes on where it was stopped.
"""
_EXAMPLES = """\
reasons:
  code         the code or the configuration is another one than the champion's
  data         the sources changed, or there are new labels of traffic
  degradation  `promptguard monitor --json` says fail, of traffic of this champion

examples:
  python -m training continuous training/configs/release.toml --dry-run --explain
  python -m training continuous training/configs/release.toml \\
      --traffic sqlite:///traffic.db --labels labels.jsonl --report report.json
  python -m training rollback training/configs/release.toml --why "blocks our own bot"

exit status:
  0  nothing to do, or the challenger has taken over
  1  refused: the champion stays; the release note says why. Or it does worse, and
     there is nothing new to learn from. The same once more is refused at once
  2  nothing was decided: the line on standard error says what to do
  3  with --dry-run: a training is due
  4  with --hold: the challenger may take over; the same command without it promotes
"""
_BACK = """\
Point the alias at the version before, and put its bundle into the release folder. What
was gone back from is not promoted again, unless `continuous --again` says so.
"""


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add ``continuous`` and ``rollback`` to the commands."""
    command = commands.add_parser(
        "continuous",
        help="train again where there is a reason to, and promote or refuse",
        description=_TEXT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=_continuous)
    _add_config(command)
    add = command.add_argument
    # What is empty is not given: so a workflow can have it in a variable.
    add("--traffic", metavar="URL", help="the database that a service keeps")
    add("--labels", metavar="FILE", help="what people said of it")
    add("--report", metavar="FILE", help="of promptguard monitor --json")
    add("--notes", metavar="FOLDER", help="release notes (default: build)")
    add("--hold", action="store_true", help="all but the promotion, for approval")
    add("--again", action="store_true", help="also what was refused or gone back from")
    add("--dry-run", action="store_true", help="decide, and change nothing")
    add(
        "--explain", action="store_true", help="tell all reasons, and what they rest on"
    )
    back = commands.add_parser(
        "rollback",
        help="go back to the champion before",
        description=_BACK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    back.set_defaults(run=_rollback)
    _add_config(back)
    back.add_argument("--to", metavar="VERSION", help="another one than the last")
    back.add_argument("--why", default="", help="stands on the version it leaves")
    back.add_argument("--dry-run", action="store_true", help="say what would be done")


def _add_config(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("config", type=Path, help="a TOML file, see configs/")
    add("--data", help="data folder, instead of data_root")
    add("--build", help="build folder, instead of build")
    add("--smoke", action="store_true", help="in small, on texts made here")


def _config(options: argparse.Namespace) -> Config:
    from ..__main__ import configured

    return configured(
        options.config, data=options.data, build=options.build, smoke=options.smoke
    )


def _continuous(options: argparse.Namespace) -> int:
    from . import running

    config = _config(options)
    given = running.Given(
        traffic=options.traffic or None,
        labels=_path(options.labels),
        report=_path(options.report),
        notes=_path(options.notes),
        again=options.again,
        hold=options.hold,
    )
    there = _there(config)
    registry = Registry(config.publish) if there or not options.dry_run else None
    decision = running.decide(config, given, registry)
    fired = [t.name for t in decision.state.triggers if t.fired]
    if options.explain:
        print(running.told(decision.state.triggers))
    if decision.resumed:
        print(f"run {decision.state.id} was not over, and goes on: {', '.join(fired)}")
    elif not fired:
        print("nothing to do: no reason to train again")
    elif decision.repeated:
        print(
            f"nothing to do: {', '.join(fired)}, but the same was refused before "
            f"(run {decision.state.id}); --again tries it once more"
        )
    else:
        print(f"training is due: {', '.join(fired)}")
    if decision.repeated:
        return REFUSED
    if options.dry_run or not decision.due:
        return DUE if decision.due else DONE
    assert registry is not None
    ended = running.go(config, given, registry, decision)
    print(f"{ended.outcome or 'held'}: {'; '.join(ended.why)}")
    if not ended.done:
        return HELD
    # What does worse and cannot be made better is for somebody to look at.
    worse = ended.outcome == "unchanged" and "degradation" in fired
    return REFUSED if worse or ended.outcome == "refused" else DONE


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _there(config: Config) -> bool:
    """False for a database in a file that is not there: to ask would make it."""
    uri = tracking_uri(config.publish)
    scheme = "sqlite:///"
    return not uri.startswith(scheme) or Path(uri.removeprefix(scheme)).exists()


def _rollback(options: argparse.Namespace) -> int:
    from .running import folder_of, take_out

    config = _config(options)
    if not _there(config):
        raise PipelineError(f"rollback: there is no {tracking_uri(config.publish)}")
    registry = Registry(config.publish)
    alias, name = config.publish.alias, config.publish.model
    with alone(folder_of(config)):
        current = registry.current()
        if current is None:
            raise PipelineError(f"rollback: {name} has no {alias} in {registry.shown}")
        to = _target(registry, current, options.to)
        if options.dry_run:
            print(f"{name}: {alias} would go back from {current.number} to {to.number}")
            return DONE
        # First what can fail; the alias is what others load.
        folder = take_out(registry, to, folder_of(config) / "champions")
        release = Path(config.release)
        release.mkdir(parents=True, exist_ok=True)
        for file in sorted(FILES, key=lambda file: file == "bundle.json"):
            write_atomically(release / file, (folder / file).read_bytes())
        registry.back(current, to, options.why)
    print(f"{name}: {alias} went back from {current.number} to {to.number}")
    return DONE


def _target(registry: Registry, current: Version, wanted: str | None) -> Version:
    if wanted is not None:
        found = registry.version(wanted)
        if found.number == current.number:
            raise PipelineError(f"rollback: version {wanted} is what is served now")
        return found
    number = current.tags.get(BEFORE_TAG)
    if number is None:
        raise PipelineError(
            f"rollback: version {current.number} does not say what was before it; "
            "name a version with --to"
        )
    found = registry.version(number)
    if BACK_TAG in found.tags:
        raise PipelineError(
            f"rollback: somebody went back from version {number} as well "
            f"({found.tags[BACK_TAG]}); name a version with --to"
        )
    return found
