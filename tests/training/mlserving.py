"""MLflow's own servers as real processes on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

__all__ = ["asked", "free_port", "serving"]


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path, address: str, *command: object, **environment: str) -> Any:
    """Run a server of MLflow's until the block ends; its output is in ``log``."""
    log = folder / f"{command[0]}.log"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    # It looks for uvicorn there.
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *map(str, command)],
            env=kept | {"MLFLOW_DISABLE_TELEMETRY": "true"} | environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            # The server starts others, and they are ended together.
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise AssertionError(log.read_text())
            with contextlib.suppress(URLError, OSError), urlopen(address, timeout=5):
                break
            time.sleep(0.2)
        else:
            raise AssertionError(log.read_text())
        yield log
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
                break


def asked(address: str, body: object) -> tuple[int, Any]:
    request = Request(
        f"{address}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())
