"""The temperature stage: scores become probabilities, on rows held out of training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from .config import Config
from .decoder import trained
from .model import Classifier, token_heads
from .namehead import name_temperature, refit
from .rows import read_rows
from .stage import write_atomically
from .tokenlabels import NAMES, read_marked
from .train import encoder_of, examples, logits_of

# Rows of a class.
_LEAST = 8

__all__ = ["best_temperature", "calibration_error", "least", "make"]


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Fit one temperature for each label and fold it into the head's weights."""
    model = trained(needed["train"]).eval()
    rows = examples(
        encoder_of(config, needed), read_rows(needed["augment"] / "heldout.jsonl.gz")
    )
    logits = logits_of(model, rows)
    report = {}
    for head, labels in model.config.heads.items():
        for column, label in enumerate(labels):
            pairs = [
                (logit, row.labels[label])
                for logit, row in zip(
                    logits[head][:, column].tolist(), rows, strict=True
                )
                if label in row.labels
            ]
            temperature = best_temperature(pairs)
            model.cool(head, column, temperature)
            report[label] = {
                "temperature": temperature,
                "rows": len(pairs),
                "error before": calibration_error(pairs, 1.0),
                "error after": calibration_error(pairs, temperature),
            }
    if isinstance(model, Classifier) and token_heads(model.config):
        encoder = encoder_of(config, needed)
        labels = config.names.labels
        train = read_marked(needed["names"] / "train.jsonl.gz")
        refit(model, encoder, train, labels, config.seed)
        held_out = read_marked(needed["names"] / "heldout.jsonl.gz")
        found = name_temperature(model, encoder, held_out, labels)
        with torch.no_grad():
            model.token_heads[NAMES].weight /= found["temperature"]
            model.token_heads[NAMES].bias /= found["temperature"]
        report[NAMES] = found
    print(json.dumps(report, indent=1))
    write_atomically(out / "temperature.json", json.dumps(report, indent=1).encode())
    model.save_pretrained(out)


def best_temperature(pairs: Sequence[tuple[float, int]]) -> float:
    """The temperature with the least cross-entropy, found by golden section.

    It is 1 where either class has fewer rows than tell anything: the least would be
    at one end of what is looked at.
    """
    true = sum(label for _, label in pairs)
    if min(true, len(pairs) - true) < _LEAST:
        return 1.0
    return math.exp(least(lambda power: _entropy(pairs, math.exp(power)), -2.0, 2.5))


def calibration_error(pairs: Sequence[tuple[float, int]], temperature: float) -> float:
    """Expected calibration error over ten bins of probability."""
    bins: list[list[tuple[float, int]]] = [[] for _ in range(10)]
    for logit, label in pairs:
        probability = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit / temperature))))
        bins[min(9, int(probability * 10))].append((probability, label))
    total = sum(abs(sum(p - label for p, label in part)) for part in bins)
    return total / max(1, len(pairs))


def _entropy(pairs: Sequence[tuple[float, int]], temperature: float) -> float:
    total = 0.0
    for logit, label in pairs:
        scaled = logit / temperature * (1 if label else -1)
        total += math.log1p(math.exp(-abs(scaled))) + max(0.0, -scaled)
    return total


def least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is at its lowest, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if function(left) < function(right):
            high = right
        else:
            low = left
    return (low + high) / 2
