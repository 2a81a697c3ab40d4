"""Real processes of the service on the loopback interface, and an upstream for them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ADDRESS = re.compile(r"running on http://[^:]+:(\d+)")
PATTERNS = """
[input.keywords]
words = ["heliotrope", "48201937465"]

[output.keywords]
words = ["sesame", "48201937466"]

[output.codes]
guard = "keywords"
words = ["vermilion"]
action = "redact"
"""


@dataclass
class Answered:
    """An answer over TCP, read with nothing but the standard library."""

    status: int
    headers: dict[str, str]
    data: bytes = field(repr=False)
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """The code of an error."""
        return self.json["error"]["code"]

    @property
    def events(self) -> list[Any]:
        """The data of server-sent events, but for the last word."""
        blocks = self.data.decode().strip().split("\n\n")
        said = [b.rpartition("data: ")[2] for b in blocks if "data: " in b]
        return [json.loads(data) for data in said if data != "[DONE]"]


class Service:
    """A process of ``promptguard serve``."""

    def __init__(
        self,
        folder: Path,
        policy: str | None,
        options: list[str],
        env: Any,
        *,
        by_name: bool = False,
    ) -> None:
        file = folder / "promptguard.toml"
        if policy is not None:
            file.write_text(policy)
        named = [] if by_name else ["--policy", str(file)]
        clean = {k: v for k, v in os.environ.items() if "PROMPTGUARD" not in k}
        command = [sys.executable, "-m", "promptguard", "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *named, *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=clean | env,
        )
        self.lines: list[str] = []
        self.port = 0
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(180), self.log
        assert self.port, self.log

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := ADDRESS.search(line):
                self.port = int(found[1])
                self._listening.set()
        self._listening.set()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answered:
        """One request on a connection of its own."""
        data = json.dumps(body).encode() if body is not None else raw
        given = {} if data is None else {"content-type": "application/json"}
        method = method or ("GET" if data is None else "POST")
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, data, given | (headers or {}))
            answer = connection.getresponse()
            read = answer.read()
        finally:
            connection.close()
        seconds = time.perf_counter() - begun
        known = {k.lower(): v for k, v in answer.getheaders()}
        return Answered(answer.status, known, read, seconds)

    def chat(self, text: str, **more: Any) -> Answered:
        messages = [{"role": "user", "content": text}]
        return self.send(
            "/v1/chat/completions", {"model": "m", "messages": messages, **more}
        )

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


class Upstream:
    """An endpoint that answers what a test says, to the last byte."""

    def __init__(self) -> None:
        self.answer: Callable[[str, Any], Any] = lambda path, body: {}
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.gone = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *arguments: Any) -> None:
                """Write nothing."""

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                body = json.loads(data) if data else None
                headers = {k.lower(): v for k, v in self.headers.items()}
                upstream.asked.append((self.path, body, headers))
                answer = upstream.answer(self.path, body)
                if isinstance(answer, Iterator):
                    self._stream(answer)
                    return
                status = 200
                if isinstance(answer, tuple):
                    status, answer = answer
                said = (
                    answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                )
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.send_header("set-cookie", "from=upstream")
                self.end_headers()
                self.wfile.write(said)

            def _stream(self, chunks: Iterator[Any]) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    for chunk in chunks:
                        if chunk is None:
                            self.close_connection = True
                            return
                        data = chunk if isinstance(chunk, str) else json.dumps(chunk)
                        event = f"data: {data}\n\n".encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    upstream.gone.set()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                upstream.gone.set()

        self._http = Server(("127.0.0.1", 0), Handler)
        poll = {"poll_interval": 0.02}
        threading.Thread(
            target=self._http.serve_forever, kwargs=poll, daemon=True
        ).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def completion(text: str | None = "Hello.", **message: Any) -> dict[str, Any]:
    """A chat completion."""
    said = {"role": "assistant", "content": text, "refusal": None, **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    frame = {"id": "chatcmpl-7", "object": "chat.completion", "created": 7}
    return {**frame, "model": "m", "choices": [choice], "usage": usage}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> Any:
    """A chunk of a streamed chat completion."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    frame = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 7}
    return {**frame, "model": "m", "choices": [{**choice, "logprobs": None}]}
