"""guarded: a function that calls an LLM, with guards around it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._costs import Budget, budget_of
from .engine import OnError
from .errors import ConfigError, unknown
from .guard import Guard

if TYPE_CHECKING:
    from .call import GuardedCall

__all__ = ["guarded"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def guarded(
    fn: F,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    budget: float | Budget | None = None,
) -> F: ...
@overload
def guarded(
    fn: None = None,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    budget: float | Budget | None = None,
) -> Callable[[F], F]: ...
def guarded(
    fn: Any = None,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    budget: float | Budget | None = None,
) -> Any:
    """Put guards around a function that calls an LLM.

        @guarded(input=PromptInjection(), output=Secrets())
        def ask(prompt: str) -> str: ...

        create = guarded(client.chat.completions.create, input=PromptInjection())

    Works on functions, methods, generators and their async kinds, on partial objects
    and callables; on what they return as str, message, chat completion or a stream.

    Args:
        fn: The function.
        input: What to look for in the texts of the call: its new chat messages, and
            every string, also inside lists, dicts and documents, but for settings such
            as ``model`` and ``system``; ``help("promptguard.arguments")`` has the rule.
            BLOCK: the function is not called. REDACT: it gets placeholders.
        output: What to look for in the answer, and in every text of a stream.
        prompt: Where the text of a call is: a parameter's name, or a function that
            gets the call's arguments and returns the text. What a function returns
            cannot be rewritten, so a redaction in it blocks.
        on_block: None raises Blocked. A function gets the verdict and gives the answer
            (in async calls it may be async). Anything else is the answer itself. In a
            stream it becomes the last chunk, unless it is None.
        on_error: ``"allow"`` goes on when a guard fails; the verdict is degraded.
        restore: Put redacted values back into the text of the answer, outside links,
            URLs and code.
        budget: Seconds that the guards may take over the arguments, over the answer,
            and over each stretch of a stream. A guard that is not done by then has
            failed, with what ``on_error`` makes of that, or what a Budget says. None
            sets no limit.

    Raises:
        ConfigError: An option is wrong; when called, no text was found in the call, or
            an answer is of unknown shape.
        Blocked: When called, a guard decided that the text must not go on.
        GuardError: When called, a guard broke.
    """
    budget_of(budget)
    if fn is None:
        _options(input, output, prompt, on_block, on_error, restore)
        return functools.partial(
            guarded,
            input=input,
            output=output,
            prompt=prompt,
            on_block=on_block,
            on_error=on_error,
            restore=restore,
            budget=budget,
        )
    if isinstance(fn, classmethod | staticmethod):
        raise ConfigError(
            f"put @guarded below @{type(fn).__name__}, next to the function"
        )
    if not callable(fn) or isinstance(fn, Guard):
        raise ConfigError(
            f"guarded takes a function, not a {type(fn).__name__}; pass guards as "
            "input= and output="
        )
    _options(input, output, prompt, on_block, on_error, restore)
    # Half of what the package would load; a program that only checks texts needs none.
    from .call import GuardedCall

    names = _names(fn, prompt)
    options = input, output, prompt, on_block, on_error, restore, names
    call = GuardedCall(fn, *options, budget=budget)
    wrapper = _wrapper(call)
    if inspect.isroutine(fn):
        return functools.wraps(fn)(wrapper)
    # The attributes of an object are not those of a function.
    return functools.update_wrapper(wrapper, fn, updated=())


def _wrapper(call: GuardedCall) -> Callable[..., Any]:
    """The function that takes the place of the guarded one, of the same kind."""
    from .streams import arun, run

    fn = call.fn

    def plain(*args: Any, **kwargs: Any) -> Any:
        go = run(call.before(args, kwargs))
        if go.blocked is not None:
            return call.answer(go.blocked)
        return call.finish(fn(*go.args, **go.kwargs), go)

    def generator(*args: Any, **kwargs: Any) -> Any:
        go = run(call.before(args, kwargs))
        if go.blocked is None:
            return (yield from call.finish(fn(*go.args, **go.kwargs), go))
        answer = call.answer(go.blocked)
        if answer is not None:
            yield answer

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        go = await arun(call.before(args, kwargs))
        if go.blocked is not None:
            return await call.aanswer(go.blocked)
        value = fn(*go.args, **go.kwargs)
        if inspect.isawaitable(value):
            value = await value
        return await call.afinish(value, go)

    async def async_generator(*args: Any, **kwargs: Any) -> Any:
        go = await arun(call.before(args, kwargs))
        if go.blocked is None:
            stream = call.finish(fn(*go.args, **go.kwargs), go)
            try:
                async for chunk in stream:
                    yield chunk
            finally:
                await stream.aclose()
        else:
            answer = await call.aanswer(go.blocked)
            if answer is not None:
                yield answer

    def either(*args: Any, **kwargs: Any) -> Any:
        # A plain function around an async one: with a loop running it can only be
        # meant to be awaited, and the loop must not be blocked.
        return coroutine(*args, **kwargs) if _in_a_loop() else plain(*args, **kwargs)

    if _is(inspect.isasyncgenfunction, fn):
        return async_generator
    if _is(inspect.iscoroutinefunction, fn):
        return coroutine
    if _is(inspect.isgeneratorfunction, fn):
        return generator
    if inspect.iscoroutinefunction(inspect.unwrap(fn)):
        return either
    return plain


def _is(kind: Callable[[Any], bool], fn: Any) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return kind(fn) or (not inspect.isroutine(fn) and kind(type(fn).__call__))


def _in_a_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _names(fn: Any, prompt: object) -> tuple[str, ...]:
    """The names of the positional parameters."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return ()
    known = [p.name for p in parameters]
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if isinstance(prompt, str) and prompt not in known and not anything:
        raise unknown("parameter", prompt, known)
    return tuple(
        p.name for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)
    )


def _options(
    input: object,
    output: object,
    prompt: object,
    on_block: object,
    on_error: object,
    restore: object,
) -> None:
    """Refuse what cannot be meant, before the first call."""
    for name, guard in (("input", input), ("output", output)):
        if isinstance(guard, type) and issubclass(guard, Guard):
            raise ConfigError(
                f"{name} must be a guard, not the class; write {guard.__name__}()"
            )
        if isinstance(guard, list | tuple | set):
            raise ConfigError(f"{name} must be one guard; join several with |")
        if guard is not None and not isinstance(guard, Guard):
            raise ConfigError(
                f"{name} must be a guard, not a {type(guard).__name__}; "
                "write for example PromptInjection()"
            )
    if input is None and output is None:
        raise ConfigError(
            "guarded without guards checks nothing; write for example "
            "@guarded(input=PromptInjection())"
        )
    if on_error not in ("block", "allow"):
        raise unknown("on_error", on_error, ("block", "allow"))
    if not isinstance(restore, bool):
        raise ConfigError(f"restore must be True or False, not {restore!r}")
    if prompt is not None and not isinstance(prompt, str) and not callable(prompt):
        raise ConfigError(
            "prompt must be the name of a parameter or a function of the call, not a "
            f"{type(prompt).__name__}"
        )
    if input is None and (prompt is not None or restore):
        option = "prompt=" if prompt is not None else "restore=True"
        raise ConfigError(f"{option} has no meaning without input guards")
