"""A streamed answer on its way to the caller, and its end when the caller goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from starlette.responses import Response

from .. import ConfigError, PromptGuardError, capture
from ..adapters.served import Kind, Relay
from .bodies import dumped
from .errors import Refused, error_body, failed, stopped
from .visit import Visit

__all__ = ["EventStream", "Gone", "watched"]

# Seconds for which nobody looks whether a caller is still there.
UNWATCHED = 0.05
# Seconds for the last event of a stream that is cut off.
_LAST = 0.5

T = TypeVar("T")
Put = Callable[[bytes], Awaitable[None]]


class Gone(Exception):
    """The caller has closed the connection."""


async def watched(receive: Any, work: Coroutine[Any, Any, T]) -> T:
    """Do some work, and give it up when the caller goes.

    Raises:
        Gone: The caller went first.
    """
    watch = _Watch(receive, asyncio.current_task())
    # Most work is over before anybody could go, and to watch costs more than some of
    # what it would spare.
    begin = asyncio.get_running_loop().call_later(UNWATCHED, watch.begin)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.over():
            raise Gone from None
        raise
    finally:
        begin.cancel()
        watch.end()


class _Watch:
    """Cancels a task when the caller goes, and can tell that it was this."""

    def __init__(self, receive: Any, work: asyncio.Task[Any] | None) -> None:
        self._receive = receive
        self._work = work
        self._watching: asyncio.Task[None] | None = None
        self._gone = False

    def begin(self) -> None:
        """Wait for the caller to go."""
        self._watching = asyncio.ensure_future(self._wait())

    def over(self) -> bool:
        """True when the work was cancelled because the caller has gone."""
        # Whoever else has cancelled it as well is still to be heeded.
        return self._gone and self._work is not None and self._work.uncancel() == 0

    def end(self) -> None:
        """Wait no more."""
        if self._watching is not None:
            self._watching.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._work is not None:
            self._work.cancel()


class EventStream(Response):
    """Server-sent events that go through the guards.

    Args:
        kind: The shape of the chunks.
        events: The stream of the upstream, or chunks of our own.
        relay: What decides what may go; None where everything may.
        visit: The request.
        stack: Closes the upstream.
        headers: Of the upstream.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        kind: Kind,
        events: Any,
        relay: Relay | None,
        visit: Visit,
        stack: AsyncExitStack,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]
        self._kind = kind
        self._events = events
        self._relay = relay
        self._visit = visit
        self._stack = stack
        self._broken: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the events; the upstream is closed whatever happens."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})

        async def put(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            await watched(receive, self._run(put))
            await send({"type": "http.response.body", "body": b""})
        except Gone:
            self._visit.error = "client_gone"
        except asyncio.CancelledError:
            # The service ends. Events are written whole, so one more can follow, unless
            # the caller has stopped to read.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST):
                    await self._fail(stopped(), put)
                    await send({"type": "http.response.body", "body": b""})
        if self._broken is not None:
            # The caller knows that it failed; where, the door says in the log.
            raise self._broken

    async def _run(self, put: Put) -> None:
        visit, relay = self._visit, self._relay
        failure: Refused | None = None
        with capture() as verdicts:
            try:
                await self._relayed(put)
            except Refused as refused:
                failure = refused
            except ConfigError:
                message = "No guard can read what the upstream sent."
                failure = Refused(502, "upstream_unreadable", message)
            except PromptGuardError:
                message = "A guard failed, and nothing more was let through."
                failure = Refused(500, "guard_failed", message)
            except Exception as error:
                failure, self._broken = failed(), error
            finally:
                if relay is not None:
                    relay.leave()
                await self._stack.aclose()
                visit.checked(verdicts, "output", ("assistant",) * len(verdicts))
        if failure is not None:
            await self._fail(failure, put)
        elif self._kind != "responses":
            await put(b"data: [DONE]\n\n")

    async def _fail(self, failure: Refused, put: Put) -> None:
        self._visit.error, self._visit.failed = failure.code, True
        await put(self._failure(failure))

    async def _relayed(self, put: Put) -> None:
        visit, relay = self._visit, self._relay
        async for event, raw in self._events:
            visit.counted(event)
            if event.get("error") and event.get("type", "error") == "error":
                raise Refused(502, "upstream_error", "The upstream failed.")
            if relay is None:
                await put(raw)
                continue
            begun = time.perf_counter()
            out = await relay.feed(event)
            visit.output += time.perf_counter() - begun
            for chunk in out:
                await put(raw if chunk is event else self._encoded(chunk))
            if relay.over:
                return
        if relay is not None:
            for chunk in await relay.end():
                await put(self._encoded(chunk))

    def _encoded(self, chunk: Any) -> bytes:
        head = b""
        if self._kind == "responses":
            head = f"event: {chunk['type']}\n".encode()
        return head + b"data: " + dumped(chunk) + b"\n\n"

    def _failure(self, refused: Refused) -> bytes:
        body = error_body(refused.status, refused.code, refused.message)
        if self._kind == "responses":
            about = {"code": refused.code, "message": refused.message, "param": None}
            body = {"type": "error", **about, **body}
            return b"event: error\ndata: " + dumped(body) + b"\n\n"
        return b"data: " + dumped(body) + b"\n\n"
