"""The commands ``promptguard policy check``, ``schema`` and ``init``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from .building import Entry, Made
    from .files import Source

__all__ = ["add_commands"]

RIGHT, WRONG, ERROR, WARNED = 0, 1, 2, 3

_POLICY = """\
Policies say in a file what is checked and what happens then.

examples:
  promptguard policy init                     write promptguard.toml to start from
  promptguard policy check                    what it does, and what is wrong with it
  promptguard policy schema > policy.json     for completion in an editor
"""

_CHECK = """\
Read a policy, make its guards, and tell what will run and what will not.

Without FILE it is the one that PROMPTGUARD_POLICY names, or promptguard.toml in the
working directory or above it. Models are loaded and tried; no LLM is called.

examples:
  promptguard policy check
  promptguard policy check --strict deploy/promptguard.toml     in CI
  promptguard policy check --route support
"""

_CODES = """\
exit status:
  0  the policy is right
  1  something is wrong with it: each line on standard error is one thing
  2  nothing was checked: the line on standard error says what to do
  3  it is right and there are warnings, with --strict
"""

_SCHEMA = """\
Print the JSON Schema of policy files, with the guards of installed packages.

In TOML, editors with Taplo read it from a first line such as
  #:schema ./promptguard.schema.json
and in JSON from the key "$schema".
"""

_INIT = """\
Write a policy to start from, with a comment on everything it can say.

A file that is there already is left alone.
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``policy`` and its commands to the command line."""
    policy = _command(commands, "policy", "check a policy file, or start one", _POLICY)
    policy.set_defaults(run=_help, parser=policy)
    below = policy.add_subparsers(metavar="COMMAND", parser_class=type(policy))
    check = _command(below, "check", "tell what a policy does", _CHECK, _CODES)
    check.set_defaults(run=_check, parser=check)
    check.add_argument("file", nargs="?", metavar="FILE", help="the policy")
    check.add_argument("--route", metavar="NAME", help="tell what this route does")
    check.add_argument(
        "--strict", action="store_true", help="exit with 3 where there are warnings"
    )
    schema = _command(below, "schema", "print the JSON Schema of policies", _SCHEMA)
    schema.set_defaults(run=_schema, parser=schema)
    init = _command(below, "init", "write a policy to start from", _INIT)
    init.set_defaults(run=_init, parser=init)
    init.add_argument(
        "file",
        nargs="?",
        default="promptguard.toml",
        metavar="FILE",
        help="where (default: promptguard.toml)",
    )


def _command(
    commands: argparse._SubParsersAction[Any],
    name: str,
    what: str,
    text: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=text,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return command


def _help(chosen: argparse.Namespace) -> int:
    chosen.parser.error("name one of its commands: check, schema, init")
    return ERROR


def _init(chosen: argparse.Namespace) -> int:
    from importlib.resources import files
    from pathlib import Path

    from ..errors import ConfigError

    path = Path(chosen.file)
    if path.suffix.lower() != ".toml":
        raise ConfigError(f"{path}: what is written is TOML; name a file with .toml")
    text = files("promptguard").joinpath("data", "policy.toml").read_text("utf-8")
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} is there already, and was left as it is") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    print(f"wrote {path}; see what it does: promptguard policy check {path}")
    return RIGHT


def _schema(chosen: argparse.Namespace) -> int:
    from .schema import schema

    made, missing = schema()
    for why in missing:
        print(f"promptguard: left out: {why}", file=sys.stderr)
    print(json.dumps(made, indent=2, ensure_ascii=False))
    return RIGHT


def _check(chosen: argparse.Namespace) -> int:
    from pathlib import Path

    from ..errors import unknown
    from . import Policy
    from .building import made
    from .files import read

    path: Path = Policy.find() if chosen.file is None else Path(chosen.file)
    source = read(path)
    done = made(source, keys=False)
    wrongs = [*done.wrongs] or _tried(done)
    if wrongs:
        for line in source.told(wrongs):
            print(line, file=sys.stderr)
        return WRONG
    routes = [name for name in done.entries if name]
    if chosen.route is not None and chosen.route not in routes:
        raise unknown("route", chosen.route, routes)
    return _report(source, done, chosen.route or "", chosen.strict)


def _report(source: Source, done: Made, route: str, strict: bool) -> int:
    from .telling import told, warnings

    assert done.policy is not None
    policy = done.policy.route(route) if route else done.policy
    print(f"{source.name} is right.")
    for line in told(policy, done.entries[route]):
        print(line)
    if not route and policy.routes:
        names = ", ".join(name for name, _ in policy.routes)
        print(f"\nroutes: {names} (tell one with --route NAME)")
    found = warnings(source, done)
    if found:
        print("\nwarnings")
    for line in source.told(found):
        print(f"  {line}")
    return WARNED if found and strict else RIGHT


def _tried(done: Made) -> list[Any]:
    """What shows only when a guard is used: a model, a rate, an extra."""
    from ..errors import PromptGuardError
    from .files import Wrong

    wrongs: list[Wrong] = []
    tried: set[Any] = set()
    for entries in done.entries.values():
        for entry in entries:
            if entry.guard is None or entry.path in tried:
                continue
            tried.add(entry.path)
            try:
                _try(entry)
            except PromptGuardError as error:
                wrongs.append(Wrong(str(error), entry.path))
    return wrongs


def _try(entry: Entry) -> None:
    assert entry.guard is not None
    roles = [role for role in ("user", "tool", "assistant") if role in entry.roles]
    entry.guard.only(*(roles or entry.roles or ("user",))).warmup()
