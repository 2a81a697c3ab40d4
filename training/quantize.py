"""The quantize stage: int8 weights, in a folder that the library can load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from optimum.onnxruntime import ORTQuantizer
from optimum.onnxruntime.configuration import AutoQuantizationConfig

from .config import Config
from .errors import PipelineError
from .folder import stripped, write_statement
from .stage import write_atomically

__all__ = ["make"]

LARGEST = 25_000_000


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Quantize, and write a bundle that has no operating points yet."""
    settings = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
    # Seven bits on purpose: on processors without VNNI, sums of products of eight-bit
    # weights overflow, and the same text would score differently there.
    settings.reduce_range = True
    quantizer = ORTQuantizer(needed["export"] / "model.onnx")
    scratch = out / "scratch"
    quantizer.quantize(quantization_config=settings, save_dir=scratch)
    made = next(scratch.glob("*.onnx"))
    size = made.stat().st_size
    if size > LARGEST:
        raise PipelineError(f"the int8 model has {size:,} bytes, more than {LARGEST:,}")
    shutil.move(made, out / "model.onnx")
    shutil.rmtree(scratch)
    tokenizer = (config.encoder_folder() / "tokenizer.json").read_bytes()
    write_atomically(out / "tokenizer.json", stripped(tokenizer))
    heads = json.loads((needed["export"] / "config.json").read_bytes())["heads"]
    write_statement(
        out,
        {
            "name": config.name,
            "heads": heads,
            "window": config.data.window,
            "overlap": config.data.overlap,
            "operating_points": [],
        },
    )
