"""A chat server on the loopback interface that says what a test tells it to.

It speaks enough of the OpenAI protocol for the real client: chat completions with and
without streaming, tool calls, several choices, the list of models, errors on demand.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError

__all__ = ["ChatServer", "Reply", "Request", "ToolCall"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call the scripted model makes.

    Args:
        name: The function's name.
        arguments: Its arguments, as the JSON text that goes over the wire.
        id: The call's id.
    """

    name: str
    arguments: str = field(default="{}", repr=False)
    id: str = "call_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer.

    Args:
        content: The text, or None as in an answer that only calls tools.
        refusal: The text of a refusal.
        reasoning: Sent as ``reasoning_content``.
        tool_calls: The tools to call.
        size: Characters in each streamed piece, of text and arguments alike.
        finish_reason: By default ``stop``, or ``tool_calls``.
        logprobs: What the choices hold as ``logprobs`` where they are asked for.
        status: Answer with this HTTP status and an error body instead.
        error: What the error body says beside its message: ``code``, ``param``.
        retry_after: Seconds to put into the ``retry-after`` header.
        drop_after: Break the connection after this many streamed chunks; 0 sends
            nothing at all.
        cut: Break the connection after so many bytes of an answer not streamed.
        delay: Seconds to wait before every chunk, or before the whole answer.
    """

    content: str | None = field(default=None, repr=False)
    refusal: str | None = field(default=None, repr=False)
    reasoning: str | None = field(default=None, repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    size: int = 3
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = field(default=None, repr=False)
    status: int = 200
    error: dict[str, str] | None = field(default=None, repr=False)
    retry_after: float | None = None
    drop_after: int | None = None
    cut: int | None = None
    delay: float = 0.0


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
        if self.path != "/v1/chat/completions":
            self._error(404, "unknown path")
        elif not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            self._error(400, "the body must be an object with a list of messages")
        else:
            request.completed = self._chat(body, self.server.owner.reply(body))

    def _record(self, body: dict[str, Any]) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.server.owner.requests.append(request)
        return request

    def _chat(self, body: dict[str, Any], reply: Reply) -> bool:
        """Answer, and say whether the answer went out to its end."""
        if reply.status != 200:
            said = {"message": "scripted error", **(reply.error or {})}
            self._error(reply.status, said, reply.retry_after)
        elif body.get("stream"):
            return self._stream(body, reply)
        elif reply.drop_after is not None:
            self.close_connection = True
            return False
        else:
            self._wait(reply.delay)
            self._json(200, _completion(body, reply), cut=reply.cut)
        return reply.cut is None

    def _stream(self, body: dict[str, Any], reply: Reply) -> bool:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for count, chunk in enumerate(_chunks(body, reply)):
            if count == reply.drop_after:
                self.close_connection = True
                return False
            self._wait(reply.delay)
            self._event(json.dumps(chunk))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        return True

    def _event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
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


def _envelope(body: dict[str, Any], kind: str) -> dict[str, Any]:
    model = body.get("model", "test-model")
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": model}


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.content,
        "refusal": reply.refusal,
    }
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in reply.tool_calls
        ]
    logprobs = None
    if body.get("logprobs"):
        logprobs = reply.logprobs or _logprobs(reply.content or "")
    choices = [
        {
            "index": index,
            "message": message,
            "finish_reason": _finish(reply),
            "logprobs": logprobs,
        }
        for index in range(body.get("n") or 1)
    ]
    envelope = _envelope(body, "chat.completion")
    return {**envelope, "choices": choices, "usage": _usage()}


def _chunks(body: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer; several choices take turns."""
    envelope = _envelope(body, "chat.completion.chunk")
    usage = (body.get("stream_options") or {}).get("include_usage")
    if usage:
        envelope["usage"] = None
    choices = range(body.get("n") or 1)
    finish = _finish(reply)
    for delta in [*_deltas(reply), None]:
        for index in choices:
            choice = {"index": index, "delta": delta or {}, "logprobs": None}
            if delta and delta.get("content") and body.get("logprobs"):
                choice["logprobs"] = _logprobs(delta["content"])
            choice["finish_reason"] = None if delta else finish
            yield {**envelope, "choices": [choice]}
    if usage:
        yield {**envelope, "choices": [], "usage": _usage()}


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if reply.content is not None else None}
    for name in ("reasoning", "content", "refusal"):
        key = "reasoning_content" if name == "reasoning" else name
        for piece in _pieces(getattr(reply, name) or "", reply.size):
            yield {key: piece}
    for index, call in enumerate(reply.tool_calls):
        function = {"name": call.name, "arguments": ""}
        head = {"id": call.id, "type": "function", "function": function}
        yield {"tool_calls": [{"index": index, **head}]}
        for piece in _pieces(call.arguments, reply.size):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _logprobs(text: str) -> dict[str, Any]:
    token = {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}
    return {"content": [token], "refusal": None}


def _usage() -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
