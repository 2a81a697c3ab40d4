"""Every exception the library raises.

    PromptGuardError
     ├── Blocked         a guard decided that the text must not go on
     ├── GuardError      a guard broke, so nothing was decided
     │    └── JudgeError     an LLM that was to judge gave no answer that counts
     ├── ModelError      a model file is missing, altered or unusable
     ├── ConfigError     the caller asked for something that cannot be
     └── MissingExtra    an optional dependency is not installed

No message, repr or pickle of these holds the text that was checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .verdict import Verdict

__all__ = [
    "Blocked",
    "ConfigError",
    "GuardError",
    "JudgeError",
    "MissingExtra",
    "ModelError",
    "PromptGuardError",
]


class PromptGuardError(Exception):
    """The root of the library's exceptions."""


class Blocked(PromptGuardError):
    """A guard decided that the text must not go on.

    Args:
        verdict: What was found. Its spans point into the checked text.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        found = ", ".join(
            f"{finding.guard}: {finding.label} {finding.score:.2f} "
            f"at {finding.start}..{finding.end}"
            for finding in verdict.findings
            if finding.action == verdict.action
        )
        super().__init__(f"blocked ({found or 'no finding'})")

    def __reduce__(self) -> tuple[type[Blocked], tuple[Verdict]]:
        return type(self), (self.verdict,)


class GuardError(PromptGuardError):
    """A guard broke, so nothing was decided and the text did not go on.

    Args:
        guard: The guard's name.
        reason: What happened, without any of the text.
    """

    def __init__(self, guard: str, reason: str) -> None:
        self.guard = guard
        self.reason = reason
        super().__init__(
            f"guard {guard!r} failed: {reason}; the text was not let through. "
            'Mend the guard, or pass on_error="allow" to go on without it'
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.guard, self.reason)


class JudgeError(GuardError):
    """An LLM that was to judge gave no answer that counts.

    Args:
        guard: The guard's name.
        kind: ``key``, ``model``, ``unreachable``, ``timeout``, ``rate``, ``server``,
            ``request``, ``context``, ``refusal``, ``reply``, ``needs`` or ``failed``.
        reason: What happened, without any of the text, the key or the reply.
    """

    def __init__(self, guard: str, kind: str, reason: str) -> None:
        self.kind = kind
        super().__init__(guard, reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.guard, self.kind, self.reason)


class ModelError(PromptGuardError):
    """A model file is missing, altered or unusable."""


class ConfigError(PromptGuardError):
    """The caller asked for something that cannot be."""


class MissingExtra(PromptGuardError):
    """An optional dependency is not installed.

    Args:
        package: The import that failed.
        extra: The extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{package} is not installed; run: pip install 'promptguard-llm[{extra}]'"
        )

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.package, self.extra)


def unknown(kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest that does."""
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def wrap(guard: str, error: BaseException) -> PromptGuardError:
    """The error as one of ours: the message of a foreign one may hold the text."""
    if isinstance(error, PromptGuardError):
        return error
    reason = type(error).__name__
    trace = error.__traceback__
    if trace is not None:
        while trace.tb_next is not None:
            trace = trace.tb_next
        code = trace.tb_frame.f_code
        reason += f" in {code.co_name} ({code.co_filename}:{trace.tb_lineno})"
    return GuardError(guard, reason)
