"""A policy with its models as they are now, and what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..guard import Guard
from . import Policy

__all__ = ["pinned", "revisions"]


def pinned(policy: Policy) -> Policy:
    """See ``Policy.pinned``."""
    from ..runtime.pins import Pinned, pin

    names: dict[tuple[str | None, str | None], Pinned] = {}

    def change(guard: Any) -> Guard:
        asked = guard.model, guard.revision
        if asked not in names:
            names[asked] = pin(*asked)
        made: Guard = replace(guard, model=names[asked], revision=None)
        return made

    def whole(policy: Policy) -> Policy:
        return replace(
            policy,
            input=_changed(policy.input, change),
            output=_changed(policy.output, change),
            routes=tuple((name, whole(part)) for name, part in policy.routes),
        )

    return whole(policy)


def revisions(policy: Policy) -> tuple[tuple[str, str], ...]:
    """See ``Policy.revisions``."""
    from ..runtime.pins import state

    told: dict[tuple[str, str], None] = {}

    def note(guard: Any) -> Guard:
        said = state(guard.model, guard.revision)
        if getattr(guard, "calibration", None) is not None:
            said += f"+{_hash(guard.calibration)}"
        told[guard.name, said] = None
        kept: Guard = guard
        return kept

    for part in (policy, *(part for _, part in policy.routes)):
        for guard in (part.input, part.output):
            _changed(guard, note)
    return tuple(told)


def _changed(guard: Guard | None, change: Callable[[Any], Guard]) -> Guard | None:
    """A guard with those in it changed that ask a model of the library."""
    if guard is None:
        return None
    named = {field.name for field in fields(guard) if field.init}
    # PII has a model for names, and asks it only where it looks for some.
    if {"model", "revision"} <= named and getattr(guard, "names", True):
        guard = change(guard)
    parts = {
        name: made
        for name in named
        if (made := _within(getattr(guard, name), change)) is not None
    }
    return replace(guard, **parts) if parts else guard


def _within(value: object, change: Callable[[Any], Guard]) -> Any:
    """The value of a field with the guards in it changed; None where there is none."""
    if isinstance(value, Guard):
        return _changed(value, change)
    if isinstance(value, tuple) and any(isinstance(one, Guard) for one in value):
        return tuple(_changed(one, change) for one in value)
    return None


def _hash(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
