"""Guards whose model is in a registry of MLflow, by a version or an alias."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import promptguard as pg
from promptguard import ConfigError, MissingExtra, ModelError, Policy
from training.config import Publish
from training.registry import Publication, Registry
from training.testing.tiny import write_bundle

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.skipif(
        find_spec("mlflow") is None, reason="needs MLflow, of the extra 'train'"
    ),
    pytest.mark.filterwarnings("default"),
]

OLD, NEW = "the heliotrope", "the vermilion"
CHAMPION = "models:/promptguard@champion"


class Store:
    """A registry in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.registry = Registry(Publish(tracking=self.uri))

    def add(self, word: str) -> str:
        """A version whose model knows one word."""
        bundle = write_bundle(self.folder / word, words=(word,))
        digest = json.loads((bundle / "bundle.json").read_bytes())["digest"]
        tags = {"promptguard.bundle": digest, "promptguard.report": word}
        made = Publication(
            name=word, bundle=bundle, digest=digest, params={}, metrics={}, tags=tags
        )
        return self.registry.record(made).number

    def promote(self, number: str) -> None:
        self.registry.promote(number, {})


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What was said to MLflow in this process does not count in the next test."""
    import mlflow

    def forget() -> None:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        # It writes down there, for child processes, what it was told.
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            os.environ.pop(name, None)

    forget()
    yield
    forget()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.uri)
    return made


def test_an_alias_is_what_it_stands_for_now(store: Store) -> None:
    store.promote(store.add("heliotrope"))
    policy = Policy(input=pg.PromptInjection(model=CHAMPION))
    before, state = policy.pinned(), policy.revisions()
    store.promote(store.add("vermilion"))
    assert policy.revisions() != state
    after = policy.pinned()
    assert before.input is not None and after.input is not None
    assert [before.input.check(text).blocked for text in (OLD, NEW)] == [True, False]
    assert [after.input.check(text).blocked for text in (OLD, NEW)] == [False, True]
    # A version by its number does not change.
    first = pg.PromptInjection(model="models:/promptguard/1")
    assert [first.check(text).blocked for text in (OLD, NEW)] == [True, False]


def test_a_bundle_that_is_not_the_one_of_its_version_is_refused(store: Store) -> None:
    store.promote(store.add("heliotrope"))
    (there,) = store.folder.rglob("mlartifacts/**/artifacts/bundle")
    shutil.rmtree(there)
    write_bundle(there, words=("vermilion",))
    with pytest.raises(ModelError, match="version 1 was made of another bundle"):
        Policy(input=pg.PromptInjection(model=CHAMPION)).pinned()
    (there / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx cannot be read"):
        Policy(input=pg.PromptInjection(model=CHAMPION)).pinned()
    shutil.rmtree(there)
    with pytest.raises(ModelError, match="champion: "):
        Policy(input=pg.PromptInjection(model=CHAMPION)).pinned()


def test_what_is_not_there_is_told_with_the_remedy(store: Store) -> None:
    for name in (CHAMPION, "models:/nobody@champion", "models:/promptguard/7"):
        guard = pg.PromptInjection(model=name)
        with pytest.raises(ModelError, match=r"no such version; look at MLFLOW_TRACK"):
            guard.warmup()
    for name in ("models:/promptguard", "models:/a@b/c", "models:/"):
        guard = pg.PromptInjection(model=name)
        with pytest.raises(ConfigError, match="models:/name@alias"):
            guard.warmup()


def test_a_registry_that_is_away_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ModelError, match="does not answer") as raised:
        pg.PromptInjection(model=CHAMPION).warmup()
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_damaged_registry_is_told(store: Store) -> None:
    store.promote(store.add("heliotrope"))
    with sqlite3.connect(store.folder / "mlflow.db") as database:
        database.execute("DROP TABLE registered_model_aliases")
    with pytest.raises(ModelError, match="registry of MLflow does not answer"):
        pg.PromptInjection(model=CHAMPION).warmup()


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[registry\]"):
        pg.PromptInjection(model=CHAMPION).warmup()
