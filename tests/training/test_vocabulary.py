"""The stages that fit the encoder to other scripts, on the small world."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the training environment")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

TEXTS = ("documents", "german", "translated")


def configured(world: Path, **adapt: object):  # type: ignore[no-untyped-def]
    from training.config import Adapt, Vocabulary, load

    return dataclasses.replace(
        load(world / "run.toml"),
        vocabulary=Vocabulary(pieces=30, texts=TEXTS),
        adapt=Adapt(batch=4, tokens=24, pairs=("translated",), threads=1, **adapt),
    )


def made(name: str, config) -> Path:  # type: ignore[no-untyped-def]
    from training.__main__ import STAGES
    from training.stage import run

    (stage,) = [stage for stage in STAGES if stage.name == name]
    return run(stage, config)


def translated(world: Path) -> dict[str, list[str]]:
    from training.rows import Source, read_source

    found: dict[str, list[str]] = {"en": [], "el": []}
    for row in read_source(world / "injection/translated.jsonl.gz", Source()):
        found[str(row.lang)].append(row.text)
    return found


def test_a_script_that_was_unknown_is_read_and_english_as_before(world: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file

    from promptguard.runtime.encode import Encoder

    out = made("vocabulary", configured(world))
    old, new = (
        Encoder((folder / "tokenizer.json").read_bytes(), 32, 8)
        for folder in (world / "encoder", out)
    )
    texts = translated(world)
    assert all(old.encode(text).coverage < 0.5 for text in texts["el"])
    assert all(new.encode(text).coverage == 1.0 for text in texts["el"])
    assert [old.encode(text) for text in texts["en"]] == [
        new.encode(text) for text in texts["en"]
    ]
    name = "embeddings.word_embeddings.weight"
    before = load_file(world / "encoder/model.safetensors")
    after = load_file(out / "model.safetensors")
    changed = (before[name] != after[name]).any(axis=1).sum()
    assert before[name].shape == after[name].shape
    assert 10 <= changed <= 30
    assert all(np.array_equal(before[k], after[k]) for k in before if k != name)


def test_nothing_wanted_leaves_the_encoder_byte_for_byte(world: Path) -> None:
    from training.config import load
    from training.vocabulary import ENCODER

    config = load(world / "run.toml")
    made("vocabulary", config)
    out = made("adapt", config)
    for name in ENCODER:
        assert (out / name).read_bytes() == (world / "encoder" / name).read_bytes()


@pytest.mark.parametrize("name", ["nothing", "new_chat", "dropped"])
def test_a_text_to_learn_from_has_to_be_trained_on(world: Path, name: str) -> None:
    from training.config import Vocabulary
    from training.errors import PipelineError

    config = dataclasses.replace(
        configured(world), vocabulary=Vocabulary(pieces=5, texts=(name,))
    )
    with pytest.raises(PipelineError, match=rf"'{name}'.*Known: attacks"):
        made("vocabulary", config)


def test_translations_are_cut_only_where_both_have_as_many_sentences() -> None:
    from training.adapt import cut

    both = cut("A first sentence. A second one.", "Ein erster Satz. Ein zweiter Satz.")
    assert [pair.other for pair in both] == ["Ein erster Satz.", "Ein zweiter Satz."]
    (whole,) = cut("A first sentence. A second one.", "Ein Satz statt der beiden.")
    assert whole.other == "Ein Satz statt der beiden."


def test_translations_come_nearer_and_a_stopped_run_ends_the_same(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import adapt
    from training.stage import digest

    config = configured(
        world, steps=40, checkpoint_every=10, rate=1e-3, piece_rate=1e-2
    )
    made("vocabulary", config)
    distances: list[float] = []
    step = adapt._Run._step

    def watched(self: object, number: int) -> tuple[float, float]:
        found = step(self, number)  # type: ignore[arg-type]
        distances.append(found[1])
        return found

    monkeypatch.setattr(adapt._Run, "_step", watched)
    whole = digest(made("adapt", config) / "model.safetensors")
    assert sum(distances[-8:]) < 0.7 * sum(distances[:8])

    def dies(self: object, number: int) -> tuple[float, float]:
        if number == 27:
            raise KeyboardInterrupt
        return watched(self, number)

    other = dataclasses.replace(config, build=str(world / "other"))
    made("vocabulary", other)
    monkeypatch.setattr(adapt._Run, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        made("adapt", other)
    monkeypatch.setattr(adapt._Run, "_step", watched)
    capsys.readouterr()
    again = made("adapt", other)
    assert "goes on from step 20" in capsys.readouterr().out
    assert digest(again / "model.safetensors") == whole
