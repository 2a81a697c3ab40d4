"""Files that are whole or not there, also after a crash, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .errors import PipelineError

__all__ = ["Digests", "alone", "digest", "discard", "sync", "write_atomically"]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Digests:
    """Hashes of files, each read once as long as it does not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], str] = {}

    def __call__(self, path: Path) -> str:
        state = path.stat()
        times = state.st_mtime_ns, state.st_ctime_ns
        key = (str(path.absolute()), state.st_ino, state.st_size, *times)
        if key not in self._known:
            self._known[key] = digest(path)
        return self._known[key]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, not even after a crash."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        # On a full disk, what has been written takes the room that is needed.
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk for good."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(folder: Path, *first: str) -> None:
    """Remove a folder, if it is there.

    Args:
        first: Files in it that go first, because they say that the rest is whole.
    """
    for name in first:
        (folder / name).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder meanwhile; it is made if need be.

    The lock is the operating system's: it ends with the process, however that ends.
    Where Python has no ``fcntl``, as on Windows, there is none.

    Raises:
        PipelineError: Another process is in it.
    """
    try:
        import fcntl
    except ImportError:
        folder.mkdir(parents=True, exist_ok=True)
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise PipelineError(
                f"{folder} is in use by another run (process {who}); wait until it is "
                "done, or name another folder with --build"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
