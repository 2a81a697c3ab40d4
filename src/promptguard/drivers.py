"""The two ways to wait for the answers an engine wants: sync and async.

Models run on the calling thread (sync) or in a small pool (async), never on the
event loop. LLMs are called in a bounded pool of threads, or on the loop when they
are async.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from hashlib import blake2b
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from .engine import Engine, Step
from .queries import Ask, Classify, Query, Scores
from .verdict import Verdict

if TYPE_CHECKING:
    import asyncio

__all__ = ["adrive", "drive", "warm"]

T = TypeVar("T")

MODEL_THREADS = min(4, os.cpu_count() or 1)
LLM_THREADS = 32
# Beyond this many characters even a pattern scan is too long for an event loop.
LONG_TEXT = 20_000


def drive(engine: Engine) -> tuple[Verdict, ...]:
    """Run an engine to its end on the calling thread."""
    step = engine.start()
    if engine.done:
        return engine.verdicts
    classifies: list[Query] = []
    asked: dict[Future[Any], Query] = {}
    while True:
        for query in step.queries:
            if isinstance(query, Ask):
                asked[_workers.llms().submit(_timed, _ask, query)] = query
            else:
                classifies.append(query)
        _drop(step, classifies, asked)
        if engine.done:
            return engine.verdicts
        finished = next((future for future in asked if future.done()), None)
        if finished is None and classifies:
            step = _feed(engine, classifies[0], _classified(classifies.pop(0)))
            continue
        if finished is None:
            finished = next(iter(wait(asked, return_when=FIRST_COMPLETED).done))
        step = _feed(engine, asked.pop(finished), finished)


async def adrive(engine: Engine) -> tuple[Verdict, ...]:
    """Run an engine to its end without blocking the event loop.

    When the caller is cancelled, so is everything the engine still waits for.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    tasks: dict[asyncio.Future[Any], Query] = {}

    async def stepped(move: Callable[[], Step]) -> Step:
        if engine.size > LONG_TEXT:
            return await loop.run_in_executor(_workers.models(), move)
        return move()

    try:
        step = await stepped(engine.start)
        while True:
            for query in step.queries:
                tasks[asyncio.ensure_future(_aanswer(loop, query))] = query
            for task in [t for t, q in tasks.items() if q in step.dropped]:
                del tasks[task]
                task.cancel()
            if engine.done:
                return engine.verdicts
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finished = next(iter(done))
            query = tasks.pop(finished)
            step = await stepped(partial(_feed, engine, query, finished))
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


def warm(engine: Engine) -> None:
    """Load and try the models that the engine's guards ask for; LLMs are not called."""
    engine.start()
    while asked := [query for query in engine.pending if isinstance(query, Classify)]:
        for query in asked:
            engine.answer(query, classify(query))
    if engine.done:
        _ = engine.verdicts  # raises what the guards made of the answers


def classify(query: Classify) -> Scores:
    """The scores of a text, from the memo where it was scored before."""
    from .runtime.infer import answer

    key = _memo.key(query)
    scores = _memo.get(key)
    if scores is None:
        scores = answer(query)
        _memo.put(key, scores)
    return scores


def _feed(
    engine: Engine, query: Query, outcome: Future[Any] | asyncio.Future[Any]
) -> Step:
    """Hand the outcome of a query to the engine."""
    if outcome.cancelled():
        return engine.fail(query, RuntimeError("cancelled"))
    error = outcome.exception()
    if error is None:
        value, seconds = outcome.result()
        return engine.answer(query, value, seconds)
    if not isinstance(error, Exception):
        raise error
    return engine.fail(query, error)


def _drop(step: Step, classifies: list[Query], asked: dict[Future[Any], Query]) -> None:
    for query in step.dropped:
        if query in classifies:
            classifies.remove(query)
        for future in [f for f, q in asked.items() if q == query]:
            del asked[future]
            future.cancel()


def _classified(query: Query) -> Future[Any]:
    assert isinstance(query, Classify)
    future: Future[Any] = Future()
    try:
        future.set_result(_timed(classify, query))
    except Exception as error:
        future.set_exception(error)
    return future


def _timed(function: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    begun = perf_counter()
    return function(*arguments), perf_counter() - begun


def _ask(query: Ask) -> Any:
    """Call an LLM on a thread of the pool; an async one on the background loop."""
    answer = query.llm(query.rubric, query.text)
    if inspect.isawaitable(answer):
        return _workers.run(_awaited(answer))
    return answer


async def _awaited(answer: Any) -> Any:
    return await answer


async def _aanswer(loop: asyncio.AbstractEventLoop, query: Query) -> tuple[Any, float]:
    begun = perf_counter()
    if isinstance(query, Classify):
        return await loop.run_in_executor(_workers.models(), _timed, classify, query)
    if _is_async(query.llm):
        answer = await query.llm(query.rubric, query.text)
    else:
        answer = await loop.run_in_executor(
            _workers.llms(), query.llm, query.rubric, query.text
        )
        if inspect.isawaitable(answer):
            answer = await answer
    return answer, perf_counter() - begun


async def off_loop(work: Callable[[], T]) -> T:
    """Run what takes a while on a thread, so that the event loop goes on."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(_workers.llms(), work)


def begin_on_own_loop(work: Coroutine[Any, Any, Any]) -> None:
    """Start a coroutine on the library's own loop, and do not wait for it."""
    _workers.submit(work)


def waited_for(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Run a coroutine on the library's own loop, and wait for it on this thread.

    Raises:
        TimeoutError: It takes longer than so many seconds, and is cancelled.
    """
    future = _workers.submit(work)
    try:
        return future.result(seconds)
    finally:
        future.cancel()


async def on_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the library's own loop, and cancel it there if cancelled.

    For what lives longer than one loop of a caller's: a pool of connections.
    """
    import asyncio

    return await asyncio.wrap_future(_workers.submit(work))


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not asking if callable
    )


class _Workers:
    """The threads of this process, made on first use and anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._models: ThreadPoolExecutor | None = None
        self._llms: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def models(self) -> ThreadPoolExecutor:
        with self._fresh():
            if self._models is None:
                self._models = ThreadPoolExecutor(MODEL_THREADS, "promptguard-model")
            return self._models

    def llms(self) -> ThreadPoolExecutor:
        with self._fresh():
            if self._llms is None:
                self._llms = ThreadPoolExecutor(LLM_THREADS, "promptguard-llm")
            return self._llms

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the background loop, from another thread."""
        return self.submit(work).result()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the background loop."""
        import asyncio

        with self._fresh():
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="promptguard-loop", daemon=True
                ).start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _fresh(self) -> threading.Lock:
        # Threads do not survive a fork; neither does a lock somebody held. The
        # process id tells without a fork hook, so importing changes nothing.
        if self._pid != os.getpid():
            self._lock = threading.Lock()
            self._models = self._llms = self._loop = None
            self._pid = os.getpid()
        return self._lock


class _Memo:
    """The scores of the last texts, by keyed hash: no text is kept.

    Spares an agent that sends its whole history with every call the re-scoring of
    what has not changed.
    """

    SIZE = 1024
    # Scores of very long texts are large and seldom asked for twice.
    LONGEST = 64

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secret = os.urandom(32)
        self._scores: OrderedDict[bytes, Scores] = OrderedDict()

    def key(self, query: Classify) -> bytes:
        digest = blake2b(key=self._secret, digest_size=16)
        named = query.model or "", query.revision or "", query.calibration or ""
        for part in (*named, query.role, query.text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big"))
            digest.update(data)
        return digest.digest()

    def get(self, key: bytes) -> Scores | None:
        with self._lock:
            scores = self._scores.get(key)
            if scores is not None:
                self._scores.move_to_end(key)
            return scores

    def put(self, key: bytes, scores: Scores) -> None:
        if len(scores.windows) > self.LONGEST:
            return
        with self._lock:
            self._scores[key] = scores
            while len(self._scores) > self.SIZE:
                self._scores.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._scores.clear()


_workers = _Workers()
_memo = _Memo()
