"""Clients whose every request goes through a method ``request``: OpenAI and Anthropic.

Both are made by the same generator: all endpoints, and all helpers on top of them
(``parse``, ``stream``, ``with_raw_response``), end in ``client.request(cast_to,
options)``. The guards stand there, on a copy of the client, so an endpoint that nobody
thought of is refused rather than missed.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ..arguments import SETTING_NAMES, read
from ..call import Admitted, GuardedCall
from ..chunks import Chunks
from ..errors import Blocked, ConfigError
from ..guarded import wrapper
from ..messages import Found
from ..shapes import copied
from ..streams import AsyncGuardedStream, GuardedStream
from ..verdict import Verdict
from .endings import Told, made, whole
from .options import Options

__all__ = ["guard_http", "is_http"]

# What a request says about how to answer; everything else that is a string is read.
SETTINGS = SETTING_NAMES | frozenset(
    "background betas cache_control container context_management conversation "
    "diagnostics dimensions encoding_format id inference_geo mcp_servers moderation "
    "output_config output_format previous_response_id prompt_cache_options "
    "prompt_cache_retention speed store text thinking type user_profile_id version "
    "web_search_options".split()
)

# By method and path: the kind of answer, or None where it holds no text.
GUARDED: dict[tuple[str, str], str | None] = {
    ("post", "chat/completions"): "chat",
    ("post", "completions"): "completions",
    ("post", "embeddings"): None,
    ("post", "messages"): "messages",
    ("post", "messages/count_tokens"): None,
    ("post", "responses"): "responses",
    ("post", "responses/compact"): "responses",
    ("post", "responses/input_tokens"): None,
    ("post", "responses/*/cancel"): "responses",
    ("get", "responses/*"): "responses",
}
# These send no text of a user's, and their answers hold none of a model's.
PLAIN = frozenset({("get", "models"), ("get", "models/*"), ("delete", "")})
# Resources that open a connection of their own, past every request.
_SOCKETS = ("realtime", "responses", "beta.realtime", "beta.responses")
_BEFORE_PATH = re.compile(r"(?:[a-z]+://[^/]*)?/*(?:v\d+/)?")
# Of an answer that is not parsed yet, what says nothing of its text.
_ABOUT_ANSWER = frozenset(
    "close elapsed headers http_version is_closed method request_id retries_taken "
    "status_code url".split()
)


def is_http(client: Any) -> bool:
    """True for a client of that make."""
    made_so = all(
        callable(getattr(client, n, None)) for n in ("request", "post", "copy")
    )
    return made_so and (hasattr(client, "messages") or hasattr(client, "chat"))


def guard_http(client: Any, options: Options) -> Any:
    """A copy of the client whose requests are guarded."""
    twin = copy.copy(client)
    for name in list(vars(twin)):
        # Made anew, with the copy as their client.
        if isinstance(getattr(type(client), name, None), functools.cached_property):
            del vars(twin)[name]

    def derived(*args: Any, **kwargs: Any) -> Any:
        return guard_http(client.copy(*args, **kwargs), options)

    twin.request = _request(client.request, options)
    twin.copy = twin.with_options = derived
    for name in ("chat", "messages"):
        resource = getattr(twin, name, None)
        if resource is not None and getattr(resource, "_client", twin) is not twin:
            raise ConfigError(
                f"this {type(client).__name__} cannot be guarded: its endpoints are "
                "bound to it for good; use a release of the client that is supported"
            )
    for path in _SOCKETS:
        if not options.leaves_out(path.replace(".", "/")):
            _close(twin, path)
    return twin


def _close(twin: Any, path: str) -> None:
    """Refuse the resource's own connections."""
    resource = functools.reduce(
        lambda owner, name: getattr(owner, name, None), path.split("."), twin
    )
    if hasattr(resource, "connect"):

        def connect(*args: Any, **kwargs: Any) -> Any:
            raise _refused(f"{path.replace('.', '/')}/connect", path.replace(".", "/"))

        resource.connect = connect


def _request(send: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """The guarded form of a client's method ``request``."""

    def call(
        cast: Any, request: Any, stream: bool, streams: Any
    ) -> tuple[Callable[..., Any], Mapping[str, Any]] | None:
        guarded, kind = _endpoint(request, options)
        if not guarded:
            return None
        body = _body(request)

        def fn(**body: Any) -> Any:
            again = copied(request, {"json_data": body or None, "extra_json": None})
            return send(cast, again, stream=stream, stream_cls=streams)

        async def afn(**body: Any) -> Any:
            return await fn(**body)

        bits = next(iter(get_args(streams)), dict)
        one = HttpCall(
            afn if inspect.iscoroutinefunction(send) else fn,
            options.input,
            options.output if kind is not None else None,
            None,
            options.on_block,
            options.on_error,
            options.restore and kind is not None,
            (),
            kind=kind,
            body=body,
            cast=cast,
            bits=bits if stream else None,
            waits=inspect.iscoroutinefunction(send),
        )
        return wrapper(one), body

    def request(
        cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        made_call = call(cast_to, options, stream, stream_cls)
        if made_call is None:
            return send(cast_to, options, stream=stream, stream_cls=stream_cls)
        return made_call[0](**made_call[1])

    async def arequest(
        cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        made_call = call(cast_to, options, stream, stream_cls)
        if made_call is None:
            return await send(cast_to, options, stream=stream, stream_cls=stream_cls)
        return await made_call[0](**made_call[1])

    return arequest if inspect.iscoroutinefunction(send) else request


def _endpoint(request: Any, options: Options) -> tuple[bool, str | None]:
    """Whether the endpoint is guarded, and of what kind its answer is.

    Raises:
        ConfigError: It carries text, is not guarded, and was not named in unguarded.
    """
    path = _BEFORE_PATH.sub("", str(request.url).partition("?")[0], count=1).strip("/")
    method = str(request.method).lower()
    if options.leaves_out(path):
        return False, None
    parts = path.split("/")
    for known in (path, "/".join([*parts[:1], "*", *parts[2:]]), ""):
        if (method, known) in PLAIN:
            return False, None
        if (method, known) in GUARDED:
            return True, GUARDED[method, known]
    raise _refused(f"{method.upper()} {_shown(path)}", parts[0])


def _shown(path: str) -> str:
    """The path without what may be somebody's data."""
    return "/".join(p if p.replace("_", "").isalpha() else "*" for p in path.split("/"))


def _refused(endpoint: str, name: str) -> ConfigError:
    return ConfigError(
        f"{endpoint} carries text that no guard looks at. Call it on the client that "
        f"is not guarded, or say that you mean it: unguarded=({name!r},)"
    )


def _body(request: Any) -> dict[str, Any]:
    """What a request says, as it will be sent."""
    if getattr(request, "content", None) is not None or getattr(request, "files", None):
        raise ConfigError(
            "the request sends bytes or files where guards expect JSON, so its text "
            "cannot be checked"
        )
    body: dict[str, Any] = {}
    for given in (request.json_data, request.extra_json):
        if isinstance(given, Mapping):
            body.update(given)
        elif given is not None:
            raise ConfigError(
                f"the body of the request is a {type(given).__name__}, not a mapping, "
                "so its text cannot be checked"
            )
    return body


@dataclass(frozen=True, slots=True)
class HttpCall(GuardedCall):
    """One request of a client."""

    kind: str | None
    body: Mapping[str, Any]
    cast: Any
    bits: Any
    waits: bool

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """The texts of the request; one without a body has none."""
        return read((), kwargs, settings=SETTINGS) if self.body else Found(())

    def answer(self, verdict: Verdict) -> Any:
        return self._shaped(GuardedCall.answer(self, verdict), verdict)

    async def aanswer(self, verdict: Verdict) -> Any:
        return self._shaped(await GuardedCall.aanswer(self, verdict), verdict)

    def finish(self, value: Any, go: Admitted) -> Any:
        if not self.watches(go):
            return value
        if _is_raw(value):
            return _Raw(value, lambda **to: self.finish(value.parse(**to), go))
        if hasattr(value, "__next__"):
            return _Stream(value, self.chunks(go), self._ends(), self._told())
        if hasattr(value, "__anext__"):
            return _AsyncStream(value, self.chunks(go), self._aends(), self._told())
        return GuardedCall.finish(self, value, go)

    async def afinish(self, value: Any, go: Admitted) -> Any:
        if not self.watches(go) or not _is_raw(value):
            if hasattr(value, "__anext__"):
                return self.finish(value, go)
            return await GuardedCall.afinish(self, value, go)
        if inspect.iscoroutinefunction(value.parse):

            async def parse(**to: Any) -> Any:
                return await self.afinish(await value.parse(**to), go)

            return _Raw(value, parse)
        # Parsed now: its parse() waits for nothing, and the guards may have to.
        answer = await self.afinish(value.parse(), go)
        return _Raw(value, lambda: answer)

    def _ends(self) -> Callable[[Verdict], Any]:
        return lambda verdict: GuardedCall.answer(self, verdict)

    def _aends(self) -> Callable[[Verdict], Any]:
        async def answer(verdict: Verdict) -> Any:
            if callable(self.on_block):
                return await GuardedCall.aanswer(self, verdict)
            return GuardedCall.answer(self, verdict)

        return answer

    def _told(self) -> Told:
        return Told(self.kind or "", self.body, self.bits)

    def _shaped(self, answer: Any, verdict: Verdict) -> Any:
        """What ``on_block`` gave, in the shape that the caller waits for."""
        if not isinstance(answer, str):
            return answer
        if self.kind is None:
            # There is no saying a text with numbers.
            raise Blocked(verdict)
        if self.bits is None:
            return made(self.cast, whole(self.kind, self.body, answer))
        chunks = Chunks(None, self.on_error)
        if self.waits:
            return _AsyncStream(_Nothing(), chunks, _none, self._told(), answer)
        return _Stream(_Nothing(), chunks, _none, self._told(), answer)


class _Stream(GuardedStream):
    """A stream that ends the way its client expects."""

    def __init__(
        self, upstream: Any, chunks: Chunks, answer: Any, told: Told, says: str = ""
    ) -> None:
        super().__init__(upstream, chunks, answer)
        self._told = told
        self._ready.extend(told.ending(says) if says else ())

    def _ending(self, answer: Any) -> list[Any]:
        if isinstance(answer, str):
            return self._told.ending(answer)
        return super()._ending(answer)

    def __next__(self) -> Any:
        chunk = super().__next__()
        self._told.note(chunk)
        return chunk


class _AsyncStream(AsyncGuardedStream):
    """The same for ``async for``."""

    def __init__(
        self, upstream: Any, chunks: Chunks, answer: Any, told: Told, says: str = ""
    ) -> None:
        super().__init__(upstream, chunks, answer)
        self._told = told
        self._ready.extend(told.ending(says) if says else ())

    def _ending(self, answer: Any) -> list[Any]:
        if isinstance(answer, str):
            return self._told.ending(answer)
        return super()._ending(answer)

    async def __anext__(self) -> Any:
        chunk = await super().__anext__()
        self._told.note(chunk)
        return chunk


class _Nothing:
    """The upstream of a request that was never sent, and its response."""

    @property
    def response(self) -> _Nothing:
        return self

    def __next__(self) -> Any:
        raise StopIteration

    async def __anext__(self) -> Any:
        raise StopAsyncIteration

    def close(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def _none(verdict: Verdict) -> None:
    return None


def _is_raw(value: Any) -> bool:
    """True for an answer that is not parsed yet."""
    return hasattr(value, "parse") and hasattr(value, "http_request")


class _Raw:
    """An answer that is not parsed yet: its headers, and the guarded parse."""

    def __init__(self, answer: Any, parse: Callable[..., Any]) -> None:
        self._answer = answer
        self.parse = parse

    def __getattr__(self, name: str) -> Any:
        if name in _ABOUT_ANSWER:
            return getattr(self._answer, name)
        raise AttributeError(
            f"a guarded answer has no attribute {name!r}, which would give what no "
            "guard has seen; use parse()"
        )

    def __repr__(self) -> str:
        return f"<guarded {type(self._answer).__name__}>"
