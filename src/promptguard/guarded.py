"""guarded: a function that calls an LLM, with guards around it."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from ._costs import Limit, limit_of
from .engine import OnError
from .errors import ConfigError, unknown
from .guard import Guard

if TYPE_CHECKING:
    from .call import GuardedCall
    from .policy import Policy

__all__ = [
    "Settings",
    "around",
    "check_options",
    "guarded",
    "parameters",
    "settled",
    "wrapper",
]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def guarded(
    fn: F,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    policy: Policy | str | os.PathLike[str] | None = None,
    route: str | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    dry_run: bool = False,
    budget: Limit = None,
) -> F: ...
@overload
def guarded(
    fn: None = None,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    policy: Policy | str | os.PathLike[str] | None = None,
    route: str | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    dry_run: bool = False,
    budget: Limit = None,
) -> Callable[[F], F]: ...
def guarded(
    fn: Any = None,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    prompt: str | Callable[..., Any] | None = None,
    policy: Policy | str | os.PathLike[str] | None = None,
    route: str | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    dry_run: bool = False,
    budget: Limit = None,
) -> Any:
    """Put guards around a function that calls an LLM.

        @guarded(input=PromptInjection(), output=Secrets())
        def ask(prompt: str) -> str: ...

        create = guarded(client.chat.completions.create, input=PromptInjection())

        @guarded                              # the policy that is found by name
        def ask(prompt: str) -> str: ...

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
        policy: A Policy, or the path of a policy file, instead of guards. Where neither
            guards nor this are given, the file that ``PROMPTGUARD_POLICY`` names, or
            else ``promptguard.toml`` in the working directory or above it. It is read
            once, when the function is decorated. ``on_block`` given here goes before
            that of the policy; the other options are those of the policy.
        route: The route of the policy to follow.
        on_block: None raises Blocked. ``replace(text)``, ``reask(times)`` and
            ``escalate(callback)`` are ready. A function gets the verdict and gives the
            answer (in async calls it may be async). Anything else is the answer itself.
            In a stream it becomes the last chunk, unless it is None.
        on_error: ``"allow"`` goes on when a guard fails; the verdict is degraded.
        restore: Put redacted values back into the text of the answer, outside links,
            URLs and code.
        dry_run: Report and change nothing: verdicts say what would have happened, a
            stream is not held, and what cannot be checked goes on and is logged.
        budget: Seconds that the guards may take over the arguments, over the answer,
            and over each stretch of a stream. A guard that is not done by then has
            failed, with what ``on_error`` makes of that; a Budget says so itself. None
            sets no limit.

    Raises:
        ConfigError: An option is wrong; when called, no text was found in the call, or
            an answer is of unknown shape.
        Blocked: When called, a guard decided that the text must not go on.
        GuardError: When called, a guard broke.
    """
    if isinstance(fn, classmethod | staticmethod):
        raise ConfigError(
            f"put @guarded below @{type(fn).__name__}, next to the function"
        )
    if fn is not None and (not callable(fn) or isinstance(fn, Guard)):
        raise ConfigError(
            f"guarded takes a function, not a {type(fn).__name__}; pass guards as "
            "input= and output="
        )
    settings = settled(
        Settings(input, output, on_block, on_error, restore, dry_run, budget),
        policy,
        route,
    )
    input, output, on_block, on_error, restore, dry_run, budget = settings
    if fn is None:
        check_options(input, output, prompt, on_block, on_error, restore, dry_run)
        return functools.partial(
            guarded,
            input=input,
            output=output,
            prompt=prompt,
            on_block=on_block,
            on_error=on_error,
            restore=restore,
            dry_run=dry_run,
            budget=budget,
        )
    check_options(input, output, prompt, on_block, on_error, restore, dry_run)
    # Half of what the package would load; a program that only checks texts needs none.
    from .call import GuardedCall

    names = parameters(fn, prompt)
    options = input, output, prompt, on_block, on_error, restore, names
    call = GuardedCall(fn, *options, dry_run=dry_run, budget=budget)
    if on_block is not None:
        from .handlers import check_reask

        whole = output is not None
        check_reask(on_block, streams=_streams(fn), output=whole, prompt=prompt)
    return around(call)


def around(call: GuardedCall) -> Callable[..., Any]:
    """What takes the place of the guarded function, with its name and signature."""
    if inspect.isroutine(call.fn):
        return functools.wraps(call.fn)(wrapper(call))
    # The attributes of an object are not those of a function.
    return functools.update_wrapper(wrapper(call), call.fn, updated=())


def wrapper(call: GuardedCall) -> Callable[..., Any]:
    """The function that takes the place of the guarded one, of the same kind."""
    from .streams import arun, run

    fn = call.fn

    def plain(*args: Any, **kwargs: Any) -> Any:
        go = run(call.before(args, kwargs))
        if go.over:
            return go.answer
        return call.finish(fn(*go.args, **go.kwargs), go)

    def generator(*args: Any, **kwargs: Any) -> Any:
        go = run(call.before(args, kwargs))
        if not go.over:
            return (yield from call.finish(fn(*go.args, **go.kwargs), go))
        if hasattr(go.answer, "__next__"):
            yield from go.answer
        elif go.answer is not None:
            yield go.answer

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        go = await arun(call.before(args, kwargs))
        if go.over:
            return go.answer
        value = fn(*go.args, **go.kwargs)
        if inspect.isawaitable(value):
            value = await value
        return await call.afinish(value, go)

    async def async_generator(*args: Any, **kwargs: Any) -> Any:
        go = await arun(call.before(args, kwargs))
        if not go.over:
            stream = call.finish(fn(*go.args, **go.kwargs), go)
            try:
                async for chunk in stream:
                    yield chunk
            finally:
                await stream.aclose()
        elif go.answer is not None:
            yield go.answer

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


def _streams(fn: Any) -> bool:
    return _is(inspect.isgeneratorfunction, fn) or _is(inspect.isasyncgenfunction, fn)


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


def parameters(fn: Any, prompt: object = None) -> tuple[str, ...]:
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


class Settings(NamedTuple):
    """What is checked and what happens then, from code or from a policy."""

    input: Guard | None
    output: Guard | None
    on_block: Any
    on_error: OnError
    restore: bool
    dry_run: bool
    budget: Limit


def settled(given: Settings, policy: object, route: object) -> Settings:
    """The settings, or where there are no guards those of the policy that is meant.

    Raises:
        ConfigError: Both are given, or the policy is not there or not right.
    """
    limit_of(given.budget)
    bare = given.input is None and given.output is None
    if not bare and policy is None and route is None:
        return given
    if not bare:
        raise ConfigError("pass guards or a policy, not both")
    if given != Settings(None, None, given.on_block, "block", False, False, None):
        raise ConfigError(
            "with a policy, on_error, restore, dry_run and budget are those of the "
            "policy"
        )
    from .policy import Policy

    if policy is None or isinstance(policy, str | os.PathLike):
        policy = Policy.load(policy)
    if not isinstance(policy, Policy):
        raise ConfigError(
            f"policy must be a Policy or the path of a file, not a "
            f"{type(policy).__name__}"
        )
    if route is not None and not isinstance(route, str):
        raise ConfigError(f"route must be a name, not a {type(route).__name__}")
    found = policy if route is None else policy.route(route)
    return Settings(
        found.input,
        found.output,
        found.on_block if given.on_block is None else given.on_block,
        found.on_error,
        found.restore,
        found.dry_run,
        found.budget,
    )


def check_options(
    input: object,
    output: object,
    prompt: object,
    on_block: object,
    on_error: object,
    restore: object,
    dry_run: object = False,
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
    for name, value in (("restore", restore), ("dry_run", dry_run)):
        if not isinstance(value, bool):
            raise ConfigError(f"{name} must be True or False, not {value!r}")
    if prompt is not None and not isinstance(prompt, str) and not callable(prompt):
        raise ConfigError(
            "prompt must be the name of a parameter or a function of the call, not a "
            f"{type(prompt).__name__}"
        )
    if input is None and (prompt is not None or restore):
        option = "prompt=" if prompt is not None else "restore=True"
        raise ConfigError(f"{option} has no meaning without input guards")
