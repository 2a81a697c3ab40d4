"""What can go wrong when a judge is asked, told by the shape of an exception.

The message of a foreign exception is read and never shown: an endpoint may repeat the
prompt in it, or the key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..shapes import get

__all__ = ["UNREADABLE", "Fault", "fault"]

# What endpoints call it when a prompt does not fit.
_TOO_LONG = (
    "context length",
    "context window",
    "context_length",
    "maximum context",
    "prompt is too long",
    "too many tokens",
    "exceeds the context",
)
# What an endpoint may not know; without them the same question can be put.
_OPTIONS = (
    "response_format",
    "json_schema",
    "logprobs",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
)
_AGAIN = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no answer.

    Args:
        kind: As in ``JudgeError``.
        reason: What to tell the caller.
        again: Whether asking again may help.
        after: Seconds that the endpoint asks to wait, or None.
        option: The name of an option that the endpoint does not take; "" where it
            does not say which.
    """

    kind: str
    reason: str
    again: bool = False
    after: float | None = None
    option: str | None = None


UNREADABLE = Fault("reply", "the endpoint's answer cannot be read")


def fault(error: BaseException) -> Fault:
    """The fault that an exception of a client or function stands for."""
    status = _status(error)
    if status is None:
        return _without_status(error)
    if status < 400:
        return UNREADABLE
    after = _after(error)
    code, said = str(get(error, "code") or ""), str(error).lower()
    if status in (401, 403):
        return Fault(
            "key",
            f"the endpoint refused the key (HTTP {status}); renew it, or name the "
            "variable that holds the right one with key_env",
        )
    if status in (400, 413, 422) and (
        status == 413
        or code == "context_length_exceeded"
        or any(words in said for words in _TOO_LONG)
    ):
        return Fault(
            "context",
            f"the prompt does not fit into the judge's context (HTTP {status}); put a "
            "MaxLength before the judge, or use a model with a longer one",
        )
    if status == 400 and code in ("content_filter", "content_policy_violation"):
        return Fault("refusal", "the endpoint refused to have the text judged")
    if status == 404 or code == "model_not_found":
        return Fault(
            "model",
            f"the endpoint knows no such model or address (HTTP {status}); check model "
            "and base_url",
        )
    if status == 429:
        spent = code == "insufficient_quota"
        return Fault(
            "rate",
            "the quota of the key is spent (HTTP 429)"
            if spent
            else "the endpoint asks for fewer requests (HTTP 429); lower concurrency",
            again=not spent,
            after=after,
        )
    if status >= 500 or status in _AGAIN:
        return Fault("server", f"the endpoint failed (HTTP {status})", True, after)
    option = _option(str(get(error, "param") or ""), said)
    reason = f"the endpoint refused the request (HTTP {status})"
    return Fault("request", reason, option=option if status in (400, 422) else None)


def _without_status(error: BaseException) -> Fault:
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, TimeoutError) or names & {"APITimeoutError", "Timeout"}:
        return Fault("timeout", "the judge took too long", again=True)
    if isinstance(error, OSError) or "APIConnectionError" in names:
        return Fault(
            "unreachable",
            "the endpoint cannot be reached, or broke the connection; check base_url",
            again=True,
        )
    if isinstance(error, json.JSONDecodeError):
        return UNREADABLE
    return Fault("failed", f"asking the judge raised {type(error).__name__}")


def _status(error: BaseException) -> int | None:
    for holder in (error, get(error, "response")):
        status = get(holder, "status_code")
        if type(status) is int:
            return status
    return None


def _after(error: BaseException) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, section 10.2.3)."""
    headers = get(get(error, "response"), "headers")
    if not isinstance(headers, Mapping):
        return None
    said = next((v for k, v in headers.items() if k.lower() == "retry-after"), None)
    if not isinstance(said, str):
        return None
    try:
        seconds = float(said)
    except ValueError:
        seconds = _until(said)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(said: str) -> float:
    """Seconds until a date of HTTP."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return math.nan
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


def _option(param: str, said: str) -> str:
    for option in _OPTIONS:
        if param.startswith(option):
            return option
    return next((option for option in _OPTIONS if option in said), "")
