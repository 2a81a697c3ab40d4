"""Models that stay what they are while somebody holds their name."""

from __future__ import annotations

import gc
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import promptguard as pg
from promptguard import ModelError, Policy
from promptguard.runtime import infer
from promptguard.text import READING_VERSION
from training.testing.tiny import write_bundle

ONE, OTHER = "the heliotrope is out", "the vermilion is out"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    gc.collect()
    assert [name for name, _ in infer._models if (name or "").startswith("sha")] == []


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", words=("heliotrope",))


def flags(policy: Policy, text: str) -> bool:
    assert policy.input is not None
    return policy.input.check(text).blocked


def test_a_pinned_policy_stays_what_it_was_when_the_folder_changes(
    bundle: Path,
) -> None:
    policy = Policy(input=pg.PromptInjection(model=str(bundle)))
    before = policy.pinned()
    write_bundle(bundle, words=("vermilion",))
    after = policy.pinned()
    assert [flags(before, text) for text in (ONE, OTHER)] == [True, False]
    assert [flags(after, text) for text in (ONE, OTHER)] == [False, True]
    assert before.revisions() != after.revisions()
    stated = json.loads((bundle / "bundle.json").read_bytes())["digest"]
    assert after.revisions() == policy.revisions() == (("prompt_injection", stated),)
    assert after.pinned() == after


def test_every_guard_that_asks_a_model_is_pinned_wherever_it_is(bundle: Path) -> None:
    injection = pg.PromptInjection(model=str(bundle))
    keywords = pg.Keywords(("never",))
    route = Policy(output=injection.only("assistant"))
    policy = Policy(
        input=injection.then(keywords) | keywords.then(injection) | keywords,
        output=injection | pg.PII(),
        routes=(("route", route),),
    ).pinned()
    write_bundle(bundle, words=("vermilion",))
    assert policy.input is not None and policy.output is not None
    # One model, under one name: it is asked once for each text.
    digests = {digest for _, digest in policy.revisions()}
    assert len(digests) == 1 and len(policy.revisions()) == 1
    assert policy.output.check(ONE).blocked
    assert not policy.output.check(OTHER).blocked
    inner = policy.route("route").output
    assert inner is not None and inner.check(ONE, "assistant").blocked


def test_what_asks_no_model_is_left_as_it_is() -> None:
    policy = Policy(input=pg.PII() | pg.Keywords(("x",)), output=pg.Secrets())
    assert policy.pinned() == policy
    assert policy.revisions() == ()


def test_the_same_bundle_is_not_loaded_twice(bundle: Path) -> None:
    policy = Policy(input=pg.PromptInjection(model=str(bundle)))
    first, second = policy.pinned(), policy.pinned()
    assert first != second
    names = [key for key in infer._models if (key[0] or "").startswith("sha256:")]
    one, other = (infer._models[name] for name in names)
    assert one._session is other._session
    assert flags(first, ONE) and flags(second, ONE)


def test_a_calibration_is_read_anew(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "points.json"

    def calibrated(threshold: float) -> None:
        stated = json.loads((bundle / "bundle.json").read_bytes())
        points = [
            {
                "label": "injection",
                "role": "user",
                "windows": 1,
                "fpr": 0.01,
                "threshold": threshold,
            }
        ]
        table = {"format": 1, "reading": READING_VERSION, "bundle": stated["digest"]}
        file.write_text(json.dumps({**table, "operating_points": points}))

    calibrated(0.5)
    guard = pg.PromptInjection(model=str(bundle), calibration=str(file))
    policy = Policy(input=guard)
    strict, state = policy.pinned(), policy.revisions()
    assert flags(strict, ONE)
    calibrated(0.999)
    assert policy.revisions() != state
    assert not flags(policy.pinned(), ONE)
    assert flags(strict, f"{ONE} again")


def test_a_name_is_of_one_process(bundle: Path) -> None:
    policy = Policy(input=pg.PromptInjection(model=str(bundle))).pinned()
    copied = pickle.loads(pickle.dumps(policy.input))
    # Here it is there, under an equal name; once nobody holds it, it is not.
    assert copied.check(ONE).blocked
    del policy
    gc.collect()
    with pytest.raises(ModelError, match="pinned in another process"):
        copied.check(f"{ONE} or so")


def test_more_threads_do_not_take_a_pinned_model_away(bundle: Path) -> None:
    policy = Policy(input=pg.PromptInjection(model=str(bundle))).pinned()
    infer.set_threads(1)
    write_bundle(bundle, words=("vermilion",))
    assert flags(policy, f"{ONE} still")


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokenizer.json"])
def test_what_is_cut_short_is_not_pinned(bundle: Path, name: str) -> None:
    policy = Policy(input=pg.PromptInjection(model=str(bundle)))
    before = policy.pinned()
    file = bundle / name
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ModelError, match=name):
        policy.pinned()
    assert flags(before, ONE)
