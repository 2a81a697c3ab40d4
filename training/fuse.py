"""Attention as one operator instead of thirty.

The export writes out how heads are cut and joined; ONNX Runtime has an operator for all
of it, which adds the biases, needs no transposed copies, and keeps the products of
queries and keys in the cache (com.microsoft.MultiHeadAttention, ONNX Runtime 1.14).
A window is a run of its own, without padding, so that it needs no mask either.
"""

from __future__ import annotations

import re

import numpy as np
from onnx import GraphProto, ModelProto, helper, numpy_helper

__all__ = ["PARTS", "fuse"]

PARTS = ("query", "key", "value")
"""What attention reads, in the order of its biases."""

_SELF = re.compile(r"(/bert/encoder/layer\.\d+/attention/self)/")
_DOMAIN = "com.microsoft"


def fuse(model: ModelProto, heads: int) -> int:
    """Replace the attention of every layer; how many there were.

    Args:
        model: As the export or the quantize stage writes it; changed in place.
        heads: Attention heads of a layer.
    """
    graph = model.graph
    layers = dict.fromkeys(
        match[1] for node in graph.node if (match := _SELF.match(node.name))
    )
    for name in layers:
        _layer(graph, name, heads)
    if layers:
        _drop_unused(graph)
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return len(layers)


def _layer(graph: GraphProto, name: str, heads: int) -> None:
    held = {w.name: w for w in graph.initializer}
    named = {node.name: node for node in graph.node}
    sums = [named[f"{name}/{part}/Add"] for part in PARTS]
    biases = [next(i for i in node.input if i in held) for node in sums]
    read = [next(i for i in node.input if i not in held) for node in sums]
    values = [numpy_helper.to_array(held[bias]) for bias in biases]
    together = numpy_helper.from_array(np.concatenate(values), f"{name}/bias")
    graph.initializer.append(together)
    # The last of them joins the heads again.
    place, joined = [
        (place, node)
        for place, node in enumerate(graph.node)
        if node.op_type == "Reshape" and node.name.startswith(f"{name}/")
    ][-1]
    attention = helper.make_node(
        "MultiHeadAttention",
        [*read, together.name],
        [joined.output[0]],
        name=f"{name}/MultiHeadAttention",
        domain=_DOMAIN,
        num_heads=heads,
    )
    graph.node.remove(joined)
    graph.node.insert(place, attention)


def _drop_unused(graph: GraphProto) -> None:
    """Take out what nothing reads any more."""
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
