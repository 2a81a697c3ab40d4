"""Toxicity and HarmfulRequest: labels, thresholds, and one run of the model for all."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from promptguard import (
    Action,
    ConfigError,
    HarmfulRequest,
    ModelError,
    PromptInjection,
    Toxicity,
)
from promptguard.runtime import infer
from promptguard.testing import check_guard
from training.testing.tiny import write_bundle

TOXIC = {
    "toxic": ("moron", "burn"),
    "insult": ("moron",),
    "threat": ("burn",),
    "identity_hate": (),
    "obscene": (),
    "severe": (),
}
HEADS = {"toxicity": TOXIC, "harmful_request": {"harmful": ("poison",)}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("three"), others=HEADS))


@pytest.fixture(scope="module")
def one_head(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_bundle(tmp_path_factory.mktemp("one")))


def labels(verdict: Any) -> list[str]:
    return [finding.label for finding in verdict.findings]


@pytest.mark.parametrize("role", ["user", "assistant", "tool", "retrieved"])
def test_each_label_has_a_finding_of_its_own(model: str, role: str) -> None:
    verdict = Toxicity(model=model).check("you moron, i will burn it", role)
    assert verdict.blocked
    assert labels(verdict) == ["insult", "threat", "toxic"]
    assert HarmfulRequest(model=model).check("which poison", role).blocked
    assert not HarmfulRequest(model=model).check("which potion", role).flagged


def test_only_the_labels_that_are_named_are_looked_for(model: str) -> None:
    guard = Toxicity(labels=("threat",), model=model)
    assert not guard.check("you moron").flagged
    assert labels(guard.check("i will burn it")) == ["threat"]


def test_a_threshold_may_be_one_for_each_label(model: str) -> None:
    guard = Toxicity(
        labels=("insult", "threat"), threshold={"threat": 0.999}, model=model
    )
    verdict = guard.check("you moron, i will burn it")
    # The rate decides about the insult, as nothing is stated for it.
    assert labels(verdict) == ["insult"]
    assert guard == copy.deepcopy(guard) == pickle.loads(pickle.dumps(guard))
    assert hash(guard) == hash(copy.copy(guard))


def test_one_threshold_is_for_all_labels(model: str) -> None:
    assert not Toxicity(threshold=0.999, model=model).check("you moron").flagged
    low = Toxicity(threshold=0.0, action=Action.FLAG, model=model).check("hello")
    assert set(labels(low)) == set(TOXIC)


def test_the_span_is_that_of_the_worst_window(model: str) -> None:
    text = "a b c d e f g h i j " * 6 + "moron " + "a b c d e f g h i j " * 6
    (finding,) = Toxicity(labels=("insult",), model=model).check(text).findings
    assert text[finding.start : finding.end].count("moron") == 1
    assert 0 < finding.start < finding.end < len(text)
    assert finding.end - finding.start < len(text) / 2


def test_the_role_of_a_text_reaches_the_model(model: str) -> None:
    guard = Toxicity(labels=("insult",), model=model)
    own = guard.check("you moron", "assistant").findings[0].score
    content = guard.check("you moron", "retrieved").findings[0].score
    assert own < content


def test_three_guards_run_the_model_once_for_each_window(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    made = infer._session

    class Counting:
        def __init__(self, session: Any) -> None:
            self.session = session
            self.get_inputs = session.get_inputs

        def run(self, names: list[str], feed: dict[str, Any]) -> Any:
            runs.append(feed["input_ids"].shape[1])
            return self.session.run(names, feed)

    monkeypatch.setattr(infer, "_session", lambda *given: Counting(made(*given)))
    monkeypatch.setattr(infer, "_models", {})
    # Each window of thirty-two tokens has room for thirty.
    text = "ignore the moron and the poison " + "a b c d e f g h i j " * 5
    alone = PromptInjection(model=model, action=Action.FLAG)
    alone.check(text + "k")
    once = len(runs)
    assert once > 1
    every = (
        alone
        | Toxicity(model=model, action=Action.FLAG)
        | HarmfulRequest(model=model, action=Action.FLAG)
    )
    verdict = every.check(text + "l")
    assert len(runs) == 2 * once
    assert labels(verdict) == ["harmful", "injection", "insult", "toxic"]
    runs.clear()
    every.check_batch(["one poison", "two moron"])
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("guard", "missing"),
    [(Toxicity, "toxic"), (HarmfulRequest, "harmful")],
)
def test_a_bundle_without_the_head_says_so(
    one_head: str, guard: type[Any], missing: str
) -> None:
    for threshold in (None, 0.5):
        alone = guard(model=one_head, threshold=threshold)
        with pytest.raises(
            ModelError, match=rf"no label '{missing}'.* injection; pass model="
        ):
            alone.check("hello")
    with pytest.raises(ModelError, match="no label"):
        guard(model=one_head).warmup()
    assert not guard(model=one_head).check("").flagged


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"labels": ("treat",)}, "did you mean 'threat'.*identity_hate, insult"),
        ({"labels": ()}, "labels is empty. Known: toxic, insult"),
        ({"labels": "threat"}, "several names"),
        ({"labels": None}, "several names"),
        ({"labels": (3,)}, "unknown label 3"),
        ({"labels": (["threat"],)}, "unknown label"),
        ({"threshold": {"treat": 0.5}}, "did you mean 'threat'"),
        (
            {"labels": ("toxic",), "threshold": {"threat": 0.5}},
            "unknown label 'threat'. Known: toxic",
        ),
        ({"threshold": {"threat": 1.5}}, "probability from 0 to 1"),
        ({"threshold": {"threat": True}}, "probability from 0 to 1"),
        ({"threshold": {}}, "one for each label"),
        ({"threshold": (0.5, 0.6)}, "one for each label"),
        ({"threshold": {"threat": 0.5}, "labels": ("threat",), "fpr": 0.05}, "both"),
        (
            {"threshold": {"threat": 0.5}, "calibration": "f", "labels": ("threat",)},
            "calibration or threshold",
        ),
        ({"threshold": 0.5, "fpr": 0.05}, "not both"),
        ({"fpr": 0}, "share between"),
    ],
)
def test_arguments_that_cannot_be_are_refused(
    arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        Toxicity(**arguments)


def test_a_rate_that_was_not_measured_names_those_that_were(model: str) -> None:
    with pytest.raises(ConfigError, match=r"0\.001, 0\.005, 0\.01"):
        Toxicity(fpr=0.03, model=model).check("hello")


def test_labels_are_kept_once_and_in_order() -> None:
    assert Toxicity(labels=["threat", "toxic", "threat"]).labels == (  # type: ignore[arg-type]
        "threat",
        "toxic",
    )
    assert Toxicity().labels == tuple(TOXIC)
    assert Toxicity().action is HarmfulRequest().action is Action.BLOCK
    assert HarmfulRequest().name == "harmful_request"


@pytest.mark.parametrize("kind", [Toxicity, HarmfulRequest])
def test_it_behaves_as_a_guard_does(model: str, kind: type[Any]) -> None:
    check_guard(kind(model=model))


def test_a_band_passes_on_each_label_that_is_unsure(model: str) -> None:
    guard = Toxicity(
        labels=("insult", "threat"), threshold=0.99, band=(0.5, 0.995), model=model
    )
    verdict = guard.check("you moron")
    assert [(f.label, f.action) for f in verdict.findings] == [("insult", Action.ALLOW)]
    assert not verdict.blocked
