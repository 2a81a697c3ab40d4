"""What judges said before, by keyed hash: no text and no rubric is kept.

An entry says for which key it was written and is signed, so that a value that somebody
else put into a shared store is not taken for a grade.
"""

from __future__ import annotations

import hmac
import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from hashlib import blake2b

__all__ = ["Cache", "Memory"]

# A store that is not given a key of the user's lives no longer than the process.
_OWN_KEY = os.urandom(32)


class Cache:
    """Scores by rubric, for what was asked.

    Args:
        store: Where entries are kept; any mapping of strings to strings.
        key: What hashes and signatures are made with; None is one of this process.
    """

    def __init__(self, store: MutableMapping[str, str], key: bytes | None) -> None:
        self._store = store
        self._secret = key or _OWN_KEY

    def name(self, *asked: object) -> str:
        """The name of an entry."""
        data = json.dumps(asked).encode()
        return "promptguard-judge-" + self._hash(b"name" + data)

    def get(self, name: str) -> tuple[tuple[str, float], ...] | None:
        """The scores that were put there, or None."""
        try:
            entry: object = self._store.get(name)
        except Exception as error:
            _failed(error)
            return None
        if not isinstance(entry, str):
            return None
        signature, _, data = entry.partition(" ")
        if not hmac.compare_digest(
            signature.encode("utf-8", "replace"), self._sign(name, data).encode()
        ):
            return None
        scores = json.loads(data)
        return tuple((label, float(score)) for label, score in scores.items())

    def put(self, name: str, scores: tuple[tuple[str, float], ...]) -> None:
        """Keep scores."""
        assert all(math.isfinite(score) for _, score in scores)
        data = json.dumps(dict(scores))
        try:
            self._store[name] = f"{self._sign(name, data)} {data}"
        except Exception as error:
            _failed(error)

    def _sign(self, name: str, data: str) -> str:
        return self._hash(f"entry {name} {data}".encode("utf-8", "replace"))

    def _hash(self, data: bytes) -> str:
        return blake2b(data, key=self._secret[:64], digest_size=32).hexdigest()


class Memory(MutableMapping[str, str]):
    """The last entries, safe to share between threads."""

    SIZE = 1024

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, str] = OrderedDict()

    def __getitem__(self, name: str) -> str:
        with self._lock:
            self._entries.move_to_end(name)
            return self._entries[name]

    def __setitem__(self, name: str, entry: str) -> None:
        with self._lock:
            self._entries[name] = entry
            self._entries.move_to_end(name)
            while len(self._entries) > self.SIZE:
                self._entries.popitem(last=False)

    def __delitem__(self, name: str) -> None:
        with self._lock:
            del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def _failed(error: Exception) -> None:
    # Asking again is safe, so a store that is away stops nothing.
    import logging

    logging.getLogger("promptguard").warning(
        "the judge's cache raised %s; the judge is asked instead", type(error).__name__
    )
