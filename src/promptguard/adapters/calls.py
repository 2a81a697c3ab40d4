"""A call of a client: its streams and blocked answers have the client's own shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..call import Admitted, GuardedCall
from ..chunks import Chunks
from ..errors import Blocked
from ..streams import AsyncGuardedStream, GuardedStream
from ..verdict import Verdict

__all__ = ["ClientCall", "Teller"]


class Teller(Protocol):
    """Knows what a stream has told, and how to end it with a text."""

    def note(self, chunk: Any) -> None:
        """Remember a chunk that went out."""

    def ending(self, text: str) -> list[Any]:
        """The chunks that say the text and end the stream."""


@dataclass(frozen=True, slots=True)
class ClientCall(GuardedCall):
    """One call of a client.

    Args:
        streams: The answer is a stream.
        waits: The call is awaited.
        whole: Makes an answer that says a text, or is None where there is none.
        teller: Makes what knows how to end a stream.
    """

    streams: bool
    waits: bool
    whole: Callable[[str], Any] | None
    teller: Callable[[], Teller]

    def answer(self, verdict: Verdict) -> Any:
        return self._shaped(GuardedCall.answer(self, verdict), verdict)

    async def aanswer(self, verdict: Verdict) -> Any:
        return self._shaped(await GuardedCall.aanswer(self, verdict), verdict)

    def finish(self, value: Any, go: Admitted) -> Any:
        if self.watches(go):
            if hasattr(value, "__next__"):
                ends, teller = self._ends(), self.teller()
                return _Stream(value, self.chunks(go), ends, teller)
            if hasattr(value, "__anext__"):
                ends, teller = self._aends(), self.teller()
                return _AsyncStream(value, self.chunks(go), ends, teller)
        return GuardedCall.finish(self, value, go)

    async def afinish(self, value: Any, go: Admitted) -> Any:
        if self.watches(go) and hasattr(value, "__anext__"):
            return _AsyncStream(value, self.chunks(go), self._aends(), self.teller())
        return await GuardedCall.afinish(self, value, go)

    def _ends(self) -> Callable[[Verdict], Any]:
        return lambda verdict: GuardedCall.answer(self, verdict)

    def _aends(self) -> Callable[[Verdict], Any]:
        async def answer(verdict: Verdict) -> Any:
            if callable(self.on_block):
                return await GuardedCall.aanswer(self, verdict)
            return GuardedCall.answer(self, verdict)

        return answer

    def _shaped(self, answer: Any, verdict: Verdict) -> Any:
        """What ``on_block`` gave, in the shape that the caller waits for."""
        if not isinstance(answer, str):
            return answer
        if self.whole is None:
            # There is no saying a text with numbers.
            raise Blocked(verdict)
        if not self.streams:
            return self.whole(answer)
        chunks = Chunks(None, self.on_error)
        if self.waits:
            return _AsyncStream(_Nothing(), chunks, _none, self.teller(), answer)
        return _Stream(_Nothing(), chunks, _none, self.teller(), answer)


class _Stream(GuardedStream):
    """A stream that ends the way its client expects."""

    def __init__(
        self, upstream: Any, chunks: Chunks, answer: Any, told: Teller, says: str = ""
    ) -> None:
        super().__init__(upstream, chunks, answer)
        self._told = told
        self._ready.extend(told.ending(says) if says else ())

    def _ending(self, answer: Any) -> list[Any]:
        if isinstance(answer, str):
            return self._told.ending(answer)
        return super()._ending(answer)

    def __next__(self) -> Any:
        chunk = super().__next__()
        self._told.note(chunk)
        return chunk


class _AsyncStream(AsyncGuardedStream):
    """The same for ``async for``."""

    def __init__(
        self, upstream: Any, chunks: Chunks, answer: Any, told: Teller, says: str = ""
    ) -> None:
        super().__init__(upstream, chunks, answer)
        self._told = told
        self._ready.extend(told.ending(says) if says else ())

    def _ending(self, answer: Any) -> list[Any]:
        if isinstance(answer, str):
            return self._told.ending(answer)
        return super()._ending(answer)

    async def __anext__(self) -> Any:
        chunk = await super().__anext__()
        self._told.note(chunk)
        return chunk


class _Nothing:
    """The upstream of a request that was never sent, and its response."""

    @property
    def response(self) -> _Nothing:
        return self

    def __next__(self) -> Any:
        raise StopIteration

    async def __anext__(self) -> Any:
        raise StopAsyncIteration

    def close(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def _none(verdict: Verdict) -> None:
    return None
