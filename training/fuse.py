"""The graph in the shape that ONNX Runtime is fastest at, with the same numbers.

**Attention is one operator** instead of thirty: the export writes out how heads are cut
and joined, where ONNX Runtime needs no transposed copies and keeps the products of
queries and keys in the cache (com.microsoft.MultiHeadAttention, ONNX Runtime 1.14). A
window is a run of its own, without padding, so that it needs no mask either.

**A bias is added to the int8 product** before the floats of the outlier channels are,
instead of after: next to each other, ONNX Runtime makes one operator of the product and
its bias (and of a bias and what follows it none that is slower than its parts).
"""

from __future__ import annotations

import re

from onnx import GraphProto, ModelProto, helper

__all__ = ["biases_first", "fuse"]

_SELF = re.compile(r"(/bert/encoder/layer\.\d+/attention/self)/")
_PARTS = ("query", "key", "value")
_DOMAIN = "com.microsoft"
_OUTLIERS = ".outliers"


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


def biases_first(model: ModelProto) -> int:
    """Change the order of sums of a product, its outliers and its bias; how many.

    Args:
        model: As the quantize stage writes it; changed in place.
    """
    graph = model.graph
    held = {w.name for w in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}
    count = 0
    for total in graph.node:
        if total.op_type != "Add" or not held.intersection(total.input):
            continue
        (read,) = set(total.input) - held
        inner = made.get(read)
        if inner is None or inner.op_type != "Add":
            continue
        apart = [name for name in inner.input if name.endswith(_OUTLIERS)]
        if len(apart) == 1:
            (product,) = set(inner.input) - set(apart)
            (bias,) = set(total.input) - {read}
            inner.input[:] = [product, bias]
            total.input[:] = [read, apart[0]]
            count += 1
    return count


def _layer(graph: GraphProto, name: str, heads: int) -> None:
    named = {node.name: node for node in graph.node}
    # The last of them joins the heads again.
    place, joined = [
        (place, node)
        for place, node in enumerate(graph.node)
        if node.op_type == "Reshape" and node.name.startswith(f"{name}/")
    ][-1]
    attention = helper.make_node(
        "MultiHeadAttention",
        [named[f"{name}/{part}/Add"].output[0] for part in _PARTS],
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
