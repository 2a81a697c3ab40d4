"""A model that ends after its first layers where a text is clear by then.

Most texts are ordinary, and few layers see that. The heads after the first layers
answer for those; for the others the pass goes on, and the heads after all layers
answer (early exit: Teerapittayanon et al. 2016, BranchyNet; Xin et al. 2020, DeeBERT).
It is one graph with an ``If`` in it, so that whoever runs it need not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnx.numpy_helper import from_array

from promptguard.runtime.infer import WHOLE

from .model import EARLY

__all__ = ["LOST", "bound", "branched", "has_early"]

LOST = 0.001
"""Of the texts in which the whole pass finds a label, so many may end early."""

_LATE = ".late"


def has_early(model: ModelProto) -> bool:
    """Whether there are heads after the first layers."""
    return any(output.name.startswith(EARLY) for output in model.graph.output)


def bound(early: Sequence[float], lost: float = LOST) -> float:
    """The early logit below which a text is clear of a label.

    Args:
        early: Early logits of texts in which the whole pass finds the label. Without
            any, nothing is known, and no text is clear.
    """
    if not early:
        return -math.inf
    return sorted(early)[math.floor(lost * len(early))]


def branched(model: ModelProto, bounds: Mapping[str, Sequence[float]]) -> ModelProto:
    """The model with its later layers behind a condition.

    Args:
        model: Has an output for each head, and one of the first layers for each.
        bounds: By head, a logit for each label. A text whose early logits are all
            below theirs is clear, and its early logits are the answer; a head over
            tokens then has no tokens.

    Returns:
        A model of one window, without the outputs of the first layers. Its input
        ``whole`` is true where all layers are wanted for any text.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    heads = list(bounds)
    early = [EARLY + head for head in heads]
    answers = [o for o in model.graph.output if not o.name.startswith(EARLY)]
    first = _behind(early, makers)
    later = _behind([o.name for o in answers], makers) - first
    kept = [node for node in model.graph.node if id(node) in first]
    moved = [node for node in model.graph.node if id(node) in later]
    used = {name for node in kept for name in node.input}
    limits = np.array([[each for head in heads for each in bounds[head]]], np.float32)
    outside = [w for w in model.graph.initializer if w.name in used]
    outside += [
        from_array(limits, "clear.bounds"),
        from_array(np.float32(0.0), "clear.nought"),
    ]
    condition = [
        helper.make_node("Concat", early, ["clear.logits"], axis=1),
        helper.make_node("Sub", ["clear.logits", "clear.bounds"], ["clear.over"]),
        helper.make_node("ReduceMax", ["clear.over"], ["clear.most"], keepdims=0),
        helper.make_node("Less", ["clear.most", "clear.nought"], ["clear.clear"]),
        helper.make_node("Not", [WHOLE], ["clear.enough"]),
        helper.make_node("And", ["clear.clear", "clear.enough"], ["clear.ends"]),
    ]
    choice = helper.make_node(
        "If",
        ["clear.ends"],
        [output.name for output in answers],
        then_branch=_ended(answers, heads),
        else_branch=helper.make_graph(
            [_late(node, answers) for node in moved],
            "later",
            [],
            [_like(output, output.name + _LATE) for output in answers],
            [w for w in model.graph.initializer if w.name not in used],
        ),
    )
    graph = helper.make_graph(
        [*kept, *condition, choice],
        model.graph.name,
        [
            *model.graph.input,
            helper.make_tensor_value_info(WHOLE, TensorProto.BOOL, []),
        ],
        answers,
        outside,
    )
    made = helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )
    onnx.checker.check_model(made)
    return made


def _ended(answers: Sequence[ValueInfoProto], heads: Sequence[str]) -> onnx.GraphProto:
    """What a clear text is answered."""
    nodes, outputs, constants = [], [], []
    for answer in answers:
        name = f"{answer.name}.ended"
        source = EARLY + answer.name
        if answer.name not in heads:
            source = f"{answer.name}.none"
            none: NDArray[np.float32] = np.zeros((1, 0, _columns(answer)), np.float32)
            constants.append(from_array(none, source))
        nodes.append(helper.make_node("Identity", [source], [name]))
        outputs.append(_like(answer, name))
    return helper.make_graph(nodes, "ended", [], outputs, constants)


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


def _late(node: NodeProto, answers: Sequence[ValueInfoProto]) -> NodeProto:
    """The node with outputs of its own: names are one space over nested graphs."""
    named = {answer.name for answer in answers}
    copy = NodeProto()
    copy.CopyFrom(node)
    for names in (copy.input, copy.output):
        for place, name in enumerate(names):
            if name in named:
                names[place] = name + _LATE
    return copy


def _like(value: ValueInfoProto, name: str) -> ValueInfoProto:
    copy = ValueInfoProto()
    copy.CopyFrom(value)
    copy.name = name
    return copy


def _columns(value: ValueInfoProto) -> int:
    return int(value.type.tensor_type.shape.dim[-1].dim_value)
