"""What the answers of a service hold beside the texts that the guards read.

Those texts are found by ``promptguard.answers`` and ``promptguard.events``. Whatever
else an answer says is left out, or read here: an upstream is not trusted with an id.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..shapes import Path
from .labels import LONG_NUMBER, PLAIN, is_label, is_media, media, usual, written

__all__ = ["Heard", "known", "models", "new_names", "vectors"]

# What holds the texts that are read. Of anything else stays what is plain, and is read
# with the labels; the rest may be a text in a shape that no guard knows of.
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
    if isinstance(padding := value.get("obfuscation"), str):
        # It hides how long a chunk is, and need not be theirs for that.
        kept = {**kept, "obfuscation": secrets.token_urlsafe(len(padding))}
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
    kept = {
        k: v
        for k, v in value.items()
        if k in names or (PLAIN.fullmatch(k) and _is_plain(v))
    }
    return value if len(kept) == len(value) else kept


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return not value or PLAIN.fullmatch(value) is not None
    if isinstance(value, dict):
        return all(PLAIN.fullmatch(k) and _is_plain(v) for k, v in value.items())
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


def vectors(value: dict[str, Any]) -> dict[str, Any]:
    """An answer with embeddings, without anything that is none.

    Raises:
        ConfigError: There is something else in the place of an embedding.
    """
    rows = value.get("data")
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise ConfigError("the answer holds something else than embeddings")
    data = [_figures(row, _ROW) for row in rows]
    same = all(a is b for a, b in zip(data, rows, strict=True))
    kept = _figures(value, _ROW)
    return kept if same else {**kept, "data": data}


def models(value: dict[str, Any]) -> dict[str, Any]:
    """A model or a list of them, without what anybody says about them."""
    rows = value.get("data")
    kept = _figures(value, _MODEL)
    if isinstance(rows, list):
        data = [_figures(row, _MODEL) for row in rows if isinstance(row, dict)]
        if len(data) < len(rows) or any(map(_differ, data, rows)):
            kept = {**kept, "data": data}
    return kept


_ROW = frozenset("data embedding model object usage".split())
_MODEL = frozenset("data id object owned_by".split())


def _is_row(row: Any) -> bool:
    made = row.get("embedding") if isinstance(row, dict) else None
    if isinstance(made, str):
        return media(made) == ""
    return isinstance(made, list) and all(type(n) in (int, float) for n in made)


def _figures(value: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The mapping with its numbers, and with what has these names and looks like it."""
    kept = {
        key: held
        for key, held in value.items()
        if (PLAIN.fullmatch(key) and (held is None or type(held) in (bool, int, float)))
        or (key in names and _looks_right(key, held))
    }
    return value if len(kept) == len(value) else kept


def _looks_right(key: str, held: Any) -> bool:
    if key == "usage":
        return isinstance(held, dict) and _figures(held, frozenset()) is held
    if key in ("data", "embedding"):
        return True
    return isinstance(held, str) and PLAIN.fullmatch(held) is not None


# What the Responses API says again of the request.
_ECHOES = _RESPONSE - {"output"}
_TIMES = frozenset({"completed_at", "created", "created_at"})
_DAY = 86_400
# Of what a stream has said in labels so far, this much is looked at again.
_SPELLED = 2_000


@dataclass(slots=True)
class Heard:
    """What one answer, whole or in chunks, has said beside its texts.

    Args:
        body: The request, whose own words may be said again.
        logprobs: Log-probabilities may go on, and are not read.
    """

    body: Mapping[str, Any] = field(repr=False)
    logprobs: bool = False
    names: dict[Any, str] = field(default_factory=dict, repr=False)
    _ids: set[str] = field(default_factory=set, repr=False)
    _numbers: set[str] = field(default_factory=set, repr=False)
    _last: dict[Path, str] = field(default_factory=dict, repr=False)
    _labels: list[str] = field(default_factory=list, repr=False)
    _texts: list[str] = field(default_factory=list, repr=False)
    _own: frozenset[str] | None = field(default=None, repr=False)

    @property
    def ids(self) -> frozenset[str]:
        """Numbers among the labels that stand for nothing but an id."""
        return frozenset(self._ids - self._numbers)

    def unread(self, value: Mapping[str, Any], read: set[Path]) -> tuple[str, str]:
        """What an answer or a chunk says that is new, and that nobody reads.

        Args:
            value: The answer or chunk.
            read: Where the texts stand that are read otherwise.

        Returns:
            Labels, keys and numbers; and what may be more than that.
        """
        labels: list[str] = []
        texts: list[str] = []
        for path, said, label in self._leaves(value, read):
            if self._last.get(path) != said:
                self._last[path] = said
                (labels if label else texts).append(said)
        if len(texts) == 1 and not self._texts and PLAIN.fullmatch(texts[0]):
            # One word says no more than a label.
            labels += texts
            self._texts += texts
            texts = []
        new = _new(labels, self._labels), _new(texts, self._texts, glued=True)
        if self._labels and self._ids.issuperset(self._labels):
            # They are read as one as well.
            self._ids.add("".join(self._labels))
        return new

    def _leaves(
        self, value: Mapping[str, Any], read: set[Path]
    ) -> Iterator[tuple[Path, str, bool]]:
        todo: list[tuple[Path, Any, str, bool]] = [((), value, "", False)]
        while todo:
            path, held, key, echo = todo.pop()
            if path in read:
                continue
            if isinstance(held, str):
                text = self._text(held, key, echo)
                if text is not None:
                    yield path, text or held, not text
            elif isinstance(held, dict):
                for name, inside in reversed(held.items()):
                    if name == "logprobs" and self.logprobs:
                        continue
                    way = (*path, name)
                    if not usual(name) and not (echo and self._asked(name)):
                        yield (*way, ""), name, PLAIN.fullmatch(name) is not None
                    again = echo or (name in _ECHOES and path in _RESPONSES)
                    todo.append((way, inside, name, again))
            elif isinstance(held, list):
                # The first is taken next, as whoever reads it would.
                inner = [((*path, i), v, key, echo) for i, v in enumerate(held)]
                todo += reversed(inner)
            elif (
                type(held) in (int, float)
                and abs(held) >= LONG_NUMBER
                # What says that it was made today says nothing else.
                and not (key in _TIMES and abs(held - time.time()) < _DAY)
            ):
                number = written(held)
                (self._ids if is_label(key) else self._numbers).add(number)
                yield path, number, True

    def _text(self, said: str, key: str, echo: bool) -> str | None:
        """What may be a text of a string; empty for a label, None for nothing."""
        if not said or usual(said) or (echo and self._asked(said)):
            return None
        plain = PLAIN.fullmatch(said) is not None
        if key == "model" and plain:
            asked = self.body.get("model")
            return None if isinstance(asked, str) and said.startswith(asked) else ""
        if key == "obfuscation":
            return None
        if is_media(key) and (text := media(said)) is not None:
            return text or None
        if not plain or not is_label(key):
            return said
        if said.isdecimal():
            self._ids.add(said)
        return ""

    def _asked(self, text: str) -> bool:
        if self._own is None:
            self._own = frozenset(_words(self.body))
        return text in self._own


# Where a response stands, in an event of a stream too.
_RESPONSES: frozenset[Path] = frozenset({(), ("response",)})


def _new(said: list[str], before: list[str], glued: bool = False) -> str:
    """What was said, and as one with what was said before: it may be cut in pieces."""
    if not said:
        return ""
    glued = glued and len(said) > 1
    whole = "".join((*before, *said)) if glued or before else ""
    before += said
    while sum(map(len, before)) > _SPELLED and len(before) > 1:
        del before[0]
    return "\n".join((*said, whole) if whole else said)


def _words(value: Any) -> Iterator[str]:
    """Every string and key of a body."""
    todo = [value]
    while todo:
        held = todo.pop()
        if isinstance(held, str):
            yield held
        elif isinstance(held, dict):
            todo += held
            todo += held.values()
        elif isinstance(held, list):
            todo += held


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
