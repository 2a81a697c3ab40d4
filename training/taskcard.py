"""The model card of a task's bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from promptguard.runtime.bundle import Bundle
from promptguard.text import READING_VERSION

from .config import Config
from .rows import Sources
from .taskreport import markdown

__all__ = ["card"]

_CARD = """\
# {name}

A model for promptguard's guard `Classifier`. It tells of a text whether it is
`{label}`.

- made from: {encoder}, {kind}
- input: promptguard's clean reading of the text, reading version {reading}, in windows
  of {window} tokens that overlap by {overlap}. Every window is scored by itself.
- output: a calibrated probability of each of {labels}. Thresholds by false-positive
  rate, role and number of windows are in bundle.json, each with the rate that was
  measured, its 95 % interval and the number of texts.
- format: ONNX, {size:.1f} MB

## Data

A text that shares eight words in a row with one of a test set was left out of the
training. Of every source a share was kept back to be measured on, whole groups of near
duplicates at a time.

| source | licences | with the label | without | origin |
| --- | --- | ---: | ---: | --- |
{sources}

## Figures

{report}"""

_KINDS = {
    "encoder": "an encoder, fine-tuned, with a linear head; the role of a text is its "
    "token type",
    "decoder": "a decoder, fine-tuned, with a linear head over the last token; it is "
    "not told the role of a text",
}


def card(
    config: Config,
    bundle: Bundle,
    sources: Sources,
    summary: Mapping[str, Any],
    report: Mapping[str, Any],
) -> str:
    """What it is, what it was made from, how good it is."""
    labels = [label for _, known in bundle.heads for label in known]
    return _CARD.format(
        name=config.name,
        label=config.target,
        encoder=config.encoder,
        kind=_KINDS[config.task.model],
        reading=READING_VERSION,
        window=bundle.window,
        overlap=bundle.overlap,
        labels=", ".join(f"`{label}`" for label in labels),
        size=len(bundle.model) / 1e6,
        sources="\n".join(_rows(sources, summary["train"])),
        report=markdown(report).partition("\n\n")[2],
    )


def _rows(sources: Sources, counts: Mapping[str, int]) -> Iterator[str]:
    totals: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        name, _, sign = key.rsplit(" ", 2)
        totals[name, sign] += count
    for name, source in sources.training.items():
        licences = ", ".join(source.licences) or "none stated"
        yield (
            f"| {name} | {licences} | {totals[name, 'attack']} "
            f"| {totals[name, 'benign']} | {source.origin.replace('|', '/')} |"
        )
    for name, source in sources.benchmarks.items():
        licences = ", ".join(source.licences) or "none stated"
        yield f"| {name} | {licences} | test | test | {source.origin} |"
