"""Files of data sets and checkpoints on the Hub, at a revision.

As with ``training.upload``, ``huggingface_hub`` decides when it is imported whether it
is online and which Hub it talks to. So the download is a process of its own:
``python -m training.fetch`` with a request on standard input. ``HF_ENDPOINT``,
``HF_HUB_OFFLINE`` and ``HF_TOKEN`` are the client's, and so is its cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import faults
from .errors import PipelineError
from .faults import AGAIN, MissingToken, Unreachable, causes, explained

__all__ = ["Fetched", "Wanted", "checkpoint", "fetch", "main"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Files of a data set.

    Args:
        source: The source they are for, named in errors.
        repository: As in ``organisation/name``.
        revision: The full id of a commit, or a branch or tag.
        files: A pattern of their paths in the repository.
        kind: ``dataset`` or ``model``.
    """

    source: str
    repository: str
    revision: str
    files: str
    kind: str = "dataset"

    @property
    def what(self) -> str:
        return "data set" if self.kind == "dataset" else self.kind


@dataclass(frozen=True)
class Fetched:
    """Where they are now: the commit, and the files by their path in the repository."""

    commit: str
    files: dict[str, str]


def fetch(wanted: Wanted) -> Fetched:
    """Fetch, in a process that is online unless ``HF_HUB_OFFLINE`` is set.

    Raises:
        Unreachable: The Hub does not answer, or is not to be asked.
        MissingToken: The Hub does not show the data set without another token.
        PipelineError: It has no such data set, revision or file.
    """
    # Set by the pipeline for the stages; HF_HUB_OFFLINE is the user's own.
    environment = {k: v for k, v in os.environ.items() if k != "TRANSFORMERS_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-m", "training.fetch"],
        input=json.dumps(dataclasses.asdict(wanted)),
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise PipelineError(
            f"source {wanted.source!r}: the download of {wanted.repository} ended with "
            f"status {done.returncode}; {AGAIN}"
        ) from None
    if "error" in answer:
        kind = getattr(faults, answer["error"], PipelineError)
        raise kind(answer["message"])
    return Fetched(**answer)


_CHECKPOINT = ("config.json", "tokenizer.json", "model.safetensors")


def checkpoint(repository: str, revision: str) -> Path:
    """The folder with a model's weights and tokenizer, in the client's cache.

    Raises:
        PipelineError: As ``fetch``. Weights are taken as safetensors alone: other files
            can hold code.
    """
    folders = set()
    for name in _CHECKPOINT:
        found = fetch(
            Wanted(
                source=repository,
                repository=repository,
                revision=revision,
                files=name,
                kind="model",
            )
        )
        folders.add(Path(found.files[name]).parent)
    if len(folders) > 1:
        raise PipelineError(
            f"{repository} changed while it was fetched; set [task] revision to the "
            "full id of a commit"
        )
    return folders.pop()


def main() -> int:
    """The download's own process: a request in, an answer out."""
    wanted = Wanted(**json.load(sys.stdin))
    try:
        answer = dataclasses.asdict(_fetch(wanted))
    except Exception as error:
        problem = _refused(error, wanted)
        answer = {"error": type(problem).__name__, "message": str(problem)}
    print(json.dumps(answer))
    return "error" in answer


def _fetch(wanted: Wanted) -> Fetched:
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError:
        raise PipelineError(
            f"source {wanted.source!r}: huggingface_hub is not installed; it is part "
            "of the training environment: make train-env"
        ) from None
    api = HfApi()

    def download(path: str, commit: str, cached: bool = False) -> str:
        file = api.hf_hub_download(
            wanted.repository,
            path,
            repo_type=wanted.kind,
            revision=commit,
            local_files_only=cached,
        )
        return str(file)

    if _is_commit(wanted.revision):
        with contextlib.suppress(LocalEntryNotFoundError):
            # Nothing is asked for a file of a commit that is in the cache.
            file = download(wanted.files, wanted.revision, cached=True)
            return Fetched(wanted.revision, {wanted.files: file})
    # First of all, because this request is not tried again and again.
    ask = api.model_info if wanted.kind == "model" else api.dataset_info
    info = ask(wanted.repository, revision=wanted.revision)
    commit, known = str(info.sha), [file.rfilename for file in info.siblings or ()]
    paths = sorted(fnmatch.filter(known, wanted.files))
    if not paths:
        raise PipelineError(
            f"source {wanted.source!r}: no file of {wanted.repository} at {commit} "
            f"matches data_files = {wanted.files!r}; there are {', '.join(known)}"
        )
    return Fetched(commit, {path: download(path, commit) for path in paths})


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and not set(revision) - set("0123456789abcdef")


def _refused(error: Exception, wanted: Wanted) -> PipelineError:
    """The error in terms of the table of sources."""
    where = f"source {wanted.source!r}"
    chain = list(causes(error))
    names = {kind.__name__ for kind in type(error).__mro__}
    if "RevisionNotFoundError" in names:
        return PipelineError(
            f"{where}: the {wanted.what} {wanted.repository} has no revision "
            f"{wanted.revision!r}; set revision to one of its commits"
        )
    # The client wraps what it has not got: neither an answer nor a file in its cache.
    away = "LocalEntryNotFoundError" in names
    statuses = [getattr(getattr(c, "response", None), "status_code", 0) for c in chain]
    if any(isinstance(status, int) and status >= 500 for status in statuses):
        away = True
    problem = explained(error, f"{where}: the Hub, for {wanted.repository},")
    if away or isinstance(problem, Unreachable):
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        return Unreachable(
            f"{where}: {endpoint} does not answer for {wanted.repository}{offline}"
        )
    if "RepositoryNotFoundError" in names:
        return MissingToken(
            f"{where}: the Hub has no {wanted.what} {wanted.repository!r}, or shows it "
            "to others only: correct hub, or put a token that may read it into HF_TOKEN"
        )
    return problem


if __name__ == "__main__":
    sys.exit(main())
