"""Clients of google-genai: the methods that end in a request for content.

``generate_content`` calls functions of the caller by itself and sends their results on,
so the guards stand below it, at the method that makes one request.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

from ..answers import parsed_again
from ..call import Admitted, Checks, GuardedCall
from ..errors import ConfigError
from ..guarded import around
from ..items import Part, item_parts
from ..messages import Found, unknown_shape
from ..shapes import copied, get, is_model, is_sequence
from .calls import ClientCall
from .closed import Closed, closed
from .options import Options

__all__ = ["guard_google", "is_google"]

# Each makes one request; the public methods are made of these.
_REQUESTS = ("_generate_content", "_generate_content_stream")
_COUNTS = ("embed_content", "count_tokens", "compute_tokens")
_OPEN = frozenset({"generate_content", "generate_content_stream", "get", "list"})
_PLAIN = frozenset({"close", "aclose", "vertexai"})


def is_google(client: Any) -> bool:
    """True for a client of google-genai."""
    models = getattr(client, "models", None)
    return hasattr(models, "generate_content") and hasattr(client, "aio")


def guard_google(client: Any, options: Options) -> Any:
    """The client with its models, chats and async twin guarded."""
    return _side(client, options, {"aio": _side(client.aio, options, {})})


def _side(client: Any, options: Options, given: Mapping[str, Any]) -> Any:
    models = _models(client.models, options)
    chats = getattr(client, "chats", None)
    if chats is not None:
        given = {**given, "chats": type(chats)(modules=models)}
    return _Client(client, {**given, "models": models}, _PLAIN, options)


class _Client(Closed):
    """A client, which may be a context."""

    def __enter__(self) -> _Client:
        self._target.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._target.__exit__(*error)

    async def __aenter__(self) -> _Client:
        await self._target.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._target.__aexit__(*error)


def _models(models: Any, options: Options) -> Any:
    """A copy of the resource whose requests are guarded and whose rest is closed."""
    twin = copy.copy(models)
    for name in _REQUESTS:
        fn = getattr(models, name, None)
        if not callable(fn):
            raise ConfigError(
                f"this {type(models).__name__} cannot be guarded: it has no {name}; "
                "use a release of google-genai that is supported"
            )
        setattr(twin, name, _guarded(fn, options))
    for name in dir(type(models)):
        path = f"models/{name}"
        if name.startswith("_") or name in _OPEN or options.leaves_out(path):
            continue
        if name in _COUNTS:
            setattr(twin, name, _guarded(getattr(models, name), options, says=False))
        elif callable(getattr(type(models), name)):
            setattr(twin, name, closed(path))
    return twin


def _guarded(fn: Any, options: Options, says: bool = True) -> Any:
    cast = _class_of(fn) if says else None
    teller = functools.partial(_Teller, cast)
    call = GoogleCall(
        fn,
        options.input,
        options.output if says else None,
        None,
        options.on_block,
        options.on_error,
        options.restore and says,
        (),
        streams=fn.__name__.endswith("_stream"),
        waits=inspect.iscoroutinefunction(fn),
        dry_run=options.dry_run,
        budget=options.budget,
        whole=functools.partial(_said, cast) if says else None,
        teller=teller,
    )
    return around(call)


def _class_of(fn: Any) -> Any:
    """The class of what a method answers with."""

    def classes(hint: Any) -> list[Any]:
        if hasattr(hint, "model_validate"):
            return [hint]
        return [found for inner in get_args(hint) for found in classes(inner)]

    return next(iter(classes(get_type_hints(fn).get("return"))), None)


def _said(cast: Any, text: str) -> Any:
    content = {"role": "model", "parts": [{"text": text}]}
    said = {"candidates": [{"content": content, "finish_reason": "STOP"}]}
    return said if cast is None else cast.model_validate(said)


class _Teller:
    """Ends a stream with one more chunk."""

    def __init__(self, cast: Any) -> None:
        self._cast = cast

    def note(self, chunk: Any) -> None:
        """Every chunk stands by itself."""

    def ending(self, text: str) -> list[Any]:
        """The chunk that says the text."""
        return [_said(self._cast, text)]


@dataclass(frozen=True, slots=True)
class GoogleCall(ClientCall):
    """One request for content."""

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """The new texts of ``contents``; the instructions in ``config`` are trusted."""
        contents = kwargs.get("contents")
        parts = _contents(contents, (1, "contents"))
        if not parts:
            raise ConfigError(
                "found no text to check in the contents; pass a str, parts or contents"
            )
        return Found(tuple(parts))

    def answered(self, value: Any) -> Found:
        if get(get(value, "sdk_http_response"), "body"):
            raise ConfigError(
                "should_return_http_response hands out the answer as no guard has seen "
                "it; leave it out"
            )
        return GuardedCall.answered(self, value)

    def after(self, value: Any, go: Admitted) -> Checks[Any]:
        """Check an answer; what was parsed from it is parsed again."""
        answer = yield from GuardedCall.after(self, value, go)
        parsed = get(answer, "parsed")
        if answer is not value and parsed is not None:
            answer = copied(answer, {"parsed": parsed_again(parsed, answer.text)})
        return answer


def _contents(contents: Any, path: tuple[str | int, ...]) -> list[Part]:
    if not is_sequence(contents):
        return _content(contents, path)
    last = -1
    for index, item in enumerate(contents):
        follows = index + 1 < len(contents)
        if get(item, "role") == "model" and follows:
            last = index
    found: list[Part] = []
    for index in range(last + 1, len(contents)):
        found += _content(contents[index], (*path, index))
    return found


def _content(item: Any, path: tuple[str | int, ...]) -> list[Part]:
    if is_sequence(item):
        return [p for i, v in enumerate(item) for p in _content(v, (*path, i))]
    role = "assistant" if get(item, "role") == "model" else "user"
    if isinstance(item, str):
        return [Part(path, item, role)]
    if not is_model(item):
        raise unknown_shape("contents", "an item", item, "a str, a Part or a Content")
    parts, unseen = item_parts(item, path, role)
    if not unseen:
        return parts
    if not parts:
        return [Part(path, "", role, 0.0, "fixed")]
    share = len(parts) / (len(parts) + unseen)
    return [replace(part, coverage=share) for part in parts]
