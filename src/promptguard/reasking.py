"""Telling the model, in the arguments of a call, what was wrong with its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arguments import TEXT_NAMES
from .errors import ConfigError
from .items import Part
from .messages import has_role
from .shapes import Path, at, changed, copied, get, is_sequence

__all__ = ["told"]

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def told(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    names: Sequence[str],
    parts: Sequence[Part],
    note: str,
) -> Arguments:
    """The arguments with a note to the model, in a copy.

    Args:
        args: The positional arguments.
        kwargs: The others.
        names: The names of the positional parameters.
        parts: The texts that were found in them.
        note: What the model is to know.

    Raises:
        ConfigError: It is not clear where the note is to stand.
    """
    call: Arguments = (args, kwargs)
    for part in reversed(parts):
        path = _chat(call, part.path)
        if path is not None:
            return _changed(call, {path: _with_message(at(call, path), note)})
    part = _question(parts, names)
    return _changed(call, {part.path: f"{part.text}\n\n{note}"})


def _chat(call: Arguments, path: Path) -> Path | None:
    """The way to the chat messages that a text stands in."""
    for depth in range(2, len(path)):
        value = at(call, path[:depth])
        if is_sequence(value) and any(has_role(item) for item in value):
            return path[:depth]
    return None


def _with_message(messages: Sequence[Any], note: str) -> Sequence[Any]:
    """The messages and one more: a user message of the kind that is there."""
    users = [m for m in messages if has_role(m) and get(m, "role") == "user"]
    if users:
        message = copied(users[-1], {"content": note})
    elif all(isinstance(message, Mapping) for message in messages):
        message = {"role": "user", "content": note}
    else:
        raise ConfigError(
            "reask() found no user message among the chat messages to make one alike; "
            "use mappings with role and content, or another on_block"
        )
    more = [*messages, message]
    return tuple(more) if isinstance(messages, tuple) else more


def _question(parts: Sequence[Part], names: Sequence[str]) -> Part:
    """The text that the model answers."""
    texts = [part for part in parts if part.form == "text" and part.role == "user"]
    if len(texts) > 1:
        texts = [part for part in texts if _name(part.path, names) in TEXT_NAMES]
    if len(texts) != 1:
        raise ConfigError(
            "reask() cannot tell which text of the call is the question; say so with "
            "prompt=, the name of a parameter, or pass chat messages"
        )
    return texts[0]


def _name(path: Path, names: Sequence[str]) -> object:
    """The name of the argument or of the item that a path leads to."""
    where, step = path[0], path[1]
    if len(path) == 2 and where == 0 and isinstance(step, int):
        return names[min(step, len(names) - 1)] if names else None
    return path[-1]


def _changed(call: Arguments, texts: Mapping[Path, Any]) -> Arguments:
    new: Arguments = changed(call, texts)
    return new
