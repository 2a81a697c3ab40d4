"""Metrics of Ragas (``ragas.metrics.collections``, version 0.4)."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from importlib.metadata import version as version_of
from typing import Any

from .. import MissingExtra
from .asking import Target
from .questions import Question

__all__ = ["scorer", "version"]

# They break a text into statements, and repeat each of them.
_TOKENS = 4096


def version() -> str:
    """The version that is installed."""
    return version_of("ragas")


def scorer(name: str, target: Target) -> Callable[[Question, str], float]:
    """What computes a metric.

    Raises:
        MissingExtra: Ragas is not installed.
    """
    # Before the import, because it looks once; nothing of this is anybody's business.
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    try:
        from ragas.llms import llm_factory
        from ragas.metrics import collections
    except ImportError:
        raise MissingExtra("ragas", "ragas") from None
    kind = getattr(collections, "".join(map(str.capitalize, name.split("_"))))

    async def scored(asked: Question, answer: str) -> float:
        # A client belongs to the loop that it was first used on.
        async with target.client(asynchronous=True) as client:
            llm = llm_factory(
                target.model, client=client, temperature=0.0, max_tokens=_TOKENS
            )
            metric = kind(llm=llm)
            given: dict[str, Any] = {
                "user_input": asked.question,
                "response": answer,
                "retrieved_contexts": list(asked.context),
                "reference": asked.reference,
            }
            wanted = inspect.signature(metric.ascore).parameters
            result = await metric.ascore(**{key: given[key] for key in wanted})
            return float(result.value)

    return lambda asked, answer: asyncio.run(scored(asked, answer))
