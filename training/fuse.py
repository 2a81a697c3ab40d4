"""The graph in the shape that ONNX Runtime is fastest at, with the same numbers.

**Attention is one operator** instead of thirty: the export writes out how heads are cut
and joined, where ONNX Runtime needs no transposed copies and keeps the products of
queries and keys in the cache (com.microsoft.MultiHeadAttention, ONNX Runtime 1.14). A
window is a run of its own, without padding, so that it needs no mask either.

**A bias is added to the int8 product** before the floats of the outlier channels are,
instead of after: next to each other, ONNX Runtime makes one operator of the product and
its bias (and of a bias and what follows it none that is slower than its parts).

**The layers read a matrix**, tokens by channels, because ``Gemm`` takes no more, and it
adds the product of the outlier channels to the rest without a pass of its own.
"""

from __future__ import annotations

import re

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from .outliers import APART

__all__ = ["biases_first", "flat", "fuse"]

_SELF = re.compile(r"(/bert/encoder/layer\.\d+/attention/self)/")
_PARTS = ("query", "key", "value")
_ATTENTION, _DOMAIN = "MultiHeadAttention", "com.microsoft"
_FIRST = "/bert/embeddings/LayerNorm/LayerNormalization"
_LAST = re.compile(r"/bert/encoder/layer\.\d+/output/LayerNorm/LayerNormalization")
_MATRIX, _WINDOW = ".matrix", ".window"


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
        apart = [name for name in inner.input if name.endswith(APART)]
        if len(apart) == 1:
            (product,) = set(inner.input) - set(apart)
            (bias,) = set(total.input) - {read}
            inner.input[:] = [product, bias]
            total.input[:] = [read, apart[0]]
            count += 1
    return count


def flat(model: ModelProto) -> int:
    """Let the layers read matrices, and add outliers by Gemm; to how many products.

    Args:
        model: As ``fuse`` and ``biases_first`` leave it, of one window a run; changed
            in place. Attention that is written out is left as it is.
    """
    graph = model.graph
    named = {node.name: node for node in graph.node}
    layers = [name for name in named if _LAST.fullmatch(name)]
    done = any(w.name == f"shape{_MATRIX}" for w in graph.initializer)
    fused = any(node.op_type == _ATTENTION for node in graph.node)
    if done or not fused or _FIRST not in named or not layers:
        return 0
    first, last = named[_FIRST].output[0], named[layers[-1]].output[0]
    produced = _between(graph, first, last)
    width = numpy_helper.to_array(
        next(w for w in graph.initializer if w.name == named[_FIRST].input[1])
    ).size
    for shape, values in ((_MATRIX, (-1, width)), (_WINDOW, (1, -1, width))):
        graph.initializer.append(
            numpy_helper.from_array(np.array(values, np.int64), f"shape{shape}")
        )
    nodes: list[NodeProto] = []
    reshaped: set[str] = set()

    def as_shape(name: str, shape: str) -> str:
        made = f"{name}{shape}"
        if made not in reshaped:
            reshaped.add(made)
            nodes.append(
                helper.make_node("Reshape", [name, f"shape{shape}"], [made], name=made)
            )
        return made

    for node in graph.node:
        if node.output[0] not in produced:
            for place, name in enumerate(node.input):
                if name in produced:
                    node.input[place] = as_shape(name, _WINDOW)
            nodes.append(node)
        elif node.op_type == _ATTENTION:
            node.input[:] = [as_shape(name, _WINDOW) for name in node.input]
            (output,) = node.output
            node.output[0] = f"{output}{_WINDOW}"
            nodes.append(node)
            nodes.append(
                helper.make_node(
                    "Reshape",
                    [node.output[0], f"shape{_MATRIX}"],
                    [output],
                    name=output,
                )
            )
        else:
            for place, name in enumerate(node.input):
                if name == first:
                    node.input[place] = as_shape(name, _MATRIX)
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    # They state shapes that are no longer so.
    del graph.value_info[:]
    return _gemms(graph)


def _between(graph: GraphProto, first: str, last: str) -> set[str]:
    """What is made on the way from one tensor to another."""
    after = {first}
    for node in graph.node:
        if after.intersection(node.input):
            after.update(node.output)
    wanted = {last}
    found: set[str] = set()
    for node in reversed(graph.node):
        if wanted.intersection(node.output) and after.intersection(node.input):
            wanted.update(node.input)
            found.update(node.output)
    return found


def _gemms(graph: GraphProto) -> int:
    """Add what is multiplied apart where it is multiplied."""
    apart = {
        node.output[0]: list(node.input)
        for node in graph.node
        if node.op_type == "MatMul" and node.output[0].endswith(APART)
    }
    count = 0
    for node in graph.node:
        product = apart.keys() & set(node.input)
        if node.op_type == "Add" and product:
            (rest,) = set(node.input) - product
            node.op_type, node.name = "Gemm", node.output[0]
            node.input[:] = [*apart[product.pop()], rest]
            count += 1
    _drop_unused(graph)
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
        _ATTENTION,
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
