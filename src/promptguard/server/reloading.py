"""What is in force in a service, and how something else comes into force.

A request takes the policy once, when its texts have been read, and ends with it. A new
one is loaded and tried beside the old one before any request gets it; when it cannot
be, the old one stays. Only whoever runs the service can ask for it, by a signal or by
changing what the policy names: nothing in a request can.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import signal
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from .. import Policy, PromptGuardError
from .policies import DRY_RUN

__all__ = ["Held", "InForce", "Reloader"]

_log = logging.getLogger("promptguard.server")

T = TypeVar("T")

State = tuple[str, tuple[tuple[str, str], ...]]
"""The hash of a policy file, and what the models are that it names."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A policy with its models loaded.

    Args:
        policy: What requests get.
        state: What it was made from.
        models: By guard, the digest of its bundle.
        since: When it came into force.
    """

    policy: Policy
    state: State
    models: tuple[tuple[str, str], ...]
    since: datetime

    @property
    def revision(self) -> str:
        """Differs when the policy file or a model does, and is the same elsewhere."""
        told = repr((self.state[0], self.models))
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def same(self, other: InForce) -> bool:
        """True when the other was made from the same file and models."""
        return (self.state, self.models) == (other.state, other.models)

    @property
    def told(self) -> dict[str, Any]:
        """What callers may know of it."""
        return {
            "revision": self.revision,
            "since": self.since.isoformat(timespec="seconds"),
            "models": [{"guard": g, "digest": digest} for g, digest in self.models],
        }


class Held:
    """The policy of a service, which can be replaced while requests are under way.

    Args:
        source: Reads the policy anew.
    """

    def __init__(self, source: Callable[[], Policy]) -> None:
        self._source = source
        # So that a policy that is not right is told before anything else begins.
        self._policy = source()
        self._now: InForce | None = None
        self._one = threading.Lock()

    @property
    def policy(self) -> Policy:
        """What a request gets that begins now."""
        return self._policy if self._now is None else self._now.policy

    @property
    def now(self) -> InForce | None:
        """What is in force; None before the first load."""
        return self._now

    def load(self) -> InForce:
        """Read the policy, load its models and try them; then put it in force.

        Raises:
            PromptGuardError: Something is wrong with it. What was in force stays.
        """
        with self._one:
            # Asked for first: what changes while it is loaded is a change.
            source = self._source()
            state = _state(source)
            policy = source.pinned()
            policy.warmup()
            made = InForce(policy, state, policy.revisions(), datetime.now(UTC))
            if self._now is not None and made.same(self._now):
                # Nothing else, but for what a guard of somebody's own may have read.
                made = replace(made, since=self._now.since)
            self._policy, self._now = policy, made
            return made

    def changed(self) -> bool:
        """True when the file or a model is another than what is in force.

        Raises:
            PromptGuardError: It cannot be told.
        """
        return self._now is None or _state(self._source()) != self._now.state


def _state(policy: Policy) -> State:
    content = b""
    with suppress(OSError):
        content = Path(policy.source).read_bytes() if policy.source else b""
    return hashlib.sha256(content).hexdigest(), policy.revisions()


class Reloader:
    """Reloads when it is told to, or when something has changed.

    Args:
        held: What is in force.
        watch: Seconds between two looks at what the policy names; None never looks.
        hangup: Reload when the process is sent SIGHUP.
        count: Is told of every try: reloaded, unchanged or refused.
    """

    def __init__(
        self,
        held: Held,
        watch: float | None,
        *,
        hangup: bool,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._held = held
        self._count = count
        self._watch = watch
        self._hangup = hangup
        self._asked = asyncio.Event()
        self._complaint = ""
        self._tasks: set[asyncio.Task[None]] = set()
        # One thread: each of several would keep the memory of a model for itself.
        self._thread = ThreadPoolExecutor(1, "reload")

    async def start(self) -> None:
        """Begin to listen, in the running loop."""
        self._begin(self._reload_when_asked())
        if self._watch is not None:
            self._begin(self._look(self._watch))
        if self._hangup and hasattr(signal, "SIGHUP"):
            with suppress(ValueError, RuntimeError, NotImplementedError):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self._asked.set)

    async def stop(self) -> None:
        """End; what is being loaded comes into force for nobody."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked.wait()
            # Asked for again meanwhile, it is done again.
            self._asked.clear()
            await self._reload(asked=True)

    async def _look(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                changed = await self._off_loop(self._held.changed)
            except Exception as error:
                self._complain(error)
            else:
                # Put back as it was, it is tried in full: what tells a change is less
                # than what a load reads.
                if changed or self._complaint:
                    await self._reload()

    async def _let_go(self, policy: Policy) -> None:
        """See that models go when the last request that uses them is over.

        Guards stand in cycles with the engines that ran them, and Python would come
        for those after a very long time.
        """
        old = [weakref.ref(g) for g in (policy.input, policy.output) if g is not None]
        del policy
        seconds = 1.0
        while any(guard() is not None for guard in old):
            await asyncio.sleep(seconds)
            await self._off_loop(gc.collect)
            seconds = min(2 * seconds, 60.0)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, *, asked: bool = False) -> None:
        try:
            before, made = await self._off_loop(self._load)
        except Exception as error:
            self._complain(error, again=asked)
            return
        refused, self._complaint = bool(self._complaint), ""
        if before is not None:
            self._begin(self._let_go(before.policy))
        if before is not None and made.same(before):
            self._count("unchanged")
            said = "nothing has changed in the policy file and its models: %s"
            if refused:
                said = "the policy in force is again what the file says: %s"
            _log.info(said, made.revision)
            return
        self._count("reloaded")
        old = "none" if before is None else before.revision
        models = ", ".join(f"{g} {digest[:12]}" for g, digest in made.models)
        _log.info("reloaded: %s -> %s (%s)", old, made.revision, models or "no models")
        if made.policy.dry_run:
            _log.warning(DRY_RUN)

    def _load(self) -> tuple[InForce | None, InForce]:
        """What was in force, and what is; nobody else loads meanwhile."""
        return self._held.now, self._held.load()

    def _complain(self, error: Exception, *, again: bool = False) -> None:
        """Say once, and not at every look, why nothing was reloaded."""
        self._count("refused")
        known = isinstance(error, PromptGuardError)
        said = str(error) if known else type(error).__name__
        if again or said != self._complaint:
            self._complaint = said
            _log.error("not reloaded, what was in force stays: %s", said)
