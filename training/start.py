"""A training that goes on from a released bundle instead of from the bare encoder.

The encoder of a bundle is adapted and trained already; what a run adds is then told
apart from what a longer one would have added. Its int8 weights are turned back into
floats: what rounding took is less than a step of training moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, numpy_helper
from safetensors.numpy import save_file

from promptguard import ModelError
from promptguard.runtime.bundle import Bundle

from .errors import PipelineError
from .stage import write_atomically

__all__ = ["weights", "write"]

# A matrix of the graph is multiplied from the right, one of torch from the left.
_PRODUCT = "MatMul"
_NAMED = ("bert.", "heads.", "early.", "focus.", "token_heads.")
# What the quantize stage made of a matrix or a table.
_SUFFIXES = ("_quantized", "_scale", "_zero_point", ".whole", ".scale", ".few")


def write(folder: Path, config: bytes, out: Path) -> None:
    """Write a bundle's tokenizer and weights as an encoder's folder.

    Args:
        folder: The bundle.
        config: The config.json of the encoder that it was made from.

    Raises:
        PipelineError: There is no bundle, or it is not one that the pipeline made.
    """
    try:
        bundle = Bundle.load(str(folder))
    except ModelError as error:
        raise PipelineError(f"start: {error}") from None
    write_atomically(out / "config.json", config)
    write_atomically(out / "tokenizer.json", bundle.tokenizer)
    found = weights(onnx.load_from_string(bundle.model))
    scratch = out / "model.part"
    save_file(found, scratch, metadata={"format": "pt"})
    scratch.replace(out / "model.safetensors")
    print(f"goes on from {bundle.name} ({bundle.digest[:12]})")


def weights(model: ModelProto) -> dict[str, NDArray[np.float32]]:
    """The parameters of an int8 model by their names in torch.

    Raises:
        PipelineError: A matrix of the model has no name that says where it belongs.
    """
    graphs = list(_graphs(model.graph))
    nodes = [node for graph in graphs for node in graph.node]
    held = {w.name: numpy_helper.to_array(w) for g in graphs for w in g.initializer}
    found: dict[str, NDArray[np.float32]] = {}
    for name, values in held.items():
        if name.startswith(_NAMED) and not name.endswith(_SUFFIXES):
            found[name] = values
        elif name.endswith(".whole"):
            table = name.removesuffix(".whole")
            found[table] = values.astype(np.float32) * held[f"{table}.scale"]
    for node in nodes:
        if node.op_type == "MatMulInteger":
            matrix = node.input[1].removesuffix("_quantized")
            if matrix == node.input[1]:
                raise PipelineError(f"start: {node.name} multiplies no known weights")
            values = held[node.input[1]].astype(np.float32) * held[f"{matrix}_scale"]
            if f"{matrix}.few" in held:
                # The rows of outliers, which are zero in the other one.
                (places,) = {
                    other.input[0].replace(".outliers", ".few")
                    for other in nodes
                    if other.op_type == _PRODUCT and other.input[1] == f"{matrix}.few"
                }
                values[held[places]] = held[f"{matrix}.few"]
            found[_name(node.name, matrix)] = values.T
        elif (
            node.op_type == _PRODUCT
            and node.input[1] in held
            and not node.input[1].endswith(".few")
        ):
            found[_name(node.name, node.input[1])] = held[node.input[1]].T
    return {name: np.ascontiguousarray(v, np.float32) for name, v in found.items()}


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and those in its conditions."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _name(node: str, matrix: str) -> str:
    """What torch calls the weights of a product.

    Some keep their name; of others only the node tells, as in
    ``/bert/encoder/layer.0/output/dense/MatMul_quant``.
    """
    if matrix.startswith(_NAMED):
        return matrix
    path = node.removeprefix("/").split("/")[:-1]
    return ".".join([*path, "weight"])
