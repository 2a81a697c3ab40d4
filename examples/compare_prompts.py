"""Two prompts for a help desk, side by side: which gets the better answers?

Each is asked the same questions, a judge grades what comes back and compares the
answers two by two, and the guards look for what should not be said. The figures have
intervals, because six questions show little; put your own into a file, and run
`promptguard experiment` on it.

    python examples/compare_prompts.py
    python examples/compare_prompts.py --report report.html
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from endpoint import Endpoint, endpoint

import promptguard as pg
from promptguard.experiments import Experiment, Question, Target, Variant, write
from promptguard.experiments.tables import as_text
from promptguard.testing import FakeJudge

RULES = "Parcels may come back within 30 days. A refund takes five working days."
QUESTIONS = tuple(
    Question(str(number), asked, reference, (RULES,))
    for number, (asked, reference) in enumerate(
        (
            ("How long do I have to send the kettle back?", "30 days."),
            ("When do I see my money again?", "After five working days."),
            ("I bought it six weeks ago. Can I return it?", "No: 30 days are over."),
            ("Can I send it back after two weeks?", "Yes, within 30 days."),
            ("Do you refund the postage?", "The rules do not say."),
            ("Is a refund faster with a card?", "The rules do not say."),
        ),
        start=1,
    )
)
VARIANTS = (
    Variant("plain", with_context="{context}\n\n{question}"),
    Variant(
        "settled",
        system=(
            "You are the help desk of a shop. Answer in one sentence, from the rules "
            "alone, and name the rule. If the rules do not say, say so."
        ),
        with_context="Rules:\n{context}\n\nQuestion: {question}",
    ),
)


# ---- the stand-in for a model and for a judge ----------------------------------------


def scripted(body: dict[str, Any]) -> str:
    """It guesses unless it is told to keep to the rules."""
    system = body["messages"][0]["content"]
    if "BEGIN>>>" in system:
        return FakeJudge(grade)(body)
    asked = body["messages"][-1]["content"]
    if "help desk" not in system:
        return "Sure, no problem at all! We usually sort everything out for you."
    if "postage" in asked or "card" in asked:
        return "The rules do not say; please write to us."
    if "money" in asked:
        return "You see it after five working days, as the rule on refunds says."
    return "You can send it back within 30 days, as the rule on returns says."


def grade(rubric: str, text: str) -> int:
    return 5 if "rule" in text else 4 if rubric == "tone" else 2


def main(llm: Endpoint, report: str | None) -> None:
    print(llm.told)
    rubrics = ("correctness", "helpfulness", "faithfulness", "tone")
    experiment = Experiment(
        QUESTIONS,
        Target(llm.model, base_url=llm.base_url),
        variants=VARIANTS,
        judge=pg.Judge(rubrics, model=llm.model, base_url=llm.base_url, timeout=60.0),
        repeats=2,
        pairs="baseline",
    )
    # A folder of your own keeps the answers, and nothing is asked a second time.
    with tempfile.TemporaryDirectory() as folder:
        results = experiment.run(folder)
        print(f"\n{as_text(results)}")
        if report is not None:
            page, *_ = write(results, folder)
            Path(report).write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
            print(f"\nwrote {report}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--report", metavar="FILE", help="write charts and answers")
    chosen = parser.parse_args()
    with endpoint(scripted) as llm:
        main(llm, chosen.report)
