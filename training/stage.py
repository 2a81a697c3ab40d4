"""Stages: each writes one folder with a manifest, skipped while nothing changes.

A stage writes into a folder beside its own, which takes the old one's place when it is
whole. So a run that is stopped anywhere, by anything, goes on when it is started again,
and ends as if it had not been stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config
from .errors import PipelineError
from .faults import DiskFull, Unreadable, explained, is_full
from .files import Digests, alone, digest, discard, sync, write_atomically
from .memory import forget_peak, peak

__all__ = [
    "MANIFEST",
    "Altered",
    "Done",
    "Stage",
    "digest",
    "run",
    "run_all",
    "table",
    "write_atomically",
]

MANIFEST = "manifest.json"
_KEY = "key.json"


class Altered(PipelineError):
    """A file of a stage is not what the stage wrote."""


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Args:
        name: Also the name of its folder under the build folder.
        purpose: One line for ``--help``.
        work: Writes the results into the folder it is given. It also gets the
            folders of the stages it needs, by name.
        needs: Stages whose results it reads.
        reads: The files of those stages that its results depend on, as in
            ``data/unseen.jsonl.gz``; all of them where nothing is named.
        settings: The part of the configuration it depends on.
        files: Files it reads from outside the build folder.
        reading: Its results depend on how the library reads a text.
        copies: Copies of its results, by name, that it puts outside the build folder.
        resumes: Keep a half-finished folder, so that the work can go on from it.
        verdict: Raises where the results in the folder forbid to go on.
    """

    name: str
    purpose: str
    work: Callable[[Config, Mapping[str, Path], Path], None]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    settings: Callable[[Config], object] = lambda config: None
    files: Callable[[Config], list[Path]] = lambda config: []
    reading: bool = False
    copies: Callable[[Config], list[Path]] = lambda config: []
    resumes: bool = False
    verdict: Callable[[Path], None] = lambda folder: None


@dataclass(frozen=True)
class Done:
    """What came of a stage.

    Args:
        made: False where nothing had changed; the rest tells of when it was made.
        seconds: Of the run that finished it.
        peak: The most memory the process held meanwhile, in bytes, where known.
    """

    stage: str
    made: bool
    seconds: float
    peak: int | None


def run(stage: Stage, config: Config, *, force: bool = False) -> Path:
    """The stage's folder, made now unless an equal one is there already."""
    run_all([stage], config, force=force)
    return Path(config.build) / stage.name


def run_all(
    stages: Iterable[Stage], config: Config, *, force: bool = False
) -> list[Done]:
    """Run stages in order, each unless its inputs and settings are those of last time.

    Raises:
        Altered: A file that a stage wrote is missing, or is another one now.
        DiskFull: There is no space left; what was finished before is kept.
        Unreadable: The build folder, or a file that a stage reads, cannot be read.
        PipelineError: Another run is in the build folder, or a stage cannot go on.
    """
    build = Path(config.build)
    digests = Digests()
    with contextlib.ExitStack() as stack:
        with _explained("the build folder", build):
            stack.enter_context(alone(build))
        return [_Run(stage, config, digests).go(force) for stage in stages]


def table(done: Iterable[Done]) -> str:
    """Stage, seconds and memory, a line for each."""
    lines = [f"{'stage':12} {'seconds':>8} {'peak MB':>8}"]
    for d in done:
        memory = "" if d.peak is None else f"{d.peak / 1e6:,.0f}"
        note = "" if d.made else "  unchanged"
        lines.append(f"{d.stage:12} {d.seconds:8,.1f} {memory:>8}{note}")
    return "\n".join(lines)


class _Run:
    """A stage with its folders."""

    def __init__(self, stage: Stage, config: Config, digests: Digests) -> None:
        self.stage, self.config, self.digests = stage, config, digests
        self.build = Path(config.build)
        self.folder = self.build / stage.name
        self.scratch = self.build / f".{stage.name}"
        self.old = self.build / f".{stage.name}.old"
        self.needed = {name: self.build / name for name in stage.needs}

    def go(self, force: bool) -> Done:
        with _explained(self.stage.name, self.folder):
            self._recover()
            key = self._key()
            manifest = _read(self.folder / MANIFEST)
            same = manifest.get("key") == key and self._copied(manifest)
            made = force or not same
            if made:
                self._make(key)
                manifest = _read(self.folder / MANIFEST)
            else:
                self._check(self.stage.name, manifest)
                print(f"{self.stage.name}: unchanged", flush=True)
            self.stage.verdict(self.folder)
        return Done(
            self.stage.name, made, manifest.get("seconds", 0.0), manifest.get("peak")
        )

    def _recover(self) -> None:
        """Undo a change of folders that was stopped between its two halves."""
        if self.old.exists() and not self.folder.exists():
            self.old.rename(self.folder)
        discard(self.old)

    def _key(self) -> dict[str, Any]:
        """Whatever the results depend on."""
        from promptguard.text import READING_VERSION

        files: dict[str, list[str]] = {}
        for path in self.stage.files(self.config):
            # Not the whole path: data that lies elsewhere is the same data.
            files.setdefault(f"{path.parent.name}/{path.name}", []).append(
                self.digests(path)
            )
        key = {
            "files": files,
            "needs": {name: self._outputs(name) for name in self.needed},
            "settings": self.stage.settings(self.config),
            "seed": self.config.seed,
        }
        if self.stage.reading:
            key["reading"] = READING_VERSION
        # As it will be read back: tuples are lists there.
        return json.loads(_dump(key))  # type: ignore[no-any-return]

    def _outputs(self, name: str) -> Mapping[str, str]:
        manifest = _read(self.needed[name] / MANIFEST)
        if not manifest:
            raise PipelineError(
                f"{self.stage.name}: {self.needed[name]} holds no results of the stage "
                f"{name}; run that first: {self._command(name)}"
            )
        outputs: Mapping[str, str] = manifest.get("outputs", {})
        reads = self.stage.reads
        return {f: h for f, h in outputs.items() if not reads or f"{name}/{f}" in reads}

    def _copied(self, manifest: Mapping[str, Any]) -> bool:
        outputs = manifest.get("outputs", {})
        return all(
            path.is_file() and self.digests(path) == outputs.get(path.name)
            for path in self.stage.copies(self.config)
        )

    def _check(self, name: str, manifest: Mapping[str, Any]) -> None:
        """See that the files of a stage are those that it wrote."""
        for file, stated in manifest.get("outputs", {}).items():
            path = self.build / name / file
            if not path.is_file():
                problem = "is missing"
            elif self.digests(path) != stated:
                problem = "is not what the stage wrote: its SHA-256 is another"
            else:
                continue
            raise Altered(
                f"{name}: {path} {problem}; make it again: {self._command(name)} "
                "--force"
            )

    def _command(self, name: str) -> str:
        return f"python -m training {name} {self.config.file}{self.config.options}"

    def _make(self, key: dict[str, Any]) -> None:
        stage, scratch = self.stage, self.scratch
        for name, folder in self.needed.items():
            self._check(name, _read(folder / MANIFEST))
        if _read(scratch / MANIFEST).get("key") == key:
            # All was done but the last step.
            self._take_place()
            print(f"{stage.name}: was done", flush=True)
            return
        print(f"{stage.name}: {stage.purpose}", flush=True)
        if stage.resumes and _read(scratch / _KEY).get("key") == key:
            for half in list(scratch.rglob("*.part")):
                half.unlink()
        else:
            discard(scratch, MANIFEST, _KEY)
            scratch.mkdir()
            write_atomically(scratch / _KEY, _dump({"key": key}))
        forget_peak()
        begin = time.monotonic()
        try:
            stage.work(self.config, self.needed, scratch)
            outputs = self._settle()
            seconds = round(time.monotonic() - begin, 1)
            manifest = {"stage": stage.name, "key": key, "outputs": outputs}
            manifest |= {"seconds": seconds, "peak": peak()}
            write_atomically(scratch / MANIFEST, _dump(manifest))
        except Exception as error:
            full = is_full(error, self.build)
            if (full or isinstance(error, DiskFull)) and not stage.resumes:
                # It is of no use any more, and in the way.
                shutil.rmtree(scratch, ignore_errors=True)
            if full:
                raise DiskFull.at(stage.name, self.folder) from error
            raise
        self._take_place()
        print(f"{stage.name}: done in {seconds} s", flush=True)

    def _settle(self) -> dict[str, str]:
        """Have all that the stage wrote on the disk; the hashes of its files."""
        outputs = {}
        for path in sorted(self.scratch.rglob("*")):
            if path.is_dir() or path.is_file():
                sync(path)
            name = path.relative_to(self.scratch).as_posix()
            if path.is_file() and name != _KEY:
                outputs[name] = self.digests(path)
        return outputs

    def _take_place(self) -> None:
        (self.scratch / _KEY).unlink(missing_ok=True)
        sync(self.scratch)
        if self.folder.exists():
            self.folder.rename(self.old)
        self.scratch.rename(self.folder)
        sync(self.build)
        discard(self.old)


@contextlib.contextmanager
def _explained(what: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error, folder):
            raise DiskFull.at(what, folder) from error
        if error.filename is not None:
            raise Unreadable.because(what, error) from error
        raise explained(error, f"{what}: {folder}") from error


def _dump(value: object) -> bytes:
    text = json.dumps(value, indent=1, sort_keys=True, default=dataclasses.asdict)
    return f"{text}\n".encode()


def _read(path: Path) -> dict[str, Any]:
    """A manifest; one that is not there, or was cut short, states nothing."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
