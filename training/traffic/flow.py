"""Traffic, labels and monitoring as a Metaflow flow, with the report in a card.

    python training/traffic/flow.py run --drift language --folder build/monitoring
    python training/traffic/flow.py card view monitor

The same as ``python -m training traffic --demo``, a step for each part; what was done
in the folder before is not done again, whichever of the two has done it.
"""

from __future__ import annotations

import json
import os
import sys
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

from training.files import alone
from training.traffic import demo
from training.traffic.plan import OWN, Plan, Pool
from training.traffic.sending import Sent
from training.traffic.truth import Quality

__all__ = ["MonitoringFlow"]

# Seconds that a process may take to draw a card; without it there would be none.
_CARD = 300
_COLUMNS = ("name", "group", "statistic", "value", "threshold", "verdict")


class MonitoringFlow(FlowSpec):
    """From requests to a verdict on their drift.

    Artefacts: ``sent`` and ``drifted``, how many requests; ``labels``; ``verdict``.
    """

    folder = Parameter("folder", help="everything is kept here", type=str)
    requests = Parameter("requests", help="of each run", type=int, default=500)
    drift = Parameter("drift", help="empty for none", type=str, default="")
    share = Parameter("share", help="of the requests", type=float, default=0.5)
    language = Parameter("language", help="that drift brings", default="de")
    family = Parameter("family", help="that drift brings", default="prompt_leak")
    seed = Parameter("seed", type=int, default=0)
    rate = Parameter("rate", help="requests a second", type=float, default=50.0)
    label_quality = Parameter("label-quality", type=float, default=1.0)
    label_share = Parameter("label-share", type=float, default=1.0)

    @step
    def start(self) -> None:
        """Read what is asked for: a mistake in it is told at once."""
        self._demo()
        self.next(self.reference)

    @step
    def reference(self) -> None:
        """Traffic without drift."""
        self._asked("reference")
        self.next(self.traffic)

    @step
    def traffic(self) -> None:
        """Traffic with drift."""
        sent = self._asked("current")
        self.sent, self.drifted = len(sent), sum(bool(each.drift) for each in sent)
        self.next(self.label)

    @step
    def label(self) -> None:
        """What is true of both."""
        wanted, folder = self._demo(), Path(self.folder)
        names = ("reference", "current")
        self.labels = sum(demo.labelled(wanted, folder, name) for name in names)
        self.next(self.monitor)

    @card(type="blank", timeout=_CARD)
    @step
    def monitor(self) -> None:
        """Its card has the verdict, and every check."""
        folder = Path(self.folder)
        self.verdict = demo.monitor(folder)
        report = json.loads((folder / "report.json").read_bytes())
        page = f"# {self.verdict}\n\n{report['summary']}"
        current.card.append(Markdown(page))
        rows = [
            [_shown(check[name]) for name in _COLUMNS] for check in report["checks"]
        ]
        current.card.append(Table(rows, headers=list(_COLUMNS)))
        found = [
            [each["window"], each["label"], each["language"], str(each["texts"])]
            + [_shown(each[name]["value"]) for name in ("precision", "recall", "fpr")]
            for each in report["quality"]
        ]
        headers = ["window", "label", "language", "texts", "precision", "recall", "fpr"]
        current.card.append(Table(found, headers=headers))
        self.next(self.end)

    @step
    def end(self) -> None:
        """Tell it in a line."""
        print(f"{self.sent} requests, {self.drifted} with drift: {self.verdict}")

    def _demo(self) -> demo.Demo:
        plan = Plan(
            requests=self.requests,
            seed=self.seed,
            drift=self.drift,
            share=self.share,
            language=self.language,
            family=self.family,
        )
        quality = Quality(
            quality=self.label_quality, share=self.label_share, seed=self.seed
        )
        return demo.Demo(plan=plan, quality=quality, rate=self.rate)

    def _asked(self, name: str) -> list[Sent]:
        folder = Path(self.folder)
        with alone(folder):
            return demo.asked(self._demo(), Pool(OWN), folder, name, bar=False)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    MonitoringFlow()
