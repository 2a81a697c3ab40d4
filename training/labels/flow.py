"""The round trip of labels as a Metaflow flow, with a card for each decision.

    python training/labels/flow.py run --traffic sqlite:///traffic.db --folder labels
    python training/labels/flow.py run --traffic sqlite:///traffic.db --folder labels \\
        --export project-1.json --config training/configs/release.toml
    python training/labels/flow.py card view merge

The first run ends with tasks for Label Studio; the second, with what came back, goes on
to rows to train on. Both can be run again.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

if not __package__:
    # Metaflow runs this file by its path, once for each step. The folder that Python
    # puts first then is that of this file, whose names others would find.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
if not {"METAFLOW_USER", "USERNAME", "USER"} & set(os.environ) - {""}:
    # Without a name Metaflow does not start, and there is none in a container.
    os.environ["METAFLOW_USER"] = "training"

from training.errors import lacking

try:
    from metaflow import FlowSpec, Parameter, card, current, step
    from metaflow.cards import Markdown, Table
except ModuleNotFoundError as error:
    sys.exit(f"error: {lacking(error)}")

from promptguard.traffic.exporting import export, labelling
from training import config as configuration
from training.files import alone, write_atomically
from training.labels.choosing import REASONS, Wanted, choose
from training.labels.command import brought
from training.labels.merging import OUTCOMES, merge
from training.labels.raters import agreement
from training.labels.records import read_labels

__all__ = ["LabellingFlow"]

# Seconds that a process may take to draw a card; without it there would be none.
_CARD = 300


class LabellingFlow(FlowSpec):
    """From captured traffic to rows to train on.

    Artefacts: ``chosen``, how many texts for which reason; ``labels`` and ``problems``
    of what came back; ``merged``, how many texts had which outcome.
    """

    traffic = Parameter("traffic", help="the database, an address", type=str)
    folder = Parameter("folder", help="everything is kept here", type=str)
    label = Parameter("label", help="what is asked", default="injection")
    limit = Parameter("limit", help="texts to label", type=int, default=200)
    rescore = Parameter(
        "rescore", help="the model looks again", type=bool, default=True
    )
    export = Parameter("export", help="of Label Studio, if it is there", default="")
    config = Parameter("config", help="of the training; needed to merge", default="")
    ties = Parameter("ties", help="drop, positive, negative, a name", default="drop")

    @card(type="blank", timeout=_CARD)
    @step
    def start(self) -> None:
        """Choose what is worth a person's time; the card has the reasons."""
        folder = Path(self.folder)
        wanted = Wanted(label=self.label, limit=self.limit, rescore=self.rescore)
        with alone(folder):
            there = read_labels(self._file) if self._file.exists() else []
            chosen = choose(self.traffic, wanted, there)
            pairs = ((each.request, each.kept) for each in chosen)
            export(pairs, "label-studio", str(folder / "tasks.json"))
            marks = {f.label for each in chosen for f in each.kept.findings}
            page = labelling(marks | {self.label}, [self.label])
            write_atomically(folder / "labels.xml", page.encode())
        self.chosen = {
            reason: sum(reason in each.reasons for each in chosen) for reason in REASONS
        }
        current.card.append(Markdown(f"# {len(chosen):,} texts to label"))
        rows = [[reason, str(count)] for reason, count in self.chosen.items()]
        current.card.append(Table(rows, headers=["reason", "texts"]))
        self.next(self.bring)

    @step
    def bring(self) -> None:
        """What came back, if something did."""
        self.labels, self.problems = 0, []
        if self.export:
            with alone(Path(self.folder)):
                found = brought(Path(self.export), self._file, self.label)
            self.labels, self.problems = len(found.labels), list(found.problems)
        self.next(self.agree)

    @card(type="blank", timeout=_CARD)
    @step
    def agree(self) -> None:
        """Its card has how far the annotators agree."""
        labels = read_labels(self._file) if self._file.exists() else []
        page = "# Nothing is labelled yet"
        if any(label.label == self.label for label in labels):
            page = agreement(labels, self.label).markdown()
        current.card.append(Markdown(page))
        self.next(self.merge)

    @card(type="blank", timeout=_CARD)
    @step
    def merge(self) -> None:
        """Its card has what became of each label."""
        self.merged: dict[str, int] = {}
        if self.config and self._file.exists():
            folder = Path(self.folder)
            with alone(folder):
                done = merge(
                    read_labels(self._file),
                    self.traffic,
                    configuration.load(Path(self.config)),
                    folder / "labelled.jsonl",
                    label=self.label,
                    ties=self.ties,
                    today=datetime.now(UTC).date().isoformat(),
                )
            self.merged = {name: len(found) for name, found in done.texts.items()}
        current.card.append(Markdown(f"# {sum(self.merged.values()):,} labelled texts"))
        rows = [[name, str(n), OUTCOMES[name]] for name, n in self.merged.items()]
        current.card.append(Table(rows, headers=["outcome", "texts", "which are"]))
        self.next(self.end)

    @step
    def end(self) -> None:
        """Tell it in a line."""
        print(f"chosen: {self.chosen}; labels: {self.labels}; merged: {self.merged}")

    @property
    def _file(self) -> Path:
        return Path(self.folder) / "labels.jsonl"


if __name__ == "__main__":
    LabellingFlow()
