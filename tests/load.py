"""Requests without a pause, and what became of each."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Load:
    """Clients that ask one thing after the other, each on a connection that it keeps.

    Args:
        port: Where the service is.
        texts: What they ask, in turn.
        clients: How many there are.
        pause: Seconds between two questions of a client.
    """

    port: int
    texts: tuple[str, ...]
    clients: int = 4
    pause: float = 0.002
    answers: list[tuple[float, str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._client, args=(number,))
            for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def wait(self, count: int) -> None:
        """Until so many more are answered."""
        wanted, deadline = len(self.answers) + count, time.monotonic() + 60
        while len(self.answers) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.answers) >= wanted, self.errors

    def said(self, text: str, after: float = 0.0) -> set[int]:
        """The statuses of all answers to a text, asked after some time."""
        return {s for at, asked, s in self.answers if asked == text and at >= after}

    def _client(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self._end.is_set():
            text = self.texts[number % len(self.texts)]
            number += 1
            at = time.monotonic()
            try:
                # Different each time, so that nothing is answered from memory.
                status = self._ask(connection, f"{number}: {text}")
            except Exception as error:
                # No second try: whatever is dropped is counted.
                self.errors.append(f"{type(error).__name__}: {error}")
                connection.close()
            else:
                self.answers.append((at, text, status))
            time.sleep(self.pause)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, text: str) -> int:
        body: dict[str, Any] = {"model": "m"}
        body["messages"] = [{"role": "user", "content": text}]
        headers = {"content-type": "application/json"}
        data = json.dumps(body)
        connection.request("POST", "/v1/chat/completions", data, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
