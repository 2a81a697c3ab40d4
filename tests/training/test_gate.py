"""The gate: floors, ceilings, the champion, and that nothing passes it unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training import config as configuration
from training import gate
from training.__main__ import STAGES, main
from training.config import Config, Gate
from training.errors import PipelineError
from training.evaluate import evaluate
from training.gate import bounds, figures
from training.testing.tiny import write_bundle

REPORT = {
    "fpr": 0.01,
    "texts": "0" * 64,
    "sets": {
        "benchmark:one": {
            "attacks": 5,
            "f1": 0.8,
            "auc": 0.9,
            "fpr": 0.02,
            "roles": [],
        },
        "unseen:two": {"attacks": 5, "f1": None, "auc": 0.9, "recall": 0.5},
    },
    "unseen": {"mean recall at fpr": 0.7, "mean auc": 0.9, "thresholds at fpr": {}},
    "agreement": {"decisions": 0.997, "on": "benchmarks"},
    "evasion": {"tiers": {"A": {"retention": 0.9}}, "all": {"retention": 0.8}},
}


def test_floors_and_ceilings_are_held_against_the_report() -> None:
    settings = Gate(
        floors={"benchmark:one f1": 0.8, "evasion A retention": 0.95},
        ceilings={"benchmark:one fpr": 0.01, "unseen mean auc": 1},
    )
    found = [(c.figure, c.passed) for c in bounds(figures(REPORT), settings)]
    assert found == [
        ("benchmark:one f1", True),
        ("evasion A retention", False),
        ("benchmark:one fpr", False),
        ("unseen mean auc", True),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("benchmark:none f1", r"no set.*benchmark:one, unseen:two, unseen, agreement"),
        ("benchmark:one f2", r"'benchmark:one' has no figure 'f2'. Known: attacks, f1"),
        ("unseen:two f1", r"no figure 'f1'. Known: attacks, auc, recall"),
        ("evasion retention", r"Known: A retention, all retention"),
        ("agreement", r"no figure ''. Known: decisions"),
    ],
)
def test_an_unknown_figure_is_an_error_that_lists_the_known(
    name: str, words: str
) -> None:
    with pytest.raises(PipelineError, match=words):
        list(bounds(figures(REPORT), Gate(floors={name: 0.5})))


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(PipelineError, match="floor of 'unseen mean auc' is not a num"):
        list(bounds(figures(REPORT), Gate(floors={"unseen mean auc": "high"})))  # type: ignore[dict-item]


# A model that knows the words of attacks, and two that know fewer of them.
GOOD = ("ignore", "reveal", "forget", "secret", "instructions", "rules", "password")
WEAK = ("ignore",)


Build = Callable[..., Config]


@pytest.fixture
def built(world: Path, stand_in: Callable[..., Path]) -> Build:
    """Makes a build folder with a calibrated bundle and its report."""

    def build(words: tuple[str, ...] = GOOD, extra: str = "") -> Config:
        file = world / "run.toml"
        base = file.read_text().partition("\n[gate]")[0]
        file.write_text(f"{base}\n[gate]\n{extra}")
        config = configuration.load(file)
        # A folder of its own each time, because the library keeps models by folder.
        made = write_bundle(world / f"made {'-'.join(words)}", words=words)
        report = evaluate(config, str(made), "", parts=("sets",))
        for name in ("sources", "augment"):
            stand_in(config, name, lambda out: None)
        stand_in(config, "data", lambda out: None)
        stand_in(
            config,
            "calibrate",
            lambda out: shutil.copytree(made, out, dirs_exist_ok=True),
        )
        stand_in(
            config,
            "evaluate",
            lambda out: (out / "report.json").write_text(json.dumps(report)),
        )
        return config

    return build


def result(world: Path) -> dict[str, Any]:
    return json.loads((world / "build" / "gate" / "gate.json").read_text())


def release(world: Path) -> None:
    shutil.rmtree(world / "release", ignore_errors=True)
    shutil.copytree(world / "build" / "calibrate", world / "release")


def test_a_first_bundle_passes_and_says_that_there_is_no_champion(
    world: Path, built: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    built(extra='[gate.floors]\n"benchmark:some_test recall" = 0.1\n')
    assert main(["gate", str(world / "run.toml")]) == 0
    assert "no champion" in capsys.readouterr().out
    assert result(world)["passed"]
    assert [c["passed"] for c in result(world)["checks"]] == [True]


def test_a_failing_bundle_stops_bundle_and_publish_with_the_reason(
    world: Path, built: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    built(extra='[gate.floors]\n"benchmark:some_test recall" = 1.5\n')
    file = str(world / "run.toml")
    for command in ("gate", "gate", "bundle", "publish"):
        assert main([command, file]) == 2
        told = capsys.readouterr().err
        assert "benchmark:some_test recall  floor" in told
        assert "1.5000  FAILED" in told
    assert not result(world)["passed"]
    assert not (world / "release").exists()
    assert (world / "build" / "evaluate" / "report.json").exists()


def test_nothing_goes_on_past_a_gate_that_saw_another_report(
    world: Path, built: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    file = str(world / "run.toml")
    assert main(["bundle", file]) == 2
    assert "run the stages evaluate and gate" in capsys.readouterr().err
    assert main(["gate", file]) == 0
    built(WEAK)
    assert main(["publish", file]) == 2
    assert "another evaluation" in capsys.readouterr().err


def test_a_loss_against_the_champion_fails_unless_it_is_accepted(
    world: Path, built: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    built()
    release(world)
    built(WEAK)
    file = str(world / "run.toml")
    assert main(["gate", file]) == 2
    told = capsys.readouterr().err
    assert "unseen mean recall at fpr" in told
    assert "champion" in told and "FAILED" in told
    check = result(world)["checks"][-1]
    assert check["value"] < check["limit"]

    assert main(["gate", file, "--accept-loss", "smaller"]) == 0
    assert "smaller" in capsys.readouterr().out
    assert result(world)["accepted"] == "smaller"
    # Once accepted it stays so for this bundle, and the champion it replaced is known.
    release(world)
    assert main(["gate", file]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert main(["gate", file, "--force"]) == 0
    assert result(world)["accepted"] == "smaller"
    # For the next bundle it is not, and the released one is the champion.
    built(("reveal",), extra="tolerance = 0.0\n")
    champion = gate.identity(world / "release")
    main(["gate", file])
    assert result(world)["champion"] == champion
    assert result(world)["accepted"] == ""


def test_a_floor_is_not_what_accepting_a_loss_is_about(
    world: Path, built: Build
) -> None:
    built()
    release(world)
    built(WEAK, extra='[gate.ceilings]\n"unseen mean auc" = 0.0\n')
    arguments = ["gate", str(world / "run.toml"), "--accept-loss", "smaller"]
    assert main(arguments) == 2


def test_a_better_bundle_passes_and_the_tolerance_counts(
    world: Path, built: Build
) -> None:
    built(WEAK)
    release(world)
    built(GOOD)
    file = str(world / "run.toml")
    assert main(["gate", file]) == 0
    assert result(world)["checks"][-1]["passed"]
    built(("ignore", "reveal"), extra="tolerance = 1.0\n")
    assert main(["gate", file]) == 0


def test_a_champion_that_cannot_be_run_is_no_way_around(
    world: Path, built: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    built(WEAK)
    release(world)
    (world / "release" / "model.onnx").write_bytes(b"broken")
    built(GOOD)
    assert main(["gate", str(world / "run.toml")]) == 2
    told = capsys.readouterr().err
    assert "the champion's figures" in told
    assert "has been altered" in told


def test_what_goes_out_stands_behind_the_gate() -> None:
    needs = {stage.name: stage.needs for stage in STAGES}
    assert "gate" in needs["bundle"]
    assert "gate" in needs["publish"]
    names = [stage.name for stage in STAGES]
    assert names.index("evaluate") < names.index("gate") < names.index("bundle")
