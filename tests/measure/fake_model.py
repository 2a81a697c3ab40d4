"""A model that reads its scores out of the text: ``score=0.7 windows=3``.

Run as a program it is the command line with that model in the place of the real one.
"""

from __future__ import annotations

import re
import sys

from promptguard.errors import ModelError
from promptguard.queries import Classify, OperatingPoint, Scores, Window
from promptguard.runtime import infer
from promptguard.runtime.calibration import load_calibration

DIGEST = "d" * 64
POINTS = tuple(
    OperatingPoint("injection", role, windows, fpr, threshold)
    for role in ("user", "tool")
    for windows in (1, 16)
    for fpr, threshold in ((0.01, 0.8), (0.05, 0.5))
)


def answer(query: Classify) -> Scores:
    said = dict(re.findall(r"(score|windows|coverage)=([\d.]+)", query.text))
    if "unreadable" in query.text:
        raise ModelError("the text is longer than a model reads")
    points = POINTS
    if query.calibration is not None:
        points = load_calibration(query.calibration, DIGEST)
    # The last window has the score, so that an answer cut short would show.
    last = int(said.get("windows", 1)) - 1
    windows = tuple(
        Window(n, n + 1, (("injection", float(said.get("score", 0)) * (n == last)),))
        for n in range(last + 1)
    )
    return Scores(windows, float(said.get("coverage", 1.0)), points, DIGEST)


if __name__ == "__main__":
    from promptguard.cli import main

    infer.answer = answer
    sys.exit(main())
