"""A chat server on the loopback interface that says what a test tells it to.

It speaks enough of the protocols of OpenAI (chat completions, completions, responses,
embeddings, models), Anthropic (messages) and Google (generateContent) for the real
clients: with and without streaming, tool calls, several choices, errors on demand.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError
from .replies import Reply, ToolCall
from .wire import Wire, wire_of

__all__ = ["ChatServer", "Reply", "Request", "ToolCall"]

# One stored response; what belongs to it, such as its items, is not answered.
_STORED = re.compile(r"/v1/responses/[^/?]+(?:\?.*)?")


@dataclass(slots=True)
class Request:
    """A request the server got; ``completed`` once its answer was sent to the end."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    completed: bool = False


Script = str | Reply | Sequence[str | Reply] | Callable[[dict[str, Any]], "str | Reply"]


class ChatServer:
    """A chat server with scripted answers, for ``with ChatServer("Hello") as server:``.

    Args:
        script: What to answer. A string or Reply is the answer to every request, a
            sequence holds one answer for each request (then errors with status 500),
            a function gets the request's body.
        models: Names that ``GET /v1/models`` lists.
    """

    def __init__(
        self, script: Script = "Hello.", *, models: Sequence[str] = ("test-model",)
    ) -> None:
        self.models = tuple(models)
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._script = script
        self._next = itertools.count()
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """What to pass to a client as ``base_url``."""
        if self._http is None:
            raise ConfigError("the server is not running; use it in a with statement")
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def reply(self, body: dict[str, Any]) -> Reply:
        """The scripted answer to a request."""
        script: Any = self._script
        if callable(script):
            script = script(body)
        elif isinstance(script, Sequence) and not isinstance(script, str):
            turn = next(self._next)
            if turn >= len(script):
                return Reply(status=500)
            script = script[turn]
        return script if isinstance(script, Reply) else Reply(content=script)

    def __enter__(self) -> Self:
        self._http = _Server(self)
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="promptguard-test-server",
            daemon=True,
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None and self._thread is not None:
            self.closing.set()
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
            self._http = self._thread = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A connection kept alive by a client would otherwise hold server_close() up.
    block_on_close = False

    def __init__(self, owner: ChatServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client goes away; a test asserts on what it sees."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Streamed pieces are small: without this each waits for the one before it.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to stderr."""

    def do_GET(self) -> None:
        request = self._record({})
        if self.path == "/v1/models":
            models = self.server.owner.models
            rows = [
                {"id": name, "object": "model", "created": 0, "owned_by": "test"}
                for name in models
            ]
            self._json(200, {"object": "list", "data": rows})
        elif _STORED.fullmatch(self.path) and (wire := wire_of("/v1/responses")):
            self._json(200, wire.whole({}, self.server.owner.reply({})))
        else:
            self._error(404, "unknown path")
        request.completed = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        request = self._record(body if isinstance(body, dict) else {})
        wire = wire_of(self.path)
        if wire is None:
            self._error(404, "unknown path")
        elif not isinstance(body, dict) or not wire.accepts(body):
            self._error(400, f"the body must be an object with {wire.needs}")
        else:
            reply = self.server.owner.reply(body)
            request.completed = self._answer(wire, body, reply)

    def _record(self, body: dict[str, Any]) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.server.owner.requests.append(request)
        return request

    def _answer(self, wire: Wire, body: dict[str, Any], reply: Reply) -> bool:
        """Answer, and say whether the answer went out to its end."""
        if reply.status != 200:
            said = {"message": "scripted error", **(reply.error or {})}
            self._error(reply.status, said, reply.retry_after)
        elif wire.streams(self.path, body):
            return self._stream(wire, body, reply)
        elif reply.drop_after is not None:
            self.close_connection = True
            return False
        else:
            self._wait(reply.delay)
            self._json(200, wire.whole(body, reply), cut=reply.cut)
        return reply.cut is None

    def _stream(self, wire: Wire, body: dict[str, Any], reply: Reply) -> bool:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for count, chunk in enumerate(wire.chunks(body, reply)):
            if count == reply.drop_after:
                self.close_connection = True
                return False
            self._wait(reply.delay)
            self._event(json.dumps(chunk), chunk["type"] if wire.named else "")
        if wire.done:
            self._event(wire.done)
        self.wfile.write(b"0\r\n\r\n")
        return True

    def _event(self, data: str, name: str = "") -> None:
        head = f"event: {name}\n" if name else ""
        event = f"{head}data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _wait(self, seconds: float) -> None:
        if seconds and self.server.owner.closing.wait(seconds):
            raise ConnectionAbortedError("the server is closing")

    def _error(
        self,
        status: int,
        said: str | dict[str, str],
        retry_after: float | None = None,
    ) -> None:
        told = {"message": said} if isinstance(said, str) else said
        error = {"type": "error", "param": None, "code": None, **told}
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self._json(status, {"error": error}, headers)

    def _json(
        self,
        status: int,
        value: object,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:cut])
        self.close_connection = self.close_connection or cut is not None
