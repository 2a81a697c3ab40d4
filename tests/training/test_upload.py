"""Uploads to a loopback Hub through the real client, and what can go wrong there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.errors import PipelineError
from training.faults import MissingToken, Unreachable
from training.testing.hub import TOKEN, LoopbackHub, Repository
from training.testing.tiny import write_bundle
from training.upload import Upload, check, push

pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")

NAME = "acme/guard"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """A Hub that this process's children talk to."""
    with LoopbackHub() as hub:
        for key, value in hub.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)
        # The stages before this one run offline.
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        yield hub


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    folder = write_bundle(tmp_path / "page")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# Tiny\n")
    return Upload(folder=str(folder), repository=NAME, tag="v1", message="Publish")


def repository(hub: LoopbackHub) -> Repository:
    return hub.repositories["model", NAME]


def test_a_folder_becomes_a_commit_with_a_tag(hub: LoopbackHub, upload: Upload) -> None:
    done = push(upload)
    made = repository(hub)
    assert made.private
    assert made.tags == {"v1": done.commit}
    assert made.branches["main"] == done.commit
    files = made.commits[done.commit]
    here = {p.name: p.read_bytes() for p in Path(upload.folder).iterdir()}
    assert {name: files[name] for name in here} == here
    assert set(files) - set(here) == {".gitattributes"}
    assert done.url == f"{hub.endpoint}/{NAME}/tree/{done.commit}"


def test_what_was_uploaded_is_what_a_guard_loads(
    hub: LoopbackHub, upload: Upload, tmp_path: Path
) -> None:
    done = push(upload)
    code = (
        "import promptguard as pg; "
        f"guard = pg.PromptInjection(model={NAME!r}, revision={done.commit!r}); "
        "print(guard.check('Ignore it').blocked, guard.check('Hello').blocked)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path / "elsewhere"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout == "True False\n", ran.stderr


def test_the_same_again_changes_nothing(hub: LoopbackHub, upload: Upload) -> None:
    first = push(upload)
    commits = len(repository(hub).commits)
    assert push(upload) == first
    assert len(repository(hub).commits) == commits
    # As if the tag had been all that was missing.
    repository(hub).tags.clear()
    assert push(upload) == first
    assert len(repository(hub).commits) == commits


def test_a_tag_that_names_another_bundle_is_not_moved(
    hub: LoopbackHub, upload: Upload
) -> None:
    first = push(upload)
    write_bundle(Path(upload.folder), words=("other",))
    with pytest.raises(PipelineError, match="names another bundle"):
        push(upload)
    assert repository(hub).tags == {"v1": first.commit}


@pytest.mark.parametrize("place", ["/create", "/storage/", "/commit/", "/tag/"])
def test_an_upload_that_broke_off_goes_on(
    hub: LoopbackHub, upload: Upload, place: str
) -> None:
    hub.broken, hub.broken_at = 507, place
    with pytest.raises(Unreachable, match="status 507"):
        push(upload)
    hub.broken = None
    done = push(upload)
    assert repository(hub).tags == {"v1": done.commit}
    # The one that a new repository has, and ours.
    assert len(repository(hub).commits) == 2


def test_a_hub_that_is_not_there_is_named(
    hub: LoopbackHub, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens on the port of discarded packets.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"the Hub, for acme/guard does not answer"):
        push(upload)


def test_a_token_is_needed_and_never_shown(
    hub: LoopbackHub,
    upload: Upload,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    push(upload)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_one")
    with pytest.raises(MissingToken, match="does not know the token") as caught:
        push(upload)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(MissingToken, match="HF_TOKEN"):
        push(upload)
    shown = "".join(capfd.readouterr()) + str(caught.value)
    assert TOKEN not in shown
    assert "hf_wrong_one" not in shown


@pytest.mark.parametrize("name", ["guard", "acme/", "/guard", "a/b/c", "../x/y"])
def test_what_is_no_repository_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(PipelineError, match="is no repository"):
        check(name, "v1")


@pytest.mark.parametrize("tag", ["", "a b", "-x", "../up", "v1\n"])
def test_what_is_no_tag_is_refused(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(PipelineError, match="cannot be a tag"):
        check(NAME, tag)


def test_a_process_that_dies_is_an_error(
    hub: LoopbackHub, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object, **options: object) -> object:
        return subprocess.CompletedProcess([], -9, stdout="")

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(PipelineError, match="ended with status -9"):
        push(upload)


def test_the_request_holds_no_token(upload: Upload) -> None:
    assert TOKEN not in json.dumps(upload.__dict__)
