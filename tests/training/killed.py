"""Kills a small pipeline at every touch of a file, and compares what comes of it.

A program of its own, because it forks: ``python killed.py FOLDER``. It prints at how
many touches it killed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

# Read before the first fork, so that each process touches no more than it has to.
import promptguard.text  # noqa: F401
from training.config import Config
from training.stage import Stage, run_all


def one(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    (out / "inner").mkdir()
    for name in ("a", "inner/b"):
        (out / name).write_text(f"{name}:{config.seed}")


def two(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Goes on from the steps it has."""
    have = out / "steps"
    steps = have.read_text().split() if have.exists() else []
    for step in range(len(steps), 4):
        steps.append(f"{(needed['one'] / 'inner/b').read_text()}:{step}")
        (out / "half").write_text(" ".join(steps))
        (out / "half").replace(have)
    (out / "result").write_text(" ".join(steps))
    have.unlink(missing_ok=True)


STAGES = [Stage("one", "makes", one), Stage("two", "adds", two, ("one",), resumes=True)]


def run(build: Path, seed: int, last: int = 0) -> int:
    """The exit status of a process that runs both stages.

    Args:
        last: At which touch of a file or a folder it kills itself; 0 is at none.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    count = 0

    def touched(event: str, arguments: object) -> None:
        nonlocal count
        if event == "open" or event.startswith("os."):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.stdout = io.StringIO()
    sys.addaudithook(touched)
    try:
        run_all(STAGES, Config(name="test", seed=seed, build=str(build)))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def state(build: Path) -> dict[str, str]:
    """Every file under the build folder, but for what a run measured of itself."""
    found = {}
    for path in sorted(build.rglob("*")):
        if path.is_file() and path.name != ".lock":
            text = path.read_text()
            if path.name == "manifest.json":
                manifest = json.loads(text)
                text = json.dumps([manifest["key"], manifest["outputs"]])
            found[path.relative_to(build).as_posix()] = text
    return found


def main(folder: Path) -> int:
    whole, before = folder / "whole", folder / "before"
    # What a build folder holds mostly: the results of another configuration.
    assert run(whole, 1) == run(whole, 2) == run(before, 1) == 0
    expected = state(whole)
    last = 0
    while True:
        last += 1
        build = folder / "killed"
        shutil.copytree(before, build)
        killed = run(build, 2, last)
        # And once more, as soon: what mends must be safe to stop as well.
        run(build, 2, last)
        assert run(build, 2) == 0, f"killed at {last}: does not go on"
        assert state(build) == expected, f"killed at {last}: ends otherwise"
        shutil.rmtree(build)
        if killed == 0:
            print(last - 1)
            return 0
        assert killed == -signal.SIGKILL, f"killed at {last}: {killed}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
