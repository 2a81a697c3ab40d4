"""The command ``promptguard play``."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

__all__ = ["add_commands"]

_PLAY = """\
Open a page in the browser to try texts against guards. This process serves it to this
machine alone; it loads nothing from outside, and what is typed is not kept or logged.

examples:
  promptguard play
  promptguard play --policy promptguard.toml     the guards of a policy
  promptguard play --port 8080 --no-browser      only print the address
"""

_CODES = """\
exit status:
  0  ended with Ctrl-C
  2  not started: the line on standard error says what to do
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    play: argparse.ArgumentParser = commands.add_parser(
        "play",
        help="try texts against guards on a page in the browser",
        description=_PLAY,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    play.set_defaults(run=_play, parser=play)
    play.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="where to listen on 127.0.0.1 (default: a free port)",
    )
    play.add_argument("--policy", metavar="FILE", help="try the guards of a policy")
    play.add_argument(
        "--no-browser", action="store_true", help="print the address, open nothing"
    )


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 65_536):
        raise argparse.ArgumentTypeError("must be a number from 1 to 65535")
    return int(value)


def _play(chosen: argparse.Namespace) -> NoReturn:
    import os
    import threading
    import webbrowser

    from .. import Policy
    from .server import Playground

    policy = None if chosen.policy is None else Policy.load(chosen.policy)
    with Playground(chosen.port, policy) as playground:
        try:
            print(f"Playground: {playground.url}", flush=True)
            print(_where(playground.asks), flush=True)
            threading.Thread(target=playground.warmup, daemon=True).start()
            if not chosen.no_browser:
                # A browser in the terminal does not return before the page is there.
                url = (playground.url,)
                threading.Thread(target=webbrowser.open, args=url, daemon=True).start()
            playground.serve_forever()
        except KeyboardInterrupt:
            print(flush=True)
    # A thread that is inside a model, to load it or for a check, cannot be ended with
    # the interpreter: the process would be aborted.
    os._exit(0)


def _where(asks: bool) -> str:
    if asks:
        return "Ctrl+C ends it. A judge that you choose sends the text to its LLM."
    return "Ctrl+C ends it. What you type stays on this machine."
