"""Attention as one operator instead of thirty.

The export writes out how heads are cut and joined; ONNX Runtime has an operator for all
of it, which adds the biases, needs no transposed copies, and keeps the products of
queries and keys in the cache (com.microsoft.MultiHeadAttention, ONNX Runtime 1.14).
A window is a run of its own, without padding, so that it needs no mask either.
"""

from __future__ import annotations

import re

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

__all__ = ["PARTS", "fuse"]

_SELF = re.compile(r"(/bert/encoder/layer\.\d+/attention/self)/")
PARTS = ("query", "key", "value")
_DOMAIN = "com.microsoft"


def fuse(model: ModelProto, heads: int) -> int:
    """Replace the attention of every layer; how many there were.

    Args:
        model: As the export stage writes it; changed in place.
        heads: Attention heads of a layer.
    """
    layers = dict.fromkeys(
        match[1] for node in model.graph.node if (match := _SELF.match(node.name))
    )
    for name in layers:
        _layer(model, name, heads)
    if layers:
        _drop_unused(model)
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return len(layers)


def _layer(model: ModelProto, name: str, heads: int) -> None:
    graph = model.graph
    held = {w.name: w for w in graph.initializer}
    own = [node for node in graph.node if node.name.startswith(f"{name}/")]
    by_name = {node.name: node for node in own}
    products = [by_name[f"{name}/{part}/MatMul"] for part in PARTS]
    biases = [_bias(by_name[f"{name}/{part}/Add"], held) for part in PARTS]
    # What the heads are joined into, which the next product reads.
    (output,) = (
        node.output[0]
        for node in own
        if node.op_type == "Reshape" and _leaves(model, node, name)
    )
    graph.initializer.append(
        numpy_helper.from_array(np.concatenate(biases), f"{name}/bias")
    )
    attention = helper.make_node(
        "MultiHeadAttention",
        [*(product.output[0] for product in products), f"{name}/bias"],
        [output],
        name=f"{name}/MultiHeadAttention",
        domain=_DOMAIN,
        num_heads=heads,
    )
    places = [n for n, node in enumerate(graph.node) if node.name in by_name]
    kept = {node.name for node in products}
    nodes = [
        node for node in graph.node if node.name not in by_name or node.name in kept
    ]
    last = graph.node[places[-1]].name
    after = next(n for n, node in enumerate(nodes) if node.name == products[-1].name)
    assert last not in kept
    nodes.insert(after + 1, attention)
    del graph.node[:]
    graph.node.extend(nodes)


def _bias(node: NodeProto, held: dict[str, object]) -> np.ndarray:
    (name,) = (name for name in node.input if name in held)
    return numpy_helper.to_array(held[name])


def _leaves(model: ModelProto, node: NodeProto, name: str) -> bool:
    return any(
        node.output[0] in other.input and not other.name.startswith(f"{name}/")
        for other in model.graph.node
    )


def _drop_unused(model: ModelProto) -> None:
    """Take out what nothing reads any more."""
    graph = model.graph
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [w for w in graph.initializer if w.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(weights)
