"""A model answers with the operating points that the query names."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from promptguard.errors import ConfigError, ModelError
from promptguard.queries import Classify, OperatingPoint, Scores
from promptguard.runtime import infer
from promptguard.runtime.calibration import FORMAT, load_calibration
from promptguard.runtime.encode import Encoded
from promptguard.text import READING_VERSION

DIGEST = "a" * 64
OWN = OperatingPoint("injection", "user", 1, 0.01, 0.9)
POINT = {"label": "injection", "role": "tool", "windows": 16, "fpr": 0.02}


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "points.json"
    table = {
        "format": FORMAT,
        "bundle": DIGEST,
        "reading": READING_VERSION,
        "operating_points": [{**POINT, "threshold": 0.7, "texts": 900}],
    }
    path.write_text(json.dumps(table))
    return path


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Models without weights; the list holds the files that were read for them."""
    read: list[str] = []

    class Bundle:
        @staticmethod
        def load(path: str | None) -> SimpleNamespace:
            digest = DIGEST if path is None else "b" * 64
            return SimpleNamespace(
                tokenizer=b"",
                window=16,
                overlap=4,
                operating_points=(OWN,),
                digest=digest,
                heads=(("injection", ("injection",)),),
                token_heads=(),
            )

    def counted(path: str, digest: str) -> tuple[OperatingPoint, ...]:
        read.append(path)
        return load_calibration(path, digest)

    encoder = SimpleNamespace(encode=lambda text: Encoded((), 1.0))
    monkeypatch.setattr(infer, "Bundle", Bundle)
    monkeypatch.setattr(infer, "Encoder", lambda *arguments: encoder)
    session = SimpleNamespace(get_inputs=list)
    monkeypatch.setattr(infer, "_session", lambda bundle, threads: session)
    monkeypatch.setattr(infer, "load_calibration", counted)
    monkeypatch.setattr(infer, "_models", {})
    return read


def ask(calibration: Path | None, model: str | None = None) -> Scores:
    path = None if calibration is None else str(calibration)
    return infer.answer(Classify(model, "text", "user", calibration=path))


def test_the_file_takes_the_place_of_the_points_of_the_bundle(
    calibration: Path, loads: list[str]
) -> None:
    assert ask(None).operating_points == (OWN,)
    scores = ask(calibration)
    assert scores.operating_points == (OperatingPoint(**POINT, threshold=0.7),)
    assert scores.threshold("injection", "retrieved", 0.02) == 0.7
    assert ask(None).operating_points == (OWN,)


def test_scores_say_which_bundle_gave_them(loads: list[str]) -> None:
    assert ask(None).digest == DIGEST
    assert ask(None, "folder").digest == "b" * 64


def test_the_file_is_read_once_for_a_model(calibration: Path, loads: list[str]) -> None:
    for _ in range(3):
        ask(calibration)
    assert loads == [str(calibration)]


def test_the_file_of_one_model_does_not_do_for_another(
    calibration: Path, loads: list[str]
) -> None:
    ask(calibration)
    with pytest.raises(ConfigError, match="another model"):
        ask(calibration, "folder")


def test_a_file_that_was_mended_is_read_again(
    calibration: Path, loads: list[str]
) -> None:
    good = calibration.read_text()
    calibration.write_text(good[:-1])
    with pytest.raises(ModelError, match="not JSON"):
        ask(calibration)
    calibration.write_text(good)
    assert ask(calibration).operating_points[0].threshold == 0.7
