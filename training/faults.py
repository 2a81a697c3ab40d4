"""What goes wrong with disks and servers, said as errors of the pipeline."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from .errors import PipelineError

__all__ = [
    "AGAIN",
    "DiskFull",
    "MissingToken",
    "Unreachable",
    "Unreadable",
    "causes",
    "explained",
    "is_full",
    "without_secrets",
]

AGAIN = "run the same command again: what is done is not done twice"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LEAST_ROOM = 2**20
# By name, because each client has its own exceptions for it.
_NO_ANSWER = {"ConnectionError", "ConnectError", "Timeout", "TimeoutException"}
_NO_ANSWER |= {"TimeoutError", "MaxRetryError", "NetworkError", "OfflineModeIsEnabled"}


class Unreachable(PipelineError):
    """A server does not answer."""


class MissingToken(PipelineError):
    """There is no token, or the server does not take it."""


class DiskFull(PipelineError):
    """There is no space left on a disk."""

    @classmethod
    def at(cls, where: str, folder: Path | None = None) -> Self:
        """With the stage or the server, and the folder, for the message."""
        place = where if folder is None else f"{where}: {folder}"
        return cls(f"{place}: no space is left on the disk; make room and {AGAIN}")


class Unreadable(PipelineError):
    """A file or a folder cannot be read or written."""

    @classmethod
    def because(cls, where: str, error: OSError) -> Self:
        """With the stage, and the file that the error names, for the message."""
        return cls(
            f"{where}: {error.filename}: {error.strerror or type(error).__name__}; "
            "look at its path and its rights, or choose with --build and --data"
        )


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
        return DiskFull.at(where)
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


def is_full(error: BaseException, folder: Path) -> bool:
    """True if the error came of a full disk.

    Args:
        folder: What was written to. Some libraries, torch for one, say no more than
            that they could not write; whether there is room is looked at then.
    """
    if any(_is_full(cause) for cause in causes(error)):
        return True
    if isinstance(error, PipelineError | OSError):
        return False
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM
    except OSError:
        return False


def _is_full(cause: BaseException) -> bool:
    if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
        return True
    # What SQLite and safetensors say, through whatever stands between.
    told = str(cause)
    return "database or disk is full" in told or "No space left on device" in told
