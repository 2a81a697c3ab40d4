"""Several processes that answer at one port, and the one before them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from socket import socket
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

__all__ = ["run"]


class _Workers(Multiprocess):
    """Hands SIGHUP on, so that each worker reloads by itself and none is replaced.

    uvicorn would start others in their place, and close the connections of the old ones
    under whoever is about to send the next request on one.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._untold: list[Any] = []

    def handle_hup(self) -> None:
        self._untold = list(self.processes)

    def keep_subprocess_alive(self) -> None:
        """What happens twice a second."""
        super().keep_subprocess_alive()
        # One that is about to start would end of the signal; one that has taken the
        # place of another reads what is there now.
        self._untold = [
            worker
            for worker in self._untold
            if worker in self.processes and not _told(worker)
        ]


def _told(worker: Any) -> bool:
    if not worker.is_ready():
        return False
    with suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGHUP)
    return True


def run(application: str, workers: int, options: dict[str, Any]) -> None:
    """Serve until a signal ends it.

    Args:
        application: Module and name of a function that makes the application.
        workers: How many processes.
        options: Of uvicorn.
    """
    config = uvicorn.Config(application, factory=True, workers=workers, **options)
    listening = config.bind_socket()
    try:
        _Workers(config, [listening]).run()
    finally:
        listening.close()
