"""guard_tool: a tool of an agent, with guards on what goes in and what comes back."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from .engine import OnError
from .errors import ConfigError
from .guard import Guard
from .guarded import around, check_options, parameters
from .shapes import copied

__all__ = ["guard_tool"]

Tool = TypeVar("Tool")


@overload
def guard_tool(
    fn: Tool,
    *,
    arguments: Guard | None = None,
    result: Guard | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
) -> Tool: ...
@overload
def guard_tool(
    fn: None = None,
    *,
    arguments: Guard | None = None,
    result: Guard | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
) -> Callable[[Tool], Tool]: ...
def guard_tool(
    fn: Any = None,
    *,
    arguments: Guard | None = None,
    result: Guard | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
) -> Any:
    """Put guards around a tool of an agent.

        @guard_tool(arguments=Secrets(), result=PromptInjection())
        def fetch(url: str) -> str: ...

    A page, a mail or a database row that a tool brings may hold instructions to the
    model: results are checked with the role ``tool``. Arguments, which the model wrote,
    are checked with the role ``assistant``.

    Args:
        fn: A function or async function, or a tool object that holds one: a
            ``FunctionTool`` of openai-agents, a ``StructuredTool`` of LangChain, a
            ``Tool`` of an MCP server, and likewise a session's ``call_tool``.
        arguments: What to look for in every string of the arguments, also inside lists,
            dicts and models. What frameworks add (``ctx``, ``config``) is not.
        result: What to look for in every string of the result: of a str, a dict, a
            list, a model, and of content blocks as MCP has them. Anything else is read
            as ``str()`` says it, and so is an error that the tool raises; neither can
            be redacted, so that a redaction in it blocks.
        on_block: None raises Blocked. A function gets the verdict and gives the result.
            Anything else is the result itself.
        on_error: ``"allow"`` goes on when a guard fails, and the verdict is degraded;
            and when a result cannot be read, with a coverage of 0.

    Returns:
        A function of the same kind, or a copy of the tool object.

    Raises:
        ConfigError: An option is wrong, or ``fn`` is no tool; when called, the result
            is a stream, or nothing of it can be read.
        Blocked: When called, a guard decided that the text must not go on.
        GuardError: When called, a guard broke.
    """
    if arguments is None and result is None:
        raise ConfigError(
            "guard_tool without guards checks nothing; write for example "
            "@guard_tool(result=PromptInjection())"
        )
    check_options(arguments, result, None, on_block, on_error, False)
    if on_block is not None:
        from .handlers import asks_again

        if asks_again(on_block):
            raise ConfigError("reask() asks a model again, and a tool is none")
    if fn is None:
        return functools.partial(
            guard_tool,
            arguments=arguments,
            result=result,
            on_block=on_block,
            on_error=on_error,
        )

    def guarded(inner: Any, json: int | None = None) -> Any:
        from .toolcall import ToolCall, caught

        options = (arguments, result, None, on_block, on_error, False)
        fn = inner if result is None else caught(inner)
        return around(ToolCall(fn, *options, parameters(inner), json=json))

    invoke = getattr(fn, "on_invoke_tool", None)
    if dataclasses.is_dataclass(fn) and callable(invoke):
        # Called with a context and the JSON text that the model wrote.
        return copied(fn, {"on_invoke_tool": guarded(invoke, json=1)})
    held = {
        name: getattr(fn, name)
        for name in ("fn", "func", "coroutine")
        if callable(getattr(fn, name, None))
    }
    if held and hasattr(fn, "model_copy"):
        return fn.model_copy(update={name: guarded(f) for name, f in held.items()})
    if not callable(fn) or isinstance(fn, Guard | type | classmethod | staticmethod):
        raise ConfigError(
            f"guard_tool takes a function or a tool object, not a {type(fn).__name__}"
        )
    return guarded(fn)
