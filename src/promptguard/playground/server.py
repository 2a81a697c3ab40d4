"""The server of the page: on the loopback interface, for whoever knows its token.

Three things keep other pages and other machines out: it listens on 127.0.0.1 alone;
it answers only to requests that name this host, so that a foreign name that was made
to point here (DNS rebinding) gets nothing; and every path begins with a random token.
It writes no log and keeps no text.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from .. import ConfigError, Policy, PromptGuardError
from .looking import ROLES, choices, look

__all__ = ["LONGEST", "Playground"]

LONGEST = 200_000
"""Characters of a text that is looked at."""

# A character takes up to 12 bytes in JSON: two escapes of a character beyond the
# first 65,536.
_LARGEST = 12 * LONGEST + 10_000
# What is longer is read to this point, because a browser that is cut off while it
# sends never sees the answer.
_DRAINED = 64 * 2**20
_PIECE = 2**16

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
_ASSETS = {
    "": ("index.html", "text/html; charset=utf-8"),
    "app.js": ("app.js", "text/javascript; charset=utf-8"),
    "marks.js": ("marks.js", "text/javascript; charset=utf-8"),
    "style.css": ("style.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Playground(ThreadingHTTPServer):
    """The page and what it asks for.

    Args:
        port: Where to listen; 0 takes a free port.
        policy: Whose guards are offered; None offers all that need no argument.

    Raises:
        ConfigError: The port cannot be had.
    """

    daemon_threads = True
    # A connection that a browser keeps alive would hold server_close() up.
    block_on_close = False

    def __init__(self, port: int = 0, policy: Policy | None = None) -> None:
        self.policy = policy
        self.token = secrets.token_urlsafe(24)
        self.choices = {role: choices(policy, role) for role in ROLES}
        # One text at a time: two would only take each other's cores.
        self.busy = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError):
            raise ConfigError(
                f"port {port} cannot be had; name another with --port, or leave it out "
                "for a free one"
            ) from None

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    @property
    def asks(self) -> bool:
        """True when one of the guards would send a text to an LLM."""
        return any(c.asks for offered in self.choices.values() for c in offered)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a browser goes away."""

    def warmup(self) -> None:
        """Load what the first check would load; what fails is said by the check."""
        for choice in self.choices["user"]:
            if choice.on:
                try:
                    choice.guard.warmup()
                except PromptGuardError:
                    continue

    def about(self) -> dict[str, Any]:
        """What the page is told when it opens."""
        try:
            installed = version("promptguard-llm")
        except PackageNotFoundError:  # run from its source, installed nowhere
            installed = ""
        return {
            "version": installed,
            "policy": "" if self.policy is None else self.policy.source,
            "longest": LONGEST,
            "roles": {
                role: [choice.described() for choice in offered]
                for role, offered in self.choices.items()
            },
        }

    def check(self, asked: Any) -> dict[str, Any]:
        """What the chosen guards make of a text.

        Raises:
            ConfigError: What was asked makes no sense; the message says why.
        """
        if not isinstance(asked, dict):
            raise ConfigError("the request must be a JSON object")
        text, role, names = (asked.get(key) for key in ("text", "role", "guards"))
        if not isinstance(text, str) or not text:
            raise ConfigError("There is no text yet: type one, or take an example.")
        if len(text) > LONGEST:
            raise ConfigError(too_long(len(text)))
        if not isinstance(role, str) or role not in self.choices:
            raise ConfigError(f"the role must be one of {', '.join(ROLES)}")
        if not isinstance(names, list):
            raise ConfigError("guards must be a list of names")
        guards = [c.guard for c in self.choices[role] if c.guard.name in names]
        if not guards:
            raise ConfigError("No guard is chosen: choose at least one.")
        with self.busy:
            return look(guards, text, role)


def too_long(length: int | None = None) -> str:
    """What is said of a text that is too long."""
    has = "This text is too long" if length is None else f"This text has {length:,}"
    characters = "" if length is None else " characters"
    return (
        f"{has}{characters}; the playground reads up to {LONGEST:,}. For longer ones: "
        "promptguard check - < file"
    )


class _Handler(BaseHTTPRequestHandler):
    server: Playground
    protocol_version = "HTTP/1.1"
    server_version = "promptguard"
    sys_version = ""
    # A client that says nothing is not waited for.
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: an address holds the token."""

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path == "about":
            self._json(HTTPStatus.OK, self.server.about())
        elif path in _ASSETS:
            name, kind = _ASSETS[path]
            self._send(HTTPStatus.OK, _asset(name), kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def do_POST(self) -> None:
        length = self._length()
        path = self._path()
        if path is None:
            return
        if path != "check":
            self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
        elif self.headers.get_content_type() != "application/json":
            # A form of another page cannot send this type without being asked first.
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json.")
        elif length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Say how long the request is.")
        elif length > _LARGEST:
            self._drain(length)
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_long())
        else:
            self._check(self.rfile.read(length))

    def _check(self, body: bytes) -> None:
        try:
            answer = self.server.check(json.loads(body))
        except (ValueError, RecursionError):
            self._json(HTTPStatus.BAD_REQUEST, {"error": "the request is not JSON"})
        except PromptGuardError as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except Exception as error:
            # Its message may hold the text.
            said = f"Something broke: {type(error).__name__}. Nothing was decided."
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": said})
        else:
            self._json(HTTPStatus.OK, answer)

    def _path(self) -> str | None:
        """The path behind the token; None when the request has been refused."""
        host = self.headers.get("host", "")
        origin = self.headers.get("origin")
        if not _HOST.fullmatch(host) or origin not in (None, f"http://{host}"):
            self._refuse(HTTPStatus.FORBIDDEN, "This page is for this machine alone.")
            return None
        path = self.path.partition("?")[0]
        _, token, *rest = [*path.split("/", 2), ""][:3]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(
                HTTPStatus.FORBIDDEN,
                "This address is of another run. Open the one that promptguard play "
                "has printed last.",
            )
            return None
        return "".join(rest)

    def _length(self) -> int | None:
        said = self.headers.get("content-length", "")
        return int(said) if said.isascii() and said.isdecimal() else None

    def _drain(self, length: int) -> None:
        left = min(length, _DRAINED)
        while left > 0 and (piece := self.rfile.read(min(_PIECE, left))):
            left -= len(piece)

    def _refuse(self, status: HTTPStatus, said: str) -> None:
        # A body that was not read would be taken for the next request.
        self.close_connection = True
        self._json(status, {"error": said})

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: HTTPStatus, data: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _asset(name: str) -> bytes:
    return files(__package__).joinpath("assets", name).read_bytes()
