"""Where the texts in the arguments of a call are.

What is read, precisely:

1. With ``prompt="name"`` that parameter, with ``prompt=function`` what the function
   returns for the call; nothing else.
2. Otherwise every argument that is chat messages: a sequence with a mapping or object
   that has a ``role``, a single such message, or any parameter named ``messages``.
   Beside messages, only the parameters in ``TEXT_NAMES`` are read.
3. Without messages every string, and every string in a list or tuple, except the
   parameters in ``TRUSTED_NAMES``.

A dict is opened one level deep, for ``messages`` and the names in ``TEXT_NAMES``.
Defaults that the call does not override are the developer's own words. A call without
any text, and anything unknown under one of these names, is a ConfigError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import ConfigError
from .messages import Found, Part, has_role, is_chat, read_chat, unknown_shape
from .shapes import Path, is_sequence

__all__ = ["read", "read_value"]

TEXT_NAMES = frozenset({"input", "prompt", "query", "question"})
TRUSTED_NAMES = frozenset({"model", "system", "system_prompt"})


_Argument = tuple[Path, str, Any]
"""The way to an argument, its name, and the argument."""


def read(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    names: Sequence[str] = (),
    prompt: str | None = None,
) -> Found:
    """Find the texts in the arguments of a call.

    Args:
        args: The positional arguments; their paths begin with 0.
        kwargs: The others; their paths begin with 1.
        names: The names of the positional parameters; the last one is used again for
            arguments beyond them.
        prompt: The only parameter to read.

    Raises:
        ConfigError: There is no text, or something unknown where one should be.
    """
    last = len(names) - 1
    arguments: list[_Argument] = []
    for index, value in enumerate(args):
        name = names[min(index, last)] if names else f"argument {index}"
        if index or name not in ("self", "cls"):
            arguments.append(((0, index), name, value))
    arguments += [((1, name), name, value) for name, value in kwargs.items()]
    found = _Collected()
    if prompt is not None:
        for path, name, value in arguments:
            if name == prompt:
                found.value(path, name, value)
        return found.result(f"the parameter {prompt!r}, which is where prompt= looks")
    nested = [
        inner
        for outer in arguments
        if type(outer[2]) is not str
        for inner in _opened(outer)
    ]
    chats = {
        path
        for path, name, value in (*arguments, *nested)
        if name == "messages" or (type(value) is not str and is_chat(value))
    }
    for path, name, value in arguments:
        if path in chats:
            found.chat(path, name, value)
        elif name in TEXT_NAMES:
            found.value(path, name, value)
        elif not chats and name not in TRUSTED_NAMES:
            found.strings(path, value)
    for path, name, value in nested:
        if path in chats:
            found.chat(path, name, value)
        else:
            found.value(path, name, value)
    return found.result("the call")


def read_value(value: Any) -> Found:
    """Find the texts in what a ``prompt=`` function returned."""
    found = _Collected()
    found.value((), "what prompt= returned", value)
    return found.result("what prompt= returned")


class _Collected:
    """The texts found so far."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.history: list[tuple[str, str]] = []

    def value(self, path: Path, name: str, value: Any) -> None:
        """An argument that is known to be text."""
        if isinstance(value, str):
            self.parts.append(Part(path, value, "user"))
        elif is_chat(value):
            self.chat(path, name, value)
        elif is_sequence(value) and all(isinstance(item, str) for item in value):
            self.strings(path, value)
        elif value is not None:
            raise unknown_shape(
                name, "value", value, "a str, a list of str or chat messages"
            )

    def strings(self, path: Path, value: Any) -> None:
        """An argument that may be text."""
        if isinstance(value, str):
            self.parts.append(Part(path, value, "user"))
        elif is_sequence(value):
            self.parts += [
                Part((*path, index), item, "user")
                for index, item in enumerate(value)
                if isinstance(item, str)
            ]

    def chat(self, path: Path, name: str, value: Any) -> None:
        """Chat messages: those that are new and not trusted."""
        if value is not None:
            found = read_chat(value, path, name)
            self.parts += found.parts
            self.history += found.history

    def result(self, where: str) -> Found:
        if self.parts:
            return Found(tuple(self.parts), tuple(self.history))
        raise ConfigError(
            f"found no text to check in {where}; pass a str or chat messages (those of "
            "system and developer are trusted and not checked), or say where the text "
            "is with prompt=, a parameter's name or a function of the call"
        )


def _opened(argument: _Argument) -> Iterator[_Argument]:
    """The arguments inside a dict of arguments."""
    path, _, value = argument
    if not isinstance(value, Mapping) or has_role(value):
        return
    for key in ("messages", *sorted(TEXT_NAMES)):
        if key in value:
            yield (*path, key), key, value[key]
