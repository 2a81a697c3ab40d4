"""A model folder in which one byte is another one is not loaded, wherever that is."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

import promptguard as pg
from promptguard.runtime.bundle import Bundle

MODELS = Path(pg.__file__).parent / "models"
BUNDLE = json.loads((MODELS / "bundle.json").read_text())
# What is loaded: the statement itself, and each file that it states.
FILES = ["bundle.json", *BUNDLE["files"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bundle"
    shutil.copytree(MODELS, folder)
    return folder


def offsets(size: int) -> list[int]:
    chance = random.Random(size)
    fixed = [0, 1, size // 3, size // 2, size - 2, size - 1]
    return sorted({*fixed, *(chance.randrange(size) for _ in range(6))})


def says_the_same(data: bytes) -> bool:
    """White space, and a digit or letter written otherwise, change no value."""
    try:
        return json.loads(data) == BUNDLE
    except ValueError:
        return False


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_byte_changed_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    tried = 0
    try:
        for offset in offsets(len(whole)):
            for bit in (0x01, 0x80):
                data = bytearray(whole)
                data[offset] ^= bit
                if name == "bundle.json" and says_the_same(bytes(data)):
                    continue
                path.write_bytes(data)
                tried += 1
                with pytest.raises(pg.ModelError) as refused:
                    Bundle.load(str(folder))
                assert str(folder) in str(refused.value)
    finally:
        path.write_bytes(whole)
    assert tried >= 12
    assert Bundle.load(str(folder)).digest == BUNDLE["digest"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["cut short", "longer", "empty", "gone", "a folder"])
def test_a_file_that_is_not_whole_is_refused(
    folder: Path, name: str, how: str, tmp_path: Path
) -> None:
    path, aside = folder / name, tmp_path / "aside"
    whole = path.read_bytes()
    path.rename(aside)
    try:
        if how == "a folder":
            path.mkdir()
        elif how != "gone":
            path.write_bytes(
                {"cut short": whole[:-2], "longer": whole + b"\0", "empty": b""}[how]
            )
        with pytest.raises(pg.ModelError):
            Bundle.load(str(folder))
    finally:
        if path.is_dir():
            path.rmdir()
        aside.replace(path)


def test_a_guard_with_an_altered_model_decides_nothing(folder: Path) -> None:
    path = folder / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(pg.ModelError, match="altered"):
            pg.PromptInjection(model=str(folder)).check("Hello.")
        answered: list[str] = []
        ask = pg.guarded(
            answered.append, input=pg.PromptInjection(model=str(folder)), on_block="no"
        )
        with pytest.raises(pg.ModelError):
            ask("Hello.")
        assert not answered
    finally:
        path.write_bytes(whole)
