"""Whether the int8 model decides as the unquantised one does."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptguard.measure.figures import exact
from promptguard.runtime.bundle import Bundle

from .config import Config
from .counts import Judged
from .folder import read_statement, write_statement
from .metrics import kappa
from .scoring import Scored, score_all

__all__ = ["compared", "measure"]


def measure(
    config: Config, judged: Sequence[Judged], unquantised: Path, bundle: Path
) -> dict[str, Any]:
    """Decide the same texts with the unquantised weights at the same operating points.

    Args:
        judged: Texts and what the int8 model made of them. Of more than
            ``evaluate.compared``, as many are drawn.
        unquantised: The ONNX file of the export stage.
        bundle: The folder with the int8 model and its operating points.
    """
    drawn = list(judged)
    if len(drawn) > config.evaluate.compared:
        rng = random.Random(f"{config.seed}:agreement")
        drawn = rng.sample(drawn, config.evaluate.compared)
    rates = sorted({point.fpr for point in Bundle.load(str(bundle)).operating_points})
    with tempfile.TemporaryDirectory(prefix="unquantised.") as name:
        folder = Path(name)
        shutil.copy(unquantised, folder / "model.onnx")
        shutil.copy(bundle / "tokenizer.json", folder)
        write_statement(folder, read_statement(bundle))
        rows = [j.row for j in drawn]
        other = score_all(rows, "agreement", model=name, rates=rates)
    figures = compared([j.found for j in drawn], other, rates, config.evaluate.fpr)
    return {**figures, "of": len(judged)}


def compared(
    one: Sequence[Scored],
    other: Sequence[Scored],
    rates: Sequence[float],
    fpr: float,
) -> dict[str, Any]:
    """Agreement of decisions, beyond chance too (Cohen 1960), and of scores.

    Args:
        rates: All rates that were decided at.
        fpr: The rate whose decisions are the headline.
    """
    pairs = list(zip(one, other, strict=True))
    here = [(fpr in a.flagged_at, fpr in b.flagged_at) for a, b in pairs]
    same = sum(a == b for a, b in here)
    differences = [abs(a.score - b.score) for a, b in pairs]
    return {
        "texts": len(pairs),
        "decisions": same / len(pairs),
        "interval": exact(same, len(pairs)),
        "kappa": kappa([a for a, _ in here], [b for _, b in here]),
        "largest difference": max(differences),
        "mean difference": sum(differences) / len(pairs),
        "by rate": {
            f"{rate:g}": sum(
                (rate in a.flagged_at) == (rate in b.flagged_at) for a, b in pairs
            )
            / len(pairs)
            for rate in rates
        },
    }
