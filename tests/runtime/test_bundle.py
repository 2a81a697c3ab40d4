"""A folder is loaded whole and unaltered, or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from promptguard import Classifier
from promptguard.errors import ModelError
from promptguard.runtime import pins
from promptguard.runtime.bundle import FORMAT, Bundle, digest_of
from promptguard.text import READING_VERSION

POINT = {"label": "injection", "role": "user", "windows": 1, "fpr": 0.01}


def write(folder: Path, **changes: Any) -> None:
    """A folder with stand-ins for the model and the tokenizer."""
    files = {"model.onnx": b"onnx" * 9, "tokenizer.json": b"{}"}
    files |= changes.pop("contents", {})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    table = {
        "format": FORMAT,
        "name": "test",
        "reading": READING_VERSION,
        "window": 16,
        "overlap": 4,
        "heads": {"injection": ["injection"]},
        "operating_points": [{**POINT, "threshold": 0.5, "texts": 10}],
        "files": {n: hashlib.sha256(c).hexdigest() for n, c in files.items()},
    }
    table |= changes
    table["digest"] = digest_of(table)
    (folder / "bundle.json").write_text(json.dumps(table))


def test_a_bundle_holds_what_its_folder_states(tmp_path: Path) -> None:
    write(tmp_path)
    bundle = Bundle.load(str(tmp_path))
    assert (bundle.name, bundle.window, bundle.overlap) == ("test", 16, 4)
    assert bundle.heads == (("injection", ("injection",)),)
    assert bundle.operating_points[0].threshold == 0.5
    assert bundle.model == b"onnx" * 9
    assert "onnxonnx" not in repr(bundle)


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokenizer.json"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.unlink(), id="missing"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(
            lambda file: file.write_bytes(file.read_bytes()[:-1]), id="cut short"
        ),
        pytest.param(lambda file: (file.unlink(), file.mkdir()), id="a folder"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    write(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(ModelError) as caught:
        Bundle.load(str(tmp_path))
    if (name, (tmp_path / name).exists()) == ("bundle.json", False):
        assert f"no bundle in {tmp_path}: it holds no {name}" in str(caught.value)
        return
    assert str(tmp_path / name) in str(caught.value)
    assert "install promptguard-llm again" in str(caught.value)


def test_a_folder_that_is_not_there_is_told_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "build/spam/release"
    for ask in (
        Bundle.load,
        pins.state,
        lambda model: Classifier(model=model).warmup(),
    ):
        with pytest.raises(ModelError) as caught:
            ask(name)
        said = str(caught.value)
        assert f"there is no folder {name} in {tmp_path}; name the folder" in said
        assert "install" not in said


def test_a_shipped_model_that_is_gone_asks_to_be_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptguard.runtime.bundle._SHIPPED", tmp_path)
    with pytest.raises(ModelError) as caught:
        Bundle.load()
    assert str(tmp_path / "bundle.json") in str(caught.value)
    assert "install promptguard-llm again" in str(caught.value)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_any_flipped_byte_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    content = (tmp_path / name).read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        (tmp_path / name).write_bytes(flipped)
        with pytest.raises(ModelError, match="altered"):
            Bundle.load(str(tmp_path))


def test_any_flipped_byte_of_the_statement_is_refused_or_means_the_same(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    whole = Bundle.load(str(tmp_path))
    file = tmp_path / "bundle.json"
    content = file.read_bytes()
    for place in range(len(content)):
        for bit in (1, 32):
            flipped = bytearray(content)
            flipped[place] ^= bit
            file.write_bytes(flipped)
            with suppress(ModelError):
                assert Bundle.load(str(tmp_path)) == whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reading": READING_VERSION + 1}, "read in version"),
        ({"format": 99}, "format 99"),
        ({"window": 4}, "window of 4"),
        ({"overlap": 15}, "overlap of 15"),
        ({"window": "16"}, "no 'window' that is a int"),
        ({"window": True}, "no 'window'"),
        ({"heads": {}}, "no heads"),
        ({"heads": {"injection": []}}, "without a list of labels"),
        ({"heads": {"injection": [3]}}, "no name"),
        ({"operating_points": [3]}, "where a table belongs"),
        ({"operating_points": [{**POINT, "threshold": "x"}]}, "'threshold'"),
        (
            {"operating_points": [{**POINT, "role": "admin", "threshold": 0.5}]},
            "no role",
        ),
        ({"files": {"model.onnx": "0"}}, "does not name tokenizer.json"),
    ],
)
def test_a_wrong_statement_says_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    write(tmp_path, **changes)
    with pytest.raises(ModelError, match=words):
        Bundle.load(str(tmp_path))


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", "..", "a\\b"])
def test_a_file_outside_the_folder_is_not_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    write(folder)
    table = json.loads((folder / "bundle.json").read_text())
    table["files"][name] = hashlib.sha256(b"s").hexdigest()
    table["digest"] = digest_of(table)
    (folder / "bundle.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match="not a file of its folder"):
        Bundle.load(str(folder))


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    outside = b"\x6a\x18\x0a\x08location\x12\x0cweights.data"
    write(tmp_path, contents={"model.onnx": b"onnx" + outside})
    with pytest.raises(ModelError, match="weights in another file"):
        Bundle.load(str(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "[" * 100_000, "\ud800"])
def test_a_statement_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    write(tmp_path)
    data = content.encode("utf-8", "surrogatepass")
    (tmp_path / "bundle.json").write_bytes(data)
    with pytest.raises(ModelError, match=r"bundle\.json"):
        Bundle.load(str(tmp_path))


def test_the_shipped_bundle_is_sound_and_small() -> None:
    bundle = Bundle.load()
    assert len(bundle.model) <= 25_000_000
    assert dict(bundle.heads)["injection"] == ("injection",)
    known = {(p.role, p.fpr) for p in bundle.operating_points}
    rates = (0.001, 0.005, 0.01, 0.02, 0.05)
    assert known == {(role, rate) for role in ("user", "tool") for rate in rates}
    assert (bundle.path / "MODEL_CARD.md").is_file()


def test_any_flipped_byte_of_the_shipped_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(Bundle.load().path, folder)
    with (folder / "model.onnx").open("r+b") as file:
        for place in (0, 1_000_003, -1):
            file.seek(place, 2 if place < 0 else 0)
            at = file.tell()
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 4]))
            file.flush()
            with pytest.raises(ModelError, match="altered"):
                Bundle.load(str(folder))
            file.seek(at)
            file.write(bytes([byte]))
            file.flush()
    Bundle.load(str(folder))
