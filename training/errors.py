"""The one exception of the training pipeline."""

from __future__ import annotations

__all__ = ["PipelineError", "lacking"]


class PipelineError(Exception):
    """A stage cannot run as asked; the message says what to do."""


def lacking(error: ModuleNotFoundError) -> PipelineError:
    """The error that says which package is missing, and what installs it.

    Raises:
        ModuleNotFoundError: It is a module of ours, which nothing installs.
    """
    package = (error.name or "").partition(".")[0]
    if package in ("", "promptguard", "training"):
        raise error
    return PipelineError(
        f"{package} is not installed; it is part of the training environment: "
        "make train-env"
    )
