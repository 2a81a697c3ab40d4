"""The upstream of a first try: a scripted model that says again what it was told."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ..testing.replies import Reply
from ..testing.wire import wire_of
from .bodies import dumped
from .errors import Refused
from .upstream import Answer, Events

__all__ = ["MODEL", "Echo"]

MODEL = "echo"
# Characters in each piece of a stream.
SIZE = 12


class Echo:
    """Answers every request with the last text of its user. No key, no network."""

    async def ask(self, method: str, path: str, body: Any, key: str | None) -> Answer:
        """A whole answer."""
        if path.startswith("/v1/models"):
            value: dict[str, Any] = {
                "id": MODEL,
                "object": "model",
                "created": 0,
                "owned_by": "promptguard",
            }
            if path == "/v1/models":
                value = {"object": "list", "data": [value]}
            elif path != f"/v1/models/{MODEL}":
                raise Refused(404, "model_not_found", "There is no such model.")
            return Answer(value, dumped(value))
        wire = _wire(path, body)
        answer = wire.whole(body, _reply(body))
        value = _named(answer, _usage(body, answer), _id(path), int(time.time()))
        return Answer(value, dumped(value))

    @asynccontextmanager
    async def stream(
        self, path: str, body: Any, key: str | None
    ) -> AsyncIterator[Events]:
        """A stream."""
        yield _EchoEvents(path, body)

    async def close(self) -> None:
        """It holds nothing."""


class _EchoEvents:
    def __init__(self, path: str, body: Any) -> None:
        self.headers: Mapping[str, str] = {}
        self._path = path
        self._body = body
        self._wire = _wire(path, body)

    async def __aiter__(self) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        name, now = _id(self._path), int(time.time())
        for chunk in self._wire.chunks(self._body, _reply(self._body)):
            value = _named(chunk, None, name, now)
            if isinstance(value.get("response"), dict):
                value["response"] = _named(value["response"], None, name, now)
            head = f"event: {value['type']}\n".encode() if self._wire.named else b""
            yield value, head + b"data: " + dumped(value) + b"\n\n"


def _wire(path: str, body: Any) -> Any:
    wire = wire_of(path)
    if wire is None or not wire.accepts(body):
        raise Refused(400, "invalid_request", "The body lacks what the endpoint needs.")
    return wire


def _id(path: str) -> str:
    kinds = {
        "/v1/chat/completions": "chatcmpl-",
        "/v1/completions": "cmpl-",
        "/v1/responses": "resp_",
    }
    return kinds.get(path, "") + uuid.uuid4().hex


def _named(
    answer: dict[str, Any], usage: dict[str, Any] | None, name: str, now: int
) -> dict[str, Any]:
    """The answer with an id and a time of its own."""
    made = dict(answer)
    if "id" in made:
        made["id"] = name
    for key in ("created", "created_at"):
        if key in made:
            made[key] = now
    if usage is not None and "usage" in made:
        made["usage"] = {**made["usage"], **usage}
    return made


def _reply(body: Mapping[str, Any]) -> Reply:
    return Reply(content=f"You said: {_said(body)}", size=SIZE)


def _said(body: Mapping[str, Any]) -> str:
    """The last text of the user, or what a tool gave after it."""
    for name in ("messages", "input", "prompt"):
        given = body.get(name)
        if isinstance(given, str):
            return given
        for item in reversed(given if isinstance(given, list) else []):
            if isinstance(item, str):
                return item
            if isinstance(item, dict) and item.get("role") in ("user", "tool"):
                return _text(item.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _usage(body: Any, answer: dict[str, Any]) -> dict[str, int]:
    """Tokens, of four characters each."""
    given = len(json.dumps(body)) // 4 + 1
    gave = (len(_said(body)) + len("You said: ")) // 4 + 1
    usage = answer.get("usage") or {}
    sizes = {"prompt_tokens": given, "input_tokens": given}
    sizes |= {"completion_tokens": gave, "output_tokens": gave}
    sizes["total_tokens"] = given + (gave if len(usage) > 2 else 0)
    return {name: size for name, size in sizes.items() if name in usage}
