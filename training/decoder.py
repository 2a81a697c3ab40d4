"""A decoder of GPT-2's kind as a classifier: it reads a text from left to right.

``AutoModelForSequenceClassification`` puts a linear layer on what the last token has
come to know. In a batch, the last token is found by what is not padding: without a
token for that, which GPT-2 does not have, it would be the padding itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
)

from .config import Config
from .errors import PipelineError
from .model import Classifier

__all__ = ["Decoder", "export", "from_checkpoint", "trained"]

TOLERANCE = 1e-4
_SHAPES = ((1, 1), (1, 3), (1, 16), (1, 62), (1, 254))
_DROPOUTS = ("attn_pdrop", "embd_pdrop", "resid_pdrop")


class Decoder(nn.Module):
    """A classifier of transformers, with logits by head as the pipeline has them."""

    body = "model.transformer."
    """What the names of the decoder's own weights begin with."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> PretrainedConfig:
        return self.model.config

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device

    def get_input_embeddings(self) -> nn.Module:
        found: nn.Module = self.model.get_input_embeddings()
        return found

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Logits by head. Whose text it is, a decoder is not told."""
        pad = self.config.pad_token_id
        ids = input_ids.masked_fill(attention_mask == 0, pad)
        logits = self.model(
            input_ids=ids, attention_mask=_causal(attention_mask), use_cache=False
        ).logits
        found, first = {}, 0
        for name, labels in self.config.heads.items():
            found[name] = logits[:, first : first + len(labels)]
            first += len(labels)
        return found

    def cool(self, head: str, column: int, temperature: float) -> None:
        """Divide the logits of a label by a temperature, for good."""
        first = 0
        for name, labels in self.config.heads.items():
            if name == head:
                with torch.no_grad():
                    self.model.score.weight[first + column] /= temperature
                return
            first += len(labels)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        self.model.save_pretrained(folder)


def _causal(mask: Tensor) -> Tensor:
    """What each token may look at: rows, 1, tokens, tokens; 0 if it may.

    transformers takes such a mask as it is. The one that it would make itself cannot be
    traced, which an export has to do.
    """
    length = mask.shape[1]
    before = torch.ones((length, length), dtype=torch.bool, device=mask.device).tril()
    seen = before[None, None] & (mask[:, None, None] == 1)
    return torch.zeros_like(seen, dtype=torch.float32).masked_fill(~seen, -1e9)


def from_checkpoint(folder: Path, config: Config) -> Decoder:
    """A classifier with the checkpoint's weights and a layer of its own.

    Raises:
        PipelineError: It is no decoder that transformers classifies with, or its
            windows are shorter than those of the run.
    """
    settings = _settings(folder)
    longest = getattr(settings, "max_position_embeddings", None)
    if longest is not None and config.data.window > longest:
        raise PipelineError(
            f"[data] window is {config.data.window}; the decoder in {config.encoder} "
            f"reads {longest} tokens at most"
        )
    # One pass over few rows is too short to learn them by heart, and it costs time.
    for name in _DROPOUTS:
        if hasattr(settings, name):
            setattr(settings, name, 0.0)
    settings.num_labels = sum(map(len, config.heads.values()))
    settings.heads = {name: list(labels) for name, labels in config.heads.items()}
    settings.pad_token_id = _pad(folder, settings)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, config=settings, attn_implementation="eager"
        )
    except (ValueError, OSError) as error:
        raise PipelineError(
            f"the decoder in {config.encoder} cannot be loaded as a classifier: {error}"
        ) from None
    if not hasattr(model, "transformer") or not hasattr(model, "score"):
        raise PipelineError(
            f"the checkpoint in {config.encoder} is a {settings.model_type}, not a "
            "decoder of GPT-2's kind; set [task] model to 'encoder' if it is one"
        )
    return Decoder(model)


def trained(folder: Path) -> Classifier | Decoder:
    """The model that the train or the temperature stage wrote."""
    settings = json.loads((folder / "config.json").read_bytes())
    if settings["model_type"] == "bert":
        model: Classifier = Classifier.from_pretrained(
            folder, attn_implementation="eager"
        )
        return model
    return Decoder(
        AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager"
        )
    )


def export(config: Config, source: Path, out: Path) -> None:
    """Write model.onnx and compare it with the torch model.

    Raises:
        PipelineError: Its logits are others.
    """
    model = trained(source).eval()
    assert isinstance(model, Decoder)
    file, heads = out / "model.onnx", list(model.config.heads)
    ids = torch.ones((2, 8), dtype=torch.long)
    axes: dict[str, Mapping[int, str]] = {
        name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")
    }
    torch.onnx.export(
        _Tuple(model),
        (ids, torch.ones_like(ids)),
        str(file),
        input_names=["input_ids", "attention_mask"],
        output_names=heads,
        dynamic_axes=axes | {name: {0: "batch"} for name in heads},
        opset_version=17,
        dynamo=False,
    )
    model.config.save_pretrained(out)
    difference = _parity(model, file, heads, config.seed)
    print(f"largest difference to torch: {difference:.2e}")
    if difference > TOLERANCE:
        raise PipelineError(
            f"the exported model differs from torch by {difference:.2e}, more than "
            f"{TOLERANCE:.0e}"
        )


class _Tuple(nn.Module):
    """The same with logits in the order of the heads: an export has no names."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model(ids, mask).values())


def _parity(model: Decoder, file: Path, heads: Sequence[str], seed: int) -> float:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(seed)
    largest, longest = 0.0, model.config.max_position_embeddings
    for rows, length in _SHAPES:
        shape = (rows, min(length, longest))
        ids = torch.randint(model.config.vocab_size - 1, shape, generator=generator)
        mask = torch.ones(shape, dtype=torch.long)
        with torch.inference_mode():
            wanted = model(ids, mask)
        feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        for name, values in zip(heads, session.run(heads, feed), strict=True):
            difference = np.abs(wanted[name].numpy() - values).max()
            largest = max(largest, float(difference))
    return largest


def _settings(folder: Path) -> PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(folder)
    except (ValueError, OSError) as error:
        raise PipelineError(
            f"{folder / 'config.json'} says no model: {error}"
        ) from None


def _pad(folder: Path, settings: PretrainedConfig) -> int:
    """The token that fills up a batch: its own, or what ends a text.

    A text never holds it, because the tokenizer reads what is typed as plain letters.
    """
    if settings.pad_token_id is not None:
        return int(settings.pad_token_id)
    if settings.eos_token_id is not None:
        return int(settings.eos_token_id)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for name in ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>"):
        if (found := tokenizer.token_to_id(name)) is not None:
            return int(found)
    raise PipelineError(
        f"{folder}: the decoder has no token for padding and none that ends a text; "
        "set pad_token_id in its config.json"
    )
