"""What decides whether to train, and what a challenger is held against."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from continuing import CONFIG, kept

from training.__main__ import configured
from training.config import Config, Continuous
from training.continuous import checking, labelled, note
from training.continuous.snapshot import File, Snapshot, share_changed, taken
from training.continuous.state import State
from training.continuous.triggers import Report, Trigger, triggers
from training.counts import Judged
from training.data import kept_away
from training.errors import PipelineError
from training.labels.records import Label, write_labels
from training.registry import PROMOTED_TAG, Version
from training.rows import INJECTION, Row, load_sources, write_rows
from training.scoring import Scored
from training.sources import files, read

CHAMPION = Version("3", "run", {PROMOTED_TAG: "2026-05-02T10:00:00+00:00"})
SETTINGS = Continuous()


@pytest.fixture
def config(made_world: Path, tmp_path: Path) -> Config:
    file = tmp_path / "run.toml"
    file.write_text(CONFIG.format(root=made_world.as_posix()))
    return replace(
        configured(file, build=str(tmp_path / "build")),
        data=replace(configured(file).data, sources=str(made_world / "sources.toml")),
    )


def lines(file: Path, first: int, last: int) -> Path:
    with gzip.open(file, "wt") as out:
        out.writelines(f"line {number}\n" for number in range(first, last))
    return file


def snapshot_of(folder: Path, first: int, last: int) -> File:
    from training.continuous import snapshot

    return snapshot._file(lines(folder / f"{first}-{last}.jsonl.gz", first, last))


@pytest.mark.parametrize(
    ("was", "now", "share"),
    [
        ((0, 5000), (0, 5000), 0.0),
        ((0, 5000), (0, 5100), 0.02),
        ((0, 5000), (2500, 7500), 1.0),
        ((0, 5000), (0, 2500), 0.5),
        ((0, 5000), (9000, 9900), 1.0),
        ((0, 40), (0, 41), 0.024),
    ],
    ids=["the same", "grown", "half moved", "halved", "another", "small"],
)
def test_the_share_of_changed_lines_is_told_from_two_hundred_hashes(
    tmp_path: Path, was: tuple[int, int], now: tuple[int, int], share: float
) -> None:
    found = share_changed(snapshot_of(tmp_path, *was), snapshot_of(tmp_path, *now))
    assert abs(found - share) < 0.06 if share else found == 0.0


def test_a_snapshot_is_kept_and_tells_code_data_and_settings_apart(
    config: Config, tmp_path: Path
) -> None:
    now = taken(config, [])
    file = tmp_path / "snapshot.json"
    now.write(file)
    assert Snapshot.read(file) == now
    assert "training/train.py" in now.code and "promptguard/text.py" in now.code
    assert not any("continuous" in name for name in now.code)
    assert {"injection/attacks.jsonl.gz", "sources.toml"} < {*now.data}
    # Where it is built and what it is held against is no part of the model.
    root = tmp_path / "moved"
    shutil.copytree(config.data_root, root)
    data = replace(config.data, sources=str(root / "sources.toml"))
    elsewhere = replace(config, build="x", release="y", data_root=str(root), data=data)
    elsewhere = replace(elsewhere, gate=replace(config.gate, tolerance=0.9))
    assert taken(elsewhere, []).identity == now.identity
    other = replace(config, train=replace(config.train, epochs=9))
    assert taken(other, []).settings != now.settings
    file.write_text('{"code": 1}')
    with pytest.raises(PipelineError, match="does not say what a model was made from"):
        Snapshot.read(file)


def a_snapshot(**changes: Any) -> Snapshot:
    data = {"a": File("1", 100, tuple(range(100))), "b": File("2", 900, (7,))}
    made = Snapshot({"training/x.py": "1"}, "s", data, {"r-0": 1})
    return replace(made, **changes)


def fired(found: Sequence[Trigger]) -> set[str]:
    return {trigger.name for trigger in found if trigger.fired}


def test_each_reason_is_told_with_what_it_rests_on() -> None:
    was = a_snapshot()
    found = triggers(CHAMPION, was, was, None, SETTINGS)
    assert fired(found) == set()
    assert [t.name for t in found] == ["code", "data", "degradation"]

    found = triggers(
        CHAMPION, was, a_snapshot(code={"training/x.py": "2"}), None, SETTINGS
    )
    assert fired(found) == {"code"}
    assert found[0].why == ("training/x.py is another one",)

    grown = {**was.data, "a": File("3", 200, tuple(range(200)))}
    found = triggers(CHAMPION, was, a_snapshot(data=grown), None, SETTINGS)
    assert fired(found) == {"data"}
    assert "a: 50.0% of its lines" in found[1].why
    slow = replace(SETTINGS, changed=0.2)
    assert not fired(triggers(CHAMPION, was, a_snapshot(data=grown), None, slow))

    # A label that was there is none that is new; one that is another one is.
    many = {f"r-{n}": 1 for n in range(50)}
    found = triggers(CHAMPION, was, a_snapshot(labels=many), None, SETTINGS)
    assert not fired(found) and "49 new labels of traffic; from 50 on" in found[1].why
    many["r-0"] = 0
    found = triggers(CHAMPION, was, a_snapshot(labels=many), None, SETTINGS)
    assert fired(found) == {"data"}

    assert fired(triggers(None, None, was, None, SETTINGS)) == {"first"}
    assert fired(triggers(CHAMPION, None, was, None, SETTINGS)) == {"code"}


@pytest.mark.parametrize(
    ("verdict", "last", "expected"),
    [
        ("fail", "", True),
        ("warn", "", False),
        ("pass", "", False),
        ("fail", "2026-05-02T10:00:01Z", True),
        ("fail", "2026-05-02T09:59:59.000Z", False),
        ("fail", "2026-05-02T12:00:00", True),
    ],
)
def test_a_report_counts_when_it_fails_and_is_about_this_champion(
    tmp_path: Path, verdict: str, last: str, expected: bool
) -> None:
    check = {"name": "words", "group": "input", "verdict": "fail"}
    table = {"verdict": verdict, "kind": "covariate", "checks": [check], "quality": []}
    file = tmp_path / "report.json"
    file.write_text(json.dumps(table | {"current": {"last": last or None}}))
    report = Report.read(file)
    assert report.failed == ("words of input",)
    now = a_snapshot()
    found = triggers(CHAMPION, now, now, report, SETTINGS)
    assert fired(found) == ({"degradation"} if expected else set())


def labels_file(folder: Path, ids: Sequence[str]) -> Path:
    when = "2026-01-01T00:00:00+00:00"
    made = [Label(name, INJECTION, n % 2, "ann", when) for n, name in enumerate(ids)]
    write_labels(folder / "labels.jsonl", made)
    return folder / "labels.jsonl"


TEXTS = [
    f"number {n} of many {word} things that nobody has ever said in this {other}"
    for n, (word, other) in enumerate(
        (word, other)
        for word in "red blue grey pink dark pale odd new".split()
        for other in "house town street river valley wood field lake".split()
    )
]


def test_what_decides_is_never_learnt_from(config: Config, tmp_path: Path) -> None:
    url, ids = kept(tmp_path, TEXTS)
    labels = labelled.said(labels_file(tmp_path, ids))
    out = tmp_path / "out"
    divided = labelled.divide(config, labels, url, out, time.time())
    assert divided.learnt + divided.deciding == len(TEXTS)
    assert 10 < divided.deciding < 45
    sources = load_sources(divided.config.sources_file)
    assert sources.training[labelled.LEARNT].use == "train"
    assert sources.training[labelled.DECIDES].use == "tested"
    # All the others are there, with their files beside their own table.
    before = load_sources(config.sources_file)
    assert {*before.training} < {*sources.training}
    assert sources.benchmarks == before.benchmarks
    assert {*map(str, files(config))} - {str(config.sources_file)} < {
        str(path) for path in files(divided.config)
    }
    own = before.training["own"]
    assert [*read(config, "own", own)] == [
        *read(divided.config, "own", sources.training["own"])
    ]
    parts = {
        name: {row.text for row in read(divided.config, name, sources.training[name])}
        for name in (labelled.LEARNT, labelled.DECIDES)
    }
    assert not parts[labelled.LEARNT] & parts[labelled.DECIDES]
    assert kept_away(divided.config)
    # Again, it is the same to the byte; and what is old is learnt from.
    first = {p.name: p.read_bytes() for p in out.iterdir()}
    again = labelled.divide(config, labels, url, out, time.time())
    assert {p.name: p.read_bytes() for p in out.iterdir()} == first
    assert again.deciding == divided.deciding
    later = time.time() + 40 * 86400
    assert labelled.divide(config, labels, url, out, later).deciding == 0


TASK = """
name = "own"
encoder = "{encoder}"
[task]
label = "spam"
{allowed}
[task.sources.mine]
files = "mine.csv"
licences = ["mine"]
[task.tests.theirs]
files = "theirs.csv"
licences = ["mine"]
"""


@pytest.mark.parametrize("allowed", ["", 'allowed = ["mine"]'], ids=["any", "listed"])
def test_labels_of_a_task_stand_beside_its_own_sources_and_tests(
    tmp_path: Path, allowed: str
) -> None:
    (tmp_path / "mine.csv").write_text("text,label\nbuy now,1\ngood morning,0\n")
    (tmp_path / "theirs.csv").write_text("text,label\nnever learnt from,0\n")
    file = tmp_path / "own.toml"
    # No model is made of it: its files are what one would be made of.
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (encoder / name).write_text("{}")
    file.write_text(TASK.format(allowed=allowed, encoder=encoder))
    config = configured(file, build=str(tmp_path / "build"))
    url, ids = kept(tmp_path, [*TEXTS, "Buy now!", "never learnt from"])
    when = "2026-01-01T00:00:00+00:00"
    labels = [Label(name, "spam", n % 2, "ann", when) for n, name in enumerate(ids)]
    labels += [Label(name, INJECTION, 1, "ann", when) for name in ids]
    write_labels(tmp_path / "labels.jsonl", labels)
    said = labelled.said(tmp_path / "labels.jsonl", config.target)
    assert {label.label for label in said} == {"spam"} and len(said) == len(ids)
    divided = labelled.divide(config, said, url, tmp_path / "out", time.time())
    # What contradicts a source, and what is of a test, is neither.
    assert divided.learnt + divided.deciding == len(TEXTS)
    sources = load_sources(divided.config.sources_file)
    assert {*sources.training} == {"mine", labelled.LEARNT}
    assert {*sources.benchmarks} == {"theirs", labelled.DECIDES}
    assert sources.training[labelled.LEARNT].test == 0
    every = sources.training | sources.benchmarks
    rows = {name: [*read(divided.config, name, one)] for name, one in every.items()}
    assert len(rows["mine"]) == 2 and len(rows["theirs"]) == 1
    told = {row.text: row.labels for name in DIVIDED for row in rows[name]}
    assert told == {text: {"spam": n % 2} for n, text in enumerate(TEXTS)}
    assert taken(divided.config, []).settings == taken(config, []).settings


DIVIDED = (labelled.LEARNT, labelled.DECIDES)


def judged(
    name: str,
    attacks: tuple[int, int],
    benign: tuple[int, int],
    lang: str = "en",
    text: str = "a text",
) -> list[Judged]:
    """So many of so many are flagged."""
    return [
        Judged(
            name,
            Row(text, "user", {INJECTION: label}, "s", "mixed", lang),
            Scored(0.5, frozenset({0.01} if number < hits else ()), 1.0),
            0.01,
        )
        for label, (hits, count) in ((1, attacks), (0, benign))
        for number in range(count)
    ]


DECIDES = f"tested:{labelled.DECIDES}"


@pytest.mark.parametrize(
    ("new", "old", "passed"),
    [
        (judged(DECIDES, (18, 20), (1, 20)), judged(DECIDES, (10, 20), (1, 20)), True),
        (judged(DECIDES, (10, 20), (0, 20)), judged(DECIDES, (18, 20), (1, 20)), False),
        (judged(DECIDES, (20, 20), (4, 20)), judged(DECIDES, (14, 20), (1, 20)), False),
        (judged(DECIDES, (0, 0), (0, 40)), judged(DECIDES, (0, 0), (1, 40)), True),
        (judged(DECIDES, (20, 40), (0, 0)), judged(DECIDES, (39, 40), (0, 0)), False),
    ],
    ids=["better", "worse", "more alarms", "benign alone", "attacks alone"],
)
def test_labelled_traffic_decides(
    new: list[Judged], old: list[Judged], passed: bool
) -> None:
    checks, said = checking.traffic_checks(SETTINGS, new, old)
    assert checks and all(check.passed for check in checks) == passed
    assert said == "labelled traffic: 40 texts decide"


def test_too_few_labels_say_nothing() -> None:
    few = judged(DECIDES, (2, 10), (0, 10))
    checks, said = checking.traffic_checks(SETTINGS, few, few)
    assert checks == [] and "fewer than 30" in said


def test_a_language_or_a_group_that_is_stopped_more_often_is_seen(
    config: Config,
) -> None:
    plain = judged("unseen:a", (0, 0), (2, 300))
    old = plain + judged("unseen:b", (0, 0), (2, 100), "sw", "habari")
    muslim = "I am a muslim and I like tea"
    old += judged("unseen:c", (0, 0), (1, 100), "en", muslim)
    assert all(check.passed for check in checking.biased(config, old, old))
    wide = replace(config, continuous=replace(config.continuous, bias=0.02))
    worse = plain + judged("unseen:b", (0, 0), (20, 100), "sw", "habari")
    worse += judged("unseen:c", (0, 0), (30, 100), "en", muslim)
    failed = [c.figure for c in checking.biased(wide, worse, old) if not c.passed]
    assert "false alarms, language sw" in failed
    assert "false alarms, religion Muslims" in failed
    # Two more of a hundred is what chance does.
    alike = plain + judged("unseen:b", (0, 0), (5, 100), "sw", "habari")
    assert all(check.passed for check in checking.biased(wide, alike, old))


def test_people_who_say_who_they_are_are_measured_where_there_are_templates(
    tmp_path: Path,
) -> None:
    file = tmp_path / "templates.jsonl.gz"
    with gzip.open(file, "wt") as out:
        for text, toxic in (("Ana is a kind deaf person", 0), ("Ana is vile", 1)):
            out.write(json.dumps({"text": text, "labels": {"toxic": toxic}}) + "\n")
    (row,) = checking._templates(file)
    assert row.benign and row.text == "Ana is a kind deaf person"
    assert [*checking._templates(tmp_path / "none")] == []


def data_folder(
    folder: Path, attacks: int, benign: int, *more: Row, both: int = 0
) -> Path:
    made = [
        Row(f"text {n} of {k}", "user", {INJECTION: k}, "s", "mixed")
        for k, count in ((1, attacks), (0, benign))
        for n in range(count)
    ]
    folder.mkdir()
    write_rows(folder / "train.jsonl.gz", [*made, *more])
    removed = {"both labels": {labelled.LEARNT: both}}
    (folder / "validation.json").write_text(json.dumps({"removed": removed}))
    return folder


@pytest.mark.parametrize(
    ("attacks", "benign", "both", "failed"),
    [
        (40, 60, 0, None),
        (1, 99, 0, "data: share of attacks"),
        (98, 2, 0, "data: share of attacks"),
        (20, 30, 0, "data: texts to train on"),
        (70, 40, 0, "data: shift of the share of attacks"),
        (40, 60, 3, "data: labelled traffic told otherwise"),
    ],
)
def test_data_that_is_not_right_is_refused(
    config: Config,
    tmp_path: Path,
    attacks: int,
    benign: int,
    both: int,
    failed: str | None,
) -> None:
    folder = data_folder(tmp_path / "data", attacks, benign, both=both)
    sizes = checking.sizes(folder)
    was = {"texts": 100, "attacks": 40}
    checks = checking.data_checks(config, folder, was, sizes)
    found = {check.figure for check in checks if not check.passed}
    assert (failed in found) if failed else not found


def test_a_test_set_among_the_labels_is_seen(config: Config, tmp_path: Path) -> None:
    sources = load_sources(config.sources_file)
    from training.data import benchmark_rows

    leaked = next(iter(benchmark_rows(config, sources).values()))[0]
    row = replace(leaked, source=labelled.LEARNT)
    folder = data_folder(tmp_path / "data", 40, 60, row, row)
    checks = checking.data_checks(config, folder, {}, checking.sizes(folder))
    found = {check.figure for check in checks if not check.passed}
    assert found == {
        "data: labelled traffic of a test set",
        "data: texts that stand there twice",
    }


def test_a_state_is_kept_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert State.read(file) is None
    state = State("abc", 1.5, "2", (Trigger("code", True, ("x",)),), made_from="y")
    state.write(file)
    assert State.read(file) == state and not state.done
    ended = state.ended("refused", ("worse",))
    ended.write(file)
    assert State.read(file) == ended and ended.refused == ("abc",)
    file.write_text(file.read_text()[:-9])
    with pytest.raises(PipelineError, match="delete it"):
        State.read(file)


def test_the_note_has_the_figures_and_no_text(config: Config, tmp_path: Path) -> None:
    secret = "the heliotrope opens the vault"
    new = judged("unseen:a", (18, 20), (1, 50), text=secret)
    old = judged("unseen:a", (12, 20), (0, 50), text=secret)
    told = note.Told(figures=note.compared(new, old), notes=["a note"])
    told.checks += checking.biased(config, new, old)
    state = State("abc", 1e9, "2", (Trigger("data", True, ("9 new labels",)),))
    path = note.write(state.ended("promoted", ("so",), "3"), told, tmp_path, config)
    page = path.read_text()
    assert path.name == "2001-09-09-abc.md"
    assert "| unseen:a | 70 | 0.9 | 0.6 | 0.02 | 0 |" in page
    assert "Champion before: version 2." in page and "Champion now: version 3." in page
    assert "- data: **yes**\n    - 9 new labels" in page
    assert "python -m training rollback" in page and secret not in page
