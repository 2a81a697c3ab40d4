"""Where the texts in the arguments of a call are.

What is read, precisely:

1. With ``prompt="name"`` that parameter, with ``prompt=function`` what the function
   returns for the call; nothing else.
2. Otherwise every argument that is chat messages: a sequence with a mapping or object
   that has a ``role``, a single such message, or any parameter named ``messages``.
3. And every string, also inside lists, tuples, sets, values of dicts and documents
   (objects whose ``page_content``, ``text`` or ``content`` is a string), but for the
   parameters in ``TRUSTED_NAMES``, and beside messages those in ``SETTING_NAMES``.

A dict that is an argument is read as arguments by name. Defaults that the call does
not override are the developer's own words. Keys of dicts, other objects, bytes, files
and iterators are not looked at. A call without any text, and anything unknown under
``messages`` or a name in ``TEXT_NAMES``, is a ConfigError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import ConfigError
from .items import Part
from .messages import Found, has_role, is_chat, read_chat, unknown_shape
from .shapes import Path, is_sequence

__all__ = ["read", "read_value"]

TEXT_NAMES = frozenset({"input", "prompt", "query", "question"})
TRUSTED_NAMES = frozenset({"model", "system", "system_prompt"})
# What beside messages says how to answer, not what: the parameters of chat clients.
SETTING_NAMES = TRUSTED_NAMES | {
    *("api_key", "audio", "base_url", "extra_body", "extra_headers", "extra_query"),
    *("function_call", "functions", "headers", "include", "instructions", "logit_bias"),
    *("metadata", "modalities", "parallel_tool_calls", "prompt_cache_key", "reasoning"),
    *("reasoning_effort", "response_format", "safety_identifier", "service_tier"),
    *("stop", "stop_sequences", "stream_options", "timeout", "tool_choice", "tools"),
    *("truncation", "user", "verbosity"),
}
_DOCUMENT = ("page_content", "text", "content")
_DEEPEST = 32


_Argument = tuple[Path, str, Any]
"""The way to an argument, its name, and the argument."""


def read(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    names: Sequence[str] = (),
    prompt: str | None = None,
    settings: frozenset[str] | None = None,
) -> Found:
    """Find the texts in the arguments of a call.

    Args:
        args: The positional arguments; their paths begin with 0.
        kwargs: The others; their paths begin with 1.
        names: The names of the positional parameters; the last one is used again for
            arguments beyond them.
        prompt: The only parameter to read.
        settings: The parameters that say how to answer, where they are known.

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
    opened = [inner for outer in arguments for inner in _opened(outer)]
    chats = [_is_messages(name, value) for _, name, value in opened]
    skipped = SETTING_NAMES if any(chats) else TRUSTED_NAMES
    skipped = skipped if settings is None else settings
    for (path, name, value), chat in zip(opened, chats, strict=True):
        if chat:
            found.chat(path, name, value)
        elif name in TEXT_NAMES:
            found.value(path, name, value)
        elif name not in skipped:
            found.strings(path, value)
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

    def strings(self, path: Path, value: Any, depth: int = 0) -> None:
        """An argument that may be text, or hold some."""
        if isinstance(value, str):
            self.parts.append(Part(path, value, "user"))
        elif value is None or isinstance(value, _WITHOUT_TEXT):
            return
        elif depth == _DEEPEST:
            raise ConfigError(
                f"an argument is nested deeper than {_DEEPEST} levels; say where its "
                "text is with prompt="
            )
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.strings((*path, key), item, depth + 1)
        elif is_sequence(value):
            for index, item in enumerate(value):
                if type(item) is not float and type(item) is not int:
                    self.strings((*path, index), item, depth + 1)
        elif isinstance(value, set | frozenset):
            # A set has no places to write to, so a redaction in it blocks.
            self.parts += [
                Part(path, item, "user", form="fixed")
                for item in value
                if isinstance(item, str)
            ]
        elif not isinstance(value, type):
            for name in declared(value) or _DOCUMENT:
                held = getattr(value, name, None)
                if isinstance(held, str) or name not in _DOCUMENT:
                    self.strings((*path, name), held, depth + 1)

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


def declared(value: Any) -> tuple[str, ...]:
    """The fields of a dataclass or of a pydantic model, known by their shape."""
    fields = getattr(type(value), "__dataclass_fields__", None)
    fields = fields or getattr(type(value), "model_fields", None)
    return tuple(fields) if isinstance(fields, dict) else ()


_WITHOUT_TEXT = (bool, int, float, complex, bytes, bytearray, memoryview, range)


def _is_messages(name: str, value: Any) -> bool:
    return name == "messages" or (type(value) is not str and is_chat(value))


def _opened(argument: _Argument) -> Iterator[_Argument]:
    """The argument, or those inside a dict of arguments."""
    path, name, value = argument
    if type(value) is str or not isinstance(value, Mapping) or has_role(value):
        yield argument
    elif name not in SETTING_NAMES:
        for key, inner in value.items():
            yield (*path, key), str(key), inner
