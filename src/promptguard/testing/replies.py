"""What a scripted model says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Reply", "ToolCall"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call the scripted model makes.

    Args:
        name: The function's name.
        arguments: Its arguments, as the JSON text that goes over the wire.
        id: The call's id.
    """

    name: str
    arguments: str = field(default="{}", repr=False)
    id: str = "call_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One scripted answer.

    Args:
        content: The text, or None as in an answer that only calls tools.
        refusal: The text of a refusal.
        reasoning: Sent as ``reasoning_content``.
        tool_calls: The tools to call.
        size: Characters in each streamed piece, of text and arguments alike.
        finish_reason: By default ``stop``, or ``tool_calls``.
        logprobs: What the choices hold as ``logprobs`` where they are asked for.
        tokens: Tokens read and written that a completion says it took.
        status: Answer with this HTTP status and an error body instead.
        error: What the error body says beside its message: ``code``, ``param``.
        retry_after: Seconds to put into the ``retry-after`` header.
        drop_after: Break the connection after this many streamed chunks; 0 sends
            nothing at all.
        cut: Break the connection after so many bytes of an answer not streamed.
        delay: Seconds to wait before every chunk, or before the whole answer.
    """

    content: str | None = field(default=None, repr=False)
    refusal: str | None = field(default=None, repr=False)
    reasoning: str | None = field(default=None, repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    size: int = 3
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = field(default=None, repr=False)
    tokens: tuple[int, int] = (1, 1)
    status: int = 200
    error: dict[str, str] | None = field(default=None, repr=False)
    retry_after: float | None = None
    drop_after: int | None = None
    cut: int | None = None
    delay: float = 0.0
