"""Int8 that decides like the unquantised model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the training environment")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

WIDTH, OUT = 64, 24
OUTLIERS = (5, 40)


def test_rounding_for_the_output_is_nearer_than_rounding_each_weight() -> None:
    from training.rounding import rounded

    draw = np.random.default_rng(1)
    # Inputs that go together leave room to make up for errors.
    mixed = draw.normal(size=(400, 12)) @ draw.normal(size=(12, WIDTH))
    inputs = mixed + 0.1 * draw.normal(size=(400, WIDTH))
    weights = draw.normal(size=(WIDTH, OUT)).astype(np.float32)
    gram = (inputs.T @ inputs / len(inputs)).astype(np.float32)
    whole, scale = rounded(weights, gram, 64)
    assert whole.dtype == np.int8
    assert np.abs(whole).max() <= 64
    each = np.round(weights / scale) * scale
    wanted = inputs @ weights
    ours = np.abs(inputs @ (whole * scale) - wanted).mean()
    assert ours < 0.5 * np.abs(inputs @ each - wanted).mean()


def test_a_matrix_of_zeros_and_inputs_never_seen_are_no_trouble() -> None:
    from training.rounding import rounded

    none = np.zeros((WIDTH, WIDTH), np.float32)
    whole, scale = rounded(np.zeros((WIDTH, OUT), np.float32), none, 64)
    assert not whole.any()
    assert np.isfinite(scale).all()


def model(matrices: int) -> onnx.ModelProto:
    """Products of one input with some matrices, each an output."""
    from onnx import helper, numpy_helper

    draw = np.random.default_rng(2)
    names = [f"w{n}" for n in range(matrices)]
    initial = [
        numpy_helper.from_array(draw.normal(size=(WIDTH, OUT)).astype(np.float32), n)
        for n in names
    ]
    nodes = [
        helper.make_node("MatMul", ["x", n], [f"y{n}"], name=f"product {n}")
        for n in names
    ]
    float_ = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", float_, [None, WIDTH])],
        [helper.make_tensor_value_info(f"y{n}", float_, [None, OUT]) for n in names],
        initial,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def inputs(rows: int, seed: int = 3, loud: float = 30.0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)
    found[:, OUTLIERS] *= loud
    return found


def run(made: onnx.ModelProto | Path, x: np.ndarray) -> list[np.ndarray]:
    import onnxruntime as ort

    source = str(made) if isinstance(made, Path) else made.SerializeToString()
    session = ort.InferenceSession(source, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def test_outliers_are_multiplied_apart_and_the_result_is_the_same() -> None:
    from training.outliers import SPARED, observe, products, spare

    made, x = model(2), inputs(50)
    wanted = run(made, x)
    seen = observe(made, [{"x": inputs(20, seed)} for seed in range(4)])
    assert seen["x"].largest.argmax() in OUTLIERS
    floats = spare(made, seen)
    onnx.checker.check_model(made)
    for ours, theirs in zip(run(made, x), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)
    assert {node.name for node in made.graph.node} >= set(floats)
    assert set(products(made)) == {"x.rest", "x.outliers"}
    # What is spared is no part of what the weights are rounded for.
    assert (seen["x"].largest == 0).sum() == SPARED
    assert not seen["x"].gram[list(OUTLIERS)].any()


def test_without_outliers_nothing_is_changed() -> None:
    from training.outliers import observe, spare

    made = model(1)
    before = made.SerializeToString()
    quiet = [{"x": inputs(20, seed, loud=1.0)} for seed in range(4)]
    assert spare(made, observe(made, quiet)) == []
    assert made.SerializeToString() == before


def test_int8_is_nearer_with_outliers_apart_and_rounded_for_the_output(
    tmp_path: Path,
) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from training.outliers import observe
    from training.quantize import quantize

    made, x = model(2), inputs(50)
    wanted = run(made, x)
    plain = tmp_path / "plain.onnx"
    quantize_dynamic(
        made, plain, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
    )
    seen = observe(made, [{"x": inputs(50, seed)} for seed in range(4)])
    quantize(made, seen, tmp_path / "ours.onnx")

    def error(file: Path) -> float:
        pairs = zip(run(file, x), wanted, strict=True)
        return float(np.mean([np.abs(a - b).mean() for a, b in pairs]))

    assert error(tmp_path / "ours.onnx") < 0.3 * error(plain)


def test_each_row_of_an_embedding_has_a_scale_of_its_own(tmp_path: Path) -> None:
    from onnx import helper, numpy_helper

    from training.quantize import quantize

    table = np.random.default_rng(4).normal(size=(40, 8)).astype(np.float32)
    # One loud row would take the lower bits of all others.
    table[7] *= 1000
    table[9] = 0
    float_, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"], name="look up")],
        "test",
        [helper.make_tensor_value_info("x", whole, [None])],
        [helper.make_tensor_value_info("y", float_, [None, 8])],
        [numpy_helper.from_array(table, "table")],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    quantize(made, {}, tmp_path / "ours.onnx")
    found = run(tmp_path / "ours.onnx", np.arange(40))[0]
    allowed = np.abs(table).max(1, keepdims=True) / 254 * 1.001
    assert (np.abs(found - table) <= allowed).all()
    stored = {
        w.name: w.data_type for w in onnx.load(tmp_path / "ours.onnx").graph.initializer
    }
    assert stored == {"table.whole": onnx.TensorProto.INT8, "table.scale": float_}


def test_a_bias_is_added_to_the_int8_product_before_the_outliers(
    tmp_path: Path,
) -> None:
    from onnx import helper, numpy_helper

    from training.fuse import biases_first
    from training.outliers import observe
    from training.quantize import quantize

    made, x = model(2), inputs(50)
    biases = np.random.default_rng(5).normal(size=(2, OUT)).astype(np.float32)
    for n, values in enumerate(biases):
        made.graph.node[n].output[0] = f"product{n}"
        made.graph.initializer.append(numpy_helper.from_array(values, f"bias{n}"))
        # The export puts the bias on either side.
        sides = [f"product{n}", f"bias{n}"][:: 1 - 2 * n]
        made.graph.node.append(
            helper.make_node("Add", sides, [f"yw{n}"], name=f"add{n}")
        )
    wanted = run(made, x)
    seen = observe(made, [{"x": inputs(50, seed)} for seed in range(4)])
    quantize(made, seen, tmp_path / "ours.onnx")
    ours = onnx.load(tmp_path / "ours.onnx")
    for here, there in zip(run(tmp_path / "ours.onnx", x), wanted, strict=True):
        assert np.abs(here - there).mean() < 0.05 * np.abs(there).mean()
    last = {node.output[0]: node for node in ours.graph.node}
    for n in range(2):
        apart = [name for name in last[f"yw{n}"].input if name.endswith(".outliers")]
        assert len(apart) == 1
        (inner,) = set(last[f"yw{n}"].input) - set(apart)
        assert f"bias{n}" in last[inner].input
    # Once is enough.
    assert biases_first(ours) == 0


def test_layers_of_matrices_say_what_layers_of_windows_say(world: Path) -> None:
    from training.__main__ import main
    from training.fuse import biases_first, flat, fuse
    from training.outliers import observe
    from training.quantize import quantize

    assert main(["run", str(world / "run.toml"), "--until", "export"]) == 0
    exported = world / "build" / "export" / "model.onnx"
    made = onnx.load(exported)
    fuse(made, 2)
    draw = np.random.default_rng(6)

    def feed() -> dict[str, np.ndarray]:
        ids = draw.integers(5, 40, (1, int(draw.integers(4, 30))))
        kinds = np.full_like(ids, int(draw.integers(2)))
        names = ("input_ids", "attention_mask", "token_type_ids")
        return dict(zip(names, (ids, np.ones_like(ids), kinds), strict=True))

    feeds = [feed() for _ in range(6)]
    seen = observe(made, feeds)
    for found in seen.values():
        # A tiny model has no outliers of its own.
        found.largest[:2] *= 1e6
    quantize(made, seen, world / "ours.onnx")
    ours = onnx.load(world / "ours.onnx")
    assert sum(node.op_type == "Gemm" for node in ours.graph.node) >= 8
    assert flat(ours) == 0

    import onnxruntime as ort

    here = ort.InferenceSession(ours.SerializeToString())
    there = ort.InferenceSession(str(exported))
    assert biases_first(ours) == 0
    for given in feeds:
        for a, b in zip(here.run(None, given), there.run(None, given), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=0.15)
