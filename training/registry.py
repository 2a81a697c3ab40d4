"""MLflow: a run with what was measured, a model that can be served, a version of it.

MLflow records what the stages did; it does not steer them. Everything is looked up by
the bundle's digest before it is made, so that doing it twice leaves one of each.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from .config import Publish
from .errors import PipelineError
from .faults import AGAIN, DiskFull, Unreachable, explained, without_secrets
from .files import sync

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["BUNDLE_TAG", "Publication", "Registry", "Version", "flat", "tracking_uri"]

BUNDLE_TAG = "promptguard.bundle"
REPORT_TAG = "promptguard.report"
MODEL_TAG = "promptguard.model"
BEFORE_TAG = "promptguard.before"
"""The version that the alias pointed at before this one."""
PROMOTED_TAG = "promptguard.promoted"
"""When it came to be pointed at, in ISO 8601."""
BACK_TAG = "promptguard.rolled_back"
"""Somebody went back from this version, and why."""

_SECONDS = 10
_QUESTION = "What is the capital of France?"
# What MLflow says of an alias or a model that is not there.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# MLflow's own limits.
_LONGEST_NAME = 250
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is published.

    Args:
        name: What the run is called.
        bundle: Folder with the bundle's files and nothing else.
        digest: What bundle.json states of itself.
        params: The configuration, flat.
        metrics: The evaluation, flat.
        tags: Hashes, the commit, and whatever else tells where it came from.
        reports: Files to keep with the run.
        task: The label that it tells, where that is not prompt injection.
    """

    name: str
    bundle: Path
    digest: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    reports: tuple[Path, ...] = ()
    task: str | None = None


@dataclass(frozen=True)
class Version:
    """A version of the registered model, and the run it comes from."""

    number: str
    run: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)


def tracking_uri(settings: Publish) -> str:
    """Where MLflow keeps its records; without a word about it, where it always does."""
    configured = settings.tracking or os.environ.get("MLFLOW_TRACKING_URI")
    return configured or "sqlite:///mlflow.db"


class Registry:
    """An MLflow store.

    Raises:
        Unreachable: It is a server, and does not answer.
    """

    def __init__(self, settings: Publish) -> None:
        self.settings = settings
        self.uri = tracking_uri(settings)
        self.shown = without_secrets(self.uri)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        # The address that it would print may have a password in it.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        # With MLflow's own seven, a server that went away is told after minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        if self.uri.startswith(("http://", "https://")):
            self._knock()
        with self._explained():
            import mlflow
            from mlflow import MlflowClient

            self._make_tables()
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            self._client: MlflowClient = MlflowClient(self.uri, self.uri)

    def record(self, publication: Publication) -> Version:
        """The version of this bundle, made unless there is one."""
        with self._explained():
            self._make_room(publication.bundle)
            run = self._run(publication)
            if found := self._version(publication.digest):
                return found
            return self._register(publication, run)

    def promote(self, number: str, tags: Mapping[str, str]) -> str | None:
        """Point the alias at a version; the one it pointed at before, if any."""
        name, alias = self.settings.model, self.settings.alias
        with self._explained():
            there = self._current()
            before = None if there is None else there.number
            told = dict(tags)
            if before != number:
                told[PROMOTED_TAG] = datetime.now(UTC).isoformat(timespec="seconds")
                if before is not None:
                    told[BEFORE_TAG] = before
            for key, value in told.items():
                self._client.set_model_version_tag(name, number, key, value)
            self._client.set_registered_model_alias(name, alias, number)
        return before

    def current(self) -> Version | None:
        """The version that the alias points at; None where there is none."""
        with self._explained():
            return self._current()

    def version(self, number: str) -> Version:
        """A version by its number.

        Raises:
            PipelineError: There is none.
        """
        with self._explained():
            every = {found.number: found for found in self._versions()}
        if number not in every:
            known = ", ".join(sorted(every, key=int)) or "none"
            raise PipelineError(
                f"{self.settings.model} has no version {number} in {self.shown}. "
                f"Known: {known}"
            )
        return every[number]

    def versions(self) -> list[Version]:
        """Every version, the newest first."""
        with self._explained():
            return self._versions()

    def back(self, current: Version, to: Version, why: str) -> None:
        """Point the alias at an earlier version, and say so on the one it leaves."""
        name, alias = self.settings.model, self.settings.alias
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._explained():
            note = f"{now} {why}".strip()
            tell = self._client.set_model_version_tag
            tell(name, current.number, BACK_TAG, note)
            tell(name, to.number, PROMOTED_TAG, now)
            self._client.set_registered_model_alias(name, alias, to.number)

    def keep(self, version: Version, file: Path, folder: str) -> None:
        """Add a file to the run that a version comes from."""
        with self._explained():
            self._client.log_artifact(version.run, str(file), folder)

    def fetch(self, version: Version, what: str, folder: Path) -> Path | None:
        """What the run of a version has of this name, copied; None for nothing."""
        from mlflow.artifacts import download_artifacts

        with self._explained():
            above = what.rpartition("/")[0]
            there = self._client.list_artifacts(version.run, above or None)
            if what not in {found.path for found in there}:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            place = download_artifacts(
                run_id=version.run,
                artifact_path=what,
                dst_path=str(folder),
                tracking_uri=self.uri,
            )
        return Path(place)

    def _current(self) -> Version | None:
        from mlflow.exceptions import MlflowException

        name, alias = self.settings.model, self.settings.alias
        try:
            found = self._client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code not in _ABSENT:
                raise
            return None
        return Version(str(found.version), str(found.run_id), dict(found.tags))

    def _versions(self) -> list[Version]:
        wanted = f"name = '{self.settings.model}'"
        found = self._client.search_model_versions(wanted)
        made = [Version(str(f.version), str(f.run_id), dict(f.tags)) for f in found]
        return sorted(made, key=lambda version: -int(version.number))

    def _knock(self) -> None:
        # Any answer will do: /health may be behind a password.
        try:
            with urlopen(self.uri.rstrip("/") + "/health", timeout=_SECONDS):
                pass
        except HTTPError:
            pass
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(
                f"publish: the MLflow server at {self.shown} does not answer "
                f"({type(reason).__name__}); start it, or set [publish] tracking, and "
                f"{AGAIN}"
            ) from None

    def _explained(self) -> _Explained:
        return _Explained(f"publish: MLflow at {self.shown}")

    def _file(self) -> Path | None:
        """The database, if it is a file."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return Path(self.uri.removeprefix("sqlite:///")).absolute()

    def _folder(self) -> Path | None:
        file = self._file()
        return None if file is None else file.parent

    def _make_tables(self) -> None:
        """Make a new database whole before it gets its name.

        A database in which MLflow was stopped while it made the tables cannot be used
        again: it finds some of them, and fails to make them once more.
        """
        file = self._file()
        if file is None or file.exists():
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f".{file.name}.part")
        for leftover in (scratch, scratch.with_name(f"{scratch.name}-journal")):
            leftover.unlink(missing_ok=True)
        from mlflow import MlflowClient

        # Whatever is asked of it makes the tables.
        MlflowClient(f"sqlite:///{scratch}").search_experiments(max_results=1)
        sync(scratch)
        scratch.replace(file)

    def _make_room(self, bundle: Path) -> None:
        folder = self._folder()
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        # The bundle as the run's artefact, and once more inside the model.
        size = 2 * sum(path.stat().st_size for path in bundle.iterdir()) + 2**24
        free = shutil.disk_usage(folder).free
        if free < size:
            raise DiskFull(
                f"publish: {folder} has {free / 2**20:.0f} MB left on its disk, and "
                f"{size / 2**20:.0f} MB are needed; make room and {AGAIN}"
            )

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.settings.experiment)
        if found is not None:
            return str(found.experiment_id)
        folder = self._folder()
        place = None
        if folder is not None:
            place = (folder / "mlartifacts" / self.settings.experiment).as_uri()
        return str(self._client.create_experiment(self.settings.experiment, place))

    def _run(self, publication: Publication) -> Run:
        """The finished run of this bundle and report, begun or ended now if need be."""
        experiment = self._experiment()
        wanted = " and ".join(
            f"tags.`{tag}` = '{publication.tags[tag]}'"
            for tag in (BUNDLE_TAG, REPORT_TAG)
        )
        runs = self._client.search_runs([experiment], wanted)
        for run in runs:
            if run.info.status == "FINISHED":
                return run
        run = next(iter(runs), None) or self._client.create_run(
            experiment, tags=dict(publication.tags), run_name=publication.name
        )
        self._log(publication, run)
        return self._client.get_run(run.info.run_id)

    def _log(self, publication: Publication, run: Run) -> None:
        import mlflow
        from mlflow.entities import Metric, Param

        params = [Param(key, value) for key, value in publication.params.items()]
        # The time of the run, so that logging again is the same measurement again.
        at = run.info.start_time
        metrics = [Metric(k, v, at, 0) for k, v in publication.metrics.items()]
        name = run.info.run_id
        with mlflow.start_run(name):
            for few in _batches(params, _PARAMS_AT_ONCE):
                self._client.log_batch(name, params=few)
            for many in _batches(metrics, _METRICS_AT_ONCE):
                self._client.log_batch(name, metrics=many)
            self._client.log_artifacts(name, str(publication.bundle), "bundle")
            for report in publication.reports:
                self._client.log_artifact(name, str(report), "reports")

    def _version(self, digest: str) -> Version | None:
        name = self.settings.model
        for found in self._client.search_model_versions(f"name = '{name}'"):
            if found.tags.get(BUNDLE_TAG) == digest and found.status == "READY":
                return Version(str(found.version), str(found.run_id))
        return None

    def _register(self, publication: Publication, run: Run) -> Version:
        import mlflow

        from . import served

        name = run.info.run_id
        with mlflow.start_run(name):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=served.__file__,
                artifacts={"bundle": str(publication.bundle)},
                # Stated, because MLflow would find out by loading it all once more.
                pip_requirements=[
                    f"{package}=={version(package)}"
                    for package in ("promptguard-llm", "mlflow", "pydantic")
                ],
                input_example=([_QUESTION], served.PARAMS),
                model_config={"capture": ""},
            )
        made = mlflow.register_model(
            info.model_uri, self.settings.model, tags=dict(publication.tags)
        )
        return Version(str(made.version), str(name))


class _Explained:
    """Turns what MLflow raises into errors of the pipeline."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception):
            # Its request, which it carries along, may hold a password.
            if isinstance(error, PipelineError):
                return
            raise explained(error, self.where) from None


def flat(value: object, key: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a report, under the names on the way to it.

    What is no finite number is left out. Characters that MLflow does not take in a
    name are written as their code.
    """
    if isinstance(value, Mapping):
        inside: Iterable[tuple[object, object]] = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    else:
        if isinstance(value, bool | int | float) and math.isfinite(value):
            yield key[:_LONGEST_NAME], float(value)
        return
    for name, inner in inside:
        yield from flat(
            inner, f"{key}/{_plain(str(name))}" if key else _plain(str(name))
        )


def _plain(name: str) -> str:
    name = "".join(
        c if c.isascii() and (c.isalnum() or c in "_-. :") else f"_{ord(c):x}_"
        for c in name
    )
    # MLflow reads names as paths: one that begins with a dot could lead elsewhere.
    return name if name and name[0] != "." else f"_{name}"


def _batches(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
