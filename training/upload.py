"""The Hub: a repository with the bundle's files and a card, and a tag on the commit.

``huggingface_hub`` decides when it is imported whether it is online and which Hub it
talks to, and the stages before this one import it offline. So the upload is a process
of its own: ``python -m training.upload`` with a request on standard input. The token
comes from ``HF_TOKEN`` and goes to the Hub alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import faults
from .errors import PipelineError
from .faults import AGAIN, MissingToken, Unreachable, causes, explained

__all__ = ["Upload", "Uploaded", "check", "main", "push"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TAG = re.compile(r"[A-Za-z0-9][\w.-]*")
_SENTINEL = "bundle.json"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What goes to the Hub.

    Args:
        folder: Its files, and nothing else.
        repository: As in ``organisation/name``.
        tag: Names the commit for ever; it is never moved.
        message: First line of the commit.
        private: A repository that is made now is for its owners only.
    """

    folder: str
    repository: str
    tag: str
    message: str
    private: bool = True


@dataclass(frozen=True)
class Uploaded:
    """Where it is: the commit's id is what to pin."""

    repository: str
    commit: str
    tag: str
    url: str

    @property
    def pinned(self) -> str:
        """Repository and commit, in one."""
        return f"{self.repository}@{self.commit}"


def check(repository: str, tag: str) -> None:
    """Say now what the upload would say after hours of training.

    Raises:
        MissingToken: ``HF_TOKEN`` is not set.
        PipelineError: The repository or the tag is no name.
    """
    if not _NAME.fullmatch(repository):
        raise PipelineError(
            f"publish: {repository!r} is no repository; name it organisation/name"
        )
    if not _TAG.fullmatch(tag):
        raise PipelineError(f"publish: {tag!r} cannot be a tag of a repository")
    if not os.environ.get("HF_TOKEN"):
        raise MissingToken(
            f"publish: no token to upload to {repository} with; put one that may write "
            "into the environment variable HF_TOKEN, or leave [publish] hub empty"
        )


def push(upload: Upload) -> Uploaded:
    """Upload unless the tag is there already, in a process that is online.

    Raises:
        Unreachable: The Hub does not answer.
        MissingToken: There is no token, or the Hub does not take it.
        PipelineError: The tag names something else, or the Hub refuses.
    """
    check(upload.repository, upload.tag)
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    environment = {k: v for k, v in os.environ.items() if k not in offline}
    done = subprocess.run(
        [sys.executable, "-m", "training.upload"],
        input=json.dumps(dataclasses.asdict(upload)),
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
            f"publish: the upload to {upload.repository} ended with status "
            f"{done.returncode}; {AGAIN}"
        ) from None
    if "error" in answer:
        kind = getattr(faults, answer["error"], PipelineError)
        raise kind(answer["message"])
    return Uploaded(**answer)


def main() -> int:
    """The upload's own process: a request in, an answer out."""
    upload = Upload(**json.load(sys.stdin))
    try:
        answer = dataclasses.asdict(_upload(upload))
    except Exception as error:
        where = f"publish: the Hub, for {upload.repository}"
        problem = _refused(error, upload) or explained(error, where)
        answer = {"error": type(problem).__name__, "message": str(problem)}
    print(json.dumps(answer))
    return "error" in answer


def _upload(upload: Upload) -> Uploaded:
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ImportError:
        raise PipelineError(
            "publish: huggingface_hub is not installed; it is part of the training "
            "environment: make train-env"
        ) from None
    api, repository, folder = HfApi(), upload.repository, Path(upload.folder)
    # First of all, because what a token may not see the Hub calls not there.
    api.whoami()
    api.create_repo(repository, private=upload.private, exist_ok=True)
    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repository).tags}
    commit = tags.get(upload.tag)
    if commit is None:
        made = api.create_commit(
            repository,
            [
                CommitOperationAdd(path.name, path)
                for path in sorted(folder.iterdir())
                if path.is_file()
            ],
            commit_message=upload.message,
        )
        commit = str(made.oid)
        api.create_tag(repository, tag=upload.tag, revision=commit)
    else:
        there = api.hf_hub_download(repository, _SENTINEL, revision=commit)
        if Path(there).read_bytes() != (folder / _SENTINEL).read_bytes():
            raise PipelineError(
                f"publish: the tag {upload.tag!r} of {repository} names another bundle "
                "(another digest), and tags are not moved; set another [publish] tag"
            )
    url = f"{api.endpoint}/{repository}/tree/{commit}"
    return Uploaded(repository, commit, upload.tag, url)


def _refused(error: Exception, upload: Upload) -> PipelineError | None:
    """What the Hub's own status says."""
    status = _status(error)
    if status == 401:
        return MissingToken("publish: the Hub does not know the token in HF_TOKEN")
    if status == 403:
        return MissingToken(
            f"publish: the token in HF_TOKEN may not write to {upload.repository}"
        )
    # The client wraps what its storage said.
    for number in map(_status, causes(error)):
        if number >= 500:
            return Unreachable(
                f"publish: the Hub answers with status {number}; {AGAIN}"
            )
    return None


def _status(error: BaseException) -> int:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
