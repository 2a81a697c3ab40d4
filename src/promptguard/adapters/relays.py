"""The chunks of a service's stream as they may go, each choice by itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import Blocked, ConfigError
from ..handlers import answered, last
from ..hooks import emit
from ..streams import arun
from ..verdict import Verdict
from .endings import Told
from .replies import Heard

if TYPE_CHECKING:
    from ..call import Admitted
    from .served import ServedCall

__all__ = ["Relay"]

Chunk = dict[str, Any]


class Relay:
    """Chunks of a stream as they may go.

    Of several choices each has a lane of its own, so that one that is blocked does not
    cut the others.

    Args:
        call: The request.
        go: What came of it.
    """

    def __init__(self, call: ServedCall, go: Admitted) -> None:
        self._call = call
        self._watched = call.watches(go)
        self._heard = Heard(call.body, call.logprobs)
        number = call.body.get("n")
        apart = type(number) is int and number > 1 and not call.dry_run
        self._lanes: dict[int | None, _Lane]
        if apart and call.kind != "responses":
            self._lanes = {n: _Lane(call, go, (n,)) for n in range(number or 1)}
        else:
            self._lanes = {None: _Lane(call, go, None)}

    @property
    def over(self) -> bool:
        """True when a guard has ended the stream; nothing more is to be fed."""
        return all(lane.over for lane in self._lanes.values())

    async def feed(self, chunk: Chunk) -> list[Any]:
        """The chunks that may go now that this one came; it is among them as the very
        object where nothing changed."""
        if not self._watched:
            return [chunk]
        try:
            chunk = await self._call.labelled(chunk, self._heard)
        except Blocked as blocked:
            # It is not the word of one choice.
            return await self._all(
                lane.ended(blocked.verdict) for lane in self._lanes.values()
            )
        out: list[Any] = []
        for lane, piece in self._split(chunk):
            if lane is None:
                out.append(piece)
            elif not lane.over:
                out += await lane.feed(piece, self._heard)
        return out

    async def end(self) -> list[Any]:
        """What is left when the upstream is at its end."""
        if not self._watched:
            return []
        return await self._all(lane.end() for lane in self._lanes.values())

    def leave(self) -> None:
        """The stream ends here, whatever was held."""
        for lane in self._lanes.values():
            lane.leave()

    async def _all(self, steps: Iterable[Any]) -> list[Any]:
        return [chunk for step in steps for chunk in await step]

    def _split(self, chunk: Chunk) -> Iterable[tuple[_Lane | None, Chunk]]:
        """The parts of a chunk, each with the lane that it goes through."""
        if None in self._lanes:
            yield self._lanes[None], chunk
            return
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise ConfigError("a chunk has no list of choices")
        if not choices:
            yield None, chunk
        for place, choice in enumerate(choices, 1):
            index = choice.get("index") if isinstance(choice, dict) else None
            if type(index) is not int or index not in self._lanes:
                raise ConfigError("a chunk has a choice that nobody asked for")
            if len(choices) == 1:
                yield self._lanes[index], chunk
                continue
            piece = {**chunk, "choices": [choice]}
            if place < len(choices) and "usage" in piece:
                piece["usage"] = None
            yield self._lanes[index], piece


class _Lane:
    """What goes through the same gates: a stream, or one choice of it."""

    def __init__(
        self, call: ServedCall, go: Admitted, choices: tuple[int, ...] | None
    ) -> None:
        self.over = False
        self._call = call
        self._chunks = call.chunks(go)
        self._told = Told(call.kind or "", call.body, dict, choices)

    async def feed(self, chunk: Chunk, heard: Heard) -> list[Any]:
        try:
            await self._call.named(chunk, heard)
        except Blocked as blocked:
            return await self.ended(blocked.verdict)
        return await self._out(self._chunks.feed(chunk))

    async def end(self) -> list[Any]:
        return [] if self.over else await self._out(self._chunks.end())

    def leave(self) -> None:
        self._chunks.leave()

    async def _out(self, steps: Generator[Any, Any, list[Any]]) -> list[Any]:
        try:
            out: list[Any] = await arun(steps)
        except Blocked as blocked:
            emit((blocked.verdict,))
            rest = [*self._chunks.rest]
            for chunk in rest:
                self._told.note(chunk)
            return [*rest, *await self.ended(blocked.verdict)]
        for chunk in out:
            self._told.note(chunk)
        return out

    async def ended(self, verdict: Verdict) -> list[Any]:
        """The chunks that end a blocked stream or choice."""
        if self.over:
            return []
        self.over = True
        handler = last(self._call.on_block)
        words = self._chunks.words
        self._chunks.leave()
        try:
            said = await arun(answered(handler, verdict, words, str))
        except Blocked:
            return self._told.cut(verdict)
        return self._told.ending(said) if isinstance(said, str) else []
