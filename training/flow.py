"""The pipeline as a Metaflow flow: the same stages, a step for each.

    python training/flow.py run --config training/configs/release.toml
    python training/flow.py run --config training/configs/release.toml --smoke true
    python training/flow.py card view evaluate

Metaflow schedules and records; what a stage does, and whether it has to, is decided as
for ``python -m training run``, in the same build folder.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

if not __package__:
    # Metaflow runs this file by its path, once for each step. The folder that Python
    # puts first then is that of this file, where `config` or `data` would be found by
    # whoever imports something of that name.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
if not {"METAFLOW_USER", "USERNAME", "USER"} & set(os.environ) - {""}:
    # Without a name Metaflow does not start, and there is none in a container.
    os.environ["METAFLOW_USER"] = "training"

from training.errors import lacking

try:
    from metaflow import FlowSpec, Parameter, card, current, step
    from metaflow.cards import Image, Markdown, Table
except ModuleNotFoundError as error:
    sys.exit(f"error: {lacking(error)}")

from training.__main__ import STAGES, configured, quiet, see_verdicts
from training.config import Config
from training.stage import Done, run_all, table

__all__ = ["TrainingFlow"]

# Seconds that a process may take to draw a card; without it there would be none.
_CARD = 300


class TrainingFlow(FlowSpec):
    """From published sources to a bundle in the registry.

    Artefacts: ``done``, what came of each stage, and ``digest``, the bundle's.
    """

    config = Parameter("config", help="a TOML file, see training/configs", type=str)
    smoke = Parameter("smoke", help="in small, without data", type=bool, default=False)
    build = Parameter("build", help="build folder, instead of build", default="")

    @step
    def start(self) -> None:
        """Read the configuration: a mistake in it is told at once."""
        self.done: list[dict[str, object]] = []
        self._configured()
        self.next(self.sources)

    @step
    def sources(self) -> None:
        self._run("sources")
        self.next(self.data)

    @step
    def data(self) -> None:
        self._run("data")
        self.next(self.names)

    @step
    def names(self) -> None:
        self._run("names")
        self.next(self.vocabulary)

    @step
    def vocabulary(self) -> None:
        self._run("vocabulary")
        self.next(self.adapt)

    @step
    def adapt(self) -> None:
        self._run("adapt")
        self.next(self.augment)

    @step
    def augment(self) -> None:
        self._run("augment")
        self.next(self.mine)

    @step
    def mine(self) -> None:
        self._run("mine")
        self.next(self.train)

    @step
    def train(self) -> None:
        self._run("train")
        self.next(self.temperature)

    @step
    def temperature(self) -> None:
        self._run("temperature")
        self.next(self.export)

    @step
    def export(self) -> None:
        self._run("export")
        self.next(self.quantize)

    @step
    def quantize(self) -> None:
        self._run("quantize")
        self.next(self.calibrate)

    @step
    def calibrate(self) -> None:
        self._run("calibrate")
        self.next(self.evaluate)

    @card(type="blank", timeout=_CARD)
    @step
    def evaluate(self) -> None:
        """Its card has the figures and the plots."""
        folder = self._run("evaluate")
        current.card.append(Markdown((folder / "report.md").read_text("utf-8")))
        for picture in sorted(folder.glob("*.png")):
            current.card.append(Image(picture.read_bytes(), picture.stem))
        self.next(self.gate)

    @card(type="blank", timeout=_CARD)
    @step
    def gate(self) -> None:
        """Its card has the demands, and what became of each, passed or not."""
        # A step that fails has no card: the next one is what a verdict stops.
        folder = self._run("gate", verdict=lambda folder: None)
        result = json.loads((folder / "gate.json").read_bytes())
        words = "passed" if result["passed"] else "not passed"
        current.card.append(Markdown(f"# The gate is {words}\n\n{result['note']}"))
        headers = ["figure", "demand", "value", "limit", "passed", "note"]
        rows = [[str(check[key]) for key in headers] for check in result["checks"]]
        current.card.append(Table(rows, headers=headers))
        self.next(self.bundle)

    @step
    def bundle(self) -> None:
        folder = self._run("bundle")
        stated = json.loads((folder / "bundle.json").read_bytes())
        self.digest: str = stated["digest"]
        self.next(self.publish)

    @step
    def publish(self) -> None:
        self._run("publish")
        self.next(self.end)

    @step
    def end(self) -> None:
        """Tell time and memory, as after every run."""
        print(table(Done(**done) for done in self.done))

    def _configured(self) -> Config:
        quiet()
        file = Path(self.config)
        return configured(file, build=self.build or None, smoke=self.smoke)

    def _run(self, name: str, **changes: Any) -> Path:
        """Run the stage of this name, unless it is unchanged, and return its folder."""
        config = self._configured()
        stage = replace(next(s for s in STAGES if s.name == name), **changes)
        see_verdicts(stage, config)
        (done,) = run_all([stage], config)
        self.done = [*self.done, asdict(done)]
        return Path(config.build) / name


if __name__ == "__main__":
    TrainingFlow()
