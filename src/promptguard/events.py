"""What the chunks of a stream hold, whatever client they come from.

Known are the chunks of chat completions and completions (``choices``), the events of
the Responses API, those of Anthropic's messages, and the chunks of Google
(``candidates``). Texts that come bit by bit are pieces, each with a key that says which
text it continues.
Texts that stand whole in a chunk, many of them a second time, are
parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .answers import candidate_parts, output_parts, rewritten
from .errors import ConfigError
from .items import Part, item_parts
from .messages import message_parts
from .shapes import Path, at, copied, get, is_sequence, only

__all__ = ["Key", "Piece", "Seen", "carrier", "kind_of", "seen"]

Key = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of a text: which text, where in the chunk, and whether it is JSON."""

    key: Key
    path: Path
    text: str = field(repr=False)
    json: bool = False
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a chunk holds.

    Args:
        pieces: Bits of texts.
        ends: How the keys of the texts begin that end with this chunk.
        parts: Texts that stand here whole.
    """

    pieces: list[Piece]
    ends: list[Key] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


_ANTHROPIC = frozenset(
    "content_block_delta content_block_start content_block_stop error message_delta "
    "message_start message_stop ping".split()
)
_WHOLE_RESPONSE = frozenset(
    "cancelled completed created failed in_progress incomplete queued".split()
)


def kind_of(chunk: Any) -> str:
    """``text``, ``choices``, ``candidates``, ``responses``, ``messages``, or ``""``."""
    if isinstance(chunk, str):
        return "text"
    for name in ("choices", "candidates"):
        if is_sequence(get(chunk, name)):
            return name
    kind = get(chunk, "type")
    if not isinstance(kind, str):
        # A chunk of Google that holds nothing but usage has no candidates.
        usage = get(chunk, "usage_metadata"), get(chunk, "usageMetadata")
        return "candidates" if any(usage) else ""
    if kind.startswith("response."):
        return "responses"
    if kind == "error":
        return "messages" if get(chunk, "error") is not None else "responses"
    return "messages" if kind in _ANTHROPIC else ""


def seen(chunk: Any) -> Seen:
    """Find the texts in a chunk.

    Raises:
        ConfigError: The chunk is of no known shape.
    """
    kind = kind_of(chunk)
    if kind == "text":
        return Seen([Piece((), (), chunk, prose=True)])
    if kind == "choices":
        return _choices(chunk)
    if kind == "responses":
        return _response_event(chunk)
    if kind == "messages":
        return _message_event(chunk)
    if kind == "candidates":
        return _candidates(chunk)
    raise ConfigError(
        f"cannot find the text in a chunk of type {type(chunk).__name__}; streams of "
        "str and of the chunks of chat clients are known"
    )


def carrier(chunk: Any, path: Path, text: str) -> Any:
    """A chunk that carries the text and nothing else."""
    if not path:
        return text
    if path[0] in ("choices", "candidates"):
        name, position = path[:2]
        assert isinstance(position, int)
        item = get(chunk, str(name))[position]
        new: dict[str, Any]
        if path[2] == "text":
            new = {"text": text}
        elif name == "candidates":
            # What else stands in the part says what kind of text it is.
            content = get(item, "content")
            part = at(content, path[3:5])
            new = {
                "content": copied(content, {"parts": [copied(part, {"text": text})]})
            }
        else:
            new = {str(path[2]): only(get(item, str(path[2])), path[3:], text)}
        blank = _none(item, "finish_reason", "finishReason", "logprobs")
        item = copied(item, {**blank, **new})
        about = _none(chunk, "usage", "usage_metadata", "usageMetadata")
        return copied(chunk, {**about, name: [item]})
    others = {piece.path: "" for piece in seen(chunk).pieces}
    return rewritten(chunk, {**others, path: text})


def _choices(chunk: Any) -> Seen:
    found = Seen([])
    for position, choice in enumerate(get(chunk, "choices")):
        index = get(choice, "index")
        index = index if isinstance(index, int) else position
        for part in _choice_parts(choice, position):
            key = (index, *_place(choice, part.path))
            json = part.form == "json"
            piece = Piece(key, part.path, part.text, json, part.prose)
            found.pieces.append(piece)
        if get(choice, "finish_reason"):
            found.ends.append((index,))
    return found


def _choice_parts(choice: Any, position: int) -> list[Part]:
    """The texts in one choice of a chunk."""
    delta, text = get(choice, "delta"), get(choice, "text")
    if delta is None:
        if isinstance(text, str):
            path: Path = ("choices", position, "text")
            return [Part(path, text, "assistant", prose=True)]
        if get(choice, "message") is None and text is None:
            return []
        raise ConfigError(
            f"choice {position} of a chunk has no delta; only chat completion chunks "
            "are known"
        )
    path = ("choices", position, "delta")
    parts = message_parts(delta, path, "assistant", f"choice {position} of a chunk")
    if any(part.form == "fixed" or part.coverage < 1 for part in parts):
        raise _unseen()
    return parts


def _place(choice: Any, path: Path) -> Key:
    """Which text of a choice a part belongs to; the same in every chunk."""
    if len(path) < 6 or path[3] == "content":
        return (path[3] if len(path) > 3 else "text",)
    # What comes in lists says by an index of its own where it belongs.
    name, position, kind = path[3:6]
    items = get(get(choice, "delta"), str(name))
    number = None
    if is_sequence(items) and isinstance(position, int):
        number = get(items[position], "index")
    place = number if isinstance(number, int) else position
    if name in ("tool_calls", "reasoning_details", "thinking_blocks"):
        return name, place, kind
    return name, place, *path[5:]


def _response_event(event: Any) -> Seen:
    kind = get(event, "type")
    stem, _, last = kind.rpartition(".")
    places = "item_id output_index content_index summary_index command_index".split()
    # Some servers leave the id out, and an index alone says as much.
    key = (stem, *(get(event, name) for name in places[1:]))
    delta = get(event, "delta")
    if last == "delta" and stem == "response.audio":
        raise _unseen()
    if last == "delta" and isinstance(delta, str):
        json, prose = stem.endswith("arguments"), stem == "response.output_text"
        return Seen([Piece(key, ("delta",), delta, json, prose)])
    if last == "delta":
        bits, _ = item_parts(delta, ("delta",), "assistant")
        return Seen([Piece((*key, *b.path), b.path, b.text) for b in bits])
    response = get(event, "response")
    if stem == "response" and last in _WHOLE_RESPONSE and response is not None:
        parts = output_parts(get(response, "output") or (), ("response", "output"))
        failure, _ = item_parts(
            get(response, "error"), ("response", "error"), "assistant"
        )
        return Seen([], [("response",)] if parts else [], [*parts, *failure])
    item, part = get(event, "item"), get(event, "part")
    if item is not None:
        return Seen([], [], _moved(output_parts([item], ()), ("item",)))
    if part is not None:
        inner = {"content": [part]}
        found = message_parts(inner, (), "assistant", "a content part")
        parts = [p for p in found if p.path[:2] == ("content", 0)]
        return Seen([], [], _moved(parts, ("part",), 2))
    parts, _ = item_parts(event, (), "assistant")
    if stem == "response.output_text":
        parts = [
            Part(p.path, p.text, p.role, p.coverage, p.form, p.path == ("text",))
            for p in parts
        ]
    return Seen([], [key] if last == "done" else [], parts)


def _moved(parts: list[Part], path: Path, drop: int = 1) -> list[Part]:
    """The parts with another beginning of their paths."""
    from dataclasses import replace

    return [replace(part, path=(*path, *part.path[drop:])) for part in parts]


def _message_event(event: Any) -> Seen:
    kind, index = get(event, "type"), get(event, "index")
    if kind == "content_block_delta":
        delta = get(event, "delta")
        if delta is None:
            raise ConfigError("a content_block_delta of the stream has no delta")
        bits, _ = item_parts(delta, ("delta",), "assistant")
        if get(delta, "type") == "citations_delta":
            return Seen([], [], bits)
        return Seen(
            [
                Piece(
                    (index, *bit.path[1:]),
                    bit.path,
                    bit.text,
                    bit.path == ("delta", "partial_json"),
                    get(delta, "type") == "text_delta",
                )
                for bit in bits
            ]
        )
    if kind == "content_block_start":
        block = get(event, "content_block")
        parts, _ = item_parts(block, ("content_block",), "assistant")
        if parts and get(block, "type") in ("text", "thinking"):
            raise ConfigError(
                "a content block of the stream begins with a text of its own, which "
                "cannot be checked together with what follows; ask for the answer "
                "without stream=True"
            )
        return Seen([], [], parts)
    if kind == "content_block_stop":
        return Seen([], [(index,)])
    if kind == "message_start":
        message = get(event, "message")
        return Seen([], [], message_parts(message, ("message",), "assistant", kind))
    if kind == "message_delta":
        parts, _ = item_parts(event, (), "assistant")
        about = {"container", "usage"}
        return Seen([], [], [part for part in parts if about.isdisjoint(part.path)])
    return Seen([], [], item_parts(get(event, "error"), ("error",), "assistant")[0])


def _candidates(chunk: Any) -> Seen:
    found = Seen([])
    candidates = get(chunk, "candidates") or ()
    for part in candidate_parts(candidates, ("candidates",)):
        path = part.path
        place = path[1]
        assert isinstance(place, int)
        owner = get(candidates[place], "content")
        if path[2:4] == ("content", "parts") and path[5:] == ("text",):
            number, position = get(candidates[place], "index"), path[4]
            thought = bool(get(get(owner, "parts")[position], "thought"))
            index = number if isinstance(number, int) else place
            key = (index, "thought" if thought else "text")
            found.pieces.append(Piece(key, path, part.text, False, part.prose))
        else:
            found.parts.append(part)
    for place, candidate in enumerate(candidates):
        reason = get(candidate, "finish_reason") or get(candidate, "finishReason")
        if reason:
            number = get(candidate, "index")
            found.ends.append((number if isinstance(number, int) else place,))
    return found


def _unseen() -> ConfigError:
    return ConfigError(
        "audio and images cannot be checked while they stream; ask for the answer "
        "without stream=True, or without output guards"
    )


def _none(value: Any, *names: str) -> dict[str, None]:
    return {name: None for name in names if get(value, name) is not None}
