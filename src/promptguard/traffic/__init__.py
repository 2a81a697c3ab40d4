"""Keeping what was asked and what guards made of it, to look at it later.

    import promptguard as pg
    from promptguard.traffic import Writer

    writer = Writer("sqlite:///traffic.db", retention="30d")
    pg.on_verdict(writer)

What was kept is read by ``Traffic``, and by ``promptguard traffic``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reading import Filters, Traffic
    from .writer import Counts, Writer

__all__ = ["Counts", "Filters", "Traffic", "Writer"]

_WHERE = {"Counts": "writer", "Filters": "reading", "Traffic": "reading"}
_WHERE |= {"Writer": "writer"}


def __getattr__(name: str) -> Any:
    # Loaded by name: the command line reads, and needs none of what writes.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
