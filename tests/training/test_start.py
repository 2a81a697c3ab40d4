"""A training that goes on from a bundle."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the training environment")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


def first(world: Path) -> Path:
    """A bundle, with a head in the first layers as well."""
    from training.__main__ import main

    settings = world / "run.toml"
    text = settings.read_text("utf-8").replace("[train]\n", "[train]\nearly = 1\n")
    settings.write_text(text)
    assert main(["run", str(settings), "--until", "quantize"]) == 0
    return world / "build" / "quantize"


def test_the_weights_of_a_bundle_are_those_it_was_made_of(world: Path) -> None:
    import onnx
    import torch
    from safetensors.torch import load_file

    from training import start

    bundle = first(world)
    wanted = load_file(world / "build" / "temperature" / "model.safetensors")
    found = start.weights(onnx.load(bundle / "model.onnx"))
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        difference = (torch.from_numpy(found[name].copy()) - values).abs().max()
        # Seven bits of the largest weight of a column; the rounding stage takes two.
        assert float(difference) <= 2 * float(values.abs().max()) / 64 + 1e-6, name


def test_a_run_goes_on_from_a_bundle_with_what_is_hard(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main
    from training.rows import read_rows

    bundle = first(world)
    digest = json.loads((bundle / "bundle.json").read_text())["digest"]
    settings = world / "again.toml"
    text = (world / "run.toml").read_text("utf-8")
    text = text.replace('"tiny"', '"again"').replace("/build", "/again")
    text = text.replace("[data]\n", f'start = "{bundle.as_posix()}"\n[data]\n', 1)
    text = text.replace("rate = 2e-3", "rate = 1e-4\naverages = [0.5]\nfrozen = true")
    settings.write_text(text + '[mine]\nhard = 0.2\nothers = 0.1\nwhole = ["own"]\n')
    capsys.readouterr()
    assert main(["run", str(settings), "--until", "bundle"]) == 0
    said = capsys.readouterr().out
    assert f"goes on from tiny ({digest[:12]})" in said
    assert "0.5 of the new weights" in said

    build = world / "again"
    rows = read_rows(build / "augment" / "train.jsonl.gz")
    kept = read_rows(build / "mine" / "train.jsonl.gz")
    assert 0 < len(kept) < len(rows)
    report = json.loads((build / "mine" / "summary.json").read_text())
    assert report["kept"] == len(kept) >= report["hard"]
    assert (build / "adapt" / "tokenizer.json").read_bytes() == (
        bundle / "tokenizer.json"
    ).read_bytes()
    made = json.loads((world / "release" / "bundle.json").read_text())["made_from"]
    assert made["start"] == digest


def test_a_start_that_is_no_bundle_is_said_before_anything_is_trained(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main

    settings = world / "run.toml"
    text = settings.read_text("utf-8").replace(
        "[data]\n", f'start = "{(world / "nowhere").as_posix()}"\n[data]\n', 1
    )
    settings.write_text(text)
    assert main(["vocabulary", str(settings)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_loss_of_a_row_is_that_of_its_worst_known_label() -> None:
    from training.mine import loss

    logits = {"injection": 0.0, "toxic": -5.0, "threat": 40.0}
    assert loss({"injection": 1}, logits) == pytest.approx(math.log(2))
    assert loss({"injection": 1, "toxic": 1}, logits) == pytest.approx(5.0067, abs=1e-3)
    assert loss({"threat": 0}, logits) == pytest.approx(40.0)
    assert loss({"unheard of": 1}, logits) == 0.0


def test_a_head_begins_by_looking_at_all_tokens_alike_and_never_at_padding() -> None:
    import torch

    from training.model import Focus

    focus = Focus(8, 2)
    hidden = torch.randn(3, 5, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1] * 5, [1, 0, 0, 0, 0]])
    with torch.no_grad():
        focus.weight.zero_()
        read = focus(hidden, mask)
        assert torch.allclose(read[0, 0], hidden[0, :3].mean(0), atol=1e-6)
        focus.weight.normal_()
        read = focus(hidden, mask)
        assert torch.allclose(read[2], hidden[2, :1].expand(2, 8), atol=1e-6)
        assert not torch.allclose(read[1, 0], read[1, 1])


def test_a_clear_text_is_answered_by_the_first_layers_alone(world: Path) -> None:
    import numpy as np
    import onnx
    import onnxruntime as ort

    from training.branch import branched

    bundle = first(world)
    flat = onnx.load(bundle / "unbranched.onnx")
    ids = np.array([[2, 7, 8, 9, 3]], np.int64)
    feed = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }

    def answer(model: onnx.ModelProto, names: list[str], **more: object) -> list[float]:
        session = ort.InferenceSession(model.SerializeToString())
        return [float(v[0, 0]) for v in session.run(names, {**feed, **more})]

    late, early = answer(flat, ["injection", "early_injection"])
    assert late != early
    no, yes = np.array(False), np.array(True)
    for limit, wanted in ((early + 0.01, early), (early - 0.01, late)):
        made = branched(flat, {"injection": [limit]})
        assert answer(made, ["injection"], whole=no) == [
            pytest.approx(wanted, rel=1e-4)
        ]
        assert answer(made, ["injection"], whole=yes) == [pytest.approx(late, rel=1e-4)]


def test_the_bound_of_a_label_loses_few_and_unknown_labels_lose_none() -> None:
    from training.branch import bound

    found = [float(n) for n in range(2000)]
    assert bound(found) == 2.0
    assert sum(value < bound(found) for value in found) == 2
    assert bound([3.0, 1.0, 2.0]) == 1.0
    assert bound([]) == float("-inf")


def test_rows_whose_label_the_model_is_sure_is_wrong_are_left_out() -> None:
    from training import config as configuration
    from training.mine import chosen
    from training.rows import Row

    def row(source: str) -> Row:
        return Row("t", "user", {"injection": 0}, source, "benign")

    rows = [row("public"), row("public"), row("public"), row("own")]
    losses = [0.05, 0.5, 6.0, 6.0]
    mine = configuration.Mine(hard=0.1, odd=2.5, others=0.0, whole=("own",))

    class Settings:
        seed = 1

    Settings.mine = mine
    assert chosen(rows, losses, Settings) == [1, 3]
    Settings.mine = configuration.Mine(hard=0.1, others=0.0)
    assert chosen(rows, losses, Settings) == [1, 2, 3]
