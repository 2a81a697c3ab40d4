"""The one exception of the training pipeline."""

from __future__ import annotations

__all__ = ["PipelineError"]


class PipelineError(Exception):
    """A stage cannot run as asked; the message says what to do."""
