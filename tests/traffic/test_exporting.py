"""Exports, read back by the tools they are for."""

from __future__ import annotations

import json
import stat
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from records_made import CANARY, record_of

from promptguard import ConfigError, Verdict
from promptguard.measure.rows import Source
from promptguard.traffic import Filters, Traffic, Writer
from promptguard.traffic.exporting import export, labelling

NOW = 1_800_000_000.25


@pytest.fixture
def traffic(url):
    with Writer(url) as writer:
        writer.write(record_of("plain words", "plain", time=NOW))
        writer.write(
            record_of(
                f"😀 mail {CANARY}@example.com about heliotrope", "both", time=NOW + 1
            )
        )
    with Traffic(url) as traffic:
        yield traffic


def test_json_lines_are_what_calibrate_reads(traffic, tmp_path):
    out = tmp_path / "traffic.jsonl"
    assert export(traffic.texts(), "jsonl", str(out)) == 2
    rows = [*Source(str(out), labelled=False)]
    assert [row.text for row in rows] == [
        "😀 mail <EMAIL_ADDRESS> about <KEYWORD>",
        "plain words",
    ]
    assert {row.role for row in rows} == {"user"}
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert lines[1]["time"] == "2027-01-15T08:00:00.250Z"
    assert {found["guard"] for found in lines[0]["findings"]} == {"pii", "keywords"}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_rows_of_verdicts_without_a_role_have_none(url, tmp_path):
    out = tmp_path / "traffic.jsonl"
    with Writer(url) as writer:
        writer(Verdict("hello"))
    with Traffic(url) as traffic:
        export(traffic.texts(), "jsonl", str(out))
    (row,) = Source(str(out), labelled=False, role="tool")
    assert row.role == "tool"


def test_json_lines_go_to_standard_output(traffic, capsys):
    assert export(traffic.texts(Filters(action="allow")), "jsonl", "-") == 1
    assert json.loads(capsys.readouterr().out)["text"] == "plain words"


def test_parquet_has_a_row_a_text_and_a_list_of_findings(traffic, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    out = tmp_path / "traffic.parquet"
    assert export(traffic.texts(), "parquet", str(out)) == 2
    table = parquet.read_table(out)
    rows = table.to_pylist()
    assert rows[0]["text"] == "😀 mail <EMAIL_ADDRESS> about <KEYWORD>"
    assert rows[0]["time"].timestamp() == NOW + 1
    assert [found["label"] for found in rows[0]["findings"]] == [
        "EMAIL_ADDRESS",
        "keyword",
    ]
    assert rows[1]["findings"] == []
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("tokens_in").type) == "int64"


def test_nothing_to_write_is_a_file_without_rows(traffic, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra parquet")
    out = tmp_path / "none.parquet"
    none = Filters(guard="nobody")
    assert export(traffic.texts(none), "parquet", str(out)) == 0
    assert parquet.read_table(out).num_rows == 0


def tasks_of(traffic, tmp_path) -> list[dict]:
    out = tmp_path / "tasks.json"
    export(traffic.texts(), "label-studio", str(out))
    return json.loads(out.read_text("utf-8"))


def test_tasks_mark_in_the_kept_text_what_was_found(traffic, tmp_path):
    task, plain = tasks_of(traffic, tmp_path)
    text = task["data"]["text"]
    (prediction,) = task["predictions"]
    marks = [r for r in prediction["result"] if r["type"] == "labels"]
    found = {}
    for mark in marks:
        value = mark["value"]
        assert text[value["start"] : value["end"]] == value["text"]
        found[value["labels"][0]] = value["text"]
    assert found == {"EMAIL_ADDRESS": "<EMAIL_ADDRESS>", "keyword": "<KEYWORD>"}
    assert prediction["score"] == max(mark["score"] for mark in marks)
    assert plain["data"]["text"] == "plain words"
    (choice,) = plain["predictions"][0]["result"]
    assert choice["value"] == {"choices": ["allow"]}


def test_every_mark_has_its_control_in_the_labelling_interface(traffic, tmp_path):
    tasks = tasks_of(traffic, tmp_path)
    root = ET.fromstring(labelling({"EMAIL_ADDRESS", "keyword", '"odd" & <new>'}))
    controls = {e.get("name"): e for e in root.iter() if e.get("toName") == "text"}
    assert root.find("Text").get("name") == "text"
    for task in tasks:
        for mark in task["predictions"][0]["result"]:
            known = {child.get("value") for child in controls[mark["from_name"]]}
            (chosen,) = mark["value"][mark["type"]]
            assert chosen in known
            assert controls[mark["from_name"]].tag.lower() == mark["type"]
            assert mark["to_name"] == "text"


def test_label_studio_itself_takes_the_tasks(traffic, tmp_path):
    interface = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="needs label-studio-sdk"
    )
    made = interface.LabelInterface(
        labelling({"EMAIL_ADDRESS", "keyword"}, ["injection"])
    )
    made.validate()
    for task in tasks_of(traffic, tmp_path):
        assert made.validate_task({"data": task["data"]})
        assert made.validate_prediction(task["predictions"][0])
    wrong = tasks_of(traffic, tmp_path)[0]["predictions"][0]
    wrong["result"][1]["from_name"] = "nothing"
    assert not made.validate_prediction(wrong)


def test_texts_that_were_not_kept_are_no_tasks(url, tmp_path):
    with Writer(url, texts="none") as writer:
        writer.write(record_of("hello"))
    with Traffic(url) as traffic:
        assert tasks_of(traffic, tmp_path) == []


def test_a_file_is_there_when_it_is_whole_or_not_at_all(traffic, tmp_path):
    out = tmp_path / "traffic.jsonl"

    def broken():
        yield from traffic.texts(limit=1)
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        export(broken(), "jsonl", str(out))
    assert [path.name for path in tmp_path.iterdir() if "jsonl" in path.name] == []
    with pytest.raises(ConfigError, match="cannot be written"):
        export(traffic.texts(), "jsonl", str(tmp_path / "no" / "folder.jsonl"))
