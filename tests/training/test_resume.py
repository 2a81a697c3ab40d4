"""Runs that are stopped, doubled or damaged: what is kept, and what is said."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import main
from training.config import Config
from training.errors import PipelineError
from training.faults import DiskFull, Unreadable
from training.memory import give_back
from training.stage import Altered, Stage, run, run_all, table

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_at_any_touch_of_a_file_ends_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "killed.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def copying(text: str, resumes: bool = False) -> Stage:
    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        (out / "result").write_text(text)

    return Stage("copy", "copies", work, settings=lambda c: text, resumes=resumes)


def reading(made: list[str]) -> Stage:
    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        made.append((needed["copy"] / "result").read_text())
        (out / "result").write_text(made[-1])

    return Stage("read", "reads", work, needs=("copy",))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(name="test", build=str(tmp_path / "build"), file=Path("run.toml"))


def test_a_leftover_of_a_killed_run_is_not_mixed_in(config: Config) -> None:
    scratch = Path(config.build) / ".copy"
    scratch.mkdir(parents=True)
    (scratch / "half").write_text("of something else")
    (scratch / "key.json").write_text('{"key": "of something else"}')
    folder = run(copying("one", resumes=True), config)
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "result"]


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_damaged_result_is_named_with_the_remedy(config: Config, damage: str) -> None:
    made: list[str] = []
    stages = [copying("one"), reading(made)]
    run_all(stages, config)
    result = Path(config.build) / "copy" / "result"
    result.unlink() if damage == "missing" else result.write_text("uno")
    remedy = r"copy[/\\]result is .*; make it again: python -m training copy run.toml "
    for chosen, force in ((stages, False), (stages[1:], True)):
        with pytest.raises(Altered, match=remedy + "--force"):
            run_all(chosen, config, force=force)
    run(stages[0], config, force=True)
    assert [done.made for done in run_all(stages, config)] == [False, False]
    assert made == ["one"]


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_copy_outside_that_is_not_the_result_is_made_again(
    config: Config, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "release" / "result"

    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        (out / "result").write_text("one")
        copy.parent.mkdir(exist_ok=True)
        copy.write_text("one")

    stage = Stage("copy", "copies", work, copies=lambda config: [copy])
    run(stage, config)
    (done,) = run_all([stage], config)
    assert not done.made
    copy.unlink() if damage == "missing" else copy.write_text("uno")
    run(stage, config)
    assert copy.read_text() == "one"


def test_a_stage_whose_needs_have_not_run_says_so(config: Config) -> None:
    with pytest.raises(PipelineError, match=r"read: .*copy holds no results .* first"):
        run(reading([]), config)


def test_a_broken_manifest_is_as_none(config: Config) -> None:
    folder = run(copying("one"), config)
    (folder / "manifest.json").write_text('{"key": ')
    (done,) = run_all([copying("one")], config)
    assert done.made


@pytest.mark.skipif(os.name != "posix", reason="locks need fcntl")
def test_a_second_run_in_the_same_folder_is_refused(config: Config) -> None:
    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        (out / "result").touch()
        with pytest.raises(PipelineError, match=rf"process {os.getpid()}.*--build"):
            run(copying("one"), config)

    run(Stage("outer", "runs another", work), config)
    # It is free again afterwards.
    run(copying("one"), config)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def filling(write: Any) -> Stage:
    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        (out / "result").write_text("some")
        write(out)

    return Stage("copy", "fills", work)


def plain(out: Path) -> None:
    (out / "large").write_bytes(bytes(300_000))


def silent(out: Path) -> None:
    try:
        plain(out)
    except OSError:
        # As torch does: the reason is lost.
        raise RuntimeError("unexpected pos 576 vs 534") from None


@pytest.mark.parametrize("write", [plain, silent])
def test_a_disk_that_fills_up_is_named_and_the_last_result_kept(
    config: Config, small: Path, write: Any
) -> None:
    config = Config(name="test", build=str(small / "build"), file=Path("run.toml"))
    folder = run(copying("one"), config)
    with pytest.raises(DiskFull, match=r"copy: .*small/build/copy: no space is left"):
        run(filling(write), config)
    assert (folder / "result").read_text() == "one"
    (done,) = run_all([copying("one")], config)
    assert not done.made
    assert sorted(path.name for path in folder.parent.iterdir()) == [".lock", "copy"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_at_the_manifest_is_named(config: Config) -> None:
    folder = run(copying("one"), config)
    full = filling(lambda out: (out / ".manifest.json.part").symlink_to("/dev/full"))
    with pytest.raises(DiskFull, match=r"copy: .*no space is left"):
        run(full, config)
    assert (folder / "result").read_text() == "one"


def test_a_full_disk_is_known_by_its_error_too(config: Config) -> None:
    def write(out: Path) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.raises(DiskFull, match="copy: "):
        run(filling(write), config)


def test_a_build_folder_that_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(Unreadable, match=rf"{file.name}.*--build"):
        run(copying("one"), Config(name="test", build=str(file)))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything"
)
def test_a_manifest_that_may_not_be_read_is_told(config: Config) -> None:
    folder = run(copying("one"), config)
    folder.chmod(0)
    try:
        with pytest.raises(Unreadable, match="copy"):
            run(copying("one"), config)
    finally:
        folder.chmod(0o700)


def test_an_interrupted_run_says_that_it_goes_on(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import data

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    command = ["run", str(world / "run.toml"), "--until", "data"]
    with monkeypatch.context() as patch:
        patch.setattr(data, "make", stopped)
        assert main(command) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert main(command) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_is_given_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    held = [bytes(40_000) for _ in range(5_000)]
    # What lies between keeps the end of the heap in use.
    kept = held[::50]
    full = resident()
    del held
    give_back()
    assert resident() < full - 20_000
    assert len(kept) == 100


def test_a_run_tells_seconds_and_memory(config: Config) -> None:
    def hungry(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        held = bytearray(150_000_000)
        time.sleep(0.1)
        (out / "result").write_text(str(len(held)))

    stages = [Stage("first", "takes memory", hungry), copying("one")]
    first, second = run_all(stages, config)
    assert first.seconds >= 0.1
    assert first.peak is not None and first.peak > 150_000_000
    assert second.peak is not None
    if sys.platform == "linux":
        # The peak is the stage's own.
        assert second.peak < first.peak - 100_000_000
    manifest = json.loads((Path(config.build) / "first" / "manifest.json").read_text())
    assert (manifest["seconds"], manifest["peak"]) == (first.seconds, first.peak)
    lines = table([first, *run_all(stages[1:], config)]).split("\n")
    assert lines[0].split() == ["stage", "seconds", "peak", "MB"]
    assert lines[1].split()[0] == "first"
    assert lines[2].endswith("unchanged")
