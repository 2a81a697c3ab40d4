"""What happens to a text that is blocked: replace, reask, escalate.

    @guarded(output=PII(action=Action.BLOCK), on_block=reask(2, then=replace("Sorry.")))
    def ask(prompt: str) -> str: ...

Each is a value for ``on_block``. What is written here waits for nothing: it yields what
is to be called, and whoever drives it, sync or async, sends the answer back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any

from .errors import Blocked, ConfigError
from .escapes import raised, still_json
from .guard import Guard
from .items import Form
from .placeholders import Placeholders, redact
from .text import Text
from .turns import Window, checked
from .verdict import Action, Finding, Verdict

__all__ = [
    "Call",
    "Escalate",
    "Reask",
    "Replace",
    "answered",
    "asks_again",
    "check_reask",
    "complete",
    "decided",
    "escalate",
    "last",
    "no_stream",
    "note",
    "reask",
    "replace",
]

MOST_ASKED = 10
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Replace:
    """See ``replace``."""

    text: str


@dataclass(frozen=True, slots=True)
class Reask:
    """See ``reask``."""

    times: int = 1
    then: Any = None


@dataclass(frozen=True, slots=True)
class Escalate:
    """See ``escalate``."""

    callback: Callable[[Verdict], Any]


def replace(text: str) -> Replace:
    """Give this text in place of what was blocked, in an answer of the same shape.

    A chat completion stays one: its message has this text and no tool calls. In a
    stream it is the last chunk. Where a guarded function was not called at all, there
    is no answer to take the shape of, and the text itself is the answer.

    Raises:
        ConfigError: The text is not a string.
    """
    if not isinstance(text, str):
        raise ConfigError(f"replace() takes a text, not a {type(text).__name__}")
    return Replace(text)


def reask(times: int = 1, *, then: Any = None) -> Reask:
    """Ask the model again when its answer is blocked.

    The model is told the labels of what was found, and nothing of the text. The note is
    a message of its own after chat messages, and stands at the end of a prompt that is
    a string. A stream is on its way before it is known to be blocked, so it cannot be
    asked for again: that is a ConfigError.

    Args:
        times: How often at most, 1 to 10.
        then: What happens when the last answer is blocked as well, or the call itself:
            anything that ``on_block`` can be. None raises Blocked.

    Raises:
        ConfigError: ``times`` is no such number, or ``then`` asks again as well.
    """
    if type(times) is not int or not 1 <= times <= MOST_ASKED:
        raise ConfigError(f"reask() takes a number of times, 1 to {MOST_ASKED}")
    if isinstance(then, Reask):
        raise ConfigError("reask(then=) cannot ask again; raise the number of times")
    return Reask(times, then)


def escalate(callback: Callable[[Verdict], Any]) -> Escalate:
    """Let somebody else decide: a person, a queue, another system.

    All guards look at the whole text before the callback is asked, so that what it lets
    go is redacted where another guard says so; a stream is held to its end. Where one
    of them breaks, nothing can be decided, and the text is blocked.

    Args:
        callback: A function of the verdict; in async calls it may be async. It gives
            ``Action.BLOCK`` or None: blocked; ``Action.ALLOW`` or ``FLAG``: what it was
            blocked for goes on, and the verdict says so; ``Action.REDACT``: that is
            redacted; a string: the answer in its place, as with ``replace``.

    Raises:
        ConfigError: The callback cannot be called; when called, it gave something else.
    """
    if not callable(callback):
        raise ConfigError(
            f"escalate() takes a function of the verdict, not a "
            f"{type(callback).__name__}"
        )
    return Escalate(callback)


@dataclass(frozen=True, slots=True)
class Call:
    """Something to be called, whose answer may have to be awaited."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = field(repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def now(self) -> Any:
        """The answer, where nothing can be awaited."""
        answer = self.function(*self.args, **self.kwargs)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            raise ConfigError(
                "on_block is async but the guarded function is not; pass a plain one"
            )
        return answer

    async def later(self) -> Any:
        """The answer, in an async call."""
        answer = self.function(*self.args, **self.kwargs)
        return await answer if inspect.isawaitable(answer) else answer


def last(handler: Any) -> Any:
    """What counts when the model is not asked again."""
    return handler.then if isinstance(handler, Reask) else handler


def asks_again(handler: Any) -> int:
    """How often the model is asked again at most."""
    return handler.times if isinstance(handler, Reask) else 0


def check_reask(handler: Any, *, streams: bool, output: bool, prompt: object) -> None:
    """Refuse, before the first call, to ask again where that cannot be.

    Args:
        handler: What was given as ``on_block``.
        streams: What the function gives is a stream.
        output: There are guards for the answer.
        prompt: What was given as that.
    """
    if not asks_again(handler):
        return
    if streams:
        raise no_stream()
    if not output:
        raise ConfigError("reask() has no meaning without output guards")
    if callable(prompt):
        raise ConfigError(
            "reask() cannot put a note where a function of prompt= found the text; "
            "give the name of a parameter"
        )


def no_stream() -> ConfigError:
    """The error for a stream that would have to be asked for again."""
    return ConfigError(
        "reask() needs an answer that is not a stream: parts of a stream are gone "
        "before it is known to be blocked. Ask for the answer as a whole, or use "
        "another on_block"
    )


def note(verdict: Verdict) -> str:
    """What the model is told: what was found, and nothing of the text."""
    found = dict.fromkeys(
        f"{finding.label} ({finding.guard})"
        for finding in verdict.findings
        if finding.action is Action.BLOCK
    )
    named = ", ".join([*found][:MOST_NAMED])
    return (
        f"Your last answer was not delivered, because a check of it found: {named}. "
        "Answer again, without that."
    )


def complete(
    guard: Guard, text: Text, windows: Sequence[Window] = ()
) -> Generator[Any, Any, Verdict]:
    """What every guard finds by itself: a block keeps none of them from looking.

    Args:
        guard: What to look for.
        text: Where.
        windows: The text and the turns before it; see ``turns.checked``.
    """
    alone: list[Verdict] = []
    for part in guard.parts:
        alone += yield from checked(part, (text,), windows, "allow", None)
    findings = sorted(
        (finding for verdict in alone for finding in verdict.findings),
        key=_place,
    )
    return Verdict(
        original=text.original,
        findings=tuple(findings),
        action=max(verdict.action for verdict in alone),
        text=text.original,
        coverage=min(verdict.coverage for verdict in alone),
        timings=tuple(timing for verdict in alone for timing in verdict.timings),
        degraded=any(verdict.degraded for verdict in alone),
    )


def together(
    first: Verdict, second: Verdict, form: Form, placeholders: Placeholders
) -> Verdict:
    """The second verdict on a text, and what the first one found besides."""
    findings = sorted(dict.fromkeys((*first.findings, *second.findings)), key=_place)
    return _with(second, tuple(findings), form, placeholders)


def decided(
    handler: Any, verdict: Verdict, form: Form, placeholders: Placeholders
) -> Generator[Call, Any, tuple[Verdict, str | None]]:
    """What an escalation makes of a blocked text: its verdict, or words in its place.

    Args:
        handler: What was given as ``on_block``.
        verdict: What all guards found; a guard that broke makes it degraded.
        form: What the text is, which decides whether it can be redacted.
        placeholders: Where redacted values are kept.
    """
    if not isinstance(handler, Escalate) or not verdict.blocked:
        return verdict, None
    result = yield Call(handler.callback, (verdict,))
    if result is None or result is Action.BLOCK:
        return verdict, None
    if isinstance(result, str):
        return verdict, result
    if not isinstance(result, Action):
        raise ConfigError(
            "the callback of escalate() must give an Action, a string or None, not a "
            f"{type(result).__name__}"
        )
    return _let(verdict, result, form, placeholders), None


def answered(
    handler: Any, verdict: Verdict, words: str | None, place: Callable[[str], Any]
) -> Generator[Call, Any, Any]:
    """The answer in place of what stays blocked.

    Args:
        handler: What was given as ``on_block``, and does not ask again.
        verdict: Why it is blocked.
        words: What an escalation said.
        place: Puts words into an answer of the right shape.

    Raises:
        Blocked: There is none.
    """
    if isinstance(handler, Replace):
        words = handler.text
    if words is not None:
        return place(words)
    if handler is None or isinstance(handler, Escalate):
        raise Blocked(verdict)
    if callable(handler):
        return (yield Call(handler, (verdict,)))
    return handler


def _place(finding: Finding) -> tuple[int, int, str, str]:
    return finding.start, finding.end, finding.guard, finding.label


def _let(
    verdict: Verdict, action: Action, form: Form, placeholders: Placeholders
) -> Verdict:
    """The verdict with another action for what was to be blocked."""
    findings = tuple(
        changed(f, action=action) if f.action is Action.BLOCK else f
        for f in verdict.findings
    )
    return _with(verdict, findings, form, placeholders)


def _with(
    verdict: Verdict,
    findings: tuple[Finding, ...],
    form: Form,
    placeholders: Placeholders,
) -> Verdict:
    """The verdict with these findings, and what follows from them."""
    worst = max((f.action or Action.ALLOW for f in findings), default=Action.ALLOW)
    text = verdict.original
    if worst is Action.REDACT:
        text = redact(text, findings, placeholders)
    verdict = changed(verdict, findings=findings, action=worst, text=text)
    whole = form == "text" or (form == "json" and still_json(verdict.original, text))
    return verdict if worst is not Action.REDACT or whole else raised(verdict)
