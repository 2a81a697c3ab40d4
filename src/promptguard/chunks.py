"""The chunks of a streamed answer on their way through the gates.

Every text in a stream has a gate of its own: the text of each choice, its refusal,
its reasoning, the arguments of each tool call. What a gate lets out goes into the
chunk at hand; what is left when a text ends goes into a copy of the last chunk that
had some of it, before the chunk that ends it. Where a chunk says a finished text again,
it says what the gate let out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from ._costs import Limit
from .answers import Undeliverable, rewritten
from .engine import OnError
from .errors import Blocked, ConfigError
from .escapes import raised
from .events import Key, Piece, Seen, carrier, seen
from .guard import Guard
from .handlers import Escalate, decided
from .hooks import emit
from .instead import in_chunk
from .items import Form, Part
from .placeholders import Placeholders
from .restoring import Restorer
from .sentences import AnyGate, gate_of
from .shapes import Path, at
from .stream import Gate
from .verdict import Verdict

__all__ = ["Chunks"]

Released = Generator[Any, Any, list[Any]]
Step = Generator[Any, Any, str]
Decided = Generator[Any, Any, tuple[Verdict, str | None]]


class Chunks:
    """Turns the chunks of one stream into those that may go.

    Args:
        guard: What to look for, or None.
        on_error: See Engine.
        own: The values that were taken out of the call, if any.
        restore: Put them back into the text of the answer.
        on_block: What was given as that; an escalation decides here.
        budget: Seconds for each look at a text; see Engine.
    """

    holds = True

    def __init__(
        self,
        guard: Guard | None,
        on_error: OnError,
        own: Placeholders | None = None,
        restore: bool = False,
        on_block: Any = None,
        *,
        budget: Limit = None,
    ) -> None:
        self._budget = budget
        self._guard = guard
        self._own = own
        self._on_error = on_error
        self._restore = restore
        self._on_block = on_block
        self._placeholders = Placeholders()
        self._channels: dict[Key, _Channel] = {}
        self._ended: set[Key] = set()
        self._last: tuple[Any, Path] = ("", ())
        # Finished texts, and what the gates made of them.
        self._said: dict[tuple[bool, str], str] = {}
        # After a block: what may still go of the text before it.
        self.rest: list[Any] = []
        # After a block: what an escalation says instead.
        self.words: str | None = None

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

    def place(self, words: str) -> Any:
        """A chunk that ends the stream with these words."""
        return in_chunk(*self._last, words)

    def _resting(self, steps: Released) -> Released:
        try:
            return (yield from steps)
        except Blocked:
            channels = self._channels.values()
            said = (c.words for c in channels if c.words is not None)
            self.words = next(said, None)
            self.rest = [c.carrier(c.rest) for c in channels if c.rest]
            raise

    def _feed(self, chunk: Any) -> Released:
        if isinstance(chunk, str):
            channel = self._channel(Piece((), (), chunk, prose=True))
            text = yield from channel.step(chunk)
            return [text] if text or not chunk else []
        held = seen(chunk)
        out: list[Any] = []
        texts: dict[Path, str] = {}
        last: dict[Key, Path] = {}
        for piece in held.pieces:
            channel = self._channel(piece)
            self._last = channel.last = chunk, piece.path
            texts[piece.path] = yield from channel.step(piece.text)
            last[piece.key] = piece.path
        for key in self._ending(held):
            channel = self._channels[key]
            text = yield from channel.step("", end=True)
            del self._channels[key]
            self._said[channel.prose, channel.raw] = channel.out
            if key in last:
                texts[last[key]] += text
            elif text:
                out.append(channel.carrier(text))
        for part in held.parts:
            texts[part.path] = yield from self._whole(part)
        return [*out, _with(chunk, texts)]

    def _ending(self, held: Seen) -> list[Key]:
        """The keys of the texts that end with a chunk."""
        self._ended.update(held.ends)
        return [
            key
            for key in self._channels
            if any(key[: len(end)] == end for end in held.ends)
        ]

    def _whole(self, part: Part) -> Step:
        """What may go of a text that stands in a chunk from its first to its last."""
        known = self._said.get((part.prose, part.text))
        if known is not None:
            return known
        channel = self._made(part.form == "json", part.prose)
        text = yield from channel.step(part.text)
        text += yield from channel.step("", end=True)
        if part.form == "fixed" and text != part.text:
            raise Blocked(raised(channel.verdict()))
        self._said[part.prose, part.text] = text
        return text

    def _end(self) -> Released:
        out: list[Any] = []
        for channel in self._channels.values():
            text = yield from channel.step("", end=True)
            if text:
                out.append(channel.carrier(text))
        self._channels.clear()
        return out

    def _channel(self, piece: Piece) -> _Channel:
        key = piece.key
        channel = self._channels.get(key)
        if channel is None:
            if any(key[:size] in self._ended for size in range(1, len(key) + 1)):
                raise ConfigError(
                    f"choice {key[0]} of the stream goes on after its finish_reason, "
                    "so its text cannot be checked as a whole"
                )
            channel = self._channels[key] = self._made(piece.json, piece.prose)
        return channel

    def _made(self, json: bool, prose: bool) -> _Channel:
        gate: AnyGate | None = None
        restorer: Restorer | None = None
        if self._guard is not None:
            # Whoever decides may let a text go, so it is held to its end.
            held = isinstance(self._on_block, Escalate)
            gate = (partial(Gate, hold=True) if held else gate_of)(
                self._guard,
                self._placeholders,
                on_error=self._on_error,
                json=json,
                own=self._own,
                budget=self._budget,
            )
        if self._restore and self._own and prose:
            restorer = Restorer(self._own)
        form: Form = "json" if json else "text"
        decide = partial(self._decided, form)
        return _Channel(gate, restorer, prose, decide, self._tell)

    def _decided(self, form: Form, verdict: Verdict) -> Decided:
        """What an escalation makes of a text that is blocked."""
        if verdict.degraded and self._on_error == "block":
            return verdict, None
        values = self._placeholders
        return (yield from decided(self._on_block, verdict, form, values))

    def _tell(self, verdict: Verdict) -> None:
        emit((verdict,))


class _Channel:
    """One text of the stream."""

    def __init__(
        self,
        gate: AnyGate | None,
        restorer: Restorer | None,
        prose: bool,
        decide: Callable[[Verdict], Decided],
        tell: Callable[[Verdict], None],
    ) -> None:
        self._gate = gate
        self._restorer = restorer
        self.prose = prose
        self._decide = decide
        self._tell = tell
        self.last: tuple[Any, Path] = ("", ())
        self.rest = ""
        self.words: str | None = None
        self._told = False
        self._in: list[str] = []
        self._out: list[str] = []

    @property
    def raw(self) -> str:
        """What came of the text."""
        return "".join(self._in)

    @property
    def out(self) -> str:
        """What went of the text."""
        return "".join(self._out)

    def step(self, text: str, end: bool = False) -> Step:
        """What of the text may go."""
        self._in.append(text)
        if self._gate is not None:
            self._gate.feed(text)
            try:
                text = yield from self._gate.release(end)
            except Blocked as blocked:
                self._told = True
                verdict, self.words = yield from self._decide(blocked.verdict)
                if verdict.blocked:
                    self.rest = self._gate.rest
                    if self._restorer is not None:
                        self.rest = self._restorer.feed(self.rest, end=True)
                    raise
                text = verdict.text
                self._tell(verdict)
            else:
                if end:
                    self._tell(self._gate.verdict())
        if self._restorer is not None:
            text = self._restorer.feed(text, end)
        self._out.append(text)
        return text

    def verdict(self) -> Verdict:
        """What the guards made of the text so far."""
        assert self._gate is not None
        return self._gate.verdict()

    def leave(self) -> None:
        if self._gate is not None and not self._told:
            self._tell(self._gate.verdict(partial=True))

    def carrier(self, text: str) -> Any:
        """A chunk that carries the text and nothing else."""
        return carrier(*self.last, text)


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
