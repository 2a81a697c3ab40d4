"""What every request passes: its id, the key, the limits, and the record at the end."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..records import Record
from .bodies import dumped
from .errors import Refused, failed, stopped
from .limits import Keys, Rate, Retries, overloaded
from .proxy import ENDPOINTS
from .settings import Settings
from .visit import Visit

__all__ = ["Door", "Observer", "refusal_headers"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_log = logging.getLogger("promptguard.server")

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# No answer is for a cache, none is to be taken for a page, none goes into a frame.
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]


class Observer(Protocol):
    """Gets the record of every request."""

    def observe(self, record: Record) -> None:
        """Take a record, without waiting."""


class Door:
    """An ASGI application around the one that answers.

    Args:
        app: Answers what is let in.
        settings: Of the service.
        endpoints: The paths that are told apart in records.
        answer: Answers what is posted to the paths of the proxy, which have nothing
            to gain from what stands before other answers, and wait for it.
        observers: Who gets the records.
        texts: Somebody keeps what was said.
    """

    def __init__(
        self,
        app: Any,
        settings: Settings,
        endpoints: Iterable[str],
        answer: Callable[[Request, str], Awaitable[Response]],
        observers: tuple[Observer, ...],
        retries: Retries,
        texts: bool,
    ) -> None:
        self._app = app
        self._endpoints = frozenset(endpoints)
        self._proxied = answer
        self._observers = observers
        self._texts = texts
        self._most = settings.max_requests
        self._active = 0
        # A page in a browser could reach a port of this machine under another name.
        self._local = settings.local and not settings.keyed
        keys = tuple(key.get_secret_value() for key in settings.api_keys)
        self._keys = Keys(keys)
        self._rate = Rate(settings.rate, settings.burst)
        self._retries = retries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        visit = Visit(self._endpoint(path), self._texts)
        scope.setdefault("state", {})["visit"] = visit
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                visit.status = message["status"]
                own = [(b"x-request-id", visit.id.encode()), *_HEADERS]
                message["headers"] = [*message.get("headers", ()), *own]
            elif visit.first is None and message.get("body"):
                visit.first = visit.since
            await send(message)

        self._active += 1
        try:
            self._enter(scope, path, visit)
            if path in ENDPOINTS and scope["method"] == "POST":
                request = Request(scope, receive)
                answer = await self._proxied(request, path)
                await answer(scope, receive, sending)
            else:
                await self._app(scope, receive, sending)
        except Refused as refused:
            visit.error = refused.code
            if not started:
                await _answer(sending, refused)
        except ClientDisconnect:
            visit.error = "client_gone"
        except asyncio.CancelledError:
            # The service ends, and there is nothing around this to be told of it.
            end = stopped()
            visit.failed, visit.error = True, end.code
            if not started:
                await _answer(sending, end)
        except Exception as error:
            visit.failed, visit.error = True, "internal_error"
            # Its words may hold a part of a text.
            _log.error("%s in %s", type(error).__name__, _place(error))
            if not started:
                await _answer(sending, failed())
        finally:
            self._active -= 1
            if path.startswith("/v1/"):
                self._tell(visit)

    async def closed(self, seconds: float) -> None:
        """Wait until every request is in the records, for so long at most."""
        end = asyncio.get_running_loop().time() + seconds
        while self._active and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)

    def _enter(self, scope: Scope, path: str, visit: Visit) -> None:
        headers = {
            k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]
        }
        scope["state"]["headers"] = headers
        if self._local:
            name = urlsplit(f"//{headers.get('host', '')}").hostname
            if name not in _LOCAL_NAMES:
                raise Refused(403, "unknown_host", "This is not a name of this host.")
        if not path.startswith("/v1/"):
            return
        visit.traced(headers.get("traceparent", ""))
        if self._active > self._most:
            raise overloaded()
        visit.caller = self._keys.caller(_bearer(headers))
        client = scope.get("client")
        # Without keys it is the address that asks too often, and a record of it is
        # nobody's business.
        visit.client = visit.caller or (client[0] if client else "")
        self._rate.take(visit.client)
        self._retries.check(visit.caller)

    def _endpoint(self, path: str) -> str:
        if path in self._endpoints:
            return path
        if path.startswith("/v1/models/"):
            return "/v1/models/{model}"
        if path.startswith("/v1/conversations/"):
            return "/v1/conversations/{id}"
        return "other"

    def _tell(self, visit: Visit) -> None:
        record = visit.record()
        for observer in self._observers:
            try:
                observer.observe(record)
            except Exception as error:
                kind = type(observer).__name__
                _log.error("%s of the observer %s", type(error).__name__, kind)


async def _answer(send: Send, refused: Refused) -> None:
    body = dumped(refused.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((k.encode(), v.encode()) for k, v in refusal_headers(refused).items()),
    ]
    start = {"type": "http.response.start", "status": refused.status}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def refusal_headers(refused: Refused) -> dict[str, str]:
    """The headers of a refusal."""
    headers = {}
    if refused.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(refused.retry_after)))
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refused.status in (408, 413):
        # What is left of the body is not read.
        headers["connection"] = "close"
    return headers


def _bearer(headers: dict[str, str]) -> str | None:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" and key.strip() else None


def _place(error: BaseException) -> str:
    """Where an exception comes from, without its words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    code = trace.tb_frame.f_code
    return f"{code.co_name} ({code.co_filename}:{trace.tb_lineno})"
