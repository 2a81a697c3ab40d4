"""A model that ends after its first layers where a text is clear by then.

Most texts are ordinary, and few layers see that. The heads after the first layers
answer for those; for the others the pass goes on, and the heads after all layers
answer (early exit: Teerapittayanon et al. 2016, BranchyNet; Xin et al. 2020, DeeBERT).
It is one graph with an ``If`` in it, so that whoever runs it need not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from .model import EARLY

__all__ = ["branched", "early_names"]


def early_names(model: ModelProto) -> list[str]:
    """The outputs of the first layers; none where the model has no early heads."""
    return [o.name for o in model.graph.output if o.name.startswith(EARLY)]


def branched(model: ModelProto, bounds: Mapping[str, Sequence[float]]) -> ModelProto:
    """The model with its later layers behind a condition.

    Args:
        model: Has an output for each head, and one of the first layers for each.
        bounds: By head, a logit for each label. A text whose early logits are all
            below theirs is clear, and its early logits are the answer.

    Returns:
        A model of one window with the outputs of the heads alone.
    """
    heads = list(bounds)
    nodes = list(model.graph.node)
    makers = {name: node for node in nodes for name in node.output}
    first = _behind([EARLY + head for head in heads], makers)
    later = _behind(heads, makers) - first
    kept = [node for node in nodes if id(node) in first]
    moved = [node for node in nodes if id(node) in later]
    used = {name for node in kept for name in node.input}
    early = [EARLY + head for head in heads]
    inside = [w for w in model.graph.initializer if w.name not in used]
    outside = [w for w in model.graph.initializer if w.name in used]
    limits = np.array([[b for head in heads for b in bounds[head]]], np.float32)
    outside.append(numpy_helper.from_array(limits, "early.bounds"))
    condition = [
        helper.make_node("Concat", early, ["early.logits"], axis=1),
        helper.make_node("Sub", ["early.logits", "early.bounds"], ["early.over"]),
        helper.make_node("ReduceMax", ["early.over"], ["early.most"], keepdims=0),
        helper.make_node("Less", ["early.most", "early.nought"], ["early.clear"]),
    ]
    outside.append(numpy_helper.from_array(np.float32(0.0), "early.nought"))
    shapes = {o.name: o for o in model.graph.output}
    then = helper.make_graph(
        [
            helper.make_node("Identity", [EARLY + head], [f"{head}.early"])
            for head in heads
        ],
        "clear",
        [],
        [_like(shapes[head], f"{head}.early") for head in heads],
    )
    otherwise = helper.make_graph(
        moved, "whole", [], [shapes[head] for head in heads], inside
    )
    # Names are one space over a graph and those within it.
    answers = [f"{head}.answer" for head in heads]
    choice = helper.make_node(
        "If", ["early.clear"], answers, then_branch=then, else_branch=otherwise
    )
    graph = helper.make_graph(
        [*kept, *condition, choice],
        model.graph.name,
        list(model.graph.input),
        [_like(shapes[head], f"{head}.answer") for head in heads],
        outside,
    )
    made = helper.make_model(
        graph,
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
    )
    _rename(made, heads)
    onnx.checker.check_model(made)
    return made


def _behind(names: Iterable[str], makers: Mapping[str, NodeProto]) -> set[int]:
    """The nodes that some values come from."""
    found: set[int] = set()
    left = list(names)
    while left:
        node = makers.get(left.pop())
        if node is not None and id(node) not in found:
            found.add(id(node))
            left += node.input
    return found


def _like(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    columns = value.type.tensor_type.shape.dim[-1].dim_value
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, columns])


def _rename(model: ModelProto, heads: Sequence[str]) -> None:
    """Give the outputs the names of the heads, which a branch had until now."""
    choice = model.graph.node[-1]
    for branch in (a.g for a in choice.attribute if a.name == "else_branch"):
        for node in branch.node:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name in heads:
                        names[place] = f"{name}.late"
        for output in branch.output:
            output.name = f"{output.name}.late"
    for place, head in enumerate(heads):
        choice.output[place] = head
        model.graph.output[place].name = head
