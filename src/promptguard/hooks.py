"""Who gets to see verdicts: hooks, and the verdicts of one block of code.

    with capture() as verdicts:
        ask("Hello")

By default flagged verdicts go to the logger ``promptguard`` at level INFO, degraded
ones at CRITICAL, both without any of the text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

from .errors import ConfigError, PromptGuardError
from .verdict import Verdict

if TYPE_CHECKING:
    import logging

__all__ = ["capture", "on_verdict"]

Hook = Callable[[Verdict], None]

# logging.INFO: the module is loaded when there is something to log.
_INFO = 20

_lock = threading.Lock()
_hooks: tuple[Hook, ...] = ()
_captures: ContextVar[tuple[list[Verdict], ...]] = ContextVar(
    "promptguard_captures", default=()
)


def on_verdict(hook: Hook) -> Callable[[], None]:
    """Call ``hook`` with every verdict of the process from now on.

    A hook that raises is logged and does not change what happens to the text.

    Returns:
        A function that removes the hook again.

    Raises:
        ConfigError: The hook cannot be called.
    """
    global _hooks
    if not callable(hook):
        raise ConfigError(f"a hook is a function, not a {type(hook).__name__}")
    with _lock:
        _hooks = (*_hooks, hook)

    def remove() -> None:
        global _hooks
        with _lock:
            _hooks = tuple(other for other in _hooks if other is not hook)

    return remove


@contextmanager
def capture() -> Iterator[list[Verdict]]:
    """Collect all verdicts of the calls inside, allowed ones too.

    Follows the context: tasks and threads started with a copy of it are seen.
    """
    verdicts: list[Verdict] = []
    token = _captures.set((*_captures.get(), verdicts))
    try:
        yield verdicts
    finally:
        _captures.reset(token)


def emit(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Show verdicts to everybody who asked, and return them."""
    captures = _captures.get()
    for verdict in verdicts:
        for captured in captures:
            captured.append(verdict)
        for hook in _hooks:
            try:
                hook(verdict)
            except Exception as error:
                _logger().error(
                    "the verdict hook %s raised %s",
                    getattr(hook, "__qualname__", type(hook).__name__),
                    type(error).__name__,
                )
        if verdict.findings or verdict.degraded:
            _log(verdict)
    return verdicts


def _log(verdict: Verdict) -> None:
    logger = _logger()
    if not verdict.degraded and not logger.isEnabledFor(_INFO):
        # Nobody listens: the words cost as much as a check.
        return
    found = "; ".join(
        f"{f.guard}: {f.label} {f.score:.2f} at {f.start}..{f.end}"
        for f in verdict.findings
    )
    if verdict.degraded:
        logger.critical(
            "a guard failed and on_error is 'allow': a text went on unchecked (%s)",
            found or "nothing found",
        )
    else:
        dry = "dry run: " if verdict.dry_run else ""
        logger.info("%s%s (%s)", dry, verdict.action.name.lower(), found)


def unseen(error: PromptGuardError) -> None:
    """Say that a dry run could not look at a text, which went on."""
    _logger().critical("dry run: a text could not be checked: %s", error)


@cache
def _logger() -> logging.Logger:
    import logging

    return logging.getLogger("promptguard")
