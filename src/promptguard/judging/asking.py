"""Asking a judge: attempts, waits, limits and the cache, once for sync and async.

``flow`` says what is to be done and waits for nothing; ``SyncAsker`` and
``AsyncAsker`` do it. Each is what an ``Ask`` calls.
"""

from __future__ import annotations

import contextvars
import inspect
import random
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import PromptGuardError
from ..verdict import Usage
from .cache import Cache
from .endpoint import Answer, Endpoint, Manner, State, answer, state
from .faults import Fault, fault
from .prompt import Case, Prompt, prompt
from .reply import Malformed, grades, shares
from .rubrics import Rubric

__all__ = ["Judged", "asker"]

# Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
# Architecture Blog, 2015), in seconds.
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 4.0
_LONG_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer to an ``Ask``.

    Args:
        scores: The risk by rubric, 0 to 1, as pairs; empty with a fault.
        usage: What all attempts took that were answered.
        fault: Why there are no scores, or None.
    """

    scores: tuple[tuple[str, float], ...] = ()
    usage: Usage = field(default_factory=Usage)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Send:
    prompt: Prompt
    manner: Manner


@dataclass(frozen=True, slots=True)
class _Wait:
    seconds: float


_Flow = Generator[_Send | _Wait, Any, Judged]


@dataclass(frozen=True)
class _Asker:
    endpoint: Endpoint
    rubrics: tuple[Rubric, ...]
    topics: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(rubric.name for rubric in self.rubrics)

    @property
    def prepared(self) -> bool:
        """True when nothing is left to load."""
        return self.names in state(self.endpoint).prepared

    def prepare(self) -> None:
        """Load what the first question needs; that is not the judge's time."""
        state(self.endpoint).prepare(self.names)

    def flow(self, written: str, deadline: float) -> _Flow:
        """What to do for one question, from the cache to the last attempt."""
        case = Case.read(written)
        for rubric in self.rubrics:
            if (lacking := _lacking(rubric, case)) is not None:
                return Judged(fault=lacking)
        own = state(self.endpoint)
        cache, name = self._cache(own), ""
        if cache is not None:
            name = cache.name(*self.endpoint.named, *self._asked(), written)
            scores = cache.get(name)
            if scores is not None:
                return Judged(scores)
        judged = yield from self._attempts(case, own, deadline)
        if cache is not None and judged.fault is None:
            cache.put(name, judged.scores)
        return judged

    def _attempts(self, case: Case, own: State, deadline: float) -> _Flow:
        usage, retries, manner = Usage(), 0, own.manner
        while True:
            sent = prompt(case, self.rubrics, self.topics)
            got: Answer = yield _Send(sent, manner)
            usage += got.usage
            wrong = got.fault
            if wrong is None:
                own.manner = manner
                return self._read(got, sent.nonce, usage)
            if wrong.option is not None:
                lesser = manner.without(wrong.option, self.endpoint.structured)
                if lesser is not None:
                    manner = lesser
                    continue
            if not wrong.again or retries == self.endpoint.retries:
                return Judged(usage=usage, fault=wrong)
            most = min(_LONGEST_WAIT, _FIRST_WAIT * 2**retries)
            wait = random.uniform(0, most)
            if wrong.after is not None:
                wait += wrong.after
            if time.monotonic() + wait >= deadline:
                return Judged(usage=usage, fault=wrong)
            yield _Wait(wait)
            retries += 1

    def _read(self, got: Answer, nonce: str, usage: Usage) -> Judged:
        reason = ""
        try:
            graded = grades(got.content, nonce, self.names)
        except Malformed as error:
            reason = f"the judge's reply does not count: {error}"
        if reason:
            return Judged(usage=usage, fault=Fault("reply", reason))
        told = shares(got.content, graded, got.logprobs)
        return Judged(
            tuple((r.name, r.risk(told[r.name])) for r in self.rubrics), usage
        )

    def _cache(self, own: State) -> Cache | None:
        store = self.endpoint.cache
        if store is None:
            return None
        chosen = own.memory if isinstance(store, str) else store
        return Cache(chosen, self.endpoint.cache_key)

    def _asked(self) -> list[object]:
        told = [[r.name, r.question, r.kind, r.low, r.high] for r in self.rubrics]
        return [told, self.topics, self.endpoint.structured]


def _advanced(flow: _Flow, value: Any) -> _Send | _Wait | Judged:
    """The next thing to do, or what came of it all."""
    try:
        return flow.send(value)
    except StopIteration as done:
        judged: Judged = done.value
        return judged


class SyncAsker(_Asker):
    """Asks on threads."""

    def __call__(self, rubric: str, text: str) -> Judged:
        self.prepare()
        deadline = time.monotonic() + self.endpoint.timeout
        flow, value = self.flow(text, deadline), None
        while not isinstance(step := _advanced(flow, value), Judged):
            if isinstance(step, _Wait):
                time.sleep(step.seconds)
                value = None
            else:
                value = self._send(step, deadline)
        return step

    def _send(self, step: _Send, deadline: float) -> Answer:
        from ..drivers import waited_for

        own = state(self.endpoint)
        left = deadline - time.monotonic()
        if left <= 0 or not own.slots.acquire(timeout=left):
            return _late()
        outcome: list[Any] = []
        ended = threading.Event()

        def work() -> None:
            try:
                left = max(0.001, deadline - time.monotonic())
                got = own.call(step.prompt, self.names, step.manner, left)()
                if inspect.isawaitable(got):
                    # A plain function that calls an async one, as a lambda does.
                    got = waited_for(_awaited(got), left)
                outcome.append(answer(got, self.endpoint))
            except BaseException as raised:
                # Nobody else would see it; an uncaught one would be printed.
                outcome.append(raised)
            finally:
                # A call that hangs keeps its slot: no more of them than slots.
                own.slots.release()
                ended.set()

        context = contextvars.copy_context()
        # On a thread of its own, because a thread that hangs cannot be stopped: it is
        # left behind, and does not keep the process from ending.
        thread = threading.Thread(
            target=context.run, args=(work,), name="promptguard-judge", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            own.slots.release()
            raise
        in_time = ended.wait(max(0.0, deadline - time.monotonic()))
        if not in_time:
            return _late()
        (got,) = outcome
        return _failed(got) if isinstance(got, BaseException) else got


class AsyncAsker(_Asker):
    """Asks on the event loop that it is called on."""

    async def __call__(self, rubric: str, text: str) -> Judged:
        import asyncio

        from ..drivers import off_loop

        if not self.prepared:
            await off_loop(self.prepare)
        deadline = time.monotonic() + self.endpoint.timeout
        flow, value = self.flow(text, deadline), None
        while True:
            move = partial(_advanced, flow, value)
            # Writing a long prompt takes longer than an event loop should wait.
            step = await off_loop(move) if len(text) > _LONG_TEXT else move()
            if isinstance(step, Judged):
                return step
            if isinstance(step, _Wait):
                await asyncio.sleep(step.seconds)
                value = None
            else:
                value = await self._send(step, deadline)

    async def _send(self, step: _Send, deadline: float) -> Answer:
        import asyncio

        own = state(self.endpoint)
        left = deadline - time.monotonic()
        try:
            async with asyncio.timeout(left), own.loop_slots():
                left = max(0.001, deadline - time.monotonic())
                call = own.call(step.prompt, self.names, step.manner, left)
                return answer(await call(), self.endpoint)
        except Exception as raised:
            error = raised
        return _failed(error)


class AddressAsker(AsyncAsker):
    """Asks an address, on the library's own event loop, where its connections live."""

    async def __call__(self, rubric: str, text: str) -> Judged:
        from ..drivers import on_own_loop

        return await on_own_loop(super().__call__(rubric, text))


def asker(
    endpoint: Endpoint, rubrics: tuple[Rubric, ...], topics: tuple[str, ...]
) -> Callable[[str, str], Any]:
    """What an ``Ask`` of this endpoint calls."""
    kinds: dict[str, type[_Asker]] = {
        "address": AddressAsker,
        "async client": AsyncAsker,
        "async function": AsyncAsker,
    }
    made: Any = kinds.get(endpoint.kind, SyncAsker)(endpoint, rubrics, topics)
    return made  # type: ignore[no-any-return]


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _failed(error: BaseException) -> Answer:
    """What went wrong, as an answer."""
    if isinstance(error, PromptGuardError):
        # An extra or a key that is missing: what we say ourselves, the caller hears.
        raise error
    return Answer(fault=fault(error))


def _late() -> Answer:
    return Answer(
        fault=Fault("timeout", "the judge took longer than its timeout", again=True)
    )


def _lacking(rubric: Rubric, case: Case) -> Fault | None:
    lacking = {
        "question": case.question is None,
        "context": not case.context,
        "reference": case.reference is None,
        "other": case.other is None,
    }
    for need in rubric.needs:
        if lacking.get(need) and need in ("reference", "other"):
            return Fault(
                "needs",
                f"{rubric.name} is graded against another text, and there is none; "
                f"give it: Judge(..., {need}=...)",
            )
        if lacking.get(need):
            said = "user" if need == "question" else "retrieved"
            return Fault(
                "needs",
                f"{rubric.name} is graded against the {need}, and there is none; give "
                f'it in the history: check(text, "assistant", [("{said}", ...)])',
            )
    return None
