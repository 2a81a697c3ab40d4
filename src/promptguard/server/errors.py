"""Refusals, as the clients of OpenAI know errors: a type, a code, and no content."""

from __future__ import annotations

from typing import Any

from .. import Blocked, ConfigError, Verdict

__all__ = ["Refused", "blocked", "error_body", "failed", "stopped", "unreadable"]


class Refused(Exception):
    """A request that ends here.

    Args:
        status: The HTTP status.
        code: What a program tells it by.
        message: What somebody reads; it never holds a part of the request.
        kind: The type of the error; by default what its status says.
        param: The part of the request that is wrong.
        retry_after: Seconds after which the caller may try again.
        details: What else the error says.
        upstream: The HTTP status of the upstream, where it answered.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = "",
        param: str | None = None,
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
        upstream: int | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind or _kind(status)
        self.param = param
        self.retry_after = retry_after
        self.details = details or {}
        self.upstream = upstream
        super().__init__(f"{status} {code}")

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": {**error, **self.details}}


def _kind(status: int) -> str:
    kinds = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
    if status >= 500:
        return "server_error"
    return kinds.get(status, "invalid_request_error")


def blocked(error: Blocked) -> Refused:
    """What a caller gets whose prompt was blocked."""
    return Refused(
        400,
        "content_filter",
        "The request was blocked by a guard: "
        + (", ".join(dict.fromkeys(_found(error.verdict))) or "no finding")
        + ".",
        param="prompt",
        details={"innererror": {"code": "content_filter", **_results(error.verdict)}},
    )


def _found(verdict: Verdict) -> list[str]:
    return [f"{f.label} ({f.guard})" for f in _blocking(verdict)]


def _results(verdict: Verdict) -> dict[str, Any]:
    results = {
        finding.guard: {
            "filtered": True,
            "detected": True,
            "label": finding.label,
            "score": round(finding.score, 4),
        }
        for finding in _blocking(verdict)
    }
    return {"content_filter_result": results}


def _blocking(verdict: Verdict) -> list[Any]:
    return [f for f in verdict.findings if f.action == verdict.action]


def unreadable(error: ConfigError) -> Refused:
    """What a caller gets whose request has a part that no guard can read."""
    # What follows is advice to somebody who calls the library from Python.
    said = str(error).partition(";")[0].partition(". ")[0]
    return Refused(400, "unreadable", f"No guard can read the request: {said}.")


def failed() -> Refused:
    """What is said of an error of the service's own."""
    return Refused(500, "internal_error", "The service failed.")


def stopped() -> Refused:
    """What a caller gets whose request is not over when the service ends."""
    message = "The service was stopped before the request was finished."
    return Refused(503, "shutting_down", message)


def error_body(status: int, code: str, message: str) -> dict[str, Any]:
    return Refused(status, code, message).body
