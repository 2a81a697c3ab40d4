"""The command ``promptguard serve``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["add_commands", "application"]

# Where processes count together, as prometheus-client has it.
_COUNTS = "PROMETHEUS_MULTIPROC_DIR"

_SERVE = """\
Serve an OpenAI-compatible endpoint with guards around it, and the guards themselves.

Clients need to change their base_url and nothing else. Without --upstream a scripted
model answers that says again what it was told, so that the guards can be seen at work.

examples:
  promptguard serve
  promptguard serve --policy promptguard.toml --upstream https://api.openai.com/v1
  PROMPTGUARD_API_KEYS=... promptguard serve --host 0.0.0.0 --workers 2

SIGHUP has it read the policy and its models anew, without dropping a request. It is
the file of the start that is read; when that is gone, what was in force stays.

Keys are read from the environment or from files, never from the command line:
  PROMPTGUARD_API_KEYS      keys that callers need, with commas between them
  PROMPTGUARD_UPSTREAM_KEY  the key for the upstream
Without either, the key of the caller is handed on to the upstream. Every option, and a
few more settings, can be given by a variable: --max-body by PROMPTGUARD_MAX_BODY.
"""

_CODES = """\
exit status:
  0  stopped by a signal, after the requests at hand were answered
  2  not started: the line on standard error says what to do
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``serve`` to the command line."""
    serve: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="a guarded OpenAI-compatible endpoint",
        description=_SERVE,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    serve.set_defaults(run=_serve, parser=serve)
    add = serve.add_argument
    add(
        "--policy",
        metavar="FILE",
        help="the policy (default: found by name, once, at the start)",
    )
    add(
        "--route",
        metavar="NAME",
        help="the route of the policy to follow (default: none)",
    )
    add("--upstream", metavar="URL", help="an address up to /v1 (default: echo)")
    add("--host", help="where to listen (default: 127.0.0.1)")
    add("--port", type=int, help="0 takes any that is free (default: 8080)")
    add("--workers", type=int, metavar="N", help="processes (default: 1)")
    add(
        "--api-keys-file",
        metavar="FILE",
        help="keys that callers need, one a line (default: of the environment)",
    )
    add(
        "--open",
        action="store_true",
        default=None,
        help="listen beyond this machine without API keys (default: refuse to)",
    )
    add(
        "--trust",
        metavar="ROLES",
        help="whose words learned guards do not judge; none for nobody's (default: "
        "system,developer)",
    )
    add(
        "--history",
        choices=("all", "new"),
        help="look at all messages, or at those after the last answer (default: all)",
    )
    add(
        "--rate",
        type=float,
        metavar="N",
        help="requests a second for each key (default: no limit)",
    )
    add(
        "--max-body",
        type=int,
        metavar="BYTES",
        help="of a request (default: 8388608)",
    )
    add(
        "--max-characters",
        type=int,
        metavar="N",
        help="of all texts of a request (default: 200000)",
    )
    add(
        "--queue",
        type=int,
        metavar="N",
        help="requests that may wait for a check (default: 64)",
    )
    add(
        "--upstream-seconds",
        type=float,
        metavar="S",
        help="for the upstream (default: 120)",
    )
    add(
        "--drain-seconds",
        type=int,
        metavar="S",
        help="for requests at hand at the end (default: 30)",
    )
    add(
        "--watch",
        type=float,
        metavar="S",
        help="look every S seconds whether the policy or a model it names has changed, "
        "and reload (default: never)",
    )
    add(
        "--capture",
        metavar="URL",
        help="keep requests: sqlite:///traffic.db (default: nothing is kept)",
    )
    add(
        "--capture-texts",
        choices=("redacted", "hashed", "whole", "none"),
        help="what is kept of texts (default: redacted)",
    )
    add(
        "--retention",
        metavar="TIME",
        help="how long requests are kept by --capture (default: 30d)",
    )
    add("--prices", metavar="FILE", help="what models cost (default: unknown)")
    add(
        "--otel",
        action="store_true",
        default=None,
        help="trace with OpenTelemetry (default: no)",
    )
    add(
        "--no-docs",
        dest="docs",
        action="store_false",
        default=None,
        help="no /docs and no /openapi.json (default: both are there)",
    )


def _serve(chosen: argparse.Namespace) -> int:
    from .. import MissingExtra

    try:
        import fastapi  # noqa: F401
        import httpx2  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtra(error.name or "uvicorn", "server") from None
    from .app import create_app
    from .policies import BUILT_IN, DRY_RUN, load, settled
    from .protocol import Patient
    from .reloading import Held
    from .settings import Settings
    from .wiring import wired

    names = set(Settings.model_fields)
    given = {k: v for k, v in vars(chosen).items() if k in names}
    if given["trust"] is not None:
        roles = given["trust"].split(",") if given["trust"] != "none" else []
        given["trust"] = tuple(role.strip() for role in roles)
    # Workers that start later are told the file, and look for none.
    settings = settled(Settings.of(given))
    # Before anything listens, so that what is wrong is told in one line each.
    held = Held(lambda: load(settings))
    _ignore_hangups()
    held.load()
    _say(f"policy: {held.policy.source or BUILT_IN}")
    _say(f"upstream: {settings.upstream}")
    if held.policy.source in ("", BUILT_IN):
        _say(
            "`promptguard policy init` writes a policy to start from, which is looked "
            "for at the next start"
        )
    if held.policy.dry_run:
        _say(DRY_RUN)
    _show_lines()
    _see_that_it_is_free(settings.host, settings.port)
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "http": Patient,
        "ws": "none",
        # Lines of requests may hold what somebody wrote.
        "access_log": False,
        "server_header": False,
        "log_level": "info",
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": settings.drain_seconds,
        "limit_concurrency": 2 * settings.max_requests + 100,
        "proxy_headers": False,
    }
    Patient.SECONDS = settings.header_seconds
    # uvicorn answers what is at hand, and then hands the signal on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if settings.workers == 1:
        uvicorn.run(create_app(settings, policy=held, hangup=True), **options)
        return 0
    _say("conversations of /v1/redact are known to one of the workers each")
    if settings.rate is not None or settings.keyed:
        number = settings.workers
        _say(f"each of the {number} workers counts for itself what a caller asks for")
    os.environ.update(settings.as_environment())
    # The workers load it themselves.
    del held
    # Each would end of what is wrong with them, and be started anew without end.
    wired(settings.model_copy(update={"metrics": False})).close()
    from .workers import run

    with _counted_together():
        run(f"{__name__}:application", settings.workers, options)
    return 0


@contextmanager
def _counted_together() -> Iterator[None]:
    """Have all workers show what all of them counted, whichever is asked."""
    if os.environ.get(_COUNTS):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="promptguard-metrics-") as folder:
        os.environ[_COUNTS] = folder
        yield


def application() -> Any:
    """The application of a worker, which reloads at SIGHUP."""
    from .app import create_app
    from .protocol import Patient
    from .settings import Settings

    _show_lines()
    settings = Settings.of({})
    Patient.SECONDS = settings.header_seconds
    return create_app(settings, hangup=True)


def _show_lines() -> None:
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("promptguard.server").setLevel(logging.INFO)


def _ignore_hangups() -> None:
    """A reload that comes too early must not end a service that is about to start."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _see_that_it_is_free(host: str, port: int) -> None:
    """Tell in one line that somebody else listens there."""
    from .. import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another "
                "with --host and --port"
            ) from None


def _say(message: str) -> None:
    print(f"promptguard: {message}", file=sys.stderr, flush=True)
