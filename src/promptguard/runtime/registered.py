"""A bundle from an MLflow registry: a version, or whatever an alias stands for now.

    PromptInjection(model="models:/promptguard@champion")

``mlflow`` is imported when such a model is first asked for. It finds the registry as it
always does, by ``MLFLOW_TRACKING_URI`` or ``MLFLOW_REGISTRY_URI``.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

from ..errors import ConfigError, MissingExtra, ModelError
from .bundle import Bundle

__all__ = ["BUNDLE_TAG", "PREFIX", "load", "state"]

PREFIX = "models:/"
BUNDLE_TAG = "promptguard.bundle"
"""The tag of a version that states the digest of its bundle."""

_NAMED = re.compile(
    r"models:/(?P<name>[^/@:]+)(?:@(?P<alias>[\w.-]+)|/(?P<number>\d+))"
)
_FOLDER = "bundle"
# With MLflow's own seven, a server that went away is told after minutes.
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def state(model: str) -> str:
    """The version that is meant now, without loading it.

    Raises:
        ConfigError: This is not how a version or an alias is named.
        MissingExtra: MLflow is not installed.
        ModelError: The registry cannot be reached, or has no such version.
    """
    version = _version(model)
    return f"{version.version}:{version.run_id}"


def load(model: str) -> Bundle:
    """The bundle of the version that is meant now.

    Raises:
        ConfigError: This is not how a version or an alias is named.
        MissingExtra: MLflow is not installed.
        ModelError: The registry cannot be reached, has no such version, or what it has
            is no bundle, or not the one that the version was made of.
    """
    version = _version(model)
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory(prefix="promptguard.") as folder:
        try:
            found = download_artifacts(
                run_id=version.run_id, artifact_path=_FOLDER, dst_path=folder
            )
        except Exception as error:
            raise _explained(error, model, "its bundle cannot be fetched") from None
        # The bytes are what counts: the folder goes.
        bundle = Bundle.load(found)
    stated = version.tags.get(BUNDLE_TAG)
    if stated is not None and stated != bundle.digest:
        raise ModelError(
            f"{model}: version {version.version} was made of another bundle than the "
            "one that its run holds; publish it again"
        )
    return bundle


def _version(model: str) -> Any:
    named = _NAMED.fullmatch(model)
    if named is None:
        raise ConfigError(
            f"{model!r} names no version of a registered model: write "
            "models:/name@alias or models:/name/3"
        )
    os.environ.setdefault(_RETRIES, "3")
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtra("mlflow", "registry") from None
    try:
        client = MlflowClient()
        if named["alias"] is not None:
            return client.get_model_version_by_alias(named["name"], named["alias"])
        return client.get_model_version(named["name"], named["number"])
    except Exception as error:
        raise _explained(error, model, "there is no such version") from None


def _explained(error: Exception, model: str, otherwise: str) -> ModelError:
    """What MLflow raises, without its words: an address may hold a password."""
    code = getattr(error, "error_code", "") or type(error).__name__
    said = otherwise
    if code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        said = f"the registry of MLflow does not answer as it should ({code})"
    return ModelError(
        f"{model}: {said}; look at MLFLOW_TRACKING_URI and at the registry"
    )
