"""Where the texts of a tool's arguments and of its result are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .call import Admitted, GuardedCall
from .errors import ConfigError
from .items import UNSEEN_KINDS, Part, item_parts, known_kind
from .messages import TEXT_PARTS, Found, has_role, message_parts
from .shapes import Path, get, is_model, is_sequence

__all__ = ["ToolCall"]

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
        return Found(tuple(parts))

    def answered(self, value: Any) -> Found:
        """Every string of a result."""
        parts: list[Part] = []
        unseen = _result(value, (), parts)
        if not (value is None or isinstance(value, float) or _is_data(value)):
            # A path, an error, an object without fields: what it says is not read.
            unseen += 1
        if unseen and not parts:
            return Found((Part((), "", "tool", 0.0, "fixed"),))
        return Found(tuple(parts))

    def worded(self, words: str, value: Any) -> Any:
        return words

    def finish(self, value: Any, go: Admitted) -> Any:
        """Look at a result."""
        _no_stream(value)
        return GuardedCall.finish(self, value, go)

    async def afinish(self, value: Any, go: Admitted) -> Any:
        """Look at what an async tool gave."""
        _no_stream(value)
        return await GuardedCall.afinish(self, value, go)


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


def _result(value: Any, path: Path, parts: list[Part]) -> int:
    """Add the texts of a result, and count what is no text."""
    if isinstance(value, list | tuple):
        return sum(_result(v, (*path, i), parts) for i, v in enumerate(value))
    kind = get(value, "type")
    typed = isinstance(kind, str) and (
        kind in TEXT_PARTS or kind in UNSEEN_KINDS or known_kind(kind)
    )
    content = get(value, "content")
    blocks = is_sequence(content) and any(get(value, n) is not None for n in _MCP)
    if has_role(value):
        parts += message_parts(value, path, "tool", "the result")
        return 0
    found, unseen = item_parts(value, path, "tool", data=not (typed or blocks))
    parts += found
    return unseen
