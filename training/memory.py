"""How much memory this process has held at once."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

__all__ = ["forget_peak", "give_back", "peak"]


def forget_peak() -> None:
    """Begin anew, where the operating system allows it (Linux, proc(5), clear_refs).

    Elsewhere ``peak`` stays that of the whole process: a stage is shown with what the
    hungriest one before it took.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak() -> int | None:
    """The most memory that was resident at once, in bytes; None where unknown.

    ``ru_maxrss`` of getrusage(2): of this process, without its children; libraries and
    mapped files count as far as they are in memory.
    """
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return None
    most = getrusage(RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def give_back() -> None:
    """Return freed memory to the operating system, where the C library can (glibc).

    Tensors of many shapes leave holes that are never used again: without this, training
    was seen to hold 7 GB of which it used less than 3 (malloc_trim(3)).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if _LINUX else None
    if trim is not None:
        trim(0)


_LINUX = sys.platform == "linux"
