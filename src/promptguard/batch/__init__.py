"""Many texts at once: a file on all cores, Spark, Ray, pandas; verdicts as columns.

    from promptguard import PII, PromptInjection
    from promptguard.batch import Check, check_file

    check_file("prompts.parquet", "checked.parquet", Check(PromptInjection() | PII()))

Every engine runs the same ``Check``, so that a text has the same verdict wherever it
is checked. What comes of it says ``promptguard batch`` and docs/scale.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import Check
    from .frames import with_verdicts
    from .local import Summary, check_file
    from .ray import on_ray
    from .spark import on_spark

__all__ = [
    "Check",
    "Summary",
    "check_file",
    "on_ray",
    "on_spark",
    "with_verdicts",
]

_WHERE = {"Check": "check", "Summary": "local", "check_file": "local"}
_WHERE |= {"on_ray": "ray", "on_spark": "spark", "with_verdicts": "frames"}


def __getattr__(name: str) -> Any:
    # Loaded by name: a worker of Spark needs nothing of Ray, and nothing of files.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
