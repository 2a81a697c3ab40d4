"""The encoder with one head per label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel

__all__ = ["Classifier", "from_encoder", "masked_loss", "token_heads"]


class Classifier(BertPreTrainedModel):
    """A BERT encoder, the mean over its tokens, and a dictionary of linear heads.

    Heads that are named in ``config.token_heads`` see every token instead of the mean.

    The role of a text comes in as its token types: 0 for the user's own words, 1 for
    content from a tool, a document or a page.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.heads = nn.ModuleDict(
            {
                name: nn.Linear(config.hidden_size, len(labels))
                for name, labels in (config.heads | token_heads(config)).items()
            }
        )
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        hidden = self.bert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
        ).last_hidden_state
        known = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * known).sum(1) / known.sum(1).clamp(min=1)
        mean = self.dropout(mean)
        tokens = token_heads(self.config)
        return {
            name: head(self.dropout(hidden) if name in tokens else mean)
            for name, head in self.heads.items()
        }


def token_heads(config: BertConfig) -> dict[str, list[str]]:
    """The tags of each head that sees every token; older models have none."""
    return getattr(config, "token_heads", None) or {}


def from_encoder(
    folder: Path,
    heads: Mapping[str, Sequence[str]],
    dropout: float,
    tokens: Mapping[str, Sequence[str]] | None = None,
) -> Classifier:
    """A classifier with the encoder's weights and new heads."""
    config = BertConfig.from_pretrained(
        folder,
        classifier_dropout=dropout,
        # Inside the encoder it costs a third of the time on a CPU, and one pass over
        # the rows is too short to learn them by heart.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config.heads = {name: list(labels) for name, labels in heads.items()}
    config.token_heads = {name: list(tags) for name, tags in (tokens or {}).items()}
    model, report = Classifier.from_pretrained(
        folder, config=config, attn_implementation="eager", output_loading_info=True
    )
    absent = [key for key in report["missing_keys"] if not key.startswith("heads.")]
    if absent:
        raise ValueError(f"{folder} has no weights for {', '.join(absent)}")
    return model


def masked_loss(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> Tensor:
    """Binary cross-entropy over the labels that are known; unknown ones are NaN.

    Args:
        logits: By head, rows by labels.
        labels: The same shapes.
        weights: The same shapes: how much each label of a row counts. Their mean over
            all rows of the training is what the head counts, so that a batch in which
            few rows know a head says little about it.
    """
    losses = []
    for name, values in labels.items():
        known = ~torch.isnan(values)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits[name].float()[known], values[known], reduction="none"
        )
        losses.append((loss * weights[name][known]).sum() / len(known))
    return torch.stack(losses).sum()
