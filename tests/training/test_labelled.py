"""The sources of a task: columns, labels, and what cannot be learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from training import labelled
from training.__main__ import STAGES, configured, main
from training.config import Config, load
from training.errors import PipelineError
from training.fetch import checkpoint
from training.sources import read
from training.testing.hub import LoopbackHub

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
TASKS = ("spam", "spam-decoder", "toxicity", "disclosure", "own-csv")
TABLE = """
name = "own"
data_root = "{root}"
[task]
label = "spam"
[task.sources.mine]
files = "mine.csv"
text = "message"
label = "kind"
labels = {{ spam = 1, ham = 0 }}
"""
SECRET = "the password is heliotrope"


def task(tmp_path: Path, rows: str, more: str = "") -> Config:
    (tmp_path / "mine.csv").write_text(rows)
    file = tmp_path / "run.toml"
    file.write_text(TABLE.format(root=tmp_path.as_posix()) + more)
    return load(file)


def rows_of(config: Config) -> list[labelled.Row]:
    from training.rows import load_sources

    source = load_sources(config.sources_file).training["mine"]
    return list(read(config, "mine", source))


def test_rows_have_the_label_of_their_column(tmp_path: Path) -> None:
    config = task(tmp_path, 'kind,message\nspam,"win,\nnow"\nham,see you\n')
    first, second = rows_of(config)
    assert (first.text, first.labels, first.category) == (
        "win,\nnow",
        {"spam": 1},
        "positive",
    )
    assert (second.text, second.labels) == ("see you", {"spam": 0})
    assert {first.role, second.role} == {"user"}


GOOD = f"spam,{SECRET}\nham,see you\n"


@pytest.mark.parametrize(
    ("rows", "kind", "told"),
    [
        (f"kind,body\n{GOOD}", "BadColumn", "line 2.*'message'.*'kind', 'body'"),
        (f"sort,message\n{GOOD}", "BadColumn", "line 2.*no column 'kind'.*as label"),
        (f"kind,message\n{GOOD} ,{SECRET}!\n", "EmptyLabel", "line 4.*'kind' is empty"),
        (
            f"kind,message\n{GOOD}eggs,more\n",
            "UnknownLabel",
            "line 4.*'kind'.*'spam', 'ham'",
        ),
        (f"message,kind\n{GOOD}", "UnknownLabel", "line 2.*another column as label"),
        (
            f"kind,message\n{GOOD}ham,{SECRET.upper()}.\n",
            "Conflict",
            "4.*line 2;.*dele",
        ),
        ("kind,message\nham\n", "PipelineError", "line 2: not as many values"),
    ],
    ids=["no text", "no label", "empty", "unknown", "swapped", "both", "short"],
)
def test_what_cannot_be_learnt_from_is_told_with_its_line(
    tmp_path: Path, rows: str, kind: str, told: str
) -> None:
    config = task(tmp_path, rows)
    with pytest.raises(PipelineError, match=told) as caught:
        rows_of(config)
    assert type(caught.value).__name__ == kind
    assert "mine.csv" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_texts_with_two_labels_can_be_left_out(tmp_path: Path) -> None:
    rows = "kind,message\nspam,Hello you\nham,so long\nham,hello YOU!\n"
    config = task(tmp_path, rows, 'conflicts = "drop"\n')
    assert [row.text for row in rows_of(config)] == ["so long"]


def test_one_class_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = task(tmp_path, "kind,message\nham,one thing\nham,another thing\n")
    arguments = [str(config.file), "--build", str(tmp_path / "build")]
    assert main(["sources", *arguments]) == 2
    said = capsys.readouterr().err
    assert "all 2 texts of mine lack the label 'spam'" in said
    assert not (tmp_path / "build" / "sources").exists()


def test_several_columns_and_several_values_make_several_labels(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"text": "a", "labels": {"x": 1, "y": 0}})
        + "\n"
        + json.dumps({"text": "b", "labels": {"x": 0, "y": 1}})
    )
    (tmp_path / "mine.csv").write_text("message,kind\nc,spam\nd,scam\ne,fine\n")
    file = tmp_path / "run.toml"
    file.write_text(
        f'name = "own"\ndata_root = "{tmp_path.as_posix()}"\n'
        '[heads]\nmail = ["spam", "scam"]\n[task]\nlabel = "spam"\n'
        '[task.sources.rows]\nfiles = "rows.jsonl"\n'
        'marks = { spam = "labels.x", scam = "labels.y" }\n'
        '[task.sources.mine]\nfiles = "mine.csv"\ntext = "message"\nlabel = "kind"\n'
        'labels = { spam = "spam", scam = "scam", fine = "" }\n'
    )
    config = load(file)
    from training.rows import load_sources

    sources = load_sources(config.sources_file).training
    found = {
        row.text: tuple(row.labels.values())
        for name in sources
        for row in read(config, name, sources[name])
    }
    assert found == {"a": (1, 0), "b": (0, 1), "c": (1, 0), "d": (0, 1), "e": (0, 0)}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('label = "spam"', "", "needs a label"),
        ('label = "spam"', 'label = "spam"\nmodel = "tree"', "'encoder' or 'decoder'"),
        ("spam = 1,", "spam = 2,", "neither 0 nor 1"),
        ('files = "mine.csv"', 'hub = "a/b"', "with hub go revision"),
        ("[task.sources.mine]", "[task.tests.mine]", "no source to learn from"),
        ('label = "spam"', 'label = "spam"\nallowed = ["MIT"]', r"allowed are MIT"),
        ('name = "own"', 'name = "own"\n[heads]\na = ["b"]\n', "of no head"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    table = TABLE.format(root=tmp_path.as_posix())
    assert before in table
    if before.startswith("name"):
        # A table ends where the next one begins.
        table = table.replace(before, "", 1)
        table = after.replace("[heads]", table.partition("[task]")[0] + "[heads]") + (
            "[task]" + table.partition("[task]")[2]
        )
    else:
        table = table.replace(before, after, 1)
    (tmp_path / "run.toml").write_text(table)
    (tmp_path / "mine.csv").write_text(f"kind,message\n{GOOD}")
    with pytest.raises(PipelineError, match=told):
        rows_of(load(tmp_path / "run.toml"))


@pytest.mark.parametrize("name", TASKS)
def test_a_task_never_takes_the_place_of_the_release(name: str) -> None:
    config = load(CONFIGS / f"{name}.toml")
    assert config.task and config.target in str(config.heads)
    assert config.release == f"build/{config.name}/release"
    assert config.publish.model == f"promptguard-{config.name}"
    assert config.gate.compare == ("tests f1",)


@pytest.mark.parametrize("name", ["first", "release", "fourth"])
def test_the_release_depends_on_nothing_of_tasks(name: str) -> None:
    config = load(CONFIGS / f"{name}.toml", data_root="nowhere")
    assert not config.task
    assert config.tables == [CONFIGS.parent / "sources.toml"]
    for stage in STAGES:
        if stage.name not in ("gate", "publish", "vocabulary", "adapt"):
            assert "task" not in repr(stage.settings(config)), stage.name
    table: Mapping[str, object] = vars(config)
    assert config.target == "injection"
    assert table["release"] == "src/promptguard/models"


def test_what_only_tells_does_not_make_a_stage_run_again(tmp_path: Path) -> None:
    before = task(tmp_path, GOOD)
    after = task(tmp_path, GOOD, '[gate.floors]\n"tests f1" = 0.5\n')
    longer = task(tmp_path, GOOD, "[train]\nepochs = 7\n")
    changed = {
        stage.name
        for stage in STAGES
        if stage.name in ("sources", "data", "train", "evaluate")
        for other in (after, longer)
        if repr(stage.settings(other)) != repr(stage.settings(before))
    }
    assert changed == {"train"}
    assert before.tables == []


@pytest.mark.parametrize("name", TASKS)
def test_the_small_world_has_the_columns_of_the_configuration(
    tmp_path: Path, name: str
) -> None:
    from training.rows import load_sources

    config = configured(
        CONFIGS / f"{name}.toml", smoke=True, build=str(tmp_path / "build")
    )
    sources = load_sources(config.sources_file)
    for table in (sources.training, sources.benchmarks):
        for source in table:
            found = list(read(config, source, table[source]))
            assert len(found) >= 25
            assert all(config.target in row.labels for row in found)


def test_a_checkpoint_comes_from_the_hub_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"a pickle",
    }
    with LoopbackHub() as hub:
        for name, value in hub.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        commit = hub.model("some/decoder", files)
        folder = checkpoint("some/decoder", commit)
        there = {path.name for path in folder.iterdir()}
    assert there == set(files) - {"pytorch_model.bin"}
