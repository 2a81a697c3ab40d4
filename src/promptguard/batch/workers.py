"""Processes that check texts: each with one model, and none whose end loses a text."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .. import ConfigError, PromptGuardError
from .check import Check, Row

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

__all__ = ["Workers", "cores"]

_READY = "ready"
# Batches that are at work or wait for an earlier one, for each process.
_AHEAD = 4
# Ends that a batch, or a start, is allowed; what ends a process again is to blame.
_ENDS = 2
# EX_SOFTWARE of sysexits.h.
_BROKEN = 70


def cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Task:
    """Texts of a batch that one process checks: all of them, or some that are left."""

    batch: int
    start: int
    texts: Sequence[object] = field(repr=False)
    ends: int = 0


@dataclass
class _Worker:
    """A process, its end of a pipe, and what it is at."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    task: _Task | None = None


class Workers:
    """Processes that check batches of texts side by side, and give them in order.

    When a process ends, by a crash or for want of memory, another one takes its place
    and its texts. Texts that end two processes are halved until the one is alone that
    does it: its row says so, and counts as blocked.

    Args:
        check: What is done to each text.
        count: How many processes; 0 works in this one.
        dumps: How the check is sent to them; ``pickle.loads`` must read it.

    Raises:
        ConfigError: The check cannot be sent to another process.
    """

    def __init__(
        self,
        check: Check,
        count: int,
        dumps: Callable[[object], bytes] = pickle.dumps,
    ) -> None:
        self._check = check
        self._count = count
        self._workers: list[_Worker] = []
        self._failed = 0
        self._again: deque[_Task] = deque()
        self.ended = 0
        """Processes that ended before their work was done."""
        try:
            self._pickled = dumps(check)
        except Exception as error:
            if count:
                raise ConfigError(
                    "the guards cannot be sent to another process "
                    f"({type(error).__name__}); have their functions in a module, or "
                    "work in this process: workers=0"
                ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    @property
    def processes(self) -> tuple[int, ...]:
        """The ids of the processes."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def rows(self, batches: Iterable[Sequence[object]]) -> Iterator[list[Row]]:
        """What is told of the texts of each batch, in the order of the batches.

        Raises:
            PromptGuardError: The guards cannot be asked at all.
        """
        if not self._count:
            self._check.warmup()
            yield from map(self._check.rows, batches)
            return
        source = enumerate(batches)
        more = True
        wanted, given = 0, 0
        told: dict[int, list[Row | None]] = {}
        left: dict[int, int] = {}
        while True:
            while wanted in left and not left[wanted]:
                del left[wanted]
                yield [row for row in told.pop(wanted) if row is not None]
                wanted += 1
            while more and given - wanted < _AHEAD * self._count and self._room():
                found = next(source, None)
                if found is None:
                    more = False
                    break
                given += 1
                number, texts = found
                told[number], left[number] = [None] * len(texts), len(texts)
                if texts:
                    self._again.append(_Task(number, 0, texts))
            if not more and not left:
                return
            if wanted in left and not left[wanted]:
                continue
            self._hand_out()
            for task, rows in self._answers():
                told[task.batch][task.start : task.start + len(rows)] = rows
                left[task.batch] -= len(rows)

    def _room(self) -> bool:
        """Whether there is less than a task for each process and one more."""
        return self._busy() + len(self._again) <= self._count

    def _hand_out(self) -> None:
        wanted = min(self._count, len(self._again) + self._busy())
        while len(self._workers) < wanted:
            self._workers.append(self._begun())
        for worker in self._workers:
            if worker.ready and worker.task is None and self._again:
                task = worker.task = self._again.popleft()
                # If it has ended, that is noticed where answers are waited for.
                with suppress(OSError):
                    worker.pipe.send(task.texts)

    def _busy(self) -> int:
        return sum(worker.task is not None for worker in self._workers)

    def _begun(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(theirs, self._pickled), daemon=True, name="promptguard"
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _answers(self) -> Iterator[tuple[_Task, list[Row]]]:
        """Wait until something comes, and give the rows that did."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe)):
            assert isinstance(pipe, Connection)
            worker = by_pipe[pipe]
            try:
                answer: Any = pipe.recv()
            except (EOFError, OSError):
                yield from self._replaced(worker)
                continue
            if isinstance(answer, BaseException):
                raise answer
            if answer == _READY:
                worker.ready, self._failed = True, 0
                continue
            task, worker.task = worker.task, None
            assert task is not None
            yield task, answer

    def _replaced(self, worker: _Worker) -> Iterator[tuple[_Task, list[Row]]]:
        """A process has ended: its texts are for another one."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        code, task = worker.process.exitcode or 0, worker.task
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        self.ended += 1
        if not worker.ready:
            self._failed += 1
            if self._failed >= _ENDS * self._count:
                raise ConfigError(
                    f"the processes end before they are ready ({how}); if memory is "
                    "short, take fewer workers; a program that starts them needs "
                    '`if __name__ == "__main__":`'
                )
        if task is None:
            return
        task.ends += 1
        if task.ends < _ENDS:
            self._again.appendleft(task)
        elif len(task.texts) > 1:
            middle = len(task.texts) // 2
            for start in (middle, 0):
                texts = task.texts[start : middle if not start else None]
                place = task.start + start
                # What is in the half has ended a process before.
                self._again.appendleft(_Task(task.batch, place, texts, _ENDS - 1))
        else:
            yield task, [self._check.undecided(f"its process ended ({how})")]


def work(pipe: Connection, pickled: bytes) -> None:
    """What a process does: load the guards, check what comes, until nothing does."""
    # Ctrl-C reaches all of a terminal's processes; it is the first one's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        check: Check = pickle.loads(pickled)
        check.warmup()
    except Exception as error:
        with suppress(OSError):
            pipe.send(_sendable(error))
        return
    try:
        pipe.send(_READY)
        while True:
            pipe.send(check.rows(pipe.recv()))
    except PromptGuardError as error:
        with suppress(OSError):
            pipe.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except Exception:
        # What it says may hold a text. The texts are tried again, alone in the end.
        os._exit(_BROKEN)


def _sendable(error: Exception) -> Exception:
    """The error, or one of ours: another's may hold the text, or not be picklable."""
    if isinstance(error, PromptGuardError):
        return error
    return ConfigError(
        f"the guards cannot be loaded in another process ({type(error).__name__}); "
        "have their classes in a module that it can import, or work in this one: "
        "workers=0"
    )
