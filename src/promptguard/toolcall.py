"""Where the texts of a tool's arguments, of its result and of its errors are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .call import Admitted, GuardedCall
from .drivers import is_async
from .errors import ConfigError, PromptGuardError
from .items import (
    DEEPEST,
    UNSEEN_KINDS,
    Part,
    item_parts,
    known_kind,
    says,
    too_deep,
)
from .messages import TEXT_PARTS, Found, has_role, message_parts
from .shapes import Path, get, is_model, is_sequence

__all__ = ["ToolCall", "caught"]

# What frameworks hand to a tool beside what the model wrote.
CONTEXT_NAMES = frozenset(
    "callbacks cls config context ctx run_context run_manager runtime self".split()
)
# What marks the result of an MCP tool beside its content.
_MCP = ("isError", "is_error", "structuredContent", "structured_content")


@dataclass(frozen=True, slots=True)
class ToolCall(GuardedCall):
    """A guarded tool.

    Args:
        json: The position of an argument that holds all of them as JSON text.
    """

    json: int | None = None

    def found(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Found:
        """Every string of the arguments; there may be none."""
        last = len(self.names) - 1
        given: list[tuple[Path, str, Any]] = []
        for index, value in enumerate(args):
            name = self.names[min(index, last)] if self.names else ""
            given.append(((0, index), name, value))
        given += [((1, name), name, value) for name, value in kwargs.items()]
        parts: list[Part] = []
        for path, name, value in given:
            if path == (0, self.json) and isinstance(value, str):
                parts.append(Part(path, value, "assistant", form="json"))
            elif name not in CONTEXT_NAMES and _is_data(value):
                parts += item_parts(value, path, "assistant", data=True)[0]
            elif name not in CONTEXT_NAMES and (said := says(value)):
                # A path or an address, which a framework made of a string.
                parts.append(Part(path, said, "assistant", form="fixed"))
        return Found(tuple(parts))

    def answered(self, value: Any) -> Found:
        """Every string of a result, or of an error.

        Raises:
            ConfigError: There is something and none of it can be read, unless
                ``on_error`` says to go on.
        """
        if isinstance(value, Failed):
            return Found((Part((), _told(value.error), "tool", form="fixed"),))
        parts: list[Part] = []
        pictures, unread = _result(value, (), parts)
        if parts or not pictures + unread:
            share = len(parts) / max(1, len(parts) + pictures + unread)
            return Found(tuple(replace(p, coverage=share) for p in parts))
        if unread and self.on_error == "block":
            raise ConfigError(
                f"a guarded tool gave a {type(value).__name__} that no guard can read; "
                'return text or data, or pass on_error="allow" to hand it on unread'
            )
        return Found((Part((), "", "tool", 0.0, "fixed"),))

    def worded(self, words: str, value: Any) -> Any:
        return words

    def finish(self, value: Any, go: Admitted) -> Any:
        """Look at a result."""
        _no_stream(value)
        return _raised(GuardedCall.finish(self, value, go))

    async def afinish(self, value: Any, go: Admitted) -> Any:
        """Look at what an async tool gave."""
        _no_stream(value)
        return _raised(await GuardedCall.afinish(self, value, go))


def _no_stream(value: Any) -> None:
    if hasattr(value, "__next__") or hasattr(value, "__anext__"):
        raise ConfigError(
            "a guarded tool returned a stream, which is checked as a whole or not at "
            "all; return the text, or guard the stream with guarded"
        )


def _is_data(value: Any) -> bool:
    if isinstance(value, str | int | set | frozenset) or is_sequence(value):
        return True
    return is_model(value)


def _result(
    value: Any, path: Path, parts: list[Part], depth: int = DEEPEST
) -> tuple[int, int]:
    """Add the texts of a result; count pictures and such, and what cannot be read."""
    if isinstance(value, list | tuple):
        if not depth:
            raise too_deep()
        counts = [_result(v, (*path, i), parts, depth - 1) for i, v in enumerate(value)]
        return sum(a for a, _ in counts), sum(b for _, b in counts)
    kind = get(value, "type")
    typed = isinstance(kind, str) and (
        kind in TEXT_PARTS or kind in UNSEEN_KINDS or known_kind(kind)
    )
    content = get(value, "content")
    blocks = is_sequence(content) and any(get(value, n) is not None for n in _MCP)
    if has_role(value):
        parts += message_parts(value, path, "tool", "the result")
        return 0, 0
    data = not (typed or blocks)
    found, unseen = item_parts(value, path, "tool", data=data)
    parts += found
    return (0, unseen) if data else (unseen, 0)


@dataclass(frozen=True, slots=True)
class Failed:
    """In the place of a result: the error that a tool raised."""

    error: Exception


def caught(fn: Any) -> Callable[..., Any]:
    """The tool, of the same kind, that gives its error in the place of a result.

    What an error says reaches the model as a result does.
    """

    async def later(value: Any) -> Any:
        try:
            return await value
        except PromptGuardError:
            raise
        except Exception as error:
            return Failed(error)

    async def acall(*args: Any, **kwargs: Any) -> Any:
        return await later(fn(*args, **kwargs))

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            value = fn(*args, **kwargs)
        except PromptGuardError:
            # Holds no text: it comes from a guard within.
            raise
        except Exception as error:
            return Failed(error)
        return later(value) if inspect.isawaitable(value) else value

    made = acall if is_async(fn) else call
    updated = functools.WRAPPER_UPDATES if inspect.isroutine(fn) else ()
    return functools.update_wrapper(made, fn, updated=updated)


def _raised(value: Any) -> Any:
    if not isinstance(value, Failed):
        return value
    raise value.error


def _told(error: BaseException, depth: int = 8) -> str:
    """What an error and those behind it say: what a traceback shows of them."""
    if isinstance(error, PromptGuardError) or not depth:
        return ""
    behind = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    said = [says(error) or "", *getattr(error, "__notes__", ())]
    said += [_told(one, depth - 1) for one in behind if one is not None]
    return "\n".join(dict.fromkeys(said))
