"""The encoder with one head per label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel

__all__ = ["EARLY", "Classifier", "from_encoder", "masked_loss", "token_heads"]


EARLY = "early_"
"""Before the name of a head: its answer after the first layers."""


class Focus(nn.Linear):
    """How much each token counts in what each head reads; all the same at first.

    In the plain mean over a window of prose, the one sentence that is an attack counts
    as much as its share of the tokens. A head that can look at it needs one vector
    (attention pooling: Yang et al. 2016, Hierarchical Attention Networks).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Tokens as they leave a layer into what the heads read: rows, heads, width."""
        scores = super().forward(hidden)
        hidden_away = (1.0 - mask.unsqueeze(-1).to(scores.dtype)) * -1e4
        shares = torch.softmax(scores + hidden_away, dim=1)
        return torch.matmul(shares.transpose(1, 2), hidden)


class Classifier(BertPreTrainedModel):
    """A BERT encoder and a dictionary of linear heads, each with tokens it looks at.

    Those of ``config.token_heads`` tell something of every token.

    The role of a text comes in as its token types: 0 for the user's own words, 1 for
    content from a tool, a document or a page. With ``config.early`` there are heads of
    the same labels after so many layers as well, for texts that are clear by then.
    """

    body = "bert."
    """What the names of the encoder's weights begin with."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.focus = Focus(config.hidden_size, len(config.heads))
        self.heads = _heads(config, config.heads)
        if config.early:
            self.early_focus = Focus(config.hidden_size, len(config.heads))
            self.early = _heads(config, config.heads)
        self.token_heads = _heads(config, token_heads(config))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Focus):
            module.weight.data.zero_()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        """Logits by head, those of the first layers under ``early_`` and its name."""
        layers = self.bert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            output_hidden_states=bool(self.config.early),
        )
        read = self.dropout(self.focus(layers.last_hidden_state, attention_mask))
        found = {
            n: h(read[:, place]) for place, (n, h) in enumerate(self.heads.items())
        }
        if self.config.early:
            hidden = layers.hidden_states[self.config.early]
            read = self.dropout(self.early_focus(hidden, attention_mask))
            for place, (name, head) in enumerate(self.early.items()):
                found[EARLY + name] = head(read[:, place])
        for name, head in self.token_heads.items():
            found[name] = head(self.dropout(layers.last_hidden_state))
        return found

    def cool(self, head: str, column: int, temperature: float) -> None:
        """Divide the logits of a label by a temperature, for good."""
        with torch.no_grad():
            self.heads[head].weight[column] /= temperature
            self.heads[head].bias[column] /= temperature


def token_heads(config: BertConfig) -> dict[str, list[str]]:
    """The tags of each head that sees every token; older models have none."""
    return getattr(config, "token_heads", None) or {}


def _heads(config: BertConfig, heads: Mapping[str, Sequence[str]]) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            name: nn.Linear(config.hidden_size, len(labels))
            for name, labels in heads.items()
        }
    )


def from_encoder(
    folder: Path,
    heads: Mapping[str, Sequence[str]],
    dropout: float,
    early: int = 0,
    tokens: Mapping[str, Sequence[str]] | None = None,
) -> Classifier:
    """A classifier with the encoder's weights; heads that it does not have are new."""
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
    config.early = early
    model, report = Classifier.from_pretrained(
        folder, config=config, attn_implementation="eager", output_loading_info=True
    )
    absent = [key for key in report["missing_keys"] if key.startswith("bert.")]
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
    for name in labels:
        head = logits[name]
        known = ~torch.isnan(labels[name])
        loss = nn.functional.binary_cross_entropy_with_logits(
            head.float()[known], labels[name][known], reduction="none"
        )
        losses.append((loss * weights[name][known]).sum() / len(known))
    return torch.stack(losses).sum()
