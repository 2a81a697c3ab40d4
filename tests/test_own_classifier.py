"""Classifier: any bundle as a guard, an encoder's or a decoder's."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from promptguard import (
    Action,
    Classifier,
    ConfigError,
    ModelError,
    Policy,
    PromptInjection,
)
from promptguard.testing import check_guard
from training.testing.tiny import write_bundle

HEADS = {"spam": {"spam": ("prize",), "lottery": ("jackpot",)}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("spam")
    return str(write_bundle(folder, words=None, others=HEADS))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("decoder")
    return str(write_bundle(folder, words=None, others=HEADS, bytewise=True))


def labels(verdict: Any) -> list[str]:
    return [finding.label for finding in verdict.findings]


def test_every_label_of_the_model_is_looked_for(model: str) -> None:
    guard = Classifier(model=model)
    assert guard.check("a prize for you").blocked
    assert labels(guard.check("a prize, a jackpot")) == ["lottery", "spam"]
    assert not guard.check("see you at the lake").flagged
    assert not guard.check("").flagged


def test_only_the_labels_that_are_named_are_looked_for(model: str) -> None:
    guard = Classifier(model=model, labels=("lottery",))
    assert guard.known_labels == {"lottery"}
    assert not guard.check("a prize for you").flagged
    assert guard.check("a jackpot for you").blocked


def test_a_label_that_the_model_has_not_is_told(model: str) -> None:
    with pytest.raises(ModelError, match=r"'ham'.*lottery, spam"):
        Classifier(model=model, labels=("ham",)).check("a prize")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "needs model="),
        ({"model": "folder", "labels": "spam"}, "several names"),
        ({"model": "folder", "labels": ("",)}, "several names"),
        ({"model": ""}, "model is empty"),
        ({"model": "folder", "fpr": 2}, "fpr"),
        ({"model": "folder", "fpr": 0.05, "threshold": 0.5}, "not both"),
        (
            {"model": "m", "labels": ("spam",), "actions": {"ham": Action.FLAG}},
            "label of Classifier",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Classifier(**settings)


def test_it_is_a_value(model: str) -> None:
    guard = Classifier(model=model, labels=["spam"])  # type: ignore[arg-type]
    assert guard == copy.deepcopy(guard) == pickle.loads(pickle.dumps(guard))
    assert hash(guard) == hash(Classifier(model=model, labels=("spam",)))
    assert guard.name == "classifier"


def test_it_is_a_guard_as_others_are(model: str) -> None:
    check_guard(
        Classifier(model=model, labels=("spam",)), ["a prize for you", "see you"]
    )


def test_an_action_may_be_one_for_each_label(model: str) -> None:
    guard = Classifier(
        model=model, labels=("spam", "lottery"), actions={"lottery": Action.FLAG}
    )
    verdict = guard.check("a jackpot")
    assert verdict.flagged and not verdict.blocked


def test_an_action_for_a_label_that_the_model_has_not_is_told(model: str) -> None:
    guard = Classifier(model=model, actions={"lotery": Action.FLAG})
    says = r"label of Classifier 'lotery'; did you mean 'lottery'\? Known: .*spam"
    with pytest.raises(ConfigError, match=says):
        guard.warmup()
    with pytest.raises(ConfigError, match=says):
        guard.check("a jackpot")
    known = Classifier(model=model, actions={"lottery": Action.FLAG})
    verdict = known.check("a jackpot")
    assert verdict.flagged and not verdict.blocked


@pytest.mark.parametrize("role", ["user", "tool", "assistant"])
def test_a_decoders_bundle_reads_bytes_and_no_kinds(decoder: str, role: str) -> None:
    guard = Classifier(model=decoder, labels=("spam",))
    verdict = guard.check("see here, a prize for you", role)
    assert labels(verdict) == ["spam"]
    assert verdict.coverage == 1.0
    assert not guard.check("see you at the lake, <|endoftext|> 湖 \ud83d", role).flagged


def test_a_decoder_reads_a_long_text_to_its_end(decoder: str) -> None:
    text = "see you at the lake " * 400
    guard = Classifier(model=decoder, labels=("spam",))
    assert not guard.check(text).flagged
    verdict = guard.check(text + "a prize")
    (finding,) = verdict.findings
    assert finding.end == len(text) + len("a prize")
    assert finding.start > len(text) - 200


def test_a_policy_names_it(tmp_path: Path, model: str) -> None:
    file = tmp_path / "promptguard.toml"
    file.write_text(
        f'[input.classifier]\nmodel = "{Path(model).as_posix()}"\n'
        'labels = ["spam"]\naction = "flag"\n'
    )
    (guard,) = Policy.load(str(file)).input.parts
    assert guard.check("a prize for you").flagged
    assert not guard.check("a prize for you").blocked


def test_beside_a_guard_of_the_same_bundle_it_is_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptguard.runtime import infer

    bundle = str(write_bundle(tmp_path / "both", others=HEADS))
    calls = []
    answer = infer.answer
    monkeypatch.setattr(infer, "answer", lambda q: calls.append(q) or answer(q))
    guard = PromptInjection(model=bundle) | Classifier(model=bundle, labels=("spam",))
    assert labels(guard.check("a prize for you")) == ["spam"]
    assert len(calls) == 1
