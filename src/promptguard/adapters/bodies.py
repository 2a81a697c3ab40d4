"""Every text in the body of a request to a service.

A library is called by a developer, whose messages of ``system`` and whose descriptions
of tools are trusted. A service does not know who wrote what, and earlier turns of a
conversation are only what the caller says they were. So here every string is a text,
but for what media is made of; that has to look the part. Ids, keys and long numbers are
read together, as words of the developer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigError
from ..items import Part
from ..messages import Found, is_chat, message_parts, read_chat, role_of
from ..shapes import Path, is_sequence
from .labels import LONG_NUMBER, PLAIN, is_label, is_media, media, usual, written

__all__ = ["MOST_CHOICES", "offered", "read_body"]

MOST_CHOICES = 128
"""More answers than this are not asked for with one request."""

_KEY = re.compile(r"[\w$.:/@+-]{1,64}", re.ASCII)
_TURNS = ("messages", "input")
# Outside of messages, what an application says and its users do not.
_DEVELOPERS = frozenset(
    "function_call functions instructions response_format text tool_choice "
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
# Where tokens may stand in the place of text.
_TOKENS = ("input", "prompt")
# The caller chooses it at random, and the upstream knows the models it has.
_SEED: Path = (1, "seed")
_MODEL: Path = (1, "model")
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
    # Whether each is a number that stands for nothing but an id.
    together: dict[str, bool] = {}
    for path, value, role in _values(body, turns):
        key = path[-1]
        if isinstance(key, str) and key not in _PROTOCOL:
            if not _KEY.fullmatch(key):
                # What is found in a key cannot be replaced there, so it blocks.
                parts.append(Part(path, key, role, form="fixed"))
            elif len(path) > 2:
                together[key] = False
        if isinstance(value, str):
            if value and path not in done:
                parts += _part(path, value, role, names, together)
        elif value is not None and not isinstance(value, bool | dict | list):
            if path[1] in _TOKENS and all(isinstance(step, int) for step in path[2:]):
                # In a list of texts, or in a list of lists of tokens.
                raise ConfigError(
                    f"{path[1]} holds tokens, which no guard can read; send text"
                )
            if abs(value) >= LONG_NUMBER and path not in done and path != _SEED:
                number = written(value)
                id_ = isinstance(key, str) and is_label(key)
                together[number] = id_ and together.get(number, True)
        if len(parts) > most:
            raise ConfigError(f"the request has more than {most} texts")
    if together:
        said = "\n".join(together)
        ids = frozenset(number for number, id_ in together.items() if id_)
        parts.append(Part((1,), said, "developer", form="fixed", ids=ids))
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


def _part(
    path: Path,
    text: str,
    role: str,
    names: frozenset[str],
    together: dict[str, bool],
) -> Iterator[Part]:
    """What is to be read of a string that is no message's text.

    Args:
        path: Where it stands.
        text: What it says.
        role: Whose word it is.
        names: Those of the tools that the request offers.
        together: Where to put what is read together with others.
    """
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if is_label(key):
        if not PLAIN.fullmatch(text):
            yield Part(path, text, role, form="fixed")
        elif path != _MODEL and not usual(text):
            together[text] = text.isdecimal() and together.get(text, True)
    elif key == "name":
        # The name of a tool that the request offers is the developer's, wherever.
        yield Part(path, text, "developer" if text in names else role, form="fixed")
    elif is_media(key) and (said := media(text)) is not None:
        if said:
            yield Part(path, said, role, form="fixed")
    elif path[1] not in (*_TURNS, "prompt") and _WORD.fullmatch(text):
        yield Part(path, text, "developer")
    else:
        yield Part(path, text, role)


def _kind(value: object) -> str:
    names = {dict: "object", str: "string", type(None): "null", bool: "boolean"}
    return names.get(type(value), "number")
