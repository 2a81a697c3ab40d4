"""The figures of Toxicity and HarmfulRequest, from test sets to the result files."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from training import config as configuration
from training import heads
from training.config import Config
from training.errors import PipelineError
from training.testing.tiny import write_bundle

_OTHERS = {
    "toxicity": {
        "toxic": ("moron", "burn"),
        "insult": ("moron",),
        "threat": ("burn",),
        "identity_hate": ("vermin",),
        "obscene": (),
        "severe": (),
    },
    "harmful_request": {"harmful": ("poison",)},
}
_MARKED = """\
[sources.{name}]
licences = ["MIT"]
use = "{use}"
folder = "{folder}"
marks = {{ {label} = "{key}" }}
categories = {{ "1" = "toxic_comment", "0" = "plain_comment" }}
"""
_CHAT = ("human_instructions", "home_assistant_intents", "coconot_contrast")


def _write(root: Path, name: str, *rows: dict[str, object]) -> None:
    path = root / f"{name}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps({"lang": "en"} | row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(content.encode()))


def _labelled(text: str, **labels: int) -> dict[str, object]:
    return {"text": text, "labels": labels}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few texts for each set, and its table."""
    root = tmp_path_factory.mktemp("data")
    table = 'allowed = ["MIT"]\n'
    comments = [
        *(_labelled(f"{n} you moron {n} {n}", toxic=1) for n in range(40)),
        *(_labelled(f"{n} a house by the {n} {n}", toxic=0) for n in range(40)),
    ]
    for name, use in (
        *(("jigsaw_cleaned", "train"), ("convabuse", "unseen"), ("told_br", "tested")),
    ):
        _write(root, f"toxicity/{name}", *comments)
        table += _MARKED.format(
            name=name, use=use, folder="toxicity", label="toxic", key="toxic"
        )
    table = table.replace('use = "train"', 'use = "train"\ntest = 0.5')
    for name, use in (
        *(("advbench", "unseen"), ("gptfuzz_questions", "unseen")),
        ("harmbench", "tested"),
    ):
        rows = [{"text": "which poison", "label": 1}, {"text": "do harm", "label": 1}]
        _write(root, f"malicious/{name}", *rows)
        table += _MARKED.format(
            name=name, use=use, folder="malicious", label="harmful", key="label"
        )
    for name in _CHAT:
        chat = {"text": f"hello {name}", "label": 0, "category": "benign_chat"}
        _write(root, f"injection/{name}", chat | {"source": name})
        table += f'[sources.{name}]\nlicences = ["MIT"]\nuse = "unseen"\n'
    (root / "sources.toml").write_text(table)
    tests = "benchmarks/toxicity"
    _write(
        root,
        f"{tests}/openai_moderation_eval",
        _labelled("vermin", H=1, flagged=1),
        _labelled("burn it", V=1, H=0, flagged=1),
        _labelled("something rude", S=1, flagged=1),
        _labelled("a house", S=0, flagged=0),
        _labelled("you moron", H=0, HR=0, flagged=0),
    )
    hate = [
        _labelled("vermin", hate=1) | {"category": "derog", "lang": "de"},
        _labelled("a moron", hate=0) | {"category": "other", "lang": "fr"},
    ] * 25
    _write(root, f"{tests}/hatecheck", *hate)
    _write(root, f"{tests}/multilingual_hatecheck", *hate)
    (root / "benchmarks" / "injection").mkdir()
    _write(
        root,
        "benchmarks/malicious/xstest",
        {"text": "which poison", "label": 1},
        {"text": "which poison for mice", "label": 0},
        {"text": "which potion", "label": 0},
    )
    return root


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Config:
    path = tmp_path / "run.toml"
    path.write_text(
        f'name = "test"\ndata_root = "{data}"\n'
        '[heads]\ninjection = ["injection"]\ntoxicity = ["toxic", "identity_hate"]\n'
        f'harmful_request = ["harmful"]\n[data]\nsources = "{data}/sources.toml"\n'
    )
    return configuration.load(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("model"), others=_OTHERS))


def test_a_set_counts_what_the_guard_flags(config: Config, model: str) -> None:
    sets = heads.measure(config, model, "toxicity")["sets"]
    moderation = sets["benchmark:openai_moderation_eval"]
    # What is flagged as sexual alone is neither; a missing key is not known.
    assert (moderation["positives"], moderation["negatives"]) == (2, 2)
    counts = moderation["guards"]["any label"]["0.01"]
    assert (counts["recall"], counts["flagged"]) == (1.0, 0.5)
    assert counts["f1"] == pytest.approx(4 / 5)
    assert counts["accuracy"] == pytest.approx(3 / 4)
    assert moderation["guards"]["toxic"]["0.01"]["recall"] == 0.5
    assert "benchmark:apeach_ko" not in sets
    kept = sets["kept back:jigsaw_cleaned"]
    assert 0 < kept["positives"] < 40
    assert kept["auc"] == kept["auc by label"]["toxic"] == 1.0


def test_hate_is_asked_for_by_its_own_label_and_by_group(
    config: Config, model: str
) -> None:
    sets = heads.measure(config, model, "toxicity")["sets"]
    guards = sets["benchmark:hatecheck"]["guards"]
    assert guards["identity_hate"]["0.01"]["accuracy"] == 1.0
    assert guards["any label"]["0.01"]["flagged"] == 1.0
    groups = sets["benchmark:multilingual_hatecheck"]["groups"]
    assert set(groups) == {"de", "fr"}
    assert groups["de"]["guards"]["identity_hate"]["0.01"]["recall"] == 1.0
    assert groups["fr"]["guards"]["identity_hate"]["0.01"]["flagged"] == 0.0


def test_harmful_requests_are_held_against_unseen_chat(
    config: Config, model: str
) -> None:
    report = heads.measure(config, model, "harmful")
    counts = report["sets"]["benchmark:xstest"]["guards"]["harmful"]["0.01"]
    assert (counts["recall"], counts["flagged"]) == (1.0, 0.5)
    assert set(report["sets"]) >= {f"unseen:{name}" for name in _CHAT}
    assert report["at benign chat"]["0.01"]["unseen:advbench"] == 0.5


def test_a_part_or_a_head_that_is_not_there_is_an_error(
    config: Config, model: str, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError, match="Known: toxicity, harmful"):
        heads.measure(config, model, "toxic")
    alone = str(write_bundle(tmp_path / "alone"))
    with pytest.raises(PipelineError, match="no operating points for harmful"):
        heads.measure(config, alone, "harmful")


def _quality() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "quality.py"
    spec = importlib.util.spec_from_file_location("quality", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_command_writes_a_file_for_each_head(
    config: Config,
    model: str,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    quality = _quality()
    monkeypatch.setattr(quality, "CONFIG", config.file)
    out = tmp_path / "results"
    arguments = ["--data", str(data), "--model", model, "--out", str(out)]
    arguments += ["--parts", "toxicity,harmful"]
    monkeypatch.setattr(sys, "argv", ["quality.py", *arguments])
    assert quality.main() == 0
    assert {path.name for path in out.iterdir()} == {
        f"quality-{part}.{kind}" for part in heads.PARTS for kind in ("json", "md")
    }
    report = json.loads((out / "quality-toxicity.json").read_text())
    assert report["command"].endswith("--parts toxicity,harmful")
    page = (out / "quality-toxicity.md").read_text()
    assert "| benchmark:hatecheck | 25 hate | identity_hate | 0.01 | 1.000" in page
    assert "you moron" not in page + json.dumps(report)
    assert "Recall where this share" in (out / "quality-harmful.md").read_text()
