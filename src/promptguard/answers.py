"""Where the texts of an answer are, and putting other texts there.

Known are a string, a message, chat completions and completions (``choices``), the
Responses API (``output``), Google (``candidates``), LlamaIndex (a ``message``) and
pydantic-ai (``parts``). None holds no text. Anything else is a ConfigError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ConfigError
from .items import Part, is_item, item_parts
from .messages import Found, has_role, message_parts
from .shapes import Path, at, changed, get, is_sequence

__all__ = ["Undeliverable", "parsed_again", "read_answer", "rewritten"]

# A field that says a text again, parsed, and the one it is parsed from.
_ECHOES = {
    "parsed": ("content", "text"),
    "parsed_arguments": ("arguments",),
}


class Undeliverable(Exception):
    """An answer holds the text a second time, where it cannot be replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__()


def read_answer(value: Any) -> Found:
    """Find the texts in an answer that is not a stream.

    Raises:
        ConfigError: The answer is of no known shape.
    """
    if value is None:
        return Found(())
    if isinstance(value, str):
        return Found((Part((), value, "assistant", prose=True),))
    if is_sequence(choices := get(value, "choices")):
        return Found(tuple(_choices(choices)))
    if is_sequence(items := get(value, "output")) and (
        get(value, "object") in ("response", "response.compaction")
    ):
        return Found(tuple(output_parts(items, ("output",))))
    if is_sequence(candidates := get(value, "candidates")):
        return Found(tuple(candidate_parts(candidates, ("candidates",))))
    if has_role(value):
        return Found(tuple(message_parts(value, (), "assistant", "the answer")))
    if has_role(get(value, "message")):
        parts = message_parts(value.message, ("message",), "assistant", "the answer")
        return Found(tuple(parts))
    if get(value, "kind") == "response" and is_sequence(get(value, "parts")):
        return Found(tuple(item_parts(value.parts, ("parts",), "assistant")[0]))
    raise ConfigError(
        f"cannot find the text in an answer of type {type(value).__name__}; output "
        "guards know str, chat messages, the answers of chat clients and streams of "
        "str or of their chunks. Guard a function that returns one of these"
    )


def output_parts(items: Any, path: Path) -> list[Part]:
    """The texts in the output of the Responses API."""
    parts: list[Part] = []
    for index, item in enumerate(items):
        if not has_role(item) and not is_item(item):
            raise ConfigError(
                f"output[{index}] of the answer is of unknown type; bring promptguard "
                "up to date, or guard a function that returns the text"
            )
        where = f"output[{index}]"
        parts += message_parts(item, (*path, index), "assistant", where)
    return parts


def candidate_parts(candidates: Any, path: Path) -> list[Part]:
    """The texts in the candidates of a Google model."""
    parts: list[Part] = []
    for index, candidate in enumerate(candidates):
        way = (*path, index)
        found, _ = item_parts(candidate, way, "assistant")
        for part in found:
            # Safety ratings and the like say nothing that the model said.
            if part.path[len(way)] not in _ABOUT_CANDIDATE:
                parts.append(_as_prose(part, candidates))
    return parts


_ABOUT_CANDIDATE = frozenset(
    "finishReason finish_reason safetyRatings safety_ratings".split()
)


def _as_prose(part: Part, candidates: Any) -> Part:
    from dataclasses import replace

    path = part.path
    said = path[-1] == "text" and len(path) == 6 and path[3] == "parts"
    if not said:
        return part
    owner = at(candidates, path[1:-1])
    return part if get(owner, "thought") else replace(part, prose=True)


def _choices(choices: Any) -> list[Part]:
    parts: list[Part] = []
    for index, choice in enumerate(choices):
        message, text = get(choice, "message"), get(choice, "text")
        if message is not None:
            path: Path = ("choices", index, "message")
            parts += message_parts(message, path, "assistant", f"choice {index}")
        elif isinstance(text, str):
            path = ("choices", index, "text")
            parts.append(Part(path, text, "assistant", prose=True))
        else:
            raise ConfigError(
                f"choice {index} of the answer has neither a message nor a text; guard "
                "a completions endpoint, or a function that returns a str"
            )
    return parts


def rewritten(answer: Any, texts: Mapping[Path, Any]) -> Any:
    """A copy of an answer with other texts, and without echoes of the old ones.

    Raises:
        Undeliverable: The old text is in the answer a second time, in another form.
    """
    changes: dict[Path, Any] = dict(texts)
    for path, text in texts.items():
        owner = answer
        for depth in range(len(path)):
            # Log-probabilities spell the text, token by token.
            if spelled := get(owner, "logprobs"):
                blank: Any = [] if is_sequence(spelled) else None
                changes[*path[:depth], "logprobs"] = blank
            if depth < len(path) - 1:
                owner = at(owner, path[depth : depth + 1])
        for echo, sources in _ECHOES.items():
            if path[-1:] and path[-1] in sources:
                parsed = get(owner, echo)
                if parsed is not None:
                    changes[*path[:-1], echo] = _parsed_again(parsed, text, path)
    return changed(answer, changes)


def _parsed_again(parsed: Any, text: str, path: Path) -> Any:
    again = parsed_again(parsed, text)
    if again is None:
        raise Undeliverable(path)
    return again


def parsed_again(parsed: Any, text: str) -> Any:
    """The parsed form of a text, made anew from the redacted one, or None."""
    validate = getattr(type(parsed), "model_validate_json", None)
    try:
        if validate is not None:
            return validate(text)
        if isinstance(parsed, dict | list):
            import json

            return json.loads(text)
    except (ValueError, RecursionError):
        pass
    return None
