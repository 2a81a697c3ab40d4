"""The quantize stage: int8 weights, in a folder that the library can load."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tqdm import tqdm

from promptguard.runtime.encode import Encoder

from .branch import bound, branched, has_early
from .config import Config
from .errors import PipelineError
from .folder import stripped, write_statement
from .fuse import biases_first, flat, fuse
from .model import EARLY
from .outliers import Feed, Seen, observe, products, spare
from .rounding import rounded
from .rows import Row, read_rows
from .stage import write_atomically

__all__ = ["drawn", "make", "measured", "quantize"]

LARGEST = 25_000_000

# Training rows that are run to see what the weights are multiplied by.
_ROWS = 128
# Seven bits on purpose: on processors without VNNI, sums of two products of eight-bit
# weights overflow, and the same text would score differently there.
_MOST = 64
# From this logit on the whole pass is said to find a label: operating points with few
# false positives lie higher.
_LIKELY = -1.0
# The model before its later layers went behind a condition, to hold it against.
_UNBRANCHED = "unbranched.onnx"


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Quantize, and write a bundle that has no operating points yet."""
    tokenizer = stripped((needed["adapt"] / "tokenizer.json").read_bytes())
    write_atomically(out / "tokenizer.json", tokenizer)
    encoder = Encoder(tokenizer, config.data.window, config.data.overlap)
    model = onnx.load(needed["export"] / "model.onnx")
    if config.task.model == "decoder":
        rows = read_rows(needed["augment"] / "train.jsonl.gz")
        feeds = list(drawn(rows, encoder, config.seed))
        quantize_decoder(needed["export"] / "model.onnx", feeds, config, out)
        _state(config, json.loads((needed["export"] / "config.json").read_bytes()), out)
        return
    settings = json.loads((needed["export"] / "config.json").read_bytes())
    fuse(model, settings["num_attention_heads"])
    rows = read_rows(needed["augment"] / "train.jsonl.gz")
    seen = observe(model, drawn(rows, encoder, config.seed))
    quantize(model, seen, out / "model.onnx")
    if has_early(model):
        held_out = read_rows(needed["augment"] / "heldout.jsonl.gz")
        (out / "model.onnx").rename(out / _UNBRANCHED)
        whole = onnx.load(out / _UNBRANCHED)
        bounds = measured(out / _UNBRANCHED, settings["heads"], held_out, encoder)
        onnx.save(branched(whole, bounds), out / "model.onnx")
    size = (out / "model.onnx").stat().st_size
    # Of a task, nothing is shipped with the library.
    if size > LARGEST and not config.task:
        raise PipelineError(f"the int8 model has {size:,} bytes, more than {LARGEST:,}")
    _state(config, settings, out)


def _state(config: Config, settings: Mapping[str, Any], out: Path) -> None:
    tokens = settings.get("token_heads") or {}
    write_statement(
        out,
        {
            "name": config.name,
            "heads": settings["heads"],
            **({"token_heads": tokens} if tokens else {}),
            "window": config.data.window,
            "overlap": config.data.overlap,
            "operating_points": [],
        },
    )


def quantize_decoder(
    source: Path, feeds: Sequence[Feed], config: Config, out: Path
) -> None:
    """Write int8 weights if they decide as the floats do, else the floats.

    What rounding does to a decoder depends on its size and training, so that it is
    measured; ``int8.json`` says what was found.
    """
    file = out / "model.onnx"
    quantize_dynamic(
        source,
        file,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    quantized = onnx.load(file)
    _shrink_tables(quantized)
    onnx.save(quantized, file)
    names = list(config.heads)
    # A decoder is not told whose text it is.
    feeds = [{k: v for k, v in f.items() if k != "token_type_ids"} for f in feeds]
    pairs = []
    sessions = [
        ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in (source, file)
    ]
    for feed in feeds:
        one, other = (np.concatenate(s.run(names, feed), 1) for s in sessions)
        pairs.append((one, other))
    same = float(np.mean([(a > 0) == (b > 0) for a, b in pairs]))
    largest = max(float(np.abs(a - b).max()) for a, b in pairs)
    kept = same >= config.task.same
    sizes = [path.stat().st_size for path in (source, file)]
    found = {
        "weights": "int8" if kept else "float32",
        "windows": len(pairs),
        "same decisions": same,
        "demanded": config.task.same,
        "largest difference of a logit": largest,
        "bytes": {"float32": sizes[0], "int8": sizes[1]},
    }
    if not kept:
        shutil.copy(source, file)
    write_atomically(out / "int8.json", json.dumps(found, indent=1).encode())
    print(
        f"int8 decides as float32 on {same:.2%} of {len(pairs)} windows: the weights "
        f"stay {found['weights']}"
    )


def quantize(model: ModelProto, seen: Mapping[str, Seen], file: Path) -> None:
    """Write the int8 model.

    Args:
        model: Changed on the way.
        seen: What its weights are multiplied by; changed to match.
    """
    floats = spare(model, seen)
    quantize_dynamic(
        model,
        file,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=floats,
        # ONNX's own inference of shapes does not know the operators of ONNX Runtime.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    quantized = onnx.load(file)
    _round(model, seen, quantized)
    _shrink_tables(quantized)
    biases_first(quantized)
    flat(quantized)
    onnx.save(quantized, file)


def measured(
    file: Path,
    heads: Mapping[str, Sequence[str]],
    rows: Sequence[Row],
    encoder: Encoder,
) -> dict[str, list[float]]:
    """By head and label, the early logit below which a text is clear, from rows.

    It says what comes of it: how many of the rows end early.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [*heads, *(EARLY + head for head in heads)]
    found = []
    kept = []
    for row, feed in _feeds(rows, encoder):
        values = session.run(names, feed)
        late, early = values[: len(heads)], values[len(heads) :]
        found.append((np.concatenate(late, 1)[0], np.concatenate(early, 1)[0]))
        kept.append(row)
    bounds: dict[str, list[float]] = {}
    column = 0
    for head, labels in heads.items():
        bounds[head] = []
        for _ in labels:
            # What the whole pass holds for likely, whatever the row's own label.
            likely = [float(e[column]) for late, e in found if late[column] > _LIKELY]
            bounds[head].append(bound(likely))
            column += 1
    limits = np.array([each for head in heads for each in bounds[head]])
    clear = [bool((early < limits).all()) for _, early in found]
    for kind in (True, False):
        part = [c for row, c in zip(kept, clear, strict=True) if row.positive is kind]
        name = "with a label" if kind else "without one"
        print(f"{sum(part):,} of {len(part):,} held-out rows {name} end early")
    return bounds


def drawn(rows: Sequence[Row], encoder: Encoder, seed: int) -> Iterator[Feed]:
    """Windows to see what the weights are multiplied by."""
    rng = random.Random(f"{seed}:quantize")
    some = rng.sample(list(rows), min(_ROWS, len(rows)))
    return (feed for _, feed in _feeds(some, encoder))


def _feeds(rows: Sequence[Row], encoder: Encoder) -> Iterator[tuple[Row, Feed]]:
    """The first window of rows that have one, as the model takes it."""
    for row in tqdm(rows, "observe", unit="row"):
        pieces = encoder.encode(row.text).pieces
        if not pieces:
            continue
        ids = np.array([pieces[0].ids], np.int64)
        yield (
            row,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.full_like(ids, int(row.role == "tool")),
            },
        )


def _round(model: ModelProto, seen: Mapping[str, Seen], quantized: ModelProto) -> None:
    """Put better whole numbers in the place of those that were rounded one by one."""
    weights = {w.name: w for w in model.graph.initializer}
    whole = {w.name: w for w in quantized.graph.initializer}
    for name, nodes in tqdm(products(model).items(), "round", unit="matrix"):
        for node in nodes:
            matrix = node.input[1]
            kept = whole.get(f"{matrix}_quantized"), whole.get(f"{matrix}_scale")
            if kept[0] is None or kept[1] is None:
                # One of those that stay floats.
                continue
            values = numpy_helper.to_array(weights[matrix])
            source = name.removesuffix(".rest")
            for tensor, made in zip(
                kept, rounded(values, seen[source].gram, _MOST), strict=True
            ):
                tensor.CopyFrom(numpy_helper.from_array(made, tensor.name))


def _shrink_tables(model: ModelProto) -> None:
    """Embeddings as eight bits with a scale for each row: for each token.

    One scale for all of a table, as the quantizer would have it, is that of its largest
    number, and was the largest part of what int8 changed. Nothing is multiplied here,
    so that nothing can overflow.
    """
    graph = model.graph
    uses = Counter(name for node in graph.node for name in node.input)
    tables = {
        w.name: w for w in graph.initializer if len(w.dims) == 2 and uses[w.name] == 1
    }
    for node in [n for n in graph.node if n.op_type == "Gather"]:
        name, places = node.input
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if name not in tables or axis != 0:
            continue
        values = numpy_helper.to_array(tables[name])
        if values.dtype != np.float32:
            continue
        scale = np.abs(values).max(1, keepdims=True) / 127
        scale[scale == 0] = 1.0
        whole = np.round(values / scale).astype(np.int8)
        graph.initializer.extend(
            (
                numpy_helper.from_array(whole, f"{name}.whole"),
                numpy_helper.from_array(scale, f"{name}.scale"),
            )
        )
        made = (
            helper.make_node("Gather", [f"{name}.whole", places], [f"{name}.row"]),
            helper.make_node("Gather", [f"{name}.scale", places], [f"{name}.factor"]),
            helper.make_node(
                "Cast",
                [f"{name}.row"],
                [f"{name}.float"],
                to=onnx.TensorProto.FLOAT,
            ),
            helper.make_node(
                "Mul", [f"{name}.float", f"{name}.factor"], list(node.output)
            ),
        )
        place = list(graph.node).index(node)
        graph.node.remove(node)
        for added in reversed(made):
            graph.node.insert(place, added)
        graph.initializer.remove(tables.pop(name))
