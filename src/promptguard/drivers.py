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
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from hashlib import blake2b
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ._runs import own
from ._workers import MODEL_THREADS, Shared, Turns, Workers
from .engine import Engine, Step
from .queries import Ask, Classify, Query, Scores
from .verdict import Verdict

if TYPE_CHECKING:
    import asyncio

__all__ = ["adrive", "drive", "warm"]

T = TypeVar("T")

# Seconds that a verdict waits for what it has cancelled. A caller that is cancelled
# itself waits until all is gone.
LEAVING = 0.005
# Beyond this many characters even a pattern scan is too long for an event loop; a text
# by itself, however short, takes as long as so many.
LONG_TEXT = 20_000
ONE_TEXT = 250


def drive(engine: Engine) -> tuple[Verdict, ...]:
    """Run an engine to its end on the calling thread.

    With a budget nothing slow runs on that thread, so that it comes back in time.
    """
    step = engine.start()
    if engine.done:
        return engine.verdicts
    classifies: list[Classify] = []
    asked: dict[Future[Any], Query] = {}
    try:
        while True:
            for query in step.queries:
                if isinstance(query, Classify) and engine.left is None:
                    classifies.append(query)
                else:
                    asked[_begun(query)] = query
            _drop(step, classifies, asked)
            if engine.done:
                return engine.verdicts
            finished = next((future for future in asked if future.done()), None)
            if finished is None and classifies:
                # The shortest text is the first to be done.
                shortest = min(classifies, key=lambda query: len(query.text))
                classifies.remove(shortest)
                step = _feed(engine, shortest, _done(classify, shortest))
                continue
            if finished is None:
                done = wait(asked, engine.left, FIRST_COMPLETED).done
                if not done:
                    step = engine.expire()
                    continue
                finished = next(iter(done))
            step = _feed(engine, asked.pop(finished), finished)
    finally:
        for future in asked:
            future.cancel()


async def adrive(engine: Engine) -> tuple[Verdict, ...]:
    """Run an engine to its end without blocking the event loop.

    When the caller is cancelled, so is everything the engine still waits for.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    turns = Turns.on(loop)
    # A call with many texts must not keep the others from the models.
    share = asyncio.Semaphore(MODEL_THREADS)
    tasks: dict[asyncio.Future[Any], Query] = {}
    leaving: list[asyncio.Future[Any]] = []
    patience: float | None = LEAVING

    async def stepped(move: Callable[[], Step]) -> Step:
        if engine.size + ONE_TEXT * engine.count > LONG_TEXT:
            return await loop.run_in_executor(_workers.models(), move)
        return await turns.take(loop, move)

    try:
        step = await stepped(engine.start)
        while True:
            for query in step.queries:
                tasks[asyncio.ensure_future(_aanswer(loop, query, share))] = query
            for task in [t for t, q in tasks.items() if q in step.dropped]:
                del tasks[task]
                task.cancel()
                leaving.append(task)
            if engine.done:
                return engine.verdicts
            done, _ = await asyncio.wait(
                tasks, timeout=engine.left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                step = await stepped(engine.expire)
                continue
            finished = next(iter(done))
            query = tasks.pop(finished)
            step = await stepped(partial(_feed, engine, query, finished))
    except asyncio.CancelledError:
        patience = None
        raise
    finally:
        leaving += tasks
        for task in leaving:
            _leaving.add(task)
            task.add_done_callback(_forget)
            task.cancel()
        if leaving:
            await asyncio.wait(leaving, timeout=patience)


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
    try:
        value, error, seconds = outcome.result()
    except BaseException as unforeseen:
        # Cancelled from outside, or its thread could not be started.
        return engine.fail(query, own(unforeseen))
    if isinstance(error, SystemExit):
        # On a thread of its own that ends the thread, not the program.
        return engine.fail(query, RuntimeError("the thread ended"), seconds)
    if error is not None:
        return engine.fail(query, own(error), seconds)
    return engine.answer(query, value, seconds)


def _drop(
    step: Step, classifies: list[Classify], asked: dict[Future[Any], Query]
) -> None:
    for query in step.dropped:
        if query in classifies:
            classifies.remove(query)
        for future in [f for f, q in asked.items() if q == query]:
            del asked[future]
            future.cancel()


Outcome = tuple[Any, BaseException | None, float]
"""A value or an error, and the seconds it took."""


def _begun(query: Query) -> Future[Outcome]:
    """Have a query answered on another thread."""
    try:
        if isinstance(query, Classify):
            return _workers.models().submit(_timed, classify, query)
        if is_async(query.llm):
            return _workers.run(_awaited(query.llm, query.rubric, query.text))
        return _workers.llms().submit(_timed, _ask, query)
    except Exception as error:
        return _done(_raised, error)


def _done(function: Callable[..., Any], *arguments: Any) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(_timed(function, *arguments))
    return future


def _timed(function: Callable[..., Any], *arguments: Any) -> Outcome:
    begun = perf_counter()
    try:
        return function(*arguments), None, perf_counter() - begun
    except BaseException as error:
        return None, error, perf_counter() - begun


async def _awaited(function: Callable[..., Any], *arguments: Any) -> Outcome:
    begun = perf_counter()
    try:
        return await function(*arguments), None, perf_counter() - begun
    except Exception as error:
        return None, error, perf_counter() - begun


def _raised(error: BaseException) -> NoReturn:
    raise error


def _ask(query: Ask) -> Any:
    """Call an LLM that is a plain function, though what it gives may be awaitable."""
    answer = query.llm(query.rubric, query.text)
    if inspect.isawaitable(answer):
        value, error, _ = _workers.run(_awaited(_finished, answer)).result()
        if error is not None:
            raise error
        return value
    return answer


async def _finished(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _aanswer(
    loop: asyncio.AbstractEventLoop, query: Query, share: asyncio.Semaphore
) -> Outcome:
    if isinstance(query, Classify):
        async with share:
            begin = partial(
                loop.run_in_executor, _workers.models(), _timed, classify, query
            )
            return await Shared.on(loop).ask(query, begin)
    if is_async(query.llm):
        return await _awaited(query.llm, query.rubric, query.text)
    answer, error, seconds = await loop.run_in_executor(
        _workers.llms(), _timed, query.llm, query.rubric, query.text
    )
    if error is None and inspect.isawaitable(answer):
        answer, error, more = await _awaited(_finished, answer)
        seconds += more
    return answer, error, seconds


async def off_loop(work: Callable[[], T]) -> T:
    """Run what takes a while on a thread, so that the event loop goes on."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(_workers.llms(), work)


def begin_on_own_loop(work: Coroutine[Any, Any, Any]) -> None:
    """Start a coroutine on the library's own loop, and do not wait for it."""
    _workers.run(work)


def waited_for(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Run a coroutine on the library's own loop, and wait for it on this thread.

    Raises:
        TimeoutError: It takes longer than so many seconds, and is cancelled.
    """
    future = _workers.run(work)
    try:
        return future.result(seconds)
    finally:
        future.cancel()


async def on_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the library's own loop, and cancel it there if cancelled.

    For what lives longer than one loop of a caller's: a pool of connections.
    """
    import asyncio

    return await asyncio.wrap_future(_workers.run(work))


def is_async(function: Callable[..., Any]) -> bool:
    """True for what is awaited, and so never needs a thread."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not asking if callable
    )


def _forget(task: asyncio.Future[Any]) -> None:
    """Nobody asks any more what came of it."""
    _leaving.discard(task)
    if not task.cancelled():
        task.exception()


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
        asked = "names" if query.names else ""
        for part in (*named, asked, query.role, query.text):
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


_workers = Workers()
# The loop itself does not keep its tasks.
_leaving: set[asyncio.Future[Any]] = set()
_memo = _Memo()
