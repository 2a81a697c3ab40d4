"""An encoder of a few kilobytes with random weights, written without torch."""

from __future__ import annotations

import json
import random
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..stage import write_atomically
from .tiny import pieces, tokenizer

__all__ = ["POSITIONS", "layer", "safetensors", "write_encoder"]

POSITIONS = 64
_WIDTH, _INNER, _LAYERS, _HEADS = 32, 64, 2, 2
# Of BERT's weights before training.
_SPREAD = 0.02


def write_encoder(folder: Path, words: Iterable[str], seed: int = 0) -> None:
    """Write config.json, model.safetensors and tokenizer.json, as an encoder has them.

    Args:
        folder: Made if it is not there.
        words: The words it knows; others it spells.
        seed: Of the weights. The same arguments always give the same bytes.
    """
    vocabulary = {piece: number for number, piece in enumerate(pieces(words))}
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocabulary),
        "hidden_size": _WIDTH,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "intermediate_size": _INNER,
        "max_position_embeddings": POSITIONS,
    }
    table = tokenizer(vocabulary)
    # As published ones have it; whoever forgets to take it off sees it at once.
    table["padding"] = {
        "strategy": {"Fixed": 128},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    weights = safetensors(_weights(len(vocabulary)), random.Random(seed))
    write_atomically(folder / "config.json", json.dumps(config).encode())
    write_atomically(folder / "tokenizer.json", json.dumps(table).encode())
    write_atomically(folder / "model.safetensors", weights)


def _weights(size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, as BERT has them in transformers."""
    yield "embeddings.word_embeddings.weight", (size, _WIDTH)
    yield "embeddings.position_embeddings.weight", (POSITIONS, _WIDTH)
    yield "embeddings.token_type_embeddings.weight", (2, _WIDTH)
    yield from layer("embeddings.LayerNorm", (_WIDTH,))
    for number in range(_LAYERS):
        name = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            yield from layer(f"{name}.attention.self.{part}", (_WIDTH, _WIDTH))
        yield from layer(f"{name}.attention.output.dense", (_WIDTH, _WIDTH))
        yield from layer(f"{name}.attention.output.LayerNorm", (_WIDTH,))
        yield from layer(f"{name}.intermediate.dense", (_INNER, _WIDTH))
        yield from layer(f"{name}.output.dense", (_WIDTH, _INNER))
        yield from layer(f"{name}.output.LayerNorm", (_WIDTH,))


def layer(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def safetensors(
    weights: Iterable[tuple[str, tuple[int, ...]]], draw: random.Random
) -> bytes:
    """The format of https://huggingface.co/docs/safetensors: a header, then numbers."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    content = bytearray()
    for name, shape in weights:
        begin, count = len(content), shape[0] * (shape[1] if len(shape) == 2 else 1)
        if name.endswith(".bias"):
            values = array("f", bytes(4 * count))
        elif len(shape) == 1:
            values = array("f", [1.0]) * count
        else:
            values = array("f", (draw.gauss(0, _SPREAD) for _ in range(count)))
        if sys.byteorder == "big":
            values.byteswap()
        content += values.tobytes()
        place = [begin, len(content)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": place}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content
