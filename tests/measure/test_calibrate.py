"""`promptguard calibrate`, and guards that load what it writes."""

from __future__ import annotations

import json
import random

import fake_model
import pytest

from promptguard import ConfigError, ModelError, PromptInjection
from promptguard.text import READING_VERSION

SECRET = "zanzibar-7781"


def traffic(count: int, seed: int = 0, **more: object) -> list[dict[str, object]]:
    """Benign texts with scores that are even from 0 to 1."""
    rng = random.Random(seed)
    return [
        {"text": f"{SECRET} {seed} {n} score={rng.random():.12f}", **more}
        for n in range(count)
    ]


@pytest.fixture
def points(run, write, tmp_path):
    """The file that a thousand benign texts of a user lead to."""
    write("traffic.jsonl", traffic(1000))
    done = run("calibrate", "traffic.jsonl", "--fpr", "0.02", "--out", "points.json")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "points.json"


def test_the_file_says_what_was_measured_on_what(points):
    found = json.loads(points.read_text())
    assert SECRET not in points.read_text()
    assert found["format"] == 1
    assert found["bundle"] == fake_model.DIGEST
    assert found["reading"] == READING_VERSION
    assert found["version"] and found["date"].endswith("+00:00")
    assert found["texts"] == {"user": 1000, "tool": 0}
    assert found["files"][0]["sha256"]
    first = found["operating_points"][0]
    assert (first["role"], first["windows"], first["fpr"]) == ("user", 1, 0.02)
    assert (first["texts"], first["reached"], first["measured"]) == (1000, 20, 0.02)
    assert first["interval"][0] < 0.02 < first["interval"][1]


def test_fresh_texts_are_stopped_at_the_measured_rate(run, write, points, tmp_path):
    write("fresh.jsonl", traffic(10_000, seed=1, label=0))
    done = run(
        *("eval", "fresh.jsonl", "--json", "out.json"),
        *("--fpr", "0.02", "--calibration", "points.json"),
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "out.json").read_text())["false_positive_rate"]
    low, high = json.loads(points.read_text())["operating_points"][0]["interval"]
    assert low <= measured["value"] <= high


@pytest.mark.usefixtures("model")
def test_a_guard_takes_its_thresholds_from_the_file(points):
    guard = PromptInjection(fpr=0.02, calibration=str(points))
    assert guard.check("score=0.985").blocked
    assert not guard.check("score=0.975").blocked
    assert PromptInjection().check("score=0.975").blocked


@pytest.mark.usefixtures("model")
def test_guards_with_and_without_a_calibration_do_not_mix(points):
    text = "score=0.9"
    assert PromptInjection().check(text).blocked
    calibrated = PromptInjection(fpr=0.02, calibration=str(points))
    assert not calibrated.check(text).blocked
    assert PromptInjection().check(text).blocked


@pytest.mark.usefixtures("model")
def test_a_rate_that_was_not_measured_names_those_that_were(points):
    guard = PromptInjection(fpr=0.01, calibration=str(points))
    with pytest.raises(ConfigError, match=r"choose one of 0\.02, or pass threshold="):
        guard.check("score=0.5")


@pytest.mark.usefixtures("model")
def test_a_role_that_was_not_measured_is_named(points):
    guard = PromptInjection(fpr=0.02, calibration=str(points))
    with pytest.raises(ConfigError, match="texts of role 'tool'"):
        guard.check("score=0.5", role="retrieved")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"bundle": "e" * 64}, ConfigError, "with another model (bundle eeeeeeeeeeee;"),
        ({"reading": READING_VERSION + 1}, ConfigError, "read in version"),
        ({"format": 2}, ModelError, "format 2"),
        ({"operating_points": []}, ModelError, "no operating points"),
        ({"operating_points": "many"}, ModelError, "'operating_points'"),
        ({"bundle": None}, ModelError, "'bundle'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(points, change, kind, says):
    points.write_text(json.dumps(json.loads(points.read_text()) | change))
    with pytest.raises(kind) as caught:
        PromptInjection(fpr=0.02, calibration=str(points)).warmup()
    assert says in str(caught.value)
    assert str(points) in str(caught.value)
    assert "promptguard calibrate" in str(caught.value)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("threshold", [-0.1, 1.5, "0.5", None])
def test_a_threshold_that_is_no_probability_is_refused(points, threshold):
    found = json.loads(points.read_text())
    found["operating_points"][2]["threshold"] = threshold
    points.write_text(json.dumps(found))
    with pytest.raises(ModelError, match=r"points\.json has "):
        PromptInjection(fpr=0.02, calibration=str(points)).warmup()


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), ("{", "not JSON"), ("[]", "table")]
)
def test_a_file_that_is_missing_or_broken_is_named(tmp_path, content, says):
    path = tmp_path / "points.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ModelError, match=says) as caught:
        PromptInjection(calibration=str(path)).check("score=0.5")
    assert str(path) in str(caught.value)
    assert "install" not in str(caught.value)


def test_a_calibration_is_a_path_and_goes_with_a_rate():
    with pytest.raises(ConfigError, match="path of a file"):
        PromptInjection(calibration={"fpr": 0.01})
    with pytest.raises(ConfigError, match="calibration or threshold"):
        PromptInjection(calibration="points.json", threshold=0.5)


def test_attacks_in_the_traffic_are_left_out_and_counted(run, write, tmp_path):
    attacks = [{"text": "score=1.0", "label": 1}] * 50
    write("traffic.jsonl", traffic(300, label=0) + attacks)
    done = run("calibrate", "traffic.jsonl", "--out", "points.json")
    assert done.returncode == 0, done.stderr
    assert "50 rows labelled 1 were left out" in done.stdout
    assert "traffic.jsonl:301" not in done.stdout
    found = json.loads((tmp_path / "points.json").read_text())
    assert found["left_out"] == {"attacks": 50, "undecided": 0}
    assert found["operating_points"][0]["texts"] == 300


def test_the_lines_with_the_highest_scores_are_named(run, write):
    write("traffic.jsonl", [*traffic(299), {"text": f"{SECRET} score=1.0"}])
    done = run("calibrate", "traffic.jsonl", "--out", "points.json")
    assert "may be attacks: traffic.jsonl:300 (1.000), traffic" in done.stdout
    assert SECRET not in done.stdout


def test_several_rates_roles_and_lengths(run, write, tmp_path):
    rows = traffic(400) + traffic(200, seed=1, role="tool")
    rows += [{"text": f"windows=3 {n} score={(n / 400) ** 0.2}"} for n in range(400)]
    write("traffic.jsonl.gz", rows)
    done = run(
        *("calibrate", "traffic.jsonl.gz", "--out", "points.json"),
        *("--fpr", "0.05", "--fpr", "0.01", "--fpr", "0.05"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "points.json").read_text())
    assert found["rates"] == [0.01, 0.05]
    points = {(p["role"], p["fpr"], p["windows"]): p for p in found["operating_points"]}
    assert points["user", 0.01, 4]["measured_with"] == [2, 4]
    assert points["user", 0.01, 4]["threshold"] > points["user", 0.05, 4]["threshold"]
    # Two hundred texts are too few for one in a hundred: the model's own points stay,
    # but not below what was measured at the higher rate.
    assert points["tool", 0.01, 1]["measured_with"] == []
    assert (
        points["tool", 0.01, 1]["threshold"]
        == points["tool", 0.05, 1]["threshold"]
        > 0.8
    )
    assert "the model's own operating points stay for this role" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("few.jsonl",), "--out"),
        (("few.jsonl", "--out", "p.json"), "needs at least 300 benign texts"),
        (("few.jsonl", "--out", "p.json", "--fpr", "0.05"), "a rate of 0.06 or more"),
        (("few.jsonl", "--out", "p.json", "--fpr", "1.0"), "between 0 and 1"),
        (("few.jsonl", "--out", "p.json", "--fpr", "nan"), "between 0 and 1"),
        (("nowhere.jsonl", "--out", "p.json"), "nowhere.jsonl cannot be read"),
        (("few.jsonl", "--out", "no/p.json"), "no such folder"),
        (("bad.jsonl", "--out", "p.json"), "bad.jsonl:51: "),
        (("ones.jsonl", "--out", "p.json", "--fpr", "0.1"), "label the attacks"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line_and_writes_nothing(
    run, write, tmp_path, arguments, says
):
    write("few.jsonl", traffic(50))
    write("bad.jsonl", [*traffic(50), {"texts": SECRET}])
    write("ones.jsonl", [{"text": f"{n} score=1.0"} for n in range(50)])
    done = run("calibrate", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert not (tmp_path / "p.json").exists()


def test_too_few_texts_are_refused_before_they_are_scored(run, write):
    write("few.jsonl", [{"text": "unreadable"}] * 20)
    done = run("calibrate", "few.jsonl", "--out", "points.json")
    assert "needs at least 300" in done.stderr
    assert "longer than a model reads" not in done.stderr


def test_the_command_line_checks_with_the_file(run, points):
    check = ("check", "--fpr", "0.02", "--calibration", points.name)
    assert run(*check, "score=0.985").returncode == 1
    assert run(*check, "score=0.975").returncode == 0
    missing = run("check", "--calibration", points.name, "score=0.5")
    assert missing.returncode == 2
    assert "choose one of 0.02" in missing.stderr
