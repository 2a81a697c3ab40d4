"""How much memory this process has held at once."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["forget_peak", "peak"]


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
