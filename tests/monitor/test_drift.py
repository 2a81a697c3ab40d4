"""What has changed is seen, and what has not is not."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace

import pytest
from made_windows import ATTACKS, GARDEN, GERMAN, prompts, row, sample

from promptguard import ConfigError
from promptguard.monitor import Labels, Profile, Thresholds, compare
from promptguard.monitor.samples import Builder, Text

ABOUT = {"direction": "input", "action": "allow", "length": 40}


def seen(report) -> set[str]:
    return {check.name for check in report.checks if check.verdict != "pass"}


def labels(**by: dict[str, bool]) -> Labels:
    """Labels of texts of both windows, by seed and number."""
    return Labels(
        "labels",
        {f"key{k}-0": {"injection": v} for of in by.values() for k, v in of.items()},
    )


@pytest.mark.parametrize("size", [300, 1500])
def test_what_has_not_changed_is_seldom_flagged(size):
    pool, flagged = sample(prompts(3000, 1)), []
    for seed in range(15):
        rows = random.Random(seed).sample(range(len(pool)), 500 + size)
        report = compare(pool.take(rows[:500]), pool.take(rows[500:]))
        assert report.kind == "none" or report.verdict != "pass"
        flagged.append(report.verdict != "pass")
    assert sum(flagged) <= 1


@pytest.mark.parametrize(
    ("name", "change", "share"),
    [
        ("vocabulary", {"words": GARDEN}, 0.5),
        ("language", {"frames": GERMAN}, 0.5),
        ("language", {"frames": GERMAN}, 0.2),
        ("classifier", {"frames": ATTACKS}, 0.3),
    ],
)
def test_what_has_changed_is_flagged(name, change, share):
    before = Profile.of(sample(prompts(500, 1), 1))
    for seed in range(10, 15):
        report = compare(
            sample(prompts(500, seed, share=share, **change), seed), before
        )
        assert report.verdict == "fail"
        assert report.kind == "covariate"
        assert name in seen(report)
        assert name in report.summary


def test_another_length_alone_is_seen():
    texts = prompts(400, 1)
    report = compare(
        sample([f"{t} {t} {t}" for t in texts], 2), sample(prompts(400, 2))
    )
    assert "length" in seen(report)
    assert "language" not in seen(report)


def test_coverage_that_is_lost_is_seen_and_a_character_left_out_is_not():
    now, before = sample(prompts(400, 1), 1), sample(prompts(400, 2), 2)
    for lost, flagged in ((0.002, False), (0.4, True)):
        report = compare(replace(now, coverage=now.coverage - lost), before)
        assert ("coverage" in seen(report)) is flagged


def test_decisions_that_change_where_inputs_do_not_point_at_the_model():
    report = compare(
        sample(prompts(800, 1), 1, flagged=0.3), sample(prompts(800, 2), 2, flagged=0.1)
    )
    assert {"flagged", "blocked"} <= seen(report)
    assert report.kind == "none"
    assert report.verdict == "fail"
    assert "model, policy or threshold" in report.summary


def test_scores_that_move_are_seen_though_as_many_are_flagged():
    def of(low: float, high: float):
        draw = random.Random(low)
        return lambda n: draw.uniform(low, high) if n % 4 == 0 else None

    report = compare(
        sample(prompts(800, 1), 1, flagged=of(0.5, 0.8)),
        sample(prompts(800, 2), 2, flagged=of(0.8, 1.0)),
    )
    assert seen(report) == {"score"}


def test_a_profile_says_what_its_window_says(tmp_path):
    now, before = (
        sample(prompts(300, 1, share=0.5, words=GARDEN), 1),
        sample(prompts(300, 2)),
    )
    path = str(tmp_path / "profile.json")
    Profile.of(before).save(path)
    direct, saved = compare(now, before), compare(now, Profile.load(path))
    assert [c.name for c in direct.checks] == [c.name for c in saved.checks]
    for one, other in zip(direct.checks, saved.checks, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-4)
    assert direct.verdict == saved.verdict


def test_a_profile_holds_no_word_of_its_texts(tmp_path):
    path = tmp_path / "profile.json"
    Profile.of(sample(prompts(300, 2) + ["canary7713 zanzibar"] * 3)).save(str(path))
    written = path.read_text(encoding="utf-8").lower()
    assert not [
        word for word in ("canary7713", "zanzibar", "parcel") if word in written
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace('"version": 1', '"version": 2'),
        lambda data: data.replace("promptguard-profile", "other"),
        lambda data: data.replace('"lengths": [', '"lengths": [1, '),
        lambda data: data[: len(data) // 2],
        lambda data: "[]",
    ],
    ids=["version", "kind", "bins", "cut", "list"],
)
def test_a_profile_that_is_none_is_refused(tmp_path, change):
    path = tmp_path / "profile.json"
    Profile.of(sample(prompts(60, 2))).save(str(path))
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ConfigError, match="save"):
        Profile.load(str(path))


def test_texts_of_one_request_count_for_one():
    """Fifty answers that call the same tool are no fifty observations."""
    now, before = sample(prompts(300, 1), 1), sample(prompts(300, 2), 2)
    same = replace(now, request=now.request // 15)
    assert same.requests == 20
    with pytest.raises(ConfigError, match="20 requests"):
        compare(same, before)


def test_a_request_counts_once_however_many_texts_it_has():
    builder = Builder("made")
    for number, text in enumerate(prompts(30, 1)):
        builder.add(
            Text(
                "one" if number < 20 else f"k{number}",
                "id",
                number,
                None,
                ABOUT,
                text,
                (),
            )
        )
    made = builder.sample()
    assert (made.requests, len(made)) == (11, 30)
    assert made.weight[:20].sum() == pytest.approx(1)
    side = Profile.of(made).sides["input"]
    assert side.read == pytest.approx(11)
    assert side.scale == pytest.approx(11 / 30)


def test_naming_the_room_loads_no_numpy():
    code = (
        "import sys, promptguard.monitor, promptguard.monitor.commands\n"
        "raise SystemExit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_window_that_is_too_small_is_no_pass():
    with pytest.raises(
        ConfigError, match="has 30 requests with texts of one direction, and 50"
    ):
        compare(sample(prompts(30, 1)), sample(prompts(300, 2)))


def test_texts_that_were_not_kept_are_told_and_the_rest_is_compared():
    now = sample([None] * 400, 1, flagged=0.3)
    report = compare(now, sample(prompts(400, 2), 2, flagged=0.1))
    assert "flagged" in seen(report)
    assert "vocabulary" not in {check.name for check in report.checks}
    assert any("400 of 400 texts were not kept" in note for note in report.notes)
    assert any("language and script were not compared" in note for note in report.notes)


def judged(texts, seed, *, turned=0.0, every=1, missed=0.1):
    """A sample with its labels: one text in five is an attack, most are found."""
    draw = random.Random(seed)
    true = [draw.random() < 0.2 for _ in texts]
    found = [draw.random() < (1 - missed if attack else 0.03) for attack in true]
    made = sample(texts, seed, flagged=lambda n: 0.9 if found[n] else None)
    said = {
        f"{seed}x{n}": attack != (draw.random() < turned)
        for n, attack in enumerate(true)
        if n % every == 0
    }
    return made, said


def test_quality_is_told_with_its_intervals():
    (now, one), (before, other) = judged(prompts(600, 1), 1), judged(prompts(600, 2), 2)
    report = compare(now, before, labels=labels(one=one, other=other))
    row = next(
        r for r in report.quality if (r.window, r.language) == ("current", "all")
    )
    assert row.texts == 600
    assert row.recall.low < 0.9 < row.recall.high
    assert row.f1.low < row.f1.value < row.f1.high
    assert row.fpr.low < 0.03 < row.fpr.high
    assert report.kind == "none"


def test_what_a_guard_saw_and_let_through_is_not_counted_as_found():
    def window(actions: list[str], seed: int):
        builder = Builder("made")
        for number, action in enumerate(actions):
            made = row("Where is my parcel?", number, seed, score=0.4)
            found = ("prompt_injection", "injection", 0.4, action)
            name, key = made["id"], made["key"]
            builder.add(Text(key, name, 0, 1.0, made, None, (found,)))
        return builder.sample()

    actions = ["allow", "block", "flag", "allow"] * 50
    now, before = window(actions, 1), window(actions, 2)
    said = {f"1x{n}": action != "allow" for n, action in enumerate(actions)}
    report = compare(now, before, labels=labels(one=said))
    overall = next(r for r in report.quality if r.language == "all")
    assert (overall.recall.value, overall.fpr.value) == (1.0, 0.0)


def test_quality_is_told_by_language():
    texts = prompts(600, 1, frames=GERMAN, share=0.5)
    (now, one), (before, other) = judged(texts, 1), judged(prompts(600, 2), 2)
    report = compare(now, before, labels=labels(one=one, other=other))
    languages = {row.language for row in report.quality if row.window == "current"}
    assert {"all", "de", "en"} <= languages


def test_labels_that_turn_where_inputs_do_not_are_concept_drift():
    kinds = []
    for seed in range(4):
        now, one = judged(prompts(600, seed), seed, turned=0.25)
        before, other = judged(prompts(1200, 50 + seed), 50 + seed)
        report = compare(now, before, labels=labels(one=one, other=other))
        kinds.append(report.kind)
        assert {"recall", "concept"} <= seen(report)
        assert "concept drift" in report.summary
    assert kinds == ["concept"] * 4


def test_quality_lost_on_new_inputs_alone_is_covariate_drift():
    """In German much is missed; in English as much is found as before."""
    for seed in range(4):
        english, one = judged(prompts(400, seed), seed)
        texts = prompts(400, seed, frames=GERMAN, share=1.0)
        german, two = judged(texts, 30 + seed, missed=0.8)
        before, other = judged(prompts(1200, 60 + seed), 60 + seed)
        report = compare(
            together(english, german),
            before,
            labels=labels(one=one, two=two, other=other),
        )
        assert "recall" in seen(report)
        assert report.kind == "covariate"
        assert "the new inputs explain it" in report.summary
        weighted = next(row for row in report.quality if row.window == "weighted")
        now = next(row for row in report.quality if row.window == "current")
        assert weighted.recall.value > now.recall.value + 0.2


def together(one, other):
    """Two samples as one."""
    import numpy as np

    from promptguard.monitor.samples import Column, Sample

    def joined(name):
        a, b = one.columns[name], other.columns[name]
        names = tuple(dict.fromkeys((*a.names, *b.names)))
        codes = [
            np.array([names.index(c.names[n]) for n in c.codes], np.int32)
            for c in (a, b)
        ]
        return Column(np.concatenate(codes), names)

    findings = {}
    for name in {*one.findings, *other.findings}:
        parts = [
            (rows + shift, scores, actions)
            for sample_, shift in ((one, 0), (other, len(one)))
            if name in sample_.findings
            for rows, scores, actions in [sample_.findings[name]]
        ]
        findings[name] = tuple(map(np.concatenate, zip(*parts, strict=True)))
    return Sample(
        "made",
        one.ids + other.ids,
        np.concatenate([one.request, other.request + one.request.max() + 1]),
        {name: joined(name) for name in one.columns},
        np.concatenate([one.length, other.length]),
        np.concatenate([one.coverage, other.coverage]),
        np.concatenate([one.read, other.read]),
        np.concatenate([one.starts, other.starts[1:] + one.starts[-1]]),
        np.concatenate([one.buckets, other.buckets]),
        findings,
    )


def test_a_floor_fails_where_the_interval_lies_below(tmp_path):
    path = tmp_path / "drift.toml"
    (now, one), (before, other) = judged(prompts(600, 1), 1), judged(prompts(600, 2), 2)
    said = labels(one=one, other=other)
    for limit, verdict in ((0.99, "fail"), (0.92, "warn"), (0.5, "pass")):
        path.write_text(f"[least]\nrecall = {limit}\n", encoding="utf-8")
        thresholds = Thresholds.load(str(path))
        report = compare(now, before, labels=said, thresholds=thresholds)
        floors = [c for c in report.checks if c.statistic == "least"]
        assert [c.verdict for c in floors if c.group == "injection"] == [verdict]


def test_without_labels_of_the_reference_quality_is_told_and_not_compared():
    now, one = judged(prompts(600, 1), 1)
    report = compare(now, sample(prompts(600, 2), 2), labels=labels(one=one))
    assert {row.window for row in report.quality} == {"current"}
    assert any("no labels in the reference" in note for note in report.notes)


def test_the_report_is_json_and_holds_what_others_decide_by():
    report = compare(sample(prompts(100, 1)), sample(prompts(100, 2)))
    data = report.to_dict()
    assert {"verdict", "kind", "summary", "checks", "quality", "notes"} <= set(data)
    assert {"name", "group", "statistic", "value", "threshold", "verdict", "p"} <= set(
        data["checks"][0]
    )
