"""How much is taken on at a time, and how often one caller may ask.

Nothing here waits without an end: what cannot be taken on is refused at once, with the
time after which it is worth another try.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .errors import Refused

__all__ = ["Keys", "Places", "Rate", "Retries"]

# Callers that are kept in mind; those that came longest ago are forgotten.
MOST_CALLERS = 10_000


class Keys:
    """The API keys, as hashes; a caller is known by the beginning of one.

    Args:
        keys: The keys; without any, everybody may come.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._known = tuple(_hashed(key) for key in keys)

    def caller(self, given: str | None) -> str:
        """Who holds a key; empty where none is needed.

        Raises:
            Refused: There is no key, or it is not among them.
        """
        if not self._known:
            return ""
        digest = _hashed(given or "")
        # All of them are compared, so that the time tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._known]
        if given and any(matches):
            return f"key_{digest.hex()[:12]}"
        message = "No API key was given." if not given else "The API key is not known."
        raise Refused(401, "invalid_api_key", message)


def _hashed(key: str) -> bytes:
    return hashlib.sha256(b"promptguard api key\0" + key.encode()).digest()


class Places:
    """Requests whose texts are being checked, and a short queue before them.

    Args:
        most: How many are checked at a time.
        waiting: How many more may wait.
        seconds: How long one may wait.
    """

    def __init__(self, most: int, waiting: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(most)
        self._most = most
        self._waiting = waiting
        self._seconds = seconds
        self.held = 0

    @property
    def full(self) -> bool:
        """True when the next request would be refused."""
        return self.held >= self._most + self._waiting

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place while the texts of a request are checked.

        Raises:
            Refused: All are taken, and the queue is full.
        """
        if self.full:
            raise overloaded()
        self.held += 1
        try:
            if self._free.locked():
                try:
                    async with asyncio.timeout(self._seconds):
                        await self._free.acquire()
                except TimeoutError:
                    raise overloaded() from None
            else:
                # Nobody waits: this gives it at once, and needs no clock.
                await self._free.acquire()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self.held -= 1


def overloaded() -> Refused:
    """The refusal of what is too much at the moment."""
    message = "The service is busy; try again in a moment."
    return Refused(503, "overloaded", message, retry_after=1.0)


class Rate:
    """How often a caller may ask: so many in a second, and a few more at once.

    Args:
        rate: Requests in a second; None sets no limit.
        burst: Requests that may come at once after a while without any.
        now: The clock.
    """

    def __init__(
        self,
        rate: float | None,
        burst: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a request.

        Raises:
            Refused: It is one too many.
        """
        if self._rate is None:
            return
        now = self._now()
        left, since = self._left.pop(caller, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        self._left[caller] = max(0.0, left - 1) if left >= 1 else left, now
        while len(self._left) > MOST_CALLERS:
            self._left.popitem(last=False)
        if left < 1:
            raise Refused(
                429,
                "rate_limit_exceeded",
                "There were too many requests with this key.",
                retry_after=(1 - left) / self._rate,
            )


class Retries:
    """Counts blocked prompts that are much like another one of the same caller.

    Whoever tries a wording after another sends prompts that share most of their words,
    with other capitals, letters in another order, a sign here and there. What is kept
    of a prompt is a sketch: the least of some keyed hashes of its pairs of words, of
    each word its letters in order. Nobody can tell from it what the prompt said.

    Args:
        most: After so many a caller has to wait; None only counts.
        seconds: How long a prompt is kept in mind.
        now: The clock.
    """

    # Prompts of a caller that are kept in mind, and hashes of each.
    KEPT = 64
    SIZE = 64
    # Share of equal hashes from which two are much alike.
    ALIKE = 0.3
    # Words beyond these do not change what an attempt is about.
    LONGEST = 2_000

    def __init__(
        self,
        most: int | None,
        seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._secret = os.urandom(16)
        self._seen: OrderedDict[str, deque[tuple[float, frozenset[int], int]]]
        self._seen = OrderedDict()

    def check(self, caller: str) -> None:
        """Refuse a caller who has tried too often.

        Raises:
            Refused: The caller has to wait.
        """
        if self._most is None or not caller:
            return
        seen = self._recent(caller)
        if seen and max(count for _, _, count in seen) >= self._most:
            message = "Too many prompts much alike were blocked."
            wait = self._seconds - (self._now() - seen[0][0])
            raise Refused(429, "too_many_blocked", message, retry_after=max(1.0, wait))

    def blocked(self, caller: str, text: str) -> int:
        """Note a blocked prompt, and say how many like it came before."""
        sketch = self._sketch(text)
        seen = self._recent(caller)
        alike = 0
        for _, other, _ in seen:
            both = len(sketch | other)
            if both and len(sketch & other) / both >= self.ALIKE:
                alike += 1
        seen.append((self._now(), sketch, alike))
        while len(seen) > self.KEPT:
            seen.popleft()
        self._seen[caller] = seen
        self._seen.move_to_end(caller)
        while len(self._seen) > MOST_CALLERS:
            self._seen.popitem(last=False)
        return alike

    def _recent(self, caller: str) -> deque[tuple[float, frozenset[int], int]]:
        seen = self._seen.get(caller) or deque()
        since = self._now() - self._seconds
        while seen and seen[0][0] < since:
            seen.popleft()
        return seen

    def _sketch(self, text: str) -> frozenset[int]:
        words = re.findall(r"\w+", text.casefold())[: self.LONGEST]
        words = ["".join(sorted(word)) for word in words]
        pieces = {" ".join(words[i : i + 2]) for i in range(max(1, len(words) - 1))}
        hashes = sorted(
            int.from_bytes(
                hashlib.blake2b(
                    piece.encode(), digest_size=8, key=self._secret
                ).digest()
            )
            for piece in pieces
        )
        return frozenset(hashes[: self.SIZE])
