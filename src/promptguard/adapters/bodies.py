"""Every text in the body of a request to a service, and what is known of its answer.

A library is called by a developer, whose messages of ``system`` and whose descriptions
of tools are trusted. A service does not know who wrote what, and earlier turns of a
conversation are only what the caller says they were. So here every string is a text,
but for ids, types and what media is made of; those have to look the part.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from ..errors import ConfigError
from ..items import Part
from ..messages import Found, is_chat, message_parts, read_chat, role_of
from ..shapes import Path, is_sequence

__all__ = ["MOST_CHOICES", "known", "new_names", "offered", "read_body"]

MOST_CHOICES = 128
"""More answers than this are not asked for with one request."""

# What looks like this is an id, a type or the name of a model, and no text.
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.:/@+=-]{0,255}", re.ASCII)
_LABELS = frozenset("detail format id model object role status type".split())
_KEY = re.compile(r"[\w$.:/@+-]{1,64}", re.ASCII)
_TURNS = ("messages", "input")
# Outside of messages, what an application says and its users do not.
_DEVELOPERS = frozenset(
    "function_call functions instructions model response_format stop text tool_choice "
    "tools".split()
)
# Where servers that know more than OpenAI take passages from.
_PASSAGES = frozenset("context documents passages".split())
# One word, which tells a model nothing and is most of what settings are.
_WORD = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
# The keys that every body has, which say nothing of anybody.
_PROTOCOL = frozenset(
    "arguments call_id content description file function id image_url index items "
    "name output parameters properties required role strict text tool_call_id "
    "tool_calls type url".split()
)
_MEDIA = frozenset(
    "b64_json blob data file_data image_url inline_data input_image url".split()
)
_DATA_URL = re.compile(r"data:[^,;\s]{0,100}(?:;[^,;\s]{1,100}){0,4},", re.IGNORECASE)
_TEXT_TYPE = re.compile(
    r"data:(?:text/|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|javascript)|[;,])",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]*={0,2}\s*")
# No name and no word is this long, so it is media and not a text that looks like it.
_LEAST_MEDIA = 64
_DEEPEST = 64


def read_body(
    body: Mapping[str, Any], *, new: bool = False, most: int = 10_000
) -> Found:
    """Find every text in the body of a request.

    Args:
        body: The body, as JSON gave it; the paths of the texts begin with 1.
        new: Of the messages, only those after the last answer, as ``guarded`` does.
        most: How many texts there may be.

    Raises:
        ConfigError: A part of it is of no known shape, or holds tokens for text, or
            there are too many of them.
    """
    parts: list[Part] = []
    names = offered(body)
    turns: dict[Path, str] = {}
    history: tuple[tuple[str, str], ...] = ()
    for name in _TURNS:
        value = body.get(name)
        if name not in body or (name == "input" and not is_chat(value)):
            continue
        if type(value) is not list:
            raise ConfigError(f"{name} is a {_kind(value)}, not a list of messages")
        if new:
            fresh = read_chat(value, (1, name), name)
            read = {part.path[:3] for part in fresh.parts}
            history = fresh.history
        for index, message in enumerate(value):
            path: Path = (1, name, index)
            role = role_of(message, name, index)
            if new and path not in read and role not in ("system", "developer"):
                turns[path] = ""
                continue
            turns[path] = role
            parts += message_parts(message, path, role, f"{name}[{index}]")
    done = {part.path for part in parts}
    for path, text, role in _strings(body, turns):
        if path not in done:
            parts += _part(path, text, role, names)
        if len(parts) > most:
            raise ConfigError(f"the request has more than {most} texts")
    for path, key, role in _odd_keys(body, turns):
        # What is found in a key cannot be replaced there, so it blocks.
        parts.append(Part(path, key, role, form="fixed"))
    if keys := _plain_keys(body, turns):
        parts.append(Part((1,), "\n".join(keys), "developer", form="fixed"))
    return Found(tuple(parts), history)


def offered(body: Mapping[str, Any]) -> frozenset[str]:
    """The names of the tools that a request offers to the model."""
    names: set[str] = set()
    for key in ("tools", "functions"):
        tools = body.get(key)
        for tool in tools if is_sequence(tools) else ():
            if isinstance(tool, dict):
                for owner in (tool, *tool.values()):
                    name = owner.get("name") if isinstance(owner, dict) else None
                    if isinstance(name, str):
                        names.add(name)
    return frozenset(names)


def _strings(
    body: Mapping[str, Any], turns: Mapping[Path, str]
) -> Iterator[tuple[Path, str, str]]:
    """Every string in a body with its path and whose word it is."""
    for path, value, role in _values(body, turns):
        if isinstance(value, str):
            if value:
                yield path, value, role
        elif (
            path[1] in ("input", "prompt")
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            # In a list of texts, or in a list of lists of tokens.
            and all(isinstance(step, int) for step in path[2:])
        ):
            raise ConfigError(
                f"{path[1]} holds tokens, which no guard can read; send text"
            )


def _odd_keys(
    body: Mapping[str, Any], turns: Mapping[Path, str]
) -> Iterator[tuple[Path, str, str]]:
    """Every key that is more than a name."""
    for path, _, role in _values(body, turns):
        key = path[-1]
        if isinstance(key, str) and not _KEY.fullmatch(key):
            yield path, key, role


def _plain_keys(body: Mapping[str, Any], turns: Mapping[Path, str]) -> list[str]:
    """The keys that are names, each once, below those of the protocol."""
    found = dict.fromkeys(
        path[-1]
        for path, _, _ in _values(body, turns)
        if len(path) > 2 and isinstance(path[-1], str)
    )
    return [key for key in found if key not in _PROTOCOL and _KEY.fullmatch(key)]


def _values(
    body: Mapping[str, Any], turns: Mapping[Path, str]
) -> Iterator[tuple[Path, Any, str]]:
    """Every value in a body, as far as it is to be read."""
    todo: list[tuple[Path, Any, str]] = [
        ((1, key), value, _whose(key)) for key, value in reversed([*body.items()])
    ]
    while todo:
        path, value, role = todo.pop()
        role = turns.get(path, role)
        if not role:
            continue
        yield path, value, role
        if len(path) > _DEEPEST:
            raise ConfigError(f"the body is nested deeper than {_DEEPEST} levels")
        if isinstance(value, dict):
            todo += [((*path, k), v, role) for k, v in reversed([*value.items()])]
        elif isinstance(value, list):
            inner = [((*path, i), v, role) for i, v in enumerate(value)]
            todo += reversed(inner)


def _whose(key: str) -> str:
    """Whose word a field is; of one that nobody has heard of, the user's."""
    if key in _PASSAGES:
        return "retrieved"
    return "developer" if key in _DEVELOPERS else "user"


def _part(path: Path, text: str, role: str, names: frozenset[str]) -> Iterator[Part]:
    """What is to be read of a string that is no message's text."""
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if key in _LABELS or key.endswith(("_id", "_ids")):
        if not _PLAIN.fullmatch(text):
            yield Part(path, text, role, form="fixed")
    elif key == "name":
        # The name of a tool that the request offers is the developer's, wherever.
        yield Part(path, text, "developer" if text in names else role, form="fixed")
    elif key in _MEDIA and (media := _media(text)) is not None:
        if media:
            yield Part(path, media, role, form="fixed")
    elif path[1] not in (*_TURNS, "prompt") and _WORD.fullmatch(text):
        yield Part(path, text, "developer")
    else:
        yield Part(path, text, role)


def _media(text: str) -> str | None:
    """What media says that is text after all; empty for none, None for no media."""
    head = _DATA_URL.match(text)
    data = text[head.end() :] if head else text
    if head and not head[0].lower().endswith(";base64,"):
        return unquote(data)
    if not _BASE64.fullmatch(data) or (not head and len(data) < _LEAST_MEDIA):
        return None
    try:
        plain = base64.b64decode(data.replace("-", "+").replace("_", "/") + "==")
    except (ValueError, binascii.Error):
        return ""
    if head and _TEXT_TYPE.match(head[0]):
        # It says that it is text, so it is read, whatever it is written in.
        return _decoded(plain)
    try:
        said = plain.decode()
    except ValueError:
        return ""
    return "" if "\0" in said else said


def _decoded(data: bytes) -> str:
    """Bytes as text: by their mark, as UTF-8, or byte by byte."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig",):
        with suppress(ValueError):
            return data.decode(encoding).replace("\0", "")
    return data.decode("latin-1").replace("\0", "")


def _kind(value: object) -> str:
    names = {dict: "object", str: "string", type(None): "null", bool: "boolean"}
    return names.get(type(value), "number")


# What an answer holds beside the texts that are read. Anything else stays out, unless
# it is plain: it may be a text that no guard knows of.
_CHOICE = frozenset("delta logprobs message text".split())
_ENVELOPE = frozenset({"choices"})
# Of the Responses API also what it says again of the request.
_RESPONSE = frozenset(
    "instructions metadata output prompt reasoning text tools tool_choice user".split()
)


def known(value: dict[str, Any], *, logprobs: bool) -> dict[str, Any]:
    """An answer or a chunk of one, without what no guard would look at.

    Args:
        value: The answer, as JSON gave it; it is given back where nothing is left out.
        logprobs: Log-probabilities, which spell what the model said and what else it
            could have said, may stay.
    """
    kept = value
    if isinstance(value.get("choices"), list):
        choices = [_choice(c, logprobs) for c in value["choices"]]
        if any(a is not b for a, b in zip(choices, value["choices"], strict=True)):
            kept = {**kept, "choices": choices}
        return _only(kept, _ENVELOPE)
    if not logprobs:
        kept = _without_logprobs(kept)
    response = kept.get("response")
    if isinstance(response, dict):
        inner = _only(response, _RESPONSE)
        return kept if inner is response else {**kept, "response": inner}
    if kept.get("object") in ("response", "response.compaction"):
        return _only(kept, _RESPONSE)
    # An event says its texts in fields of many names, and all of them are read.
    return kept


def _choice(choice: Any, logprobs: bool) -> Any:
    if not isinstance(choice, dict):
        return choice
    if not logprobs and choice.get("logprobs") is not None:
        choice = {**choice, "logprobs": None}
    return _only(choice, _CHOICE)


def _only(value: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The mapping with these names, and others whose values are plain."""
    kept = {k: v for k, v in value.items() if k in names or _is_plain(v)}
    return value if len(kept) == len(value) else kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return not value or _PLAIN.fullmatch(value) is not None
    if isinstance(value, dict):
        return all(_KEY.fullmatch(k) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return True


def _without_logprobs(value: Any) -> Any:
    """Items and events without log-probabilities; itself where there are none."""
    if isinstance(value, dict):
        new = {
            key: [] if key == "logprobs" and inner else _without_logprobs(inner)
            for key, inner in value.items()
        }
        return new if any(map(_differ, new.values(), value.values())) else value
    if isinstance(value, list):
        items = [_without_logprobs(item) for item in value]
        return items if any(map(_differ, items, value)) else value
    return value


def _differ(one: object, other: object) -> bool:
    return one is not other


def new_names(
    value: Mapping[str, Any], names: frozenset[str], heard: dict[Any, str]
) -> Iterator[str]:
    """The names of tools called in an answer or chunk that the request did not offer.

    Args:
        value: The answer or chunk.
        names: What the request offered.
        heard: The names so far, by call; a stream may give them bit by bit.
    """
    for place, name in _called(value):
        said = heard[place] = heard.get(place, "") + name
        if not any(offer.startswith(said) for offer in names):
            yield said


def _called(value: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """The names of the tools that are called, each with its place."""
    for position, choice in enumerate(_list(value.get("choices"))):
        if not isinstance(choice, dict):
            continue
        place = choice.get("index", position)
        for key in ("message", "delta"):
            said = choice.get(key)
            said = said if isinstance(said, dict) else {}
            owners = [said, *_list(said.get("tool_calls"))]
            for number, owner in enumerate(owners):
                number = owner.get("index", number) if isinstance(owner, dict) else 0
                for kind in ("function", "custom", "function_call"):
                    inner = owner.get(kind) if isinstance(owner, dict) else None
                    name = inner.get("name") if isinstance(inner, dict) else None
                    if isinstance(name, str) and name:
                        yield (place, number, kind), name
    response = value.get("response")
    owner = response if isinstance(response, dict) else value
    for item in (*_list(owner.get("output")), value.get("item"), value):
        if isinstance(item, dict) and _calls(item):
            name = item.get("name")
            if isinstance(name, str) and name:
                # Said again whole, never bit by bit.
                yield object(), name


def _calls(item: Mapping[str, Any]) -> bool:
    """Whether an item calls a tool by its name."""
    kind = item.get("type")
    named = isinstance(kind, str) and kind.endswith("_call")
    return named or item.get("arguments") is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
