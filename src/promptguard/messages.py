"""Where the texts of chat messages are, whatever library they come from.

Messages are known by their shape; no client library is imported. What is looked at,
precisely:

Among messages
    Those after the last assistant message that a user or tool message follows, so an
    assistant message at the end, which the model is to continue, is read too. Messages
    with the role ``system`` or ``developer`` are trusted. The items of the Responses
    API stand among messages: calls are the assistant's, outputs a tool's.
In a message
    ``content`` (a string, or a list of text parts and content blocks), refusals,
    reasoning, the arguments of tool calls, transcripts, and every string in any other
    field of a mapping, model or dataclass; see ``promptguard.items`` for what is not
    looked at. Images, audio and files are passed on and lower the coverage.

Anything else where a text should be is a ConfigError, never a silent pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import ConfigError
from .items import (
    NAMES,
    SEALED,
    UNSEEN_KINDS,
    Part,
    is_item,
    item_parts,
    item_role,
    known_kind,
)
from .shapes import Path, fields, get, is_model, is_sequence
from .text import ROLES

__all__ = [
    "Found",
    "has_role",
    "is_chat",
    "message_parts",
    "read_chat",
    "role_of",
    "unknown_shape",
]

TEXT_FIELDS = ("refusal", "reasoning_content", "reasoning", "thinking")
TEXT_LISTS = ("reasoning_details", "thinking_blocks")
TRUSTED_ROLES = frozenset({"system", "developer"})
# Enough for any guard that reads on; all of it, for each text, would be quadratic.
HISTORY = 64

# The part of a message's content that is its text.
TEXT_PARTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
}
_PLAIN_FIELDS = frozenset({"content", "name", "role", "tool_call_id"})
_READ_FIELDS = frozenset(
    {"audio", "content", "function_call", "tool_calls", *TEXT_FIELDS, *TEXT_LISTS}
)
# What a message says about itself, and what never goes to a model.
_ABOUT = frozenset(
    "artifact container context_management response_metadata stop_sequence usage "
    "usage_metadata".split()
)
_SKIPPED = NAMES | SEALED | _READ_FIELDS | _ABOUT
# Lists of these are no chat messages, and they can be long.
_PLAIN = frozenset({bool, bytes, float, int, str, type(None)})
# Messages of LangChain have a type in the place of a role.
_TYPES = {
    "AIMessageChunk": "assistant",
    "ai": "assistant",
    "function": "function",
    "human": "user",
    "system": "system",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The texts of a call or an answer, and the conversation before them."""

    parts: tuple[Part, ...]
    history: tuple[tuple[str, str], ...] = field(default=(), repr=False)


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
    roles = [role_of(message, name, i) for i, (_, message) in enumerate(messages)]
    # The calls and outputs of one turn may alternate, so a call ends no turn.
    calls = {i for i, (_, item) in enumerate(messages) if not has_role(item)}
    first = _first_new(roles, calls)
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


def message_parts(message: Any, path: Path, role: str, where: str) -> list[Part]:
    """The texts of one message, or of the delta of a chunk."""
    content = get(message, "content")
    if isinstance(content, str) and (
        type(message) is dict and message.keys() <= _PLAIN_FIELDS
    ):
        # The message of nearly every call.
        return [Part((*path, "content"), content, role, prose=True)]
    if is_item(message) and not has_role(message):
        parts, unseen = item_parts(message, path, role)
    else:
        parts, unseen = _content(content, (*path, "content"), role, where)
        for name in TEXT_FIELDS:
            value = get(message, name)
            if isinstance(value, str):
                parts.append(Part((*path, name), value, role))
            elif value is not None:
                raise unknown_shape(where, name, value, "a str")
        parts += _calls(message, path, role, where)
        unseen += _rest(message, path, role, where, parts)
    if unseen and not parts:
        return [Part(path, "", role, 0.0, "fixed")]
    share = len(parts) / (len(parts) + unseen) if parts else 1.0
    return [replace(p, coverage=share) for p in parts] if unseen else parts


def _content(content: Any, path: Path, role: str, where: str) -> tuple[list[Part], int]:
    """The texts in the content of a message, and how much of it is no text."""
    parts: list[Part] = []
    unseen = 0
    if isinstance(content, str):
        parts.append(Part(path, content, role, prose=True))
    elif is_sequence(content):
        for index, item in enumerate(content):
            unseen += _content_part(item, (*path, index), role, where, parts)
    elif content is not None:
        raise unknown_shape(where, "content", content, "a str or a list of parts")
    return parts, unseen


def _content_part(
    item: Any, path: Path, role: str, where: str, parts: list[Part]
) -> int:
    if isinstance(item, str):
        parts.append(Part(path, item, role, prose=True))
        return 0
    kind = get(item, "type")
    if isinstance(kind, str) and kind in UNSEEN_KINDS:
        return 1
    name = TEXT_PARTS.get(kind) if isinstance(kind, str) else None
    if name is None and not known_kind(kind):
        known = ", ".join(sorted(TEXT_PARTS))
        shown = kind if isinstance(kind, str) and kind.isidentifier() else None
        raise ConfigError(
            f"{where} has a part of unknown type {shown and shown[:30]!r}; known "
            f"types: {known}, image_url, file, tool_use, tool_result and others. Say "
            "where the text is with prompt="
        )
    more, unseen = item_parts(item, path, role)
    if name is not None:
        text = get(item, name)
        if not isinstance(text, str):
            raise unknown_shape(where, f"the {name} of a part", text, "a str")
        way = (*path, name)
        parts.append(Part(way, text, role, prose=name == "text"))
        more = [part for part in more if part.path != way]
    parts += more
    return unseen


def _rest(message: Any, path: Path, role: str, where: str, parts: list[Part]) -> int:
    """The texts in the fields that not every message has."""
    unseen = 0
    for name in TEXT_LISTS:
        items = get(message, name)
        if items is not None and not is_sequence(items):
            raise unknown_shape(where, name, items, "a list")
        parts += item_parts(items, (*path, name), role)[0]
    audio = get(message, "audio")
    if audio is not None:
        transcript = get(audio, "transcript")
        if isinstance(transcript, str):
            way = (*path, "audio", "transcript")
            parts.append(Part(way, transcript, role, form="fixed"))
        else:
            unseen += 1
    if is_model(message):
        for name, value in fields(message).items():
            if name not in _SKIPPED and not name.endswith("_id"):
                more, others = item_parts(value, (*path, name), role)
                parts += more
                unseen += others
    return unseen


def is_chat(value: Any) -> bool:
    """True for chat messages, and for a single one."""
    if isinstance(value, str):
        return False
    if is_sequence(value):
        return any(
            has_role(item) or is_item(item)
            for item in value
            if type(item) not in _PLAIN
        )
    return has_role(value)


def has_role(value: Any) -> bool:
    """True for what looks like a message."""
    if type(value) is dict or isinstance(value, Mapping):
        return isinstance(value.get("role"), str)
    # Other things than messages have roles too: agents, users.
    return _said_role(value) is not None and hasattr(value, "content")


def _said_role(message: Any) -> str | None:
    role = get(message, "role")
    if not isinstance(role, str) and not isinstance(message, Mapping):
        kind = getattr(message, "type", None)
        role = _TYPES.get(kind) if isinstance(kind, str) else None
    return role if isinstance(role, str) else None


def role_of(message: Any, name: str, index: int) -> str:
    """Whose words a message among others is.

    Raises:
        ConfigError: It has no role, or an unknown one.
    """
    role = None if isinstance(message, str) else _said_role(message)
    if role is not None and role in ROLES:
        return str.__str__(role)
    if role is None and is_item(message):
        return item_role(message)
    where, known = f"{name}[{index}]", ", ".join(ROLES)
    if role is None:
        raise ConfigError(
            f"{where} is a {type(message).__name__} without a role; a message is a "
            f"mapping or an object with role and content. Known roles: {known}"
        )
    # A long "role" may be a text in the wrong place.
    shown = repr(str(role)) if role.isidentifier() and len(role) < 20 else "unknown"
    raise ConfigError(f"{where} has the role {shown}; known roles: {known}")


def _first_new(roles: Sequence[str], calls: set[int]) -> int:
    """One past the last assistant message that a user or tool message follows."""
    followed = False
    for index in reversed(range(len(roles))):
        if roles[index] == "assistant":
            if followed and index not in calls:
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


def _calls(message: Any, path: Path, role: str, where: str) -> Iterator[Part]:
    """The arguments of the tool calls in a message."""
    calls = get(message, "tool_calls")
    if calls is not None and not is_sequence(calls):
        raise unknown_shape(where, "tool_calls", calls, "a list")
    for index, call in enumerate(calls or ()):
        way = (*path, "tool_calls", index)
        kind = get(call, "type")
        if kind == "tool_call" or get(call, "args") is not None:
            yield from item_parts(call, way, role)[0]
        elif kind not in (None, "function", "custom"):
            raise ConfigError(
                f"{where} has a tool call of unknown type; known: function, custom"
            )
        yield from _arguments(call, "function", "arguments", way, role, where)
        yield from _arguments(call, "custom", "input", way, role, where)
    yield from _arguments(message, "function_call", "arguments", path, role, where)


def _arguments(
    call: Any, holder: str, name: str, path: Path, role: str, where: str
) -> Iterator[Part]:
    text = get(get(call, holder), name)
    way = (*path, holder, name)
    if isinstance(text, str):
        yield Part(way, text, role, form="json" if name == "arguments" else "text")
    elif text is not None:
        raise unknown_shape(where, f"the {name} of a tool call", text, "a str")


def unknown_shape(where: str, what: str, value: object, known: str) -> ConfigError:
    return ConfigError(
        f"{where}: {what} is a {type(value).__name__}, not {known}; "
        "pass that, or say where the text is with prompt="
    )
