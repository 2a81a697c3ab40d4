"""Words in place of an answer, in an answer or a chunk of the same shape."""

from __future__ import annotations

from typing import Any

from .answers import read_answer, rewritten
from .errors import ConfigError
from .messages import has_role
from .shapes import Path, at, copied, fields, get, is_sequence, only

__all__ = ["in_chunk", "in_place"]

# What a message says about itself.
_ABOUT = frozenset({"content", "id", "index", "model", "name", "role", "type"})
# Not "content_filter": the helpers of clients raise on that, and this is an answer.
_STOP = {"finish_reason": "stop"}


def in_place(answer: Any, words: str) -> Any:
    """A copy of the answer that says these words and nothing else.

    Raises:
        ConfigError: There is no place for words in the answer.
    """
    if answer is None or isinstance(answer, str):
        return words
    choices = get(answer, "choices")
    if is_sequence(choices):
        return copied(
            answer, {"choices": [_choice(choice, words) for choice in choices]}
        )
    if has_role(answer):
        return _message(answer, words)
    texts: dict[Path, str] = {}
    for part in read_answer(answer).parts:
        if part.form != "text":
            raise ConfigError(
                f"an answer of type {type(answer).__name__} with tool calls or audio "
                "cannot be replaced by a text; use another on_block"
            )
        texts[part.path] = "" if texts else words
    return rewritten(answer, texts)


def in_chunk(chunk: Any, path: Path, words: str) -> Any:
    """A copy of a chunk that ends the stream with these words.

    Args:
        chunk: A chunk of the stream.
        path: The way to some text in it.
        words: What it is to say.

    Raises:
        ConfigError: There is no place for words in the chunk.
    """
    if not path:
        return words
    if path[0] != "choices":
        raise ConfigError(
            f"a stream of {type(chunk).__name__} cannot end with a text in place of "
            "what is blocked; use another on_block"
        )
    choice = at(chunk, path[:2])
    updates = {"delta": only(get(choice, "delta"), ("content",), words)}
    choice = copied(choice, _without(choice, "logprobs") | updates | _STOP)
    return copied(chunk, _without(chunk, "usage") | {"choices": [choice]})


def _choice(choice: Any, words: str) -> Any:
    message = get(choice, "message")
    updates: dict[str, Any] = {"text": words}
    if message is not None:
        updates = {"message": _message(message, words)}
    return copied(choice, _without(choice, "logprobs") | updates | _STOP)


def _message(message: Any, words: str) -> Any:
    content: Any = words
    blocks = get(message, "content")
    if is_sequence(blocks):
        texts = [block for block in blocks if get(block, "type") == "text"]
        blank = {"type": "text", "text": words}
        content = [copied(texts[0], {"text": words}) if texts else blank]
    said = [name for name in fields(message) if name not in _ABOUT]
    return copied(message, _without(message, *said) | {"content": content})


def _without(value: Any, *names: str) -> dict[str, Any]:
    return {name: None for name in names if get(value, name) is not None}
