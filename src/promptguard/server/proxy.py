"""The endpoints of OpenAI that carry text, each with the guards around it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Request
from starlette.responses import Response

from .. import (
    Blocked,
    ConfigError,
    PromptGuardError,
    Verdict,
    capture,
)
from ..adapters.served import Admitted, Ended, Kind, ServedCall, models, serve
from .bodies import LARGE, aparsed, dumped, read
from .errors import Refused, blocked, unreadable
from .limits import Places, Retries
from .reloading import Held
from .settings import Settings
from .streaming import EventStream, Gone, watched
from .upstream import Answer, Upstream
from .visit import Visit

__all__ = ["ENDPOINTS", "Proxy"]

ENDPOINTS: dict[str, Kind | None] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": None,
}
"""By path the shape of the answer; None where it holds no text."""

# Lists that must not be empty, and of what.
_ASKED = {
    "/v1/chat/completions": ("messages", "message"),
    "/v1/completions": ("prompt", "text"),
    "/v1/embeddings": ("input", "text"),
}
# Of stream_options.
_SWITCHES = ("include_usage", "include_obfuscation")


class Proxy:
    """Answers what an OpenAI-compatible endpoint answers.

    Args:
        settings: Of the service.
        held: What is checked, and what happens then.
        upstream: Who is asked.
        places: How many requests are checked at a time.
        retries: Who tries again what was blocked.
    """

    def __init__(
        self,
        settings: Settings,
        held: Held,
        upstream: Upstream,
        places: Places,
        retries: Retries,
    ) -> None:
        self._settings = settings
        self._held = held
        self._upstream = upstream
        self._places = places
        self._retries = retries
        # With keys of its own, the service does not hand on those of its callers.
        self._hands_on = not settings.keyed and settings.upstream_key is None

    async def models(self, request: Request, path: str) -> Response:
        """The models of the upstream, or one of them."""
        visit: Visit = request.state.visit
        answer = await self._ask(visit, "GET", path, None, self._key(request))
        value = models(answer.value)
        raw = answer.raw if value is answer.value else dumped(value)
        return _whole(raw, answer.headers)

    async def body(self, request: Request) -> dict[str, Any]:
        """The object that a request sends."""
        settings = self._settings
        data = await read(
            request.stream(),
            request.state.headers,
            settings.max_body,
            settings.body_seconds,
        )
        request.state.large = len(data) >= LARGE
        return await aparsed(data, settings.max_depth)

    async def answer(self, request: Request, path: str) -> Response:
        """An answer of the upstream to a request that may go, as it may come back."""
        body = await self.body(request)
        visit: Visit = request.state.visit
        visit.asked(body)
        kind = ENDPOINTS[path]
        _see_the_shape(path, body)
        if visit.stream and kind is None:
            message = "There is no stream of this."
            raise Refused(400, "invalid_request", message, param="stream")
        key = self._key(request)
        large = request.state.large
        work = self._answered(visit, path, kind, body, key, large)
        try:
            return await watched(request.receive, work)
        except Gone:
            visit.error = "client_gone"
            return Response(status_code=499)

    async def _answered(
        self,
        visit: Visit,
        path: str,
        kind: Kind | None,
        body: dict[str, Any],
        key: str | None,
        large: bool,
    ) -> Response:
        async def again(body: Mapping[str, Any]) -> dict[str, Any]:
            return (await self._ask(visit, "POST", path, body, key)).value

        settings = self._settings
        try:
            call = serve(
                self._held.policy,
                kind,
                body,
                again,
                new=settings.history == "new",
                media=settings.media,
                logprobs=settings.logprobs,
                most=settings.max_texts,
                largest=settings.max_characters,
                large=large,
            )
        except ConfigError as error:
            raise unreadable(error) from None
        go = await self._admitted(visit, call, body)
        if go.over:
            return self._instead(visit, kind, go.answer)
        if kind is not None and call.streams:
            return await self._streamed(visit, call, kind, path, go, key)
        answer = await self._ask(visit, "POST", path, dict(go.kwargs), key)
        visit.counted(answer.value)
        begun = time.perf_counter()
        with capture() as verdicts:
            try:
                value = await call.deliver(answer.value, go)
            except ConfigError:
                message = "No guard can read what the upstream sent."
                raise Refused(502, "upstream_unreadable", message) from None
            except PromptGuardError:
                raise _broken() from None
            finally:
                visit.output += time.perf_counter() - begun
                visit.checked(verdicts, "output", ("assistant",) * len(verdicts))
        raw = answer.raw if value is answer.value else dumped(value)
        return _whole(raw, answer.headers)

    async def _admitted(
        self, visit: Visit, call: ServedCall, body: dict[str, Any]
    ) -> Admitted:
        """What came of checking a request."""
        async with self._places.place():
            begun = time.perf_counter()
            with capture() as verdicts:
                try:
                    go = await call.admit(body)
                except Blocked as error:
                    self._note(visit, error.verdict)
                    raise blocked(error) from None
                except ConfigError as error:
                    raise unreadable(error) from None
                except PromptGuardError:
                    raise _broken() from None
                finally:
                    visit.input += time.perf_counter() - begun
                    roles = [p.role for found in call.read for p in found.parts]
                    visit.checked(verdicts, "input", roles)
        if go.over:
            for verdict in verdicts:
                if verdict.blocked:
                    self._note(visit, verdict)
        return go

    def _note(self, visit: Visit, verdict: Verdict) -> None:
        visit.retries = self._retries.blocked(visit.client, verdict.original)

    def _instead(self, visit: Visit, kind: Kind | None, answer: Any) -> Response:
        """The policy's own words in place of an answer."""
        if not isinstance(answer, Ended):
            return _whole(dumped(answer), {})
        assert kind is not None
        events = _Own(answer.chunks, kind)
        return EventStream(kind, events, None, visit, AsyncExitStack(), {})

    async def _streamed(
        self,
        visit: Visit,
        call: ServedCall,
        kind: Kind,
        path: str,
        go: Admitted,
        key: str | None,
    ) -> Response:
        begun = time.perf_counter()
        stack = AsyncExitStack()
        try:
            opened = self._upstream.stream(path, dict(go.kwargs), key)
            events = await stack.enter_async_context(opened)
            visit.upstream_status = 200
        except Refused as refused:
            visit.upstream_status = refused.upstream
            raise
        finally:
            visit.upstream += time.perf_counter() - begun
        headers = events.headers
        return EventStream(kind, events, call.relay(go), visit, stack, headers)

    async def _ask(
        self, visit: Visit, method: str, path: str, body: Any, key: str | None
    ) -> Answer:
        begun = time.perf_counter()
        try:
            answer = await self._upstream.ask(method, path, body, key)
            visit.upstream_status = 200
            return answer
        except Refused as refused:
            visit.upstream_status = refused.upstream
            raise
        finally:
            visit.upstream += time.perf_counter() - begun

    def _key(self, request: Request) -> str | None:
        if not self._hands_on:
            return None
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" and key.isascii() else None


def _see_the_shape(path: str, body: Mapping[str, Any]) -> None:
    """See that what decides on the answer is as the API has it.

    Raises:
        Refused: It is not, and an upstream would refuse it as well.
    """
    name, thing = _ASKED.get(path, ("", ""))
    if name and body.get(name) == []:
        message = f"{name} must have at least one {thing}."
        raise Refused(400, "empty_array", message, param=name)
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        message = "stream_options must be an object."
        raise Refused(400, "invalid_request", message, param="stream_options")
    switches = {"stream": body.get("stream")}
    for key in _SWITCHES:
        switches[f"stream_options.{key}"] = (options or {}).get(key)
    for name, value in switches.items():
        if value is not None and type(value) is not bool:
            message = f"{name} must be true or false."
            raise Refused(400, "invalid_request", message, param=name)


class _Own:
    """Chunks of our own, as if an upstream had sent them."""

    def __init__(self, chunks: tuple[Any, ...], kind: Kind) -> None:
        self._chunks = chunks
        self._named = kind == "responses"

    async def __aiter__(self) -> Any:
        for chunk in self._chunks:
            head = f"event: {chunk['type']}\n".encode() if self._named else b""
            yield chunk, head + b"data: " + dumped(chunk) + b"\n\n"


def _whole(data: bytes, headers: Mapping[str, str]) -> Response:
    return Response(data, headers=dict(headers), media_type="application/json")


def _broken() -> Refused:
    message = "A guard failed, and nothing was let through."
    return Refused(500, "guard_failed", message)
