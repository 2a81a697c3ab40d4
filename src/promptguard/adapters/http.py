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
from functools import partial
from typing import Any, get_args

from ..arguments import SETTING_NAMES, read
from ..call import Admitted
from ..errors import ConfigError
from ..guarded import wrapper
from ..messages import Found
from ..shapes import copied
from .calls import ClientCall
from .closed import Shut, closed, refused
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
# Resources that open connections of their own, past every request: those that do
# nothing else, and those that have a method for it.
_SOCKETS = ("live", "realtime")
_CONNECTING = ("responses",)
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
    _close(twin, "", options)
    if hasattr(type(twin), "beta"):
        _close(twin.beta, "beta/", options)
    return twin


def _close(owner: Any, above: str, options: Options) -> None:
    """Refuse the connections that resources open themselves."""
    for name in (*_SOCKETS, *_CONNECTING):
        path = f"{above}{name}"
        if options.leaves_out(path) or not hasattr(type(owner), name):
            continue
        if name in _SOCKETS:
            setattr(owner, name, Shut(path))
        elif hasattr(resource := getattr(owner, name), "connect"):
            resource.connect = closed(f"{path}/connect")


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
        waits = inspect.iscoroutinefunction(send)
        one = HttpCall(
            afn if waits else fn,
            options.input,
            options.output if kind is not None else None,
            None,
            options.on_block,
            options.on_error,
            options.restore and kind is not None,
            (),
            streams=stream,
            waits=waits,
            whole=None if kind is None else partial(_said, cast, kind, body),
            teller=lambda: Told(kind or "", body, bits),
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
    raise refused(f"{method.upper()} {_shown(path)}", parts[0])


def _shown(path: str) -> str:
    """The path without what may be somebody's data."""
    return "/".join(p if p.replace("_", "").isalpha() else "*" for p in path.split("/"))


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
class HttpCall(ClientCall):
    """One request of a client."""

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """The texts of the request; one without a body has none."""
        return read((), kwargs, settings=SETTINGS) if kwargs else Found(())

    def finish(self, value: Any, go: Admitted) -> Any:
        if self.watches(go) and _is_raw(value):
            return _Raw(value, lambda **to: self.finish(value.parse(**to), go))
        return ClientCall.finish(self, value, go)

    async def afinish(self, value: Any, go: Admitted) -> Any:
        if not self.watches(go) or not _is_raw(value):
            return await ClientCall.afinish(self, value, go)
        if inspect.iscoroutinefunction(value.parse):

            async def parse(**to: Any) -> Any:
                return await self.afinish(await value.parse(**to), go)

            return _Raw(value, parse)
        # Parsed now: its parse() waits for nothing, and the guards may have to.
        answer = await self.afinish(value.parse(), go)
        return _Raw(value, lambda: answer)


def _said(cast: Any, kind: str, body: Mapping[str, Any], text: str) -> Any:
    return made(cast, whole(kind, body, text))


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
