"""A decoder of a few kilobytes with random weights, written without torch."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from ..stage import write_atomically
from .encoder import POSITIONS, layer, safetensors

__all__ = ["write_decoder"]

_WIDTH, _LAYERS, _HEADS = 32, 2, 2
_PIECES = 400
_END = "<|endoftext|>"


def write_decoder(folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write config.json, model.safetensors and tokenizer.json, as GPT-2 has them.

    Args:
        folder: Made if it is not there.
        texts: What its pieces are learnt from; any other text it spells in bytes.
        seed: Of the weights. The same arguments always give the same bytes.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=_PIECES,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        special_tokens=[_END],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    size = tokenizer.get_vocab_size()
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": size,
        "n_embd": _WIDTH,
        "n_layer": _LAYERS,
        "n_head": _HEADS,
        "n_positions": POSITIONS,
        # GPT-2 has no token for padding either.
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors(_weights(size), random.Random(seed))
    write_atomically(folder / "config.json", json.dumps(config).encode())
    write_atomically(folder / "tokenizer.json", tokenizer.to_str().encode())
    write_atomically(folder / "model.safetensors", weights)


def _weights(size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, as GPT-2 has them in transformers."""
    yield "wte.weight", (size, _WIDTH)
    yield "wpe.weight", (POSITIONS, _WIDTH)
    for number in range(_LAYERS):
        name = f"h.{number}"
        yield from layer(f"{name}.ln_1", (_WIDTH,))
        yield from _turned(f"{name}.attn.c_attn", _WIDTH, 3 * _WIDTH)
        yield from _turned(f"{name}.attn.c_proj", _WIDTH, _WIDTH)
        yield from layer(f"{name}.ln_2", (_WIDTH,))
        yield from _turned(f"{name}.mlp.c_fc", _WIDTH, 4 * _WIDTH)
        yield from _turned(f"{name}.mlp.c_proj", 4 * _WIDTH, _WIDTH)
    yield from layer("ln_f", (_WIDTH,))


def _turned(name: str, wide: int, out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A layer as GPT-2 keeps it: the other way round than a linear one."""
    yield f"{name}.weight", (wide, out)
    yield f"{name}.bias", (out,)
