"""Reading and copying objects by their shape, whatever library they come from.

A message may be a dict, a pydantic model, a dataclass or any object with attributes.
A way to a text inside one is a path: keys, indexes and attribute names in order.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from .errors import ConfigError

__all__ = [
    "Path",
    "at",
    "changed",
    "copied",
    "fields",
    "get",
    "is_model",
    "is_sequence",
    "only",
]

Path = tuple[str | int, ...]


def get(value: Any, name: str) -> Any:
    """The item or attribute of that name, or None."""
    if type(value) is dict or isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """True for lists, tuples and their like; not for strings and bytes."""
    if isinstance(value, (list, tuple)):
        return True
    if isinstance(value, (str, bytes, bytearray, memoryview, range)):
        return False
    return isinstance(value, Sequence)


def is_model(value: object) -> bool:
    """True for what says itself which fields it has: mappings, models, dataclasses."""
    if isinstance(value, Mapping) or hasattr(value, "model_fields_set"):
        return True
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def fields(value: Any) -> dict[Any, Any]:
    """What a mapping or an object holds, by name; nothing private."""
    if isinstance(value, Mapping):
        return dict(value)
    held = dict(getattr(value, "__dict__", ()))
    held.update(getattr(value, "model_extra", None) or {})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held.update({f.name: get(value, f.name) for f in dataclasses.fields(value)})
    return {name: inner for name, inner in held.items() if not name.startswith("_")}


def at(value: Any, path: Path) -> Any:
    """What stands at the end of a path."""
    for step in path:
        value = value[step] if isinstance(step, int) else get(value, step)
    return value


def changed(value: Any, changes: Mapping[Path, Any]) -> Any:
    """A copy with other values at the ends of the paths; the rest is shared.

    Raises:
        ConfigError: An object on the way cannot be copied.
    """
    if () in changes:
        return changes[()]
    inner: dict[str | int, dict[Path, Any]] = {}
    for path, new in changes.items():
        inner.setdefault(path[0], {})[path[1:]] = new
    if not inner:
        return value
    return copied(
        value,
        {step: changed(at(value, (step,)), rest) for step, rest in inner.items()},
    )


def copied(value: Any, updates: Mapping[Any, Any]) -> Any:
    """A copy of one object of any shape with some items or attributes replaced."""
    if isinstance(value, Mapping):
        if isinstance(value, dict) and type(value) is not dict:
            twin = copy.copy(value)
            twin.update(updates)
            return twin
        return {**value, **updates}
    if is_sequence(value):
        items = [updates.get(index, item) for index, item in enumerate(value)]
        if isinstance(value, tuple):
            make = getattr(value, "_make", tuple)
            return make(items)
        return items
    try:
        if hasattr(value, "model_copy"):
            return value.model_copy(update=dict(updates))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(value, **updates)
        twin = copy.copy(value)
        for name, new in updates.items():
            setattr(twin, name, new)
        return twin
    except Exception:
        # Raised below, so that it is not chained to an error that may show the text.
        pass
    raise ConfigError(
        f"{type(value).__name__} holds text that must be redacted and cannot be copied "
        "with other values; use dicts, dataclasses or pydantic models"
    )


def only(value: Any, path: Path, text: str) -> Any:
    """A copy that holds the text at the end of the path, and of the rest its place.

    Lists shrink to the one item on the path; ``index`` and the ``type`` of what holds
    the text stay, everything else becomes None or goes.
    """
    if not path:
        return text
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [only(value[step], rest, text)]
    keep = {"index", "type"} if not rest else {"index"}
    inner = only(get(value, step), rest, text)
    if isinstance(value, Mapping):
        return {**{key: value[key] for key in keep & value.keys()}, step: inner}
    gone = fields(value).keys() - keep
    twin = copied(value, {**dict.fromkeys(gone), step: inner})
    # What puts chunks together again takes a field that was set to None for a change.
    if isinstance(named := getattr(twin, "model_fields_set", None), set):
        named.difference_update(gone - {step})
    return twin
