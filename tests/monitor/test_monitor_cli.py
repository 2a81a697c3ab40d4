"""``promptguard monitor`` as a user runs it: sources, files, statuses, errors."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from made_windows import GARDEN, export, prompts, row

from promptguard import ConfigError, Keywords
from promptguard.cli import main
from promptguard.monitor import Profile, Thresholds, sample
from promptguard.records import Checked, Latency, Record, Said
from promptguard.traffic import Writer

CANARY = "canary7713"
NOW = time.time()
DAY = 86_400


def write(
    url: str, texts: list[str], ended: float, *, seed: int, kept: str = "whole"
) -> None:
    """Requests with a prompt and an answer, over the day before."""
    guard = Keywords(("parcel",))
    with Writer(url, texts=kept, key=b"k" * 32) as writer:
        for number, text in enumerate(texts):
            verdict, answer = guard.check(text), guard.check("Here is what I found.")
            checks = (
                Checked.of(verdict, "input", "user"),
                Checked.of(answer, "output", "assistant"),
            )
            said = (
                Said("input", "user", text, verdict.text),
                Said("output", "assistant", answer.original, answer.text),
            )
            writer.write(
                Record(
                    id=f"request-{seed}-{number}",
                    time=ended - DAY * (number + 1) / (len(texts) + 1),
                    endpoint="/v1/chat/completions",
                    model="model",
                    outcome="redacted" if verdict.findings else "allowed",
                    checks=checks,
                    latency=Latency(0.1, 0.01, 0.08, 0.01),
                    texts=said,
                )
            )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two days: one as ever, and one in other words."""
    url = f"sqlite:///{tmp_path_factory.mktemp('kept')}/traffic.db"
    write(url, prompts(150, 1), NOW - DAY, seed=1)
    write(
        url, [*prompts(149, 2, words=GARDEN, share=0.6), f"{CANARY} again"], NOW, seed=2
    )
    return url


def run(capsys, *words: str) -> tuple[int, str, str]:
    status = main(["monitor", *map(str, words)])
    return status, *capsys.readouterr()


def fails(capsys, *words: str) -> str:
    """What is said where nothing was decided."""
    try:
        status, out, said = run(capsys, *words)
    except SystemExit as ended:
        status, (out, said) = ended.code, capsys.readouterr()
    assert status == 2
    assert out == ""
    assert len(said.strip().splitlines()) == 1
    return said


def test_a_window_beside_the_one_before_it(kept, capsys, tmp_path):
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    status, out, said = run(
        capsys,
        *("--traffic", kept, "--since", "24h", "--reference-until", "24h"),
        *("--json", report, "--html", page),
    )
    assert status == 1
    assert out.startswith("fail: The inputs have changed")
    data = json.loads(report.read_text(encoding="utf-8"))
    assert (data["verdict"], data["kind"]) == ("fail", "covariate")
    assert data["current"]["requests"] == data["reference"]["requests"] == 150
    assert data["current"]["texts"] == 300
    # Answers are another group, and have not changed.
    assert all(c["verdict"] == "pass" for c in data["checks"] if c["group"] == "output")
    assert "vocabulary" in page.read_text(encoding="utf-8")
    for written in (out, said, report.read_text(), page.read_text()):
        assert CANARY not in written
        assert "parcel of my" not in written


def test_other_answers_are_no_other_inputs(capsys, tmp_path):
    one = export(
        tmp_path / "one.jsonl",
        prompts(300, 5, words=GARDEN, share=0.6),
        5,
        direction="output",
    )
    other = export(tmp_path / "other.jsonl", prompts(300, 6), 6, direction="output")
    status, out, _ = run(capsys, "--traffic", one, "--reference", other, "--json", "-")
    data = json.loads(out)
    assert (status, data["verdict"], data["kind"]) == (1, "fail", "none")
    assert "The answers have changed" in data["summary"]
    assert "The inputs have" not in data["summary"]


def test_the_same_traffic_passes(capsys, tmp_path):
    one = export(tmp_path / "one.jsonl", prompts(300, 5), 5)
    other = export(tmp_path / "other.jsonl", prompts(300, 6), 6)
    status, out, _ = run(capsys, "--traffic", one, "--reference", other)
    assert (status, out.split(":")[0]) == (0, "pass")


def test_a_warning_has_a_status_of_its_own(capsys, tmp_path):
    one = export(tmp_path / "one.jsonl", prompts(400, 5, words=GARDEN, share=0.5), 5)
    other = export(tmp_path / "other.jsonl", prompts(400, 6), 6)
    mild = tmp_path / "drift.toml"
    names = ("vocabulary", "characters", "classifier")
    mild.write_text(
        "".join(f"[{n}]\nfail = 1.0\n" for n in names) + "[length]\noff = true\n"
    )
    words = ("--traffic", one, "--reference", other, "--thresholds", mild)
    status, out, _ = run(capsys, *words)
    assert (status, out.split(":")[0]) == (3, "warn")


def test_a_saved_reference_is_compared_with(kept, capsys, tmp_path):
    profile = tmp_path / "profile.json"
    words = ("--traffic", kept, "--until", "24h", "--save-reference", profile)
    status, out, said = run(capsys, *words)
    assert (status, out) == (0, "")
    assert "the profile of 150 requests" in said
    assert Profile.load(str(profile)).sides["input"].requests == 150
    status, out, _ = run(
        capsys,
        "--traffic",
        kept,
        "--since",
        "24h",
        "--reference",
        profile,
        "--json",
        "-",
    )
    assert status == 1
    assert json.loads(out)["kind"] == "covariate"


def test_a_profile_counts_the_requests_that_its_window_has(capsys, tmp_path):
    """Of some requests only the input was kept, and of others only the output."""
    rows = [
        row(text, number, direction="input" if number < 60 else "output")
        for number, text in enumerate(prompts(130, 1))
    ]
    traffic, profile = tmp_path / "traffic.jsonl", tmp_path / "profile.json"
    traffic.write_text("".join(json.dumps(r) + "\n" for r in rows))
    status, _, said = run(capsys, "--traffic", traffic, "--save-reference", profile)
    assert (status, "the profile of 130 requests" in said) == (0, True)
    words = ("--traffic", traffic, "--reference", profile, "--json", "-")
    _, out, _ = run(capsys, *words)
    data = json.loads(out)
    assert data["current"]["requests"] == data["reference"]["requests"] == 130
    # Before, profiles did not say how many they are.
    older = json.loads(profile.read_text())
    del older["requests"]
    profile.write_text(json.dumps(older))
    _, out, _ = run(capsys, *words)
    assert json.loads(out)["reference"]["requests"] == 70


def test_a_database_that_is_given_as_a_file_is_told_how_it_is_given(kept, capsys):
    path = kept.removeprefix("sqlite:///")
    said = fails(capsys, "--traffic", path, "--reference-until", "24h")
    assert f"this is a database, and is given as {kept}" in said
    said = fails(capsys, "--traffic", kept, "--reference", path)
    assert f"this is a database, and is given as {kept}" in said


def test_an_export_in_parquet_says_what_the_database_says(kept, capsys, tmp_path):
    pytest.importorskip("pyarrow", reason="needs the extra parquet")
    files = {}
    for form in ("jsonl", "parquet"):
        files[form] = tmp_path / f"traffic.{form}"
        words = ["--traffic", kept, "--format", form, "--out", str(files[form])]
        assert main(["traffic", "export", *words]) == 0
    made = [sample(kept), *(sample(str(file)) for file in files.values())]
    for one in made[1:]:
        assert sorted(one.ids) == sorted(made[0].ids)
        assert one.columns["language"].counts() == made[0].columns["language"].counts()
        assert Profile.of(one).sides["input"].found.keys() == {("keywords", "keyword")}
        assert one.first == pytest.approx(made[0].first, abs=0.01)


def test_hashed_texts_are_said_not_to_have_been_looked_at(url, kept, capsys):
    write(url, prompts(120, 3), NOW, seed=3, kept="hashed")
    status, out, _ = run(
        capsys, "--traffic", url, "--reference", kept, "--reference-until", "24h"
    )
    assert status in (0, 1, 3)
    assert "240 of 240 texts were not kept (240 hashed)" in out


def labelled(path, *, turned: bool = False, seed: int = 1, count: int = 150) -> None:
    lines = [
        {
            "id": f"request-{seed}-{number}-0",
            "label": "keyword",
            "value": int(("parcel" in text) != turned),
            "annotator": "ann",
            "at": "2026-01-31T12:00:00Z",
        }
        for number, text in enumerate(prompts(count, seed))
    ]
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_labels_give_quality(kept, capsys, tmp_path):
    labels = tmp_path / "labels.jsonl"
    labelled(labels)
    words = (
        "--traffic",
        kept,
        "--until",
        "24h",
        "--save-reference",
        tmp_path / "p.json",
    )
    assert run(capsys, *words, "--labels", labels)[0] == 0
    words = ("--traffic", kept, "--until", "24h", "--reference", tmp_path / "p.json")
    status, out, _ = run(capsys, *words, "--labels", labels, "--json", "-")
    data = json.loads(out)
    assert status == 0
    (row_,) = [
        r for r in data["quality"] if (r["window"], r["language"]) == ("current", "all")
    ]
    assert row_["texts"] == 150
    assert row_["recall"]["value"] == row_["precision"]["value"] == 1.0


def test_thresholds_are_printed_and_are_read_again(capsys, tmp_path):
    status, out, _ = run(capsys, "--print-thresholds")
    assert status == 0
    path = tmp_path / "drift.toml"
    path.write_text(out, encoding="utf-8")
    assert Thresholds.load(str(path)) == Thresholds.load()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lenght]\nwarn = 0.1", "did you mean 'length'"),
        ("[length]\nwran = 0.1", "did you mean 'warn'"),
        ("[length]\nwarn = 0.5", "warn <= fail"),
        ('[length]\nwarn = "a"', r"\[length\] warn must be a number"),
        ("[classifier]\nwarn = 0.1", r"\[classifier\] needs 0.5"),
        ("[verdict]\nfalse_alarms = 2", "false_alarms must be in"),
        ("[verdict]\nrequests = 3", "requests must be at least 20"),
        ("[least]\nrecall = 80", "from 0 to 1"),
        ("length = 3", "must be a table"),
        ("length", "no TOML"),
    ],
)
def test_wrong_thresholds_are_named(tmp_path, text, said):
    path = tmp_path / "drift.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        Thresholds.load(str(path))
    with pytest.raises(ConfigError, match=r"drift\.toml"):
        Thresholds.load(str(path))


def test_an_empty_window_is_an_error(kept, capsys):
    said = fails(capsys, "--traffic", kept, "--since", "1s", "--reference-until", "24h")
    assert "no texts in this window" in said and "--since" in said


def test_windows_that_overlap_are_an_error(kept, capsys):
    words = ("--traffic", kept, "--since", "48h", "--reference-until", "24h")
    assert "overlap" in fails(capsys, *words)
    assert "overlap" in fails(capsys, "--traffic", kept, "--reference", kept)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which traffic"),
        (("--traffic", "sqlite:///nowhere.db", "--reference", "x"), "no such file"),
        (("--traffic", "a.jsonl"), "say what to compare with"),
        (
            ("--traffic", "a.jsonl", "--reference", "b.jsonl"),
            "b.jsonl: there is no such",
        ),
        (("--traffic", "a.jsonl", "--reference", "b.json"), "b.json: cannot be read"),
        (
            ("--traffic", "a.jsonl", "--since", "noon", "--reference", "b"),
            "--since must",
        ),
    ],
)
def test_what_is_not_there_is_named(capsys, monkeypatch, tmp_path, words, said):
    monkeypatch.delenv("PROMPTGUARD_CAPTURE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert said in fails(capsys, *words)


@pytest.mark.skipif(os.name == "nt", reason="needs /dev/null")
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/dev/null", "/dev/null: this is no ordinary file"),
        ("folder", "folder: this is a folder"),
        ("empty.jsonl", "empty.jsonl: this file is empty"),
        ("empty.parquet", "empty.parquet: this file is empty"),
        ("missing.jsonl", "missing.jsonl: there is no such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(capsys, monkeypatch, tmp_path, source, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "empty.parquet").touch()
    export(tmp_path / "good.jsonl", prompts(60, 1))
    for words in (
        ("--traffic", source, "--reference", source),
        ("--traffic", source, "--reference-until", "24h"),
        ("--traffic", source, "--reference", "good.jsonl"),
        ("--traffic", "good.jsonl", "--reference", source),
        ("--traffic", source, "--save-reference", "profile.json"),
    ):
        assert said in fails(capsys, *words)


@pytest.mark.parametrize(
    "option", ["--json", "--html", "--mlflow", "--thresholds"], ids=lambda o: o[2:]
)
def test_a_report_on_nothing_to_compare_with_is_refused(here, capsys, option):
    profile = here / "profile.json"
    words = ("--traffic", "other.jsonl", "--save-reference", profile, option, "report")
    assert f"{option} is about a comparison" in fails(capsys, *words)
    assert not profile.exists()


@pytest.mark.parametrize("column", ["id", "length", "action", "findings"])
def test_a_missing_column_is_named(tmp_path, column):
    path = tmp_path / "traffic.jsonl"
    made = row("Where is it?", 1)
    del made[column]
    path.write_text(json.dumps(made) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 1: the column '{column}' is missing"):
        sample(str(path))
    pa = pytest.importorskip("pyarrow", reason="needs the extra parquet")
    import pyarrow.parquet as pq

    made.pop("findings", None)
    pq.write_table(pa.Table.from_pylist([made]), tmp_path / "traffic.parquet")
    with pytest.raises(ConfigError, match=r"the column '(id|length|action|findings)'"):
        sample(str(tmp_path / "traffic.parquet"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"length": "long"}, "must be numbers"),
        ({"findings": [{"guard": "pii"}]}, "findings a list of objects"),
        ({"action": "denied"}, "must be one of allow"),
        ({"text": 7}, "must be a text or null"),
        ({"time": "noon"}, "'time'"),
        ({"time": None}, "a window of time was asked for"),
    ],
)
def test_a_wrong_column_is_named(tmp_path, change, said):
    path = tmp_path / "traffic.jsonl"
    path.write_text(json.dumps(row(CANARY, 1) | change) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as error:
        sample(str(path), since="2020-01-01")
    assert CANARY not in str(error.value)


@pytest.mark.parametrize("name", ["traffic.jsonl", "traffic.parquet"])
def test_a_file_that_is_none_is_named(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs the extra parquet")
    (tmp_path / name).write_bytes(b"\xff\xfe no rows")
    with pytest.raises(ConfigError, match=name):
        sample(str(tmp_path / name))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"label": "injection", "value": 1}', "'id' is missing"),
        ('{"id": "a-0", "label": "injection", "value": 2}', "'value' must be 0 or 1"),
        ('{"id": "a-0", "label": "injection", "value": null}', "'value' is missing"),
        ("[1]", "no JSON object"),
        ('{"id": "a-0", "label": "keyword", "value": 1}', "no label belongs to a text"),
        (
            '{"id": "request-1-0-0", "label": "keywrd", "value": 1}',
            "did you mean 'keyword'",
        ),
        ("", "there are no labels"),
    ],
)
def test_wrong_labels_are_named(kept, capsys, tmp_path, line, said):
    path = tmp_path / "labels.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    words = ("--traffic", kept, "--since", "24h", "--reference-until", "24h")
    assert said in fails(capsys, *words, "--labels", path)


def test_a_locked_database_is_an_error_and_is_read_when_it_is_free(
    url, path, capsys, monkeypatch
):
    write(url, prompts(60, 1), NOW, seed=1)
    monkeypatch.setattr("promptguard.traffic.database._WAIT", 0.3)
    words = ("--traffic", url, "--save-reference", path.with_suffix(".json"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        said = fails(capsys, *words)
    finally:
        holder.close()
    assert "cannot be opened" in said and "who holds it" in said
    assert run(capsys, *words)[0] == 0


def test_a_report_that_cannot_be_written_is_an_error(capsys, tmp_path):
    one = export(tmp_path / "one.jsonl", prompts(60, 5), 5)
    other = export(tmp_path / "other.jsonl", prompts(60, 6), 6)
    words = (
        "--traffic",
        one,
        "--reference",
        other,
        "--html",
        tmp_path / "no" / "x.html",
    )
    status, _, said = run(capsys, *words)
    assert status == 2
    assert "x.html cannot be written" in said


def test_what_several_say_is_decided_by_most(tmp_path):
    from promptguard.monitor import Labels

    path = tmp_path / "labels.jsonl"
    rows = [
        *(
            ("a-0", 1, "ann", "2026-01-01"),
            ("a-0", 1, "bob", None),
            ("a-0", 0, "cy", None),
        ),
        # She said something else later.
        *(("b-0", 0, "ann", "2026-01-02"), ("b-0", 1, "ann", "2026-01-01")),
        *(("c-0", 0, "ann", None), ("c-0", 1, "bob", None)),
    ]
    lines = (
        json.dumps({"id": i, "label": "x", "value": v, "annotator": a, "at": t}) + "\n"
        for i, v, a, t in rows
    )
    path.write_text("".join(lines), encoding="utf-8")
    labels = Labels.load(str(path))
    assert labels.values == {"a-0": {"x": True}, "b-0": {"x": False}}
    assert labels.disputed == 1


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A folder with traffic, and what may be read with it."""
    monkeypatch.chdir(tmp_path)
    export(tmp_path / "one.jsonl", prompts(60, 5), 5)
    export(tmp_path / "other.jsonl", prompts(60, 6), 6)
    labelled(tmp_path / "labels.jsonl")
    (tmp_path / "drift.toml").write_text("[length]\noff = true\n")
    with sqlite3.connect(tmp_path / "kept.db") as database:
        database.execute("CREATE TABLE x (y)")
    return tmp_path


READ = ("--traffic", "one.jsonl", "--reference", "other.jsonl")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--json", "one.jsonl"), "--traffic names"),
        (("--html", "./other.jsonl"), "--reference names"),
        (("--save-reference", "one.jsonl"), "--traffic names"),
        (("--labels", "labels.jsonl", "--json", "labels.jsonl"), "--labels names"),
        (
            ("--thresholds", "drift.toml", "--html", "drift.toml"),
            "--thresholds names",
        ),
        (("--json", "same", "--html", "same"), "--json names"),
        (("--json", "-", "--html", "-"), "cannot both be printed"),
        (("--save-reference", "-"), "--save-reference wants the name"),
        (("--json", "kept.db"), "a database of SQLite"),
        (("--html", "kept.db"), "a database of SQLite"),
        (("--json", "x.db", "--mlflow", "sqlite:///x.db"), "--json names"),
        (("--json", "no/x.json"), "there is no such folder"),
        (("--html", "no/x.html"), "there is no such folder"),
        (("--save-reference", "no/x.json"), "there is no such folder"),
        (("--json", "/dev/null"), "no ordinary file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_would_be_lost_is_seen_before_anything_is_read(
    here, capsys, monkeypatch, words, said
):
    def read(*_: object, **__: object) -> None:
        raise AssertionError("traffic was read")

    monkeypatch.setattr("promptguard.monitor.reading.sample", read)
    before = {file: file.read_bytes() for file in here.iterdir()}
    assert said in fails(capsys, *READ, *words)
    assert {file: file.read_bytes() for file in here.iterdir()} == before


@pytest.mark.parametrize("option", ["--save-reference", "--json", "--html"])
def test_the_database_that_is_read_is_not_written_over(
    here, kept, capsys, monkeypatch, option
):
    path = Path(kept.removeprefix("sqlite:///"))
    words = ("--since", "24h", "--reference-until", "24h", option, path)
    before = path.read_bytes()
    assert "--traffic names" in fails(capsys, "--traffic", kept, *words)
    monkeypatch.chdir(path.parent)
    relative = ("--traffic", "sqlite:///traffic.db", *words)
    assert "--traffic names" in fails(capsys, *relative)
    assert path.read_bytes() == before


def test_mlflow_is_looked_for_before_anything_is_read(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("promptguard.monitor.reading.sample", None)
    said = fails(capsys, *READ, "--mlflow", "sqlite:///mlflow.db")
    assert "pip install 'mlflow>=3.17,<4'" in said


def test_the_page_is_printed_as_the_report_is(here, capsys):
    status, out, _ = run(capsys, *READ, "--html", "-", "--json", "report.json")
    assert status == 0
    assert out.startswith("<!")
    assert out.rstrip().endswith("</html>")
    assert json.loads((here / "report.json").read_text())["verdict"] == "pass"
    assert not (here / "-").exists()


def damage(*path: object, value: object):
    """What changes one value of a profile, wherever it stands."""

    def change(data: dict) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        damage("sides", value={}),
        damage("sides", value=[]),
        damage("requests", value=0),
        damage("requests", value=10**6),
        damage("sides", value={"input": {}}),
        damage("known", value=[]),
        damage("first", value="monday"),
        damage("sides", "input", "texts", value=0),
        damage("sides", "input", "texts", value=61),
        damage("sides", "input", "requests", value=-1),
        damage("sides", "input", "requests", value=1e400),
        damage("sides", "input", "lengths", 0, value=float("nan")),
        damage("sides", "input", "lengths", 0, value=-1),
        damage("sides", "input", "lengths", value=[1]),
        damage("sides", "input", "columns", value={}),
        damage("sides", "input", "columns", "role", value={"user": "many"}),
        damage("sides", "input", "columns", "action", value={}),
        damage("sides", "input", "halves", value=[]),
        damage("sides", "input", "halves", 0, "sums", value="AAAA"),
        damage("sides", "input", "halves", 1, "requests", value=-2),
    ],
)
def test_a_damaged_profile_is_named(here, capsys, change):
    saved = ("--traffic", "other.jsonl", "--save-reference", "profile.json")
    assert run(capsys, *saved)[0] == 0
    words = ("--traffic", "one.jsonl", "--reference", "profile.json")
    assert run(capsys, *words)[0] == 0
    data = json.loads((here / "profile.json").read_text())
    change(data)
    (here / "profile.json").write_text(json.dumps(data))
    assert "profile.json: the profile is not whole" in fails(capsys, *words)
