"""A bundle from the Hub: four files of one commit, never code.

``huggingface_hub`` is imported when a model is first asked for by ``revision``. It
keeps what it fetched in its cache, so the next process needs no network.
"""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

from ..errors import ConfigError, MissingExtra, ModelError
from .bundle import NEEDED, Bundle

__all__ = ["CARD", "commit", "load", "local"]

CARD = "MODEL_CARD.md"
_STATEMENT = "bundle.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def local(model: str | None) -> str | None:
    """The folder a model named without a revision is in.

    Raises:
        ConfigError: There is no such folder, but the name could be one of the Hub.
    """
    if model is None or Path(model).exists() or not _REPOSITORY.fullmatch(model):
        return model
    raise ConfigError(
        f"there is no folder {model!r} here. To load the model of that name from the "
        "Hub, pass revision= as well: the full id of a commit, because what a name or "
        "a branch stands for can change under you from one day to the next; a tag, or "
        "a branch such as 'main', is taken when you name it"
    )


def load(model: str, revision: str) -> Bundle:
    """The bundle of a repository, as of a commit, a tag or a branch.

    A file that is not what bundle.json states is fetched once more: the cache may
    have been cut short.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        ModelError: The Hub cannot be reached and the cache does not have the files,
            there is no such model or revision, or a file is not what it should be.
    """
    folder = _fetch(model, revision, again=False)
    try:
        return Bundle.load(folder)
    except ModelError as error:
        found = error
    # Once a process: a model that is broken for good is not fetched at every check.
    if (model, revision) not in _fetched_again:
        _fetched_again.add((model, revision))
        try:
            return Bundle.load(_fetch(model, revision, again=True))
        except ModelError:
            pass
    raise ModelError(
        f"{model!r} at revision {revision!r} on the Hub cannot be used: {found}"
    )


def commit(model: str, revision: str) -> str:
    """The commit that a revision stands for now; its statement alone is fetched.

    Raises:
        MissingExtra: huggingface_hub is not installed.
        ModelError: As for ``load``.
    """
    if _COMMIT.fullmatch(revision):
        return revision
    return _file(model, _STATEMENT, revision, again=False).parent.name


_fetched_again: set[tuple[str, str]] = set()


def _fetch(model: str, revision: str, *, again: bool) -> str:
    """Folder of the cache that holds the files, all of the same commit."""
    statement = _file(model, _STATEMENT, revision, again=again)
    # Whatever a tag or a branch means a moment later, the rest is of this commit.
    commit = statement.parent.name
    if _COMMIT.fullmatch(revision) and commit != revision:
        raise ModelError(
            f"the Hub answered with commit {commit} of {model!r} where {revision} was "
            "asked for"
        )
    for name in (*NEEDED, *([CARD] if CARD in _stated(statement) else [])):
        _file(model, name, commit, again=again)
    return str(statement.parent)


def _stated(statement: Path) -> set[str]:
    """Files that a bundle.json names; one that is broken is told by Bundle.load."""
    try:
        return set(json.loads(statement.read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def _file(model: str, name: str, revision: str, *, again: bool) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtra("huggingface_hub", "hub") from None
    try:
        path = hf_hub_download(
            model,
            name,
            revision=revision,
            library_name="promptguard",
            force_download=again,
        )
    except Exception as error:
        # What it carries along may hold a token.
        raise _explained(error, model, name, revision) from None
    return Path(path)


def _explained(error: Exception, model: str, name: str, revision: str) -> ModelError:
    from huggingface_hub import errors

    which = f"{model!r} at revision {revision!r}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return ModelError(
            f"{name} of {which} is not in the cache, and the Hub cannot be reached; "
            "load it once with a connection, or copy the folder and pass its path"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"the Hub has no model {model!r} for you; look at the name, and if it is "
            "private or gated set HF_TOKEN to a token that may read it"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(f"{model!r} on the Hub has no revision {revision!r}")
    if isinstance(error, errors.EntryNotFoundError):
        return ModelError(f"{which} has no {name}: it is not a model of this library")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelError(
            f"no space is left on the disk for {name} of {which}; make room, or point "
            "HF_HOME at another disk"
        )
    return ModelError(
        f"{name} of {which} could not be fetched from the Hub "
        f"({type(error).__name__}); what has come is kept, so try again"
    )
