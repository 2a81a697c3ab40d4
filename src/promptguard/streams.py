"""Iterators that stand in for a guarded stream."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from .chunks import Chunks
from .engine import Engine
from .errors import Blocked
from .hooks import emit
from .verdict import Verdict

__all__ = ["AsyncGuardedStream", "GuardedStream", "arun", "run"]

T = TypeVar("T")

# These would hand out what has not been through the gate: of generators, and of the
# streams of clients that also put the answer together.
_PAST_THE_GATE = frozenset(
    "send throw asend athrow gi_frame ag_frame text_stream until_done".split()
)
_PAST_THE_GATE_BEGIN = ("_", "get_final", "current_")


def run(steps: Generator[Any, Any, T]) -> T:
    """Do what a generator yields, engines and calls, and return what it returns."""
    from .drivers import drive

    go: Callable[[Any], Any] = steps.send
    outcome: Any = None
    while True:
        try:
            wanted = go(outcome)
        except StopIteration as stop:
            value: T = stop.value
            return value
        go = steps.send
        try:
            outcome = drive(wanted) if isinstance(wanted, Engine) else wanted.now()
        except Exception as error:
            go, outcome = steps.throw, error


async def arun(steps: Generator[Any, Any, T]) -> T:
    """Do what a generator yields without blocking the event loop."""
    from .drivers import adrive

    go: Callable[[Any], Any] = steps.send
    outcome: Any = None
    while True:
        try:
            wanted = go(outcome)
        except StopIteration as stop:
            value: T = stop.value
            return value
        go = steps.send
        try:
            if isinstance(wanted, Engine):
                outcome = await adrive(wanted)
            else:
                outcome = await wanted.later()
        except Exception as error:
            go, outcome = steps.throw, error


class _Stream:
    """What both kinds have in common; other attributes are those of the stream."""

    def __init__(self, upstream: Any, chunks: Chunks) -> None:
        self._upstream = upstream
        self._chunks = chunks
        self._ready: deque[Any] = deque()
        self._over = False
        self._blocked: Verdict | None = None

    def __getattr__(self, name: str) -> Any:
        past = name in _PAST_THE_GATE or name.startswith(_PAST_THE_GATE_BEGIN)
        if past and (name.startswith("_") or self._chunks.holds):
            raise AttributeError(
                f"a guarded stream has no attribute {name!r}, which would give what no "
                "guard has seen; iterate over the stream"
            )
        return getattr(self._upstream, name)

    def __repr__(self) -> str:
        return f"<guarded {type(self._upstream).__name__}>"

    def _ending(self, answer: Any) -> list[Any]:
        """The last chunks of a stream that was blocked."""
        return [] if answer is None else [answer]

    def _stop(self) -> None:
        self._over = True
        self._ready.clear()
        self._blocked = None
        self._chunks.leave()

    def _block(self, verdict: Verdict) -> None:
        """Give what stands before the finding, then the answer to the block."""
        emit((verdict,))
        self._ready.extend(self._chunks.rest)
        self._blocked = verdict


class GuardedStream(_Stream, Iterator[Any]):
    """A stream of which only leaves what the guards let through.

    Args:
        upstream: The stream of the LLM.
        chunks: What decides.
        answer: Gives the last chunk when something is blocked, or raises.
    """

    def __init__(
        self, upstream: Any, chunks: Chunks, answer: Callable[[Verdict], Any]
    ) -> None:
        super().__init__(upstream, chunks)
        self._answer = answer

    def __next__(self) -> Any:
        while not self._ready:
            verdict, self._blocked = self._blocked, None
            if verdict is not None:
                self._ready.extend(self._ending(self._answer(verdict)))
                continue
            if self._over:
                raise StopIteration
            try:
                self._step()
            except Blocked as blocked:
                verdict = blocked.verdict
            except BaseException:
                self.close()
                raise
            if verdict is not None:
                self.close()
                self._block(verdict)
        return self._ready.popleft()

    def _step(self) -> None:
        try:
            chunk = next(self._upstream)
        except StopIteration:
            self._ready.extend(run(self._chunks.end()))
            self._over = True
            return
        self._ready.extend(run(self._chunks.feed(chunk)))

    def close(self) -> None:
        """Close the stream; what was held is dropped."""
        self._stop()
        with suppress(Exception):
            close = getattr(self._upstream, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncGuardedStream(_Stream, AsyncIterator[Any]):
    """The same for a stream that is iterated with ``async for``."""

    def __init__(
        self,
        upstream: Any,
        chunks: Chunks,
        answer: Callable[[Verdict], Coroutine[Any, Any, Any]],
    ) -> None:
        super().__init__(upstream, chunks)
        self._answer = answer

    async def __anext__(self) -> Any:
        while not self._ready:
            verdict, self._blocked = self._blocked, None
            if verdict is not None:
                self._ready.extend(self._ending(await self._answer(verdict)))
                continue
            if self._over:
                raise StopAsyncIteration
            try:
                await self._step()
            except Blocked as blocked:
                verdict = blocked.verdict
            except BaseException:
                await self.aclose()
                raise
            if verdict is not None:
                await self.aclose()
                self._block(verdict)
        return self._ready.popleft()

    async def _step(self) -> None:
        try:
            chunk = await self._upstream.__anext__()
        except StopAsyncIteration:
            self._ready.extend(await arun(self._chunks.end()))
            self._over = True
            return
        self._ready.extend(await arun(self._chunks.feed(chunk)))

    async def aclose(self) -> None:
        """Close the stream; what was held is dropped."""
        self._stop()
        with suppress(Exception):
            close = getattr(self._upstream, "aclose", None)
            close = close or getattr(self._upstream, "close", None)
            if close is not None:
                closing = close()
                if inspect.isawaitable(closing):
                    await closing

    async def close(self) -> None:
        """The same, by the name that the streams of some clients have for it."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
