"""What need not be done again: sections of a run that was cut, and what peers find."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..report import Row
from .environments import DONE
from .peer import OURS
from .processes import Worker

__all__ = ["Progress", "Remembering"]

HERE = Path(__file__).parent
HOURS = 2.0


class Progress:
    """Sections that are done, in a file, so that a run that was cut can go on.

    They are taken up by a run of the same sources, environments and options that
    follows within two hours; older ones are measured anew.
    """

    def __init__(self, file: Path, state: Iterable[str]) -> None:
        self.file = file
        self.state = _digest(*state, *_sources())
        self.sections: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(file.read_text(encoding="utf-8"))
            recent = time.time() - found["begun"] < 3600 * HOURS
            if recent and found["state"] == self.state:
                self.sections = found["sections"]
        self._begun = time.time()

    def section(self, name: str, measure: Callable[[], list[Row]]) -> list[Row]:
        """The rows of a section: measured, unless they were already."""
        if name not in self.sections:
            self.sections[name] = measure()
            whole = {
                "begun": self._begun,
                "state": self.state,
                "sections": self.sections,
            }
            _write(self.file, whole)
        rows: list[Row] = self.sections[name]
        return rows

    def close(self) -> None:
        """The run came to its end."""
        self.file.unlink(missing_ok=True)


class Remembering:
    """A worker whose answers are kept: of one version, they are always the same.

    Only what it finds, by a hash of the text; times are never kept. The answers of
    promptguard are asked for each time.
    """

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.name = worker.name
        self._worker = worker
        self._file = None if worker.name == OURS else folder / "answers.json"
        self._new = 0
        self._known: dict[str, Any] = {}
        if self._file is not None:
            adapter = HERE / "adapters" / f"{worker.name.replace('-', '_')}.py"
            done = folder / DONE
            parts = [p.read_text("utf-8") for p in (adapter, done) if p.is_file()]
            self._state = _digest(*parts)
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(self._file.read_text(encoding="utf-8"))
                if found["state"] == self._state:
                    self._known = found["answers"]

    def ask(self, task: str, text: str, **more: Any) -> dict[str, Any]:
        """What the worker answers, or answered."""
        if self._file is None or more:
            return self._worker.ask(task, text, **more)
        key = _digest(task, text)[:20]
        if key not in self._known:
            answer = self._worker.ask(task, text)
            if "spans" not in answer:
                return answer
            self._known[key] = answer["spans"]
            self._new += 1
            if self._new % 200 == 0:
                self.save()
        return {"spans": self._known[key]}

    def save(self) -> None:
        """Write what is new."""
        if self._file is not None and self._new:
            _write(self._file, {"state": self._state, "answers": self._known})


def _sources() -> list[str]:
    return [path.read_text("utf-8") for path in sorted(HERE.rglob("*.py"))]


def _digest(*parts: str) -> str:
    # A lone surrogate is a text too.
    words = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(b"\0".join(words)).hexdigest()


def _write(file: Path, value: Any) -> None:
    """All of it or nothing."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    beside.write_text(json.dumps(value), encoding="utf-8")
    beside.replace(file)
