"""The chunks of a streamed answer on their way through the gates.

Every text in a stream has a gate of its own: the text of each choice, its refusal,
its reasoning, the arguments of each tool call. What a gate lets out goes into the
chunk at hand; what is left when a choice ends goes into a copy of the last chunk that
had some of that text, before the chunk that ends the choice.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from ._costs import Budget
from .engine import Engine, OnError
from .errors import Blocked, ConfigError
from .guard import Guard
from .hooks import emit
from .messages import Part, Undeliverable, message_parts, rewritten
from .placeholders import Placeholders
from .restoring import Restorer
from .sentences import AnyGate, gate_of
from .shapes import Path, at, copied, get, is_sequence, only
from .verdict import Verdict

__all__ = ["Chunks"]

Released = Generator[Engine, tuple[Verdict, ...], list[Any]]
Key = tuple[str | int, ...]


class Chunks:
    """Turns the chunks of one stream into those that may go.

    Args:
        guard: What to look for, or None.
        on_error: See Engine.
        own: The values that were taken out of the call, if any.
        restore: Put them back into the text of the answer.
        budget: Seconds for each look at a text; see Engine.
    """

    def __init__(
        self,
        guard: Guard | None,
        on_error: OnError,
        own: Placeholders | None = None,
        restore: bool = False,
        *,
        budget: float | Budget | None = None,
    ) -> None:
        self._budget = budget
        self._guard = guard
        self._own = own
        self._on_error = on_error
        self._restore = restore
        self._placeholders = Placeholders()
        self._channels: dict[Key, _Channel] = {}
        self._ended: set[int] = set()
        # After a block: what may still go of the text before it.
        self.rest: list[Any] = []

    def feed(self, chunk: Any) -> Released:
        """The chunks that may go now that this one came.

        Raises:
            Blocked: A guard decided that the text must not go on; ``rest`` may.
            ConfigError: The chunk is of no known shape.
        """
        return self._resting(self._feed(chunk))

    def end(self) -> Released:
        """What is left when the stream is at its end.

        Raises:
            Blocked: See feed.
        """
        return self._resting(self._end())

    def leave(self) -> None:
        """The stream ends here: tell what was found in the texts that were cut off."""
        for channel in self._channels.values():
            channel.leave()
        self._channels.clear()

    def _resting(self, steps: Released) -> Released:
        try:
            return (yield from steps)
        except Blocked:
            channels = self._channels.values()
            self.rest = [c.carrier(c.rest) for c in channels if c.rest]
            raise

    def _feed(self, chunk: Any) -> Released:
        if isinstance(chunk, str):
            channel = self._channel((), None)
            text = yield from channel.step(chunk)
            return [text] if text or not chunk else []
        choices = get(chunk, "choices")
        if not is_sequence(choices):
            raise ConfigError(
                f"cannot find the text in a chunk of type {type(chunk).__name__}; "
                "streams of str and of chat completion chunks are known"
            )
        out: list[Any] = []
        texts: dict[Path, str] = {}
        for position, choice in enumerate(choices):
            index = get(choice, "index")
            index = index if isinstance(index, int) else position
            last: dict[Key, Path] = {}
            for part in _parts(choice, position):
                key = _key(index, choice, part.path)
                channel = self._channel(key, part)
                channel.last = chunk, part.path
                text = yield from channel.step(part.text)
                texts[part.path] = text
                last[key] = part.path
            if not get(choice, "finish_reason"):
                continue
            self._ended.add(index)
            for key in [key for key in self._channels if key[:1] == (index,)]:
                channel = self._channels[key]
                text = yield from channel.step("", end=True)
                del self._channels[key]
                if key in last:
                    texts[last[key]] += text
                elif text:
                    out.append(channel.carrier(text))
        return [*out, _with(chunk, texts)]

    def _end(self) -> Released:
        out: list[Any] = []
        for channel in self._channels.values():
            text = yield from channel.step("", end=True)
            if text:
                out.append(channel.carrier(text))
        self._channels.clear()
        return out

    def _channel(self, key: Key, part: Part | None) -> _Channel:
        channel = self._channels.get(key)
        if channel is None:
            if key and key[0] in self._ended:
                raise ConfigError(
                    f"choice {key[0]} of the stream goes on after its finish_reason, "
                    "so its text cannot be checked as a whole"
                )
            gate: AnyGate | None = None
            restorer: Restorer | None = None
            if self._guard is not None:
                json = part is not None and part.form == "json"
                gate = gate_of(
                    self._guard,
                    self._placeholders,
                    on_error=self._on_error,
                    json=json,
                    own=self._own,
                    budget=self._budget,
                )
            if self._restore and self._own and key[1:] in ((), ("content",)):
                restorer = Restorer(self._own)
            channel = self._channels[key] = _Channel(gate, restorer)
        return channel


class _Channel:
    """One text of the stream."""

    def __init__(self, gate: AnyGate | None, restorer: Restorer | None) -> None:
        self._gate = gate
        self._restorer = restorer
        self.last: tuple[Any, Path] = ("", ())
        self.rest = ""
        self._blocked = False

    def step(
        self, text: str, end: bool = False
    ) -> Generator[Engine, tuple[Verdict, ...], str]:
        """What of the text may go."""
        if self._gate is not None:
            self._gate.feed(text)
            try:
                text = yield from self._gate.release(end)
            except Blocked:
                self._blocked = True
                self.rest = self._gate.rest
                if self._restorer is not None:
                    self.rest = self._restorer.feed(self.rest, end=True)
                raise
            if end:
                emit((self._gate.verdict(),))
        return text if self._restorer is None else self._restorer.feed(text, end)

    def leave(self) -> None:
        if self._gate is not None and not self._blocked:
            emit((self._gate.verdict(partial=True),))

    def carrier(self, text: str) -> Any:
        """A chunk that carries the text and nothing else."""
        chunk, path = self.last
        if not path:
            return text
        position = path[1]
        assert isinstance(position, int)
        choice = get(chunk, "choices")[position]
        delta = only(get(choice, "delta"), path[3:], text)
        choice = copied(
            choice, {**_none(choice, "finish_reason", "logprobs"), "delta": delta}
        )
        return copied(chunk, {**_none(chunk, "usage"), "choices": [choice]})


def _parts(choice: Any, position: int) -> list[Part]:
    """The texts in one choice of a chunk."""
    delta = get(choice, "delta")
    if delta is None:
        if get(choice, "message") is None and get(choice, "text") is None:
            return []
        raise ConfigError(
            f"choice {position} of a chunk has no delta; only chat completion chunks "
            "are known"
        )
    path = ("choices", position, "delta")
    parts = message_parts(delta, path, "assistant", f"choice {position} of a chunk")
    if any(part.form == "fixed" or part.coverage < 1 for part in parts):
        raise ConfigError(
            "audio and images cannot be checked while they stream; ask for the answer "
            "without stream=True, or without output guards"
        )
    return parts


def _key(index: int, choice: Any, path: Path) -> Key:
    """Which text a part belongs to; the same in every chunk of the stream."""
    if path[3] == "content" or len(path) < 6:
        return index, path[3]
    # What comes in lists says by an index of its own where it belongs.
    name, position, kind = path[3:6]
    item = get(get(choice, "delta"), str(name))[position]
    number = get(item, "index")
    return index, name, number if isinstance(number, int) else position, kind


def _with(chunk: Any, texts: Mapping[Path, str]) -> Any:
    """The chunk with these texts; itself where nothing changes."""
    new = {path: text for path, text in texts.items() if at(chunk, path) != text}
    try:
        return rewritten(chunk, new) if new else chunk
    except Undeliverable:
        pass
    raise ConfigError(
        "a chunk holds its text a second time, parsed, where it cannot be held back; "
        "guard the stream of plain chunks"
    )


def _none(value: Any, *names: str) -> dict[str, None]:
    return {name: None for name in names if get(value, name) is not None}
