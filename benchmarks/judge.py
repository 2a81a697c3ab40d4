"""Agreement of a judge with people, at any OpenAI-compatible endpoint.

    python benchmarks/judge.py --base-url http://localhost:8000/v1 --model NAME

The rows are labelled by people: pointwise ones say whether a response is faithful to
its context (BEGIN), pairwise ones which of two responses is better (HHH, LLMBar) or
right (JudgeBench). Both responses of a pair are graded apart, so there is no order to
favour; equal grades count half. None of the rows shaped a prompt of the library.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import promptguard as pg
from promptguard.measure import figures
from report import Row, arguments, publish

DATA = Path(__file__).parents[2] / "shared" / "data" / "benchmarks" / "judge"
# What the people who labelled were asked, and the rubric that comes nearest.
RUBRICS = {
    "correctness": "correctness",
    "faithfulness": "faithfulness",
    "harmless": "safety",
    "helpful": "helpfulness",
    "honest": "correctness",
    "instruction_following": "helpfulness",
    "other": "helpfulness",
}


def main() -> None:
    """Grade a sample of each file and write what came of it."""
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="the judge")
    parser.add_argument("--base-url", help="its endpoint; OpenAI's by default")
    parser.add_argument("--key-env", default="OPENAI_API_KEY")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the rows")
    parser.add_argument("--rows", type=int, default=400, help="rows of each file")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument(
        "--prices", type=float, nargs=2, metavar=("IN", "OUT"), help="per million"
    )
    chosen = parser.parse_args()
    paths = sorted(chosen.data.rglob("*.jsonl.gz"))
    if not paths:
        sys.exit(f"there are no *.jsonl.gz in {chosen.data}; name a folder with --data")
    limit = min(chosen.rows, 20) if chosen.quick else chosen.rows
    pointwise: list[Row] = []
    pairwise: list[Row] = []
    used = pg.Usage()
    try:
        for path in paths:
            for criterion, rows in _sample(path, limit, chosen.seed).items():
                name = f"{path.name.partition('.')[0]}, {criterion}"
                graded = _graded(rows, RUBRICS[criterion], chosen)
                used += graded.usage
                measure = _points if rows[0]["kind"] == "pointwise" else _pairs
                found = {"rows": name, "rubric": RUBRICS[criterion]}
                table = pointwise if measure is _points else pairwise
                table.append({**found, **measure(rows, graded)})
    except pg.PromptGuardError as error:
        sys.exit(str(error))
    took: Row = {
        "calls": used.calls,
        "tokens read": used.prompt_tokens,
        "tokens written": used.completion_tokens,
        "cost": used.cost,
    }
    sections = {"One response": pointwise, "Two responses": pairwise, "Took": [took]}
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", chosen.model).strip("-").lower()
    publish(
        f"judge-{slug}",
        f"Agreement of the judge {chosen.model} with people",
        {heading: rows for heading, rows in sections.items() if rows},
        chosen,
    )


def _sample(path: Path, limit: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """A random sample of a file's rows, by what is graded."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chance = random.Random(seed)
    chance.shuffle(rows)
    by: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows[:limit]:
        by[row["criterion"]].append(row)
    return dict(sorted(by.items()))


def _graded(
    rows: Sequence[dict[str, Any]], rubric: str, chosen: argparse.Namespace
) -> Any:
    keys = (
        ["response"] if rows[0]["kind"] == "pointwise" else ["response_a", "response_b"]
    )
    contexts = [row["context"] for row in rows] if "context" in rows[0] else None
    return pg.evaluate(
        {key: [row[key] for row in rows] for key in keys},
        rubric,
        prompts=[row["prompt"] for row in rows],
        contexts=contexts,
        model=chosen.model,
        base_url=chosen.base_url,
        key_env=chosen.key_env,
        timeout=chosen.timeout,
        concurrency=chosen.concurrency,
        prices=tuple(chosen.prices) if chosen.prices else None,
        longest=200_000,
    )


def _points(rows: Sequence[dict[str, Any]], graded: Any) -> Row:
    """Whether a score of 0.5 or more says what people said."""
    known = [
        (scores[0][1], bool(row["label_faithful"]))
        for row, scores in zip(rows, _scores(graded)["response"], strict=True)
        if scores
    ]
    said, meant = [score >= 0.5 for score, _ in known], [label for _, label in known]
    good = [score for score, label in known if label]
    bad = [score for score, label in known if not label]
    return {
        "graded": len(known),
        "failed": _failed(graded),
        "more usual label": max(Counter(meant).values(), default=0)
        / max(len(known), 1),
        "accuracy": figures.share(sum(map(_equal, said, meant)), len(known)),
        "95 %": _interval(figures.wilson(sum(map(_equal, said, meant)), len(known))),
        "kappa": figures.kappa(said, meant),
        "Spearman": figures.spearman([s for s, _ in known], [float(m) for m in meant]),
        "AUC": figures.area(figures.curve(good, bad)),
    }


def _pairs(rows: Sequence[dict[str, Any]], graded: Any) -> Row:
    """Whether the better response has the higher score."""
    scores = _scores(graded)
    known = [
        (a[0][1] - b[0][1], row["label"])
        for row, a, b in zip(
            rows, scores["response_a"], scores["response_b"], strict=True
        )
        if a and b
    ]
    decided = [("A" if apart > 0 else "B", label) for apart, label in known if apart]
    right = sum(said == label for said, label in decided)
    ties = len(known) - len(decided)
    return {
        "graded": len(known),
        "failed": _failed(graded),
        "equal grades": figures.share(ties, len(known)),
        "accuracy": (right + ties / 2) / len(known) if known else None,
        "accuracy where they differ": figures.share(right, len(decided)),
        "95 %": _interval(figures.wilson(right, len(decided))),
        "kappa": figures.kappa(*zip(*decided, strict=True)) if decided else None,
        "Spearman": figures.spearman(
            [apart for apart, _ in known], [float(label == "A") for _, label in known]
        ),
    }


def _scores(graded: Any) -> dict[str, list[Any]]:
    by: defaultdict[str, list[Any]] = defaultdict(list)
    for row in graded.rows:
        by[row.variant].append(row.scores)
    return by


def _failed(graded: Any) -> str:
    kinds = Counter(row.error for row in graded.rows if row.error)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "0"


def _equal(one: object, other: object) -> bool:
    return one == other


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


if __name__ == "__main__":
    main()
