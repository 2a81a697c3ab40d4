"""The export stage: the model as one ONNX file that gives the same logits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import BertOnnxConfig
from transformers import BertConfig

from . import decoder
from .config import Config
from .errors import PipelineError
from .model import EARLY, Classifier, token_heads

__all__ = ["make", "parity"]

TOLERANCE = 1e-4
_SHAPES = ((1, 3), (1, 16), (1, 254), (4, 40))


class _HeadsOnnxConfig(BertOnnxConfig):
    """One output for each head, named after it."""

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return {
            name: {0: "batch_size"}
            | ({1: "sequence_length"} if name in token_heads(self._config) else {})
            for name in outputs(self._config)
        }


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write model.onnx and compare it with the torch model."""
    if config.task.model == "decoder":
        decoder.export(config, needed["temperature"], out)
        return
    model = Classifier.from_pretrained(
        needed["temperature"], attn_implementation="eager"
    ).eval()
    file = out / "model.onnx"
    export(model, _HeadsOnnxConfig(model.config), file, opset=17)
    model.config.save_pretrained(out)
    difference = parity(model, file, config.seed)
    print(f"largest difference to torch: {difference:.2e}")
    if difference > TOLERANCE:
        raise PipelineError(
            f"the exported model differs from torch by {difference:.2e}, more than "
            f"{TOLERANCE:.0e}"
        )


def outputs(config: BertConfig) -> list[str]:
    """What the graph gives: logits by head, those of the first layers, of tokens."""
    heads = list(config.heads)
    early = [EARLY + name for name in heads if config.early]
    return [*heads, *early, *token_heads(config)]


def parity(model: Classifier, file: Path, seed: int) -> float:
    """The largest difference between logits of the two, over several shapes."""
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = outputs(model.config)
    generator = torch.Generator().manual_seed(seed)
    largest = 0.0
    size = model.config.vocab_size
    for rows, length in _SHAPES:
        shape = (rows, min(length, model.config.max_position_embeddings))
        inputs = {
            "input_ids": torch.randint(1, size, shape, generator=generator),
            "attention_mask": torch.ones(shape, dtype=torch.long),
            "token_type_ids": torch.randint(0, 2, shape, generator=generator),
        }
        with torch.inference_mode():
            wanted = model(**inputs)
        given = session.run(names, {k: v.numpy() for k, v in inputs.items()})
        for name, values in zip(names, given, strict=True):
            difference = np.abs(wanted[name].numpy() - values).max()
            largest = max(largest, float(difference))
    return largest
