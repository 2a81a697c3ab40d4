"""The stages as a pipeline of DVC, and the data of the released bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import STAGES, main
from training.config import load
from training.errors import PipelineError
from training.rows import load_sources, read_rows
from training.sources import files, read
from training.versioning import pipeline

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "training" / "configs" / "released.toml"
BUNDLE = ROOT / "src" / "promptguard" / "models" / "bundle.json"
TOOL = shutil.which("dvc") or os.environ.get("PROMPTGUARD_DVC", "")
TRAINS = pytest.mark.skipif(
    find_spec("torch") is None, reason="needs the training environment"
)
NO_TOOL = "needs dvc on the path, or named by PROMPTGUARD_DVC: pip install dvc"


def made_from() -> Any:
    return json.loads(BUNDLE.read_bytes())["made_from"]


def test_the_pipeline_of_dvc_is_that_of_the_stages() -> None:
    assert (ROOT / "dvc.yaml").read_text("utf-8") == pipeline(STAGES), (
        "make it again: python -m training dvc > dvc.yaml"
    )


def test_every_file_that_the_pipeline_names_is_there() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    stated = yaml.safe_load(pipeline(STAGES))
    assert list(stated["stages"]) == [*(stage.name for stage in STAGES), "reproduced"]
    words = {k: v for each in stated["vars"] for k, v in each.items()}
    for stage in stated["stages"].values():
        for dep in stage["deps"]:
            for word, value in words.items():
                dep = dep.replace(f"${{{word}}}", value)
            # Neither what other stages make nor the data folder is in the repository.
            if not dep.startswith((words["build"], words["data"])):
                assert (ROOT / dep).exists(), dep


def test_the_table_of_the_released_bundle_is_kept() -> None:
    table = (ROOT / "training" / "released.toml").read_bytes()
    assert sha256(table).hexdigest() == made_from()["table"], (
        "another bundle is released: keep its table as training/released.toml, and "
        "its recipe as training/configs/released.toml"
    )


def test_the_recipe_of_the_released_bundle_is_that_of_its_configuration() -> None:
    released = load(RELEASED)
    assert released.name == made_from()["configuration"]
    assert released.seed == made_from()["seed"]


def test_later_rows_of_our_own_are_left_out() -> None:
    released = load(RELEASED)
    stated = {
        entry["file"] for entry in made_from()["sources"] if "data/" in entry["file"]
    }
    sources = load_sources(released.sources_file).training
    own = {name for name, source in sources.items() if source.files}
    found = {
        path.relative_to(ROOT / "training").as_posix() for path in files(released, own)
    }
    assert found == stated
    everything = {
        path.relative_to(ROOT / "training").as_posix()
        for path in (ROOT / "training" / "data").rglob("*.jsonl")
    }
    assert found < everything


def test_another_table_or_file_than_the_pinned_is_told(
    tmp_path: Path, world: Path
) -> None:
    bundle = pinned(world)
    config = load(world / "pinned.toml")
    entry = load_sources(config.sources_file).training["own"]
    assert list(read(config, "own", entry))
    _changed(world / "own" / "attacks.jsonl")
    with pytest.raises(PipelineError, match=r"bundle\.json states"):
        list(read(load(world / "pinned.toml"), "own", entry))
    _changed(world / "sources.toml")
    assert main(["sources", str(world / "pinned.toml")]) == 2
    with pytest.raises(PipelineError, match="no bundle"):
        bundle.write_text("{}")
        list(read(load(_copy(world)), "own", entry))


def _changed(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


def _copy(world: Path) -> Path:
    """The configuration with the bundle under another name: one is read once."""
    bundle = world / "bundle"
    shutil.copytree(bundle, world / "other")
    path = world / "other.toml"
    text = (world / "pinned.toml").read_text()
    path.write_text(text.replace("bundle/bundle.json", "other/bundle.json"))
    return path


def pinned(world: Path) -> Path:
    """A configuration of the small world whose files are stated by a bundle."""
    assert main(["sources", str(world / "run.toml")]) == 0
    inventory = json.loads((world / "build/sources/inventory.json").read_text())
    sources = [
        {"name": name, "file": file, "sha256": value}
        for name, entry in inventory["sources"].items()
        for file, value in entry["files"].items()
    ]
    folder = world / "bundle"
    folder.mkdir()
    tokenizer = (world / "encoder" / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(tokenizer)
    stated = {
        "files": {"tokenizer.json": sha256(tokenizer).hexdigest()},
        "made_from": {"table": inventory["table"], "sources": sources, "data": ""},
    }
    path = folder / "bundle.json"
    path.write_text(json.dumps(stated))
    text = (world / "run.toml").read_text()
    text += f'[sources]\npinned = "{path}"\n'
    (world / "pinned.toml").write_text(text)
    # More rows of our own, which the bundle does not know.
    more = {"text": "a later row", "label": 1, "category": "prompt_leak", "lang": "en"}
    (world / "own" / "later.jsonl").write_text(json.dumps(more) + "\n")
    return path


@pytest.mark.torch
@TRAINS
def test_data_are_made_again_from_what_a_bundle_states(world: Path) -> None:
    names = ("sources", "data", "vocabulary", "augment")
    run = str(world / "run.toml")
    assert all(main([name, run]) == 0 for name in names)
    rows = world / "build" / "augment" / "train.jsonl.gz"
    before = sha256(rows.read_bytes()).hexdigest()
    bundle = pinned(world)
    later = {row.source for row in read_rows(rows) if row.text == "a later row"}
    assert not later
    # With the later rows other data would come out.
    assert all(main([name, run]) == 0 for name in names)
    assert sha256(rows.read_bytes()).hexdigest() != before
    again = str(world / "pinned.toml")
    assert all(main([name, again]) == 0 for name in names)
    assert main(["reproduced", again]) == 2
    stated = json.loads(bundle.read_text())
    stated["made_from"]["data"] = before
    bundle.write_text(json.dumps(stated))
    assert main(["reproduced", again]) == 0
    said = json.loads((world / "build" / "reproduced.json").read_text())
    assert said == {"stated": before, "made": before, "same": True}


@pytest.mark.skipif(not TOOL, reason=NO_TOOL)
@TRAINS
@pytest.mark.torch
@pytest.mark.slow
def test_dvc_makes_the_data_skips_what_is_done_and_brings_it_back(
    world: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = pinned(world)
    config = world / "pinned.toml"
    again = str(config)
    assert all(main([n, again]) == 0 for n in ("sources", "data", "vocabulary"))
    assert main(["augment", again]) == 0
    rows = world / "build" / "augment" / "train.jsonl.gz"
    stated = json.loads(bundle.read_text())
    stated["made_from"]["data"] = sha256(rows.read_bytes()).hexdigest()
    bundle.write_text(json.dumps(stated))

    repository = tmp_path_factory.mktemp("repository")
    for name in ("training", "src"):
        (repository / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / ".dvc", repository / ".dvc", ignore=_only_settings)
    words = {
        "python": sys.executable,
        "config": config,
        "table": world / "sources.toml",
        "bundle": bundle.parent,
        "own": world / "own",
        "data": world,
        "build": "build",
    }
    text = (ROOT / "dvc.yaml").read_text()
    for word, value in words.items():
        (line,) = [x for x in text.splitlines() if x.startswith(f"  - {word}: ")]
        text = text.replace(line, f"  - {word}: {value}", 1)
    (repository / "dvc.yaml").write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)

    def dvc(*arguments: str) -> str:
        environment = os.environ | {
            "DVC_NO_ANALYTICS": "1",
            "PYTHONPATH": f"{ROOT}/src{os.pathsep}{ROOT}",
            "DVC_SITE_CACHE_DIR": str(repository / "site"),
        }
        done = subprocess.run(
            [TOOL, *arguments],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    out = dvc("repro", "reproduced")
    assert "these are the rows that the bundle was trained on" in out
    assert "Running stage 'train'" not in out
    assert "Running stage" not in dvc("repro", "reproduced")
    # The remote is a folder of this machine until somebody names another one.
    dvc("push", "augment")
    made = (repository / "build" / "augment" / "train.jsonl.gz").read_bytes()
    shutil.rmtree(repository / "build" / "augment")
    shutil.rmtree(repository / ".dvc" / "cache")
    dvc("pull", "augment")
    assert (repository / "build/augment/train.jsonl.gz").read_bytes() == made
    # Other data are told, and nothing goes on.
    stated["made_from"]["data"] = "0" * 64
    bundle.write_text(json.dumps(stated))
    with pytest.raises(AssertionError, match="not the rows"):
        dvc("repro", "reproduced")


def _only_settings(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name not in ("config", ".gitignore")]
