"""Experiments: which of several prompts gets the better answers from a model.

Variants of a prompt are asked over a file of questions, and what comes back is graded
by a judge, by the guards of this library and, where they are installed, by the metrics
of Ragas and DeepEval.

    from promptguard.experiments import Experiment, Target, read_questions

    questions = read_questions("questions.jsonl")
    results = Experiment(questions, Target("a-model")).run("folder")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asking import Answer, Target
    from .bootstrap import Estimate
    from .questions import Question, read_questions
    from .results import Results
    from .running import Experiment
    from .tracking import log
    from .variants import Variant, read_variants, starter_variants
    from .writing import write

__all__ = [
    "Answer",
    "Estimate",
    "Experiment",
    "Question",
    "Results",
    "Target",
    "Variant",
    "log",
    "read_questions",
    "read_variants",
    "starter_variants",
    "write",
]

_WHERE = {
    "Answer": "asking",
    "Estimate": "bootstrap",
    "Experiment": "running",
    "Question": "questions",
    "Results": "results",
    "Target": "asking",
    "Variant": "variants",
    "log": "tracking",
    "read_questions": "questions",
    "read_variants": "variants",
    "starter_variants": "variants",
    "write": "writing",
}


def __getattr__(name: str) -> Any:
    # Loaded by name: the command line reads its words, and seldom runs one of these.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
