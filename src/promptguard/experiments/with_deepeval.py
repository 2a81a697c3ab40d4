"""Metrics of DeepEval (version 4, in which higher is better throughout)."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.metadata import version as version_of
from typing import Any

from .. import MissingExtra
from .asking import Target
from .questions import Question

__all__ = ["scorer", "version"]

_KINDS = {
    "answer_relevancy": "AnswerRelevancyMetric",
    "bias": "BiasMetric",
    "faithfulness": "FaithfulnessMetric",
    "hallucination": "HallucinationMetric",
    "pii_leakage": "PIILeakageMetric",
    "toxicity": "ToxicityMetric",
}


def version() -> str:
    """The version that is installed."""
    return version_of("deepeval")


def scorer(name: str, target: Target) -> Callable[[Question, str], float]:
    """What computes a metric.

    Raises:
        MissingExtra: DeepEval is not installed.
    """
    # Before the import: no telemetry, and no settings out of the folder that the
    # program happens to be started in.
    os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "1"
    os.environ["DEEPEVAL_DISABLE_DOTENV"] = "1"
    try:
        from deepeval import metrics
        from deepeval.test_case import LLMTestCase
    except ImportError:
        raise MissingExtra("deepeval", "deepeval") from None
    kind = getattr(metrics, _KINDS[name])
    model = _model()(target)

    def scored(asked: Question, answer: str) -> float:
        # A metric keeps what it found, so that each answer has one of its own.
        metric = kind(model=model, include_reason=False, async_mode=False)
        case = LLMTestCase(
            input=asked.question,
            actual_output=answer,
            expected_output=asked.reference,
            context=list(asked.context) or None,
            retrieval_context=list(asked.context) or None,
        )
        metric.measure(case, _show_indicator=False)
        return float(metric.score)

    return scored


@cache
def _model() -> Any:
    """The class of what asks our endpoint; made on use, as its base is theirs."""
    from deepeval.models import DeepEvalBaseLLM

    class Endpoint(DeepEvalBaseLLM):  # type: ignore[misc]  # a class of no known type
        def __init__(self, target: Target) -> None:
            self._target = target
            super().__init__(target.model)

        def load_model(self) -> Any:
            return self._target.client()

        def get_model_name(self) -> str:
            return self._target.model

        def generate(self, prompt: str, schema: Any = None) -> Any:
            options: dict[str, Any] = {}
            if schema is not None:
                options["response_format"] = {"type": "json_object"}
            completion = self.model.chat.completions.create(
                model=self._target.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=0,
                **options,
            )
            said = completion.choices[0].message.content or ""
            return said if schema is None else schema.model_validate_json(said)

        async def a_generate(self, prompt: str, schema: Any = None) -> Any:
            return self.generate(prompt, schema)

    return Endpoint
