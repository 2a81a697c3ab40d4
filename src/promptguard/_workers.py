"""The threads and loops that the drivers wait on, and taking turns on a loop."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio

__all__ = ["Shared", "Turns", "Workers"]

P = ParamSpec("P")
T = TypeVar("T")

MODEL_THREADS = min(4, os.cpu_count() or 1)
LLM_THREADS = 32


class Callers(Executor):
    """Threads for calls that may take long, or for ever.

    A thread ends with the last call that waits for it, and none keeps the program from
    ending: what an LLM will never answer must not be waited for at the exit.

    Args:
        most: How many calls run at a time; the others wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._running = 0
        self._calls: deque[Callable[[], None]] = deque()

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call a function as soon as a thread is free."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                value = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)

        with self._lock:
            self._calls.append(call)
            if self._running < self._most:
                self._running += 1
                try:
                    threading.Thread(
                        target=self._work, name="promptguard-llm", daemon=True
                    ).start()
                except BaseException:
                    self._running -= 1
                    self._calls.remove(call)
                    raise
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._running -= 1
                    return
                call = self._calls.popleft()
            call()
            # The last call, and the answer with it, must not live as long as the next.
            del call


class Workers:
    """The threads of this process, made on first use and anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._models: ThreadPoolExecutor | None = None
        self._llms: Callers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def models(self) -> ThreadPoolExecutor:
        """Threads for model runs and for scans of long texts."""
        with self._fresh():
            if self._models is None:
                self._models = ThreadPoolExecutor(MODEL_THREADS, "promptguard-model")
            return self._models

    def llms(self) -> Callers:
        """Threads for LLMs that are plain functions."""
        with self._fresh():
            if self._llms is None:
                self._llms = Callers(LLM_THREADS)
            return self._llms

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a coroutine on the background loop, from another thread."""
        import asyncio

        with self._fresh():
            if self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="promptguard-loop", daemon=True
                )
                self._thread.start()
            loop = self._loop
        assert loop is not None
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _fresh(self) -> threading.Lock:
        # Threads do not survive a fork; neither does a lock somebody held. The
        # process id tells without a fork hook, so importing changes nothing.
        if self._pid != os.getpid():
            self._lock = threading.Lock()
            self._models = self._llms = self._loop = self._thread = None
            self._pid = os.getpid()
        return self._lock


class Turns:
    """Keeps many checks on one event loop from standing in its way all at once.

    Each is short, but all that are ready run in one round of the loop, and nothing else
    does until the last is done. So after a slice of work whoever comes next waits for
    the next round.
    """

    # Seconds of work in one round of the loop.
    SLICE = 0.002

    _of: ClassVar[dict[asyncio.AbstractEventLoop, Turns]] = {}

    def __init__(self) -> None:
        import asyncio

        self._lock = asyncio.Lock()
        self._spent = 0.0

    @classmethod
    def on(cls, loop: asyncio.AbstractEventLoop) -> Turns:
        """The turns of a loop."""
        turns = cls._of.get(loop)
        if turns is None:
            for other in [*cls._of]:
                if other.is_closed():
                    cls._of.pop(other, None)
            turns = cls._of[loop] = cls()
        return turns

    async def take(self, loop: asyncio.AbstractEventLoop, move: Callable[[], T]) -> T:
        """Call a function when it is its turn."""
        await self._lock.acquire()
        begun = perf_counter()
        try:
            return move()
        finally:
            self._spent += perf_counter() - begun
            if self._spent < self.SLICE:
                self._lock.release()
            else:
                self._spent = 0.0
                loop.call_soon(self._lock.release)


class Shared:
    """Has equal questions of calls at the same time asked once, on one event loop.

    What nobody waits for any more is cancelled.
    """

    _of: ClassVar[dict[asyncio.AbstractEventLoop, Shared]] = {}

    def __init__(self) -> None:
        self._asked: dict[Hashable, tuple[asyncio.Future[Any], list[None]]] = {}

    @classmethod
    def on(cls, loop: asyncio.AbstractEventLoop) -> Shared:
        """What is asked on a loop."""
        shared = cls._of.get(loop)
        if shared is None:
            for other in [*cls._of]:
                if other.is_closed():
                    cls._of.pop(other, None)
            shared = cls._of[loop] = cls()
        return shared

    async def ask(
        self, question: Hashable, begin: Callable[[], asyncio.Future[T]]
    ) -> T:
        """The answer to a question, which is begun unless somebody waits for it."""
        import asyncio

        asked = self._asked

        def forget(future: asyncio.Future[Any]) -> None:
            # The same may have been asked anew since this one was given up.
            if question in asked and asked[question][0] is future:
                del asked[question]

        if question not in asked:
            begun = begin()
            asked[question] = begun, []
            begun.add_done_callback(forget)
        future, waiting = asked[question]
        waiting.append(None)
        try:
            answer: T = await asyncio.shield(future)
            return answer
        finally:
            waiting.pop()
            if not waiting and not future.done():
                forget(future)
                future.cancel()
