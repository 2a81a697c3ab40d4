"""A call of a client: its streams and blocked answers have the client's own shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..call import GuardedCall
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

    def worded(self, words: str, value: Any) -> Any:
        return words

    def last_chunk(self, words: str, chunks: Chunks) -> Any:
        return words

    def stream(self, value: Any, chunks: Chunks, end: Callable[[Verdict], Any]) -> Any:
        return _Stream(value, chunks, end, self.teller())

    def astream(self, value: Any, chunks: Chunks, end: Callable[[Verdict], Any]) -> Any:
        return _AsyncStream(value, chunks, end, self.teller())

    def shaped(self, answer: Any, verdict: Verdict) -> Any:
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
