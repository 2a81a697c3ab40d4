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
            f"guard {guard!r} failed: {reason}; the text was not let through. Mend "
            'the guard; a guarded call given on_error="allow" goes on without it'
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


def no_mlflow() -> ConfigError:
    """The error where MLflow itself is needed, and not its client for traces alone."""
    return ConfigError("mlflow is not installed; run: pip install 'mlflow>=3.17,<4'")


def unknown(kind: str, name: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest that does."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near is not None else "."
    return ConfigError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def nearest(name: object, names: Iterable[str]) -> str | None:
    """The name that was probably meant: spelled alike, or with the word in it.

    Args:
        name: What was given.
        names: What there is.
    """
    import difflib

    plain = {_plain(one): one for one in names}
    given = _plain(str(name))
    near = difflib.get_close_matches(given, plain, n=1)
    if near or len(given) < 3:
        return plain[near[0]] if near else None
    # "email" for EMAIL_ADDRESS, "promptinjection" for prompt_injection.
    within = [one for one in plain if given in one or given in one.replace("_", "")]
    return plain[min(within, key=len)] if within else None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


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
