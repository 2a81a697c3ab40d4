"""The worker processes, and what fresh ones cost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from typing import Any

from .environments import ROOT, Environment
from .texts import texts

__all__ = ["Worker", "cold", "imports"]

# One thread each, and no peer looks for anything on the network.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONDONTWRITEBYTECODE": "",
}


def variables() -> dict[str, str]:
    """The caller's variables, without those that would lead to other packages."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return kept | QUIET


class Worker:
    """A peer in a process of its own, in its own environment."""

    def __init__(self, name: str, environment: Environment) -> None:
        self.name = name
        self.problems: dict[str, str] = {}
        self._process = subprocess.Popen(
            [environment.python, "-m", "benchmarks.peers.worker", name],
            cwd=ROOT,
            env=variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, task: str, text: str, **more: Any) -> dict[str, Any]:
        """The answer of the process; a ``problem`` if it has none.

        With ``texts`` and ``threads``: how long these took together.
        """
        question = {"task": task, "text": text, **more}
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"problem": "it ended"}
        if "problem" in answer:
            self.problems[task] = answer["problem"]
        return answer

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            # Some libraries take their time to end; nothing is asked of them any more.
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def imports(module: str, environment: Environment) -> tuple[float, float]:
    """Wall and processor milliseconds of a fresh process that imports a module."""
    command = [environment.python, "-c", f"import {module}" if module else "pass"]
    cpu, begun = _children(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=variables(), check=True, capture_output=True)
    wall = time.perf_counter() - begun
    return 1000 * wall, 1000 * (_children() - cpu)


def cold(name: str, environment: Environment, task: str) -> tuple[float, float | None]:
    """Milliseconds from nothing to the first answer, and the most MiB it took."""
    begun = time.perf_counter()
    worker = Worker(name, environment)
    answer = worker.ask(task, next(texts(task, 100)))
    wall = 1000 * (time.perf_counter() - begun)
    worker.close()
    return wall, answer.get("peak_mib")


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
