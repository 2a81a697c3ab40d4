"""Channels with outliers, kept out of int8.

An int8 run of a window scales all its activations by the largest one. Encoders have a
few channels that are ten times as large as the others, always the same ones, and leave
those the lower bits of the scale. So these channels are multiplied apart, as floats,
and added to the rest (Dettmers et al. 2022, LLM.int8(), arXiv 2208.07339): a few rows
of the weights, and nothing that an int8 run would be fast for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

__all__ = ["APART", "SPARED", "Seen", "observe", "products", "spare"]

SPARED = 8
"""Channels of one input that are kept apart at most."""

APART = ".outliers"
"""What ends the name of a product of them."""

# Worth it where the largest activation shrinks to this share of itself or less.
_SHRINKS = 0.5

# Heads over tokens, and what chooses tokens: a few columns, and an exponent.
_FLOATS = re.compile(r"focus/|token_heads/")

Feed = Mapping[str, NDArray[np.int64]]


@dataclass
class Seen:
    """What went into the products with one weight matrix or several.

    Args:
        largest: The largest absolute value of each channel.
        gram: Mean outer product of the channels.
    """

    largest: NDArray[np.float32]
    gram: NDArray[np.float32]


def products(model: ModelProto) -> dict[str, list[NodeProto]]:
    """The products with weight matrices, by what they multiply; some stay floats."""
    matrices = {w.name for w in model.graph.initializer if len(w.dims) == 2}
    found: defaultdict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        if _FLOATS.search(node.name):
            continue
        if node.op_type == "MatMul" and node.input[1] in matrices:
            found[node.input[0]].append(node)
    return dict(found)


def observe(model: ModelProto, feeds: Iterable[Feed]) -> dict[str, Seen]:
    """Run a model and look at everything that is multiplied by weights."""
    watched = ModelProto()
    watched.CopyFrom(model)
    names = list(products(model))
    for name in names:
        watched.graph.output.append(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    session = ort.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: dict[str, Seen] = {}
    count = 0
    for feed in feeds:
        count += 1
        for name, values in zip(names, session.run(names, dict(feed)), strict=True):
            rows = values.reshape(-1, values.shape[-1])
            largest, gram = np.abs(rows).max(0), rows.T @ rows / len(rows)
            if name in found:
                largest = np.maximum(largest, found[name].largest)
                gram += found[name].gram
            found[name] = Seen(largest, gram)
    for seen in found.values():
        seen.gram /= count
    return found


def spare(model: ModelProto, seen: Mapping[str, Seen]) -> list[str]:
    """Multiply outliers apart; the names of the nodes that must stay floats.

    The rows of the weights that belong to them become zero, so that they do not widen
    the scale of the others; ``seen`` is changed to match.
    """
    weights = {w.name: w for w in model.graph.initializer}
    floats = [node.name for node in model.graph.node if _FLOATS.search(node.name)]
    for name, nodes in products(model).items():
        here = seen[name]
        order = np.argsort(-here.largest)
        few = np.sort(order[:SPARED])
        rest = here.largest[order[SPARED:]]
        if not rest.size or rest[0] > _SHRINKS * here.largest[order[0]]:
            continue
        kept = np.ones(here.largest.size, np.float32)
        kept[few] = 0
        here.largest[few] = 0
        here.gram[few], here.gram[:, few] = 0, 0
        model.graph.initializer.extend(
            (
                numpy_helper.from_array(kept, f"{name}.kept"),
                numpy_helper.from_array(few.astype(np.int64), f"{name}.few"),
            )
        )
        place = _place(model, nodes[0])
        model.graph.node.insert(
            place, helper.make_node("Mul", [name, f"{name}.kept"], [f"{name}.rest"])
        )
        model.graph.node.insert(
            place,
            helper.make_node(
                "Gather",
                [name, f"{name}.few"],
                [f"{name}.outliers"],
                name=f"{name}.outliers",
                axis=-1,
            ),
        )
        floats.append(f"{name}.outliers")
        for node in nodes:
            matrix = weights[node.input[1]]
            values = numpy_helper.to_array(matrix).copy()
            model.graph.initializer.append(
                numpy_helper.from_array(values[few], f"{matrix.name}.few")
            )
            values[few] = 0
            matrix.CopyFrom(numpy_helper.from_array(values, matrix.name))
            floats.append(_apart(model, node, name))
    return floats


def _apart(model: ModelProto, node: NodeProto, name: str) -> str:
    """Make the product a sum of two; the name of the one that stays of floats."""
    output = node.output[0]
    node.input[0], node.output[0] = f"{name}.rest", f"{output}.rest"
    product = helper.make_node(
        "MatMul",
        [f"{name}.outliers", f"{node.input[1]}.few"],
        [f"{output}.outliers"],
        name=f"{node.name}.outliers",
    )
    total = helper.make_node("Add", [node.output[0], product.output[0]], [output])
    place = _place(model, node)
    for added in (total, product):
        model.graph.node.insert(place + 1, added)
    return product.name


def _place(model: ModelProto, node: NodeProto) -> int:
    return next(n for n, other in enumerate(model.graph.node) if other == node)
