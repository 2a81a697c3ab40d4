"""Where the texts of a call and of its answer are, and putting other texts there.

Messages, completions and chunks are known by their shape; no client library is
imported.
What is looked at, precisely:

Among chat messages
    Those after the last assistant message that a user or tool message follows, so an
    assistant message at the end, which the model is to continue, is read too. Messages
    with the role ``system`` or ``developer`` are trusted.
In a message
    ``content`` (a string, or the text parts of a list), the fields in ``TEXT_FIELDS``
    and ``TEXT_LISTS``, arguments of tool calls, transcripts. Images, audio and files
    are passed on and lower the coverage of the verdict. Names, ids and other fields
    are not looked at.
In an answer
    A string, a message, or a chat completion with ``choices``. None holds no text.

Anything else where a text should be is a ConfigError, never a silent pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import ConfigError
from .shapes import Path, at, changed, get, is_sequence
from .text import ROLES

__all__ = [
    "TEXT_FIELDS",
    "TEXT_LISTS",
    "Form",
    "Found",
    "Part",
    "Undeliverable",
    "has_role",
    "is_chat",
    "message_parts",
    "read_answer",
    "read_chat",
    "rewritten",
    "unknown_shape",
]

TEXT_FIELDS = ("refusal", "reasoning_content", "reasoning", "thinking")
TEXT_LISTS = {
    "reasoning_details": ("text", "summary"),
    "thinking_blocks": ("thinking",),
}
_BEYOND_CONTENT = frozenset(
    {*TEXT_FIELDS, *TEXT_LISTS, "tool_calls", "function_call", "audio"}
)
TRUSTED_ROLES = frozenset({"system", "developer"})
# Enough for any guard that reads on; all of it, for each text, would be quadratic.
HISTORY = 64

_TEXT_PARTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
}
# Lists of these are no chat messages, and they can be long.
_PLAIN = frozenset({bool, bytes, float, int, str, type(None)})
_UNSEEN_PARTS = frozenset({"image_url", "input_audio", "file"})

Form = Literal["text", "json", "fixed"]


@dataclass(frozen=True, slots=True)
class Part:
    """One text and the way to it.

    Args:
        path: Keys, indexes and attributes from where reading began.
        text: What stands there.
        role: Whose text it is.
        coverage: Share of its message that is text; the rest is images and such.
        form: ``json`` for text with JSON escapes, ``fixed`` for one that cannot be
            replaced by another.
    """

    path: Path
    text: str = field(repr=False)
    role: str
    coverage: float = 1.0
    form: Form = "text"


@dataclass(frozen=True, slots=True)
class Found:
    """The texts of a call or an answer, and the conversation before them."""

    parts: tuple[Part, ...]
    history: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Undeliverable(Exception):
    """An answer holds the text a second time, where it cannot be replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__()


def read_chat(value: Any, path: Path, name: str) -> Found:
    """Find the texts in chat messages that are new and not trusted.

    Args:
        value: A sequence of messages, or one message.
        path: The way to it.
        name: What to call it in an error.
    """
    messages: list[tuple[Path, Any]]
    if has_role(value):
        messages = [(path, value)]
    elif is_sequence(value):
        messages = [((*path, i), message) for i, message in enumerate(value)]
    else:
        raise unknown_shape(name, "value", value, "a list of messages")
    roles = [_role(message, name, i) for i, (_, message) in enumerate(messages)]
    first = _first_new(roles)
    history = tuple(
        (roles[i], _plain(get(messages[i][1], "content")))
        for i in range(max(0, first - HISTORY), first)
    )
    parts: list[Part] = []
    for i in range(first, len(messages)):
        if roles[i] not in TRUSTED_ROLES:
            way, message = messages[i]
            parts += message_parts(message, way, roles[i], f"{name}[{i}]")
    return Found(tuple(parts), history)


def read_answer(value: Any) -> Found:
    """Find the texts in an answer that is not a stream.

    Raises:
        ConfigError: The answer is of no known shape.
    """
    if value is None:
        return Found(())
    if isinstance(value, str):
        return Found((Part((), value, "assistant"),))
    choices = get(value, "choices")
    if is_sequence(choices):
        parts: list[Part] = []
        for index, choice in enumerate(choices):
            message = get(choice, "message")
            if message is None:
                raise ConfigError(
                    f"choice {index} of the answer has no message; guard the chat "
                    "completions endpoint, or a function that returns a str"
                )
            path = ("choices", index, "message")
            parts += message_parts(message, path, "assistant", f"choice {index}")
        return Found(tuple(parts))
    if has_role(value):
        return Found(tuple(message_parts(value, (), "assistant", "the answer")))
    raise ConfigError(
        f"cannot find the text in an answer of type {type(value).__name__}; output "
        "guards know str, chat messages, chat completions and streams of str or of "
        "chunks. Guard a function that returns one of these"
    )


def rewritten(answer: Any, texts: Mapping[Path, str]) -> Any:
    """A copy of an answer with other texts, and without echoes of the old ones.

    Raises:
        Undeliverable: The old text is in the answer a second time, in another form.
    """
    changes: dict[Path, Any] = dict(texts)
    for path, text in texts.items():
        if path[:1] == ("choices",) and get(at(answer, path[:2]), "logprobs"):
            changes[*path[:2], "logprobs"] = None
        for echo, source in (("parsed", "content"), ("parsed_arguments", "arguments")):
            if path[-1:] == (source,):
                parsed = get(at(answer, path[:-1]), echo)
                if parsed is not None:
                    changes[*path[:-1], echo] = _parsed_again(parsed, text, path)
    return changed(answer, changes)


def message_parts(message: Any, path: Path, role: str, where: str) -> list[Part]:
    """The texts of one message, or of the delta of a chunk."""
    content = get(message, "content")
    plain = type(message) is dict and _BEYOND_CONTENT.isdisjoint(message)
    if plain and isinstance(content, str):
        # The message of nearly every call.
        return [Part((*path, "content"), content, role)]
    texts: list[tuple[Path, str, Form]] = []
    unseen = 0
    if isinstance(content, str):
        texts.append(((*path, "content"), content, "text"))
    elif is_sequence(content):
        for index, item in enumerate(content):
            if get(item, "type") in _UNSEEN_PARTS:
                unseen += 1
            else:
                texts.append(_content_part(item, (*path, "content", index), where))
    elif content is not None:
        raise unknown_shape(where, "content", content, "a str or a list of parts")
    for name in TEXT_FIELDS:
        value = get(message, name)
        if isinstance(value, str):
            texts.append(((*path, name), value, "text"))
        elif value is not None:
            raise unknown_shape(where, name, value, "a str")
    for name, keys in TEXT_LISTS.items():
        items = get(message, name)
        if items is not None and not is_sequence(items):
            raise unknown_shape(where, name, items, "a list")
        for index, item in enumerate(items or ()):
            for key in keys:
                if isinstance(value := get(item, key), str):
                    texts.append(((*path, name, index, key), value, "text"))
    texts += _calls(message, path, where)
    audio = get(message, "audio")
    if audio is not None:
        transcript = get(audio, "transcript")
        if isinstance(transcript, str):
            texts.append(((*path, "audio", "transcript"), transcript, "fixed"))
        else:
            unseen += 1
    if unseen and not texts:
        return [Part(path, "", role, 0.0, "fixed")]
    coverage = len(texts) / (len(texts) + unseen) if unseen else 1.0
    return [Part(way, text, role, coverage, form) for way, text, form in texts]


def is_chat(value: Any) -> bool:
    """True for chat messages, and for a single one."""
    if isinstance(value, str):
        return False
    if is_sequence(value):
        return any(has_role(item) for item in value if type(item) not in _PLAIN)
    return has_role(value)


def has_role(value: Any) -> bool:
    """True for what looks like a message."""
    if type(value) is dict or isinstance(value, Mapping):
        return isinstance(value.get("role"), str)
    # Other things than messages have roles too: agents, users.
    return isinstance(getattr(value, "role", None), str) and hasattr(value, "content")


def _role(message: Any, name: str, index: int) -> str:
    role = None if isinstance(message, str) else get(message, "role")
    if isinstance(role, str) and role in ROLES:
        return str.__str__(role)
    where, known = f"{name}[{index}]", ", ".join(ROLES)
    if not isinstance(role, str):
        raise ConfigError(
            f"{where} is a {type(message).__name__} without a role; a message is a "
            f"mapping or an object with role and content. Known roles: {known}"
        )
    # A long "role" may be a text in the wrong place.
    shown = repr(str(role)) if role.isidentifier() and len(role) < 20 else "unknown"
    raise ConfigError(f"{where} has the role {shown}; known roles: {known}")


def _first_new(roles: Sequence[str]) -> int:
    """One past the last assistant message that a user or tool message follows."""
    followed = False
    for index in reversed(range(len(roles))):
        if roles[index] == "assistant":
            if followed:
                return index + 1
        elif roles[index] not in TRUSTED_ROLES:
            followed = True
    return 0


def _plain(content: Any) -> str:
    """What text there is in the content of an earlier message."""
    if isinstance(content, str):
        return content
    items: Iterable[Any] = content if is_sequence(content) else ()
    texts = (item if isinstance(item, str) else get(item, "text") for item in items)
    return "\n".join(text for text in texts if isinstance(text, str))


def _content_part(item: Any, path: Path, where: str) -> tuple[Path, str, Form]:
    if isinstance(item, str):
        return path, item, "text"
    kind = get(item, "type")
    name = _TEXT_PARTS.get(kind) if isinstance(kind, str) else None
    if name is None:
        known = ", ".join(sorted({*_TEXT_PARTS, *_UNSEEN_PARTS}))
        shown = kind if isinstance(kind, str) and kind.isidentifier() else None
        raise ConfigError(
            f"{where} has a part of unknown type {shown and shown[:30]!r}; known "
            f"types: {known}. Say where the text is with prompt="
        )
    text = get(item, name)
    if not isinstance(text, str):
        raise unknown_shape(where, f"the {name} of a part", text, "a str")
    return (*path, name), text, "text"


def _calls(message: Any, path: Path, where: str) -> Iterator[tuple[Path, str, Form]]:
    """The arguments of the tool calls in a message."""
    calls = get(message, "tool_calls")
    if calls is not None and not is_sequence(calls):
        raise unknown_shape(where, "tool_calls", calls, "a list")
    for index, call in enumerate(calls or ()):
        way = (*path, "tool_calls", index)
        if get(call, "type") not in (None, "function", "custom"):
            raise ConfigError(
                f"{where} has a tool call of unknown type; known: function, custom"
            )
        yield from _arguments(call, "function", "arguments", way, where)
        yield from _arguments(call, "custom", "input", way, where)
    yield from _arguments(message, "function_call", "arguments", path, where)


def _arguments(
    call: Any, holder: str, name: str, path: Path, where: str
) -> Iterator[tuple[Path, str, Form]]:
    text = get(get(call, holder), name)
    if isinstance(text, str):
        yield (*path, holder, name), text, "json" if name == "arguments" else "text"
    elif text is not None:
        raise unknown_shape(where, f"the {name} of a tool call", text, "a str")


def _parsed_again(parsed: Any, text: str, path: Path) -> Any:
    """The parsed form of a text, made anew from the redacted one."""
    validate = getattr(type(parsed), "model_validate_json", None)
    try:
        if validate is not None:
            return validate(text)
        if isinstance(parsed, dict | list):
            import json

            return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise Undeliverable(path) from None


def unknown_shape(where: str, what: str, value: object, known: str) -> ConfigError:
    return ConfigError(
        f"{where}: {what} is a {type(value).__name__}, not {known}; "
        "pass that, or say where the text is with prompt="
    )
