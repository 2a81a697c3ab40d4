"""Drift and quality of kept traffic: a window of it beside a reference.

    from promptguard.monitor import compare, sample

    current = sample("sqlite:///traffic.db", since="24h")
    reference = sample("sqlite:///traffic.db", since="30d", until="24h")
    report = compare(current, reference)
    print(report.verdict, report.summary)

``promptguard monitor`` does the same on the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparing import compare
    from .labels import Labels
    from .pages import page
    from .profile import Profile
    from .reading import sample
    from .report import Check, Quality, Report, Share
    from .samples import Sample
    from .thresholds import Thresholds
    from .tracking import log

__all__ = [
    "Check",
    "Labels",
    "Profile",
    "Quality",
    "Report",
    "Sample",
    "Share",
    "Thresholds",
    "compare",
    "log",
    "page",
    "sample",
]

_WHERE = {"compare": "comparing", "log": "tracking", "sample": "reading"}
_WHERE |= {name: "report" for name in ("Check", "Quality", "Report", "Share")}
_WHERE |= {"Labels": "labels", "Profile": "profile", "Sample": "samples"}
_WHERE |= {"Thresholds": "thresholds", "page": "pages"}


def __getattr__(name: str) -> Any:
    # Loaded by name: numpy is imported by what is used, and not before.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value
