"""What goes wrong with disks and servers, said as errors of the pipeline."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from .errors import PipelineError

__all__ = [
    "AGAIN",
    "DiskFull",
    "MissingToken",
    "Unreachable",
    "causes",
    "explained",
    "without_secrets",
]

AGAIN = "run the same command again: what is done is not done twice"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# By name, because each client has its own exceptions for it.
_NO_ANSWER = {"ConnectionError", "ConnectError", "Timeout", "TimeoutException"}
_NO_ANSWER |= {"TimeoutError", "MaxRetryError", "NetworkError", "OfflineModeIsEnabled"}


class Unreachable(PipelineError):
    """A server does not answer."""


class MissingToken(PipelineError):
    """There is no token, or the server does not take it."""


class DiskFull(PipelineError):
    """There is no space left on a disk."""


def explained(error: BaseException, where: str) -> PipelineError:
    """The error of a library as one that says where it was and what to do.

    Args:
        error: What was caught; what led to it is looked at as well.
        where: The stage, and the server or the folder, for the message.
    """
    if isinstance(error, PipelineError):
        return error
    chain = list(causes(error))
    if any(_is_full(cause) for cause in chain):
        return DiskFull(f"{where}: no space is left on the disk; make room and {AGAIN}")
    names = {kind.__name__ for cause in chain for kind in type(cause).__mro__}
    if names & _NO_ANSWER:
        return Unreachable(f"{where} does not answer; {AGAIN}")
    told = without_secrets(str(error)).strip().partition("\n")[0]
    return PipelineError(f"{where}: {type(error).__name__}: {told}")


def without_secrets(text: str) -> str:
    """The text without the token, and without passwords in addresses."""
    token = os.environ.get("HF_TOKEN")
    text = text.replace(token, "***") if token else text
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_full(cause: BaseException) -> bool:
    if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
        return True
    # What SQLite says, through whatever stands between.
    return "database or disk is full" in str(cause)
