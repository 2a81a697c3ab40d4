"""Makes a DeBERTa-v3-base classifier with random weights, as an ONNX file.

    python -m benchmarks.peers.deberta FOLDER

Run by the environment of llm-guard, whose scanners download such a classifier. Its
trained weights are not on a package index; how long a run takes does not depend on
their values, so the architecture is enough for times, and nothing else is measured.

The configuration is what the paper (arXiv:2111.09543) and the model's public
configuration give. Texts are cut into tokens by the tokenizer of this repository, which
makes about as many of them from English as the model's own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "TOKENIZER"]

FOLDER = Path(sys.prefix) / "deberta-v3-base"
TOKENIZER = Path(__file__).parents[2] / "src/promptguard/models/tokenizer.json"


def make(folder: Path) -> None:
    """Write configuration, tokenizer and graph, unless the graph is there."""
    if (folder / "model.onnx").is_file():
        return
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.DebertaV2Config(
        vocab_size=128_100,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
        type_vocab_size=0,
        layer_norm_eps=1e-7,
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        max_relative_positions=-1,
        id2label={0: "SAFE", 1: "INJECTION"},
        label2id={"SAFE": 0, "INJECTION": 1},
    )
    model = transformers.DebertaV2ForSequenceClassification(config).eval()
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(TOKENIZER),
        pad_token="[PAD]",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )
    tokenizer.save_pretrained(folder)
    some: Any = tokenizer("a text that is long enough to trace", return_tensors="pt")
    axes = {0: "batch", 1: "tokens"}
    unfinished = folder / "unfinished.onnx"
    torch.onnx.export(
        model,
        (some["input_ids"], some["attention_mask"]),
        str(unfinished),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_axes={
            "input_ids": axes,
            "attention_mask": axes,
            "logits": {0: "batch"},
        },
        opset_version=17,
        dynamo=False,
    )
    unfinished.replace(folder / "model.onnx")


if __name__ == "__main__":
    make(Path(sys.argv[1]) / FOLDER.name)
