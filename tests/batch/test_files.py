"""A file of texts, checked on this machine: what comes out, and what is refused."""

from __future__ import annotations

import csv
import json
import stat
import sys
from collections import Counter
from pathlib import Path

import pytest
from batch_guards import WORDS, numbered

from promptguard import ConfigError, MissingExtra
from promptguard.batch import Check, check_file
from promptguard.batch.journal import Journal

COUNT = 300
CHECK = Check(WORDS, redacted=True)


def arrow():
    return pytest.importorskip("pyarrow", reason="needs the extra parquet")


def rows() -> list[dict[str, object]]:
    """Rows with texts, and with what must come through as it is."""
    made: list[dict[str, object]] = [
        {"id": str(n), "text": text, "note": f"ü, {n}"}
        for n, text in enumerate(numbered(COUNT))
    ]
    return made


def write(path: Path, made: list[dict[str, object]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(made[0]))
            writer.writeheader()
            writer.writerows(made)
    else:
        pa = arrow()
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(made), path)
    return path


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    arrow()
    from pyarrow import parquet

    found: list[dict[str, object]] = parquet.read_table(path).to_pylist()
    return found


def as_csv(row: dict[str, object]) -> dict[str, str]:
    """A row as CSV has it: nothing but strings."""
    return {
        name: "" if v is None else str(v).lower() if isinstance(v, bool) else str(v)
        for name, v in row.items()
    }


kinds = pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])


@kinds
@pytest.mark.parametrize("workers", [0, 2], ids=["here", "processes"])
def test_every_row_has_the_verdict_of_its_text_in_its_place(tmp_path, kind, workers):
    made = rows()
    source = write(tmp_path / f"in.{kind}", made)
    out = tmp_path / f"out.{kind}"
    summary = check_file(source, out, CHECK, workers=workers, rows=7)
    columns = CHECK.columns([row["text"] for row in made])
    expected = [
        row | {name: values[n] for name, values in columns.items()}
        for n, row in enumerate(made)
    ]
    found = read(out)
    assert found == ([as_csv(r) for r in expected] if kind == "csv" else expected)
    assert summary.rows == COUNT
    assert dict(summary.actions) == Counter(columns["verdict_action"])
    assert len(summary.actions) == 4
    assert (summary.before, summary.errors, summary.ended) == (0, 0, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [source.name, out.name]


def test_the_other_columns_of_parquet_stay_what_they_are(tmp_path):
    pa = arrow()
    from pyarrow import parquet

    table = pa.table(
        {
            "id": pa.array([2**60 + 1, None, 3], pa.int64()),
            "text": pa.array(["a heron", None, "b"]).dictionary_encode(),
            "tags": pa.array([["x"], None, []], pa.list_(pa.string())),
            "when": pa.array([1, 2, None], pa.timestamp("ns", "UTC")),
        }
    ).replace_schema_metadata({"of": "somebody"})
    parquet.write_table(table, tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    check_file(tmp_path / "in.parquet", out, CHECK, workers=0)
    made = parquet.read_table(out)
    given = parquet.read_table(tmp_path / "in.parquet")
    assert made.select(table.column_names).equals(given, check_metadata=True)
    assert made["verdict_error"].to_pylist() == [None, None, None]
    assert made["verdict_score"].type == pa.float64()
    assert made["verdict_blocked"].type == pa.bool_()


def test_a_row_without_a_text_is_told_alike_in_every_kind_of_file(tmp_path):
    arrow()
    made = [{"id": n, "text": t} for n, t in enumerate(("a heron", None, "", "b"))]
    told = {}
    for kind in ("jsonl", "csv", "parquet"):
        out = tmp_path / f"out.{kind}"
        source = write(tmp_path / f"in.{kind}", made)
        summary = check_file(source, out, CHECK, workers=0)
        told[kind] = [
            [as_csv(r)[f"verdict_{name}"] for name in ("action", "coverage", "error")]
            for r in read(out)
        ]
        assert summary.errors == 0
    nothing = ["allow", "1.0", ""]
    assert told["csv"][1:] == [nothing, nothing, nothing]
    assert told["jsonl"] == told["csv"] == told["parquet"]


def test_a_line_without_the_field_is_blocked_and_said(tmp_path):
    lines = [{"text": "fine"}, {"prompt": "a heron"}, {"text": None}]
    source = write(tmp_path / "in.jsonl", lines)
    summary = check_file(source, tmp_path / "out.jsonl", CHECK, workers=2)
    found = read(tmp_path / "out.jsonl")
    assert [row["verdict_action"] for row in found] == ["allow", "block", "allow"]
    assert found[1]["verdict_error"] == "there is no text"
    assert summary.errors == 1


def test_a_folder_of_parquet_is_read_by_the_names_of_its_files(tmp_path):
    arrow()
    folder = tmp_path / "in"
    folder.mkdir()
    made = rows()
    for n in (2, 0, 1):
        write(folder / f"part-{n}.parquet", made[n * 100 : n * 100 + 100])
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").touch()
    out = tmp_path / "out.parquet"
    check_file(folder, out, CHECK, workers=0, rows=64)
    assert [row["id"] for row in read(out)] == [row["id"] for row in made]


def test_half_a_surrogate_pair_in_json_is_no_reason_to_stop(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "a \\ud800 heron"}\n\n{"other": 1}\n')
    check_file(source, tmp_path / "out.jsonl", CHECK, workers=0)
    first, second = read(tmp_path / "out.jsonl")
    assert first["text"] == "a \ud800 heron"
    assert first["verdict_flagged"]
    assert second["verdict_error"] == "there is no text"


@kinds
def test_a_file_without_rows_gives_a_file_without_rows(tmp_path, kind):
    made = write(tmp_path / "some.jsonl", rows()[:1]).with_suffix(f".{kind}")
    if kind == "jsonl":
        made.write_text("")
    elif kind == "csv":
        made.write_text("id,text\n")
    else:
        pa = arrow()
        from pyarrow import parquet

        parquet.write_table(pa.table({"text": pa.array([], pa.string())}), made)
    out = tmp_path / f"out.{kind}"
    assert check_file(made, out, CHECK, workers=2).rows == 0
    assert read(out) == []


def test_the_results_are_for_their_owner_alone(tmp_path):
    source = write(tmp_path / "in.jsonl", rows()[:3])
    source.chmod(0o644)
    out = tmp_path / "out.jsonl"
    check_file(source, out, CHECK, workers=0)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def bad(name: str, data: bytes | None, says: str, column: str = "text"):
    return pytest.param(name, data, column, says, id=says.replace(" ", "-"))


@pytest.mark.parametrize(
    ("name", "data", "column", "says"),
    [
        bad("in.jsonl", None, "there is no file"),
        bad("in.txt", b"a\n", "must end with one of .parquet, .csv, .jsonl"),
        bad("in.csv", b"id,prompt\n1,a\n", "did you mean 'prompt'", "promt"),
        bad("in.csv", b"id,text\n1\n", "row 1 has fewer fields"),
        bad("in.csv", b"id,text\n1,a\n2,b,c\n", "row 2 has more fields"),
        bad("in.csv", b"text,text\na,b\n", "two columns of one name"),
        bad(
            "in.csv", b'id,text\n1,a\n2,"zebra\n3,c\n', "in.csv:3: the row that begins"
        ),
        bad("in.csv", b'id,text\n1,"zebra\n2,"b"\n3,c\n', "in.csv:2: the row that"),
        bad("in.csv", b'id,"text\n1,zebra\n', "in.csv:1: the row that begins here"),
        bad("in.csv", b"id,text\n1,zebra\xff\n", "cannot be read: not UTF-8"),
        bad("in.csv", b"id,text,verdict_error\n1,a,b\n", "choose another prefix"),
        bad("in.jsonl", b'{"text": "a"}\n{"text": zebra}\n', "in.jsonl:2: every line"),
        bad(
            "in.jsonl",
            b'{"text": "a"}\n{"text": "b", "text": "zebra"}\n',
            "in.jsonl:2: an",
        ),
        bad(
            "in.jsonl", b'{"text": "a", "of": {"zebra": 1, "zebra": 2}}\n', "two values"
        ),
        bad("in.jsonl", b"[1]\n", "every line holds one JSON object"),
        bad("in.jsonl", b'{"prompt": "a"}\n', "there is no column 'text'"),
        bad("in.parquet", b"zebra", "in.parquet is damaged or no Parquet"),
    ],
)
def test_a_file_that_is_wrong_is_refused_before_a_text_is_checked(
    tmp_path, name, data, column, says
):
    if name.endswith("parquet"):
        arrow()
    source = tmp_path / name
    if data is not None:
        source.write_bytes(data)
    out = tmp_path / f"out{source.suffix}"
    with pytest.raises(ConfigError) as caught:
        check_file(source, out, CHECK, column=column, workers=2)
    assert says in str(caught.value)
    assert "zebra" not in str(caught.value)
    assert not out.exists()
    assert not (tmp_path / f"{out.name}.journal").exists()


def test_a_row_of_csv_may_have_line_ends_and_quotes_in_its_texts(tmp_path):
    made = [{"id": "1", "text": 'a "heron"\nor\r\ntwo'}, {"id": "2", "text": "b"}]
    source = write(tmp_path / "in.csv", made)
    check_file(source, tmp_path / "out.csv", CHECK, workers=0)
    found = read(tmp_path / "out.csv")
    assert [row["text"] for row in found] == [row["text"] for row in made]


def test_an_empty_line_of_csv_is_a_row_where_there_is_one_column(tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("text\na\n\n\na heron\n")
    two.write_text("id,text\n1,a\n\n2,a heron\n\n")
    for source, texts in ((one, ["a", "", "", "a heron"]), (two, ["a", "a heron"])):
        out = tmp_path / f"out-{source.name}"
        assert check_file(source, out, CHECK, workers=0).rows == len(texts)
        found = read(out)
        assert [row["text"] for row in found] == texts
        assert [row["verdict_flagged"] == "true" for row in found] == [
            "heron" in text for text in texts
        ]


def test_numbers_are_no_texts(tmp_path):
    pa = arrow()
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": [1, 2]}), tmp_path / "in.parquet")
    with pytest.raises(ConfigError, match="'text' holds int64, not texts"):
        check_file(tmp_path / "in.parquet", tmp_path / "out.parquet", CHECK)


def test_a_column_that_is_all_null_has_empty_texts(tmp_path):
    pa = arrow()
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    summary = check_file(tmp_path / "in.parquet", out, CHECK, workers=0)
    assert (summary.rows, summary.errors) == (3, 0)
    found = parquet.read_table(out)
    assert found["text"].to_pylist() == [None, None, None]
    assert found["verdict_action"].to_pylist() == ["allow"] * 3


@pytest.mark.parametrize("empty", [0, 1, 2])
@pytest.mark.parametrize("form", ["string", "large_string", "dictionary", "needed"])
def test_a_part_of_a_folder_may_be_all_null(tmp_path, empty, form):
    pa = arrow()
    from pyarrow import parquet

    forms = {
        "string": pa.string(),
        "large_string": pa.large_string(),
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
        "needed": pa.string(),
    }
    kind = pa.field("text", forms[form], nullable=form != "needed")
    (tmp_path / "in").mkdir()
    for part in range(3):
        fields = [pa.field("id", pa.int64()), kind, pa.field("tags", pa.string())]
        columns = [[part], ["a heron"], [None]]
        if part == empty:
            fields[1] = pa.field("text", pa.null())
            fields[2] = pa.field("tags", pa.null())
            columns[1] = [None]
        table = pa.table(columns, schema=pa.schema(fields, {"of": "somebody"}))
        parquet.write_table(table, tmp_path / "in" / f"{part}.parquet")
    out = tmp_path / "out.parquet"
    assert check_file(tmp_path / "in", out, CHECK, workers=0).errors == 0
    made = parquet.read_table(out)
    texts = [None if part == empty else "a heron" for part in range(3)]
    assert made["text"].to_pylist() == texts
    assert made["verdict_flagged"].to_pylist() == [t is not None for t in texts]
    assert made.schema.field("text").type == kind.type
    assert made.schema.field("tags").type == pa.string()
    assert made.schema.metadata[b"of"] == b"somebody"


def test_files_of_a_folder_that_differ_are_refused(tmp_path):
    arrow()
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.parquet", rows()[:2])
    write(tmp_path / "in" / "b.parquet", [{"text": "a"}])
    with pytest.raises(ConfigError, match=r"b\.parquet has other columns"):
        check_file(tmp_path / "in", tmp_path / "out.parquet", CHECK)


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("there.jsonl", "there already"),
        ("out.csv", "must end with .jsonl"),
        ("nowhere/out.jsonl", "no such folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused(tmp_path, out, says):
    source = write(tmp_path / "in.jsonl", rows()[:3])
    (tmp_path / "there.jsonl").write_text("somebody's")
    with pytest.raises(ConfigError, match=says):
        check_file(source, tmp_path / out, CHECK)
    assert (tmp_path / "there.jsonl").read_text() == "somebody's"


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "in.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="parquet"):
        check_file(tmp_path / "in.parquet", tmp_path / "out.parquet", CHECK)


# ---- going on ------------------------------------------------------------------------


def stopped(tmp_path: Path, kind: str = "jsonl") -> tuple[Path, Path]:
    """A run that was stopped after some rows."""
    source = write(tmp_path / f"in.{kind}", rows())
    out = tmp_path / f"out.{kind}"

    def shown(steps, total):
        for number, step in enumerate(steps):
            if number == 100:
                raise KeyboardInterrupt
            yield step

    with pytest.raises(KeyboardInterrupt):
        check_file(source, out, CHECK, workers=0, rows=10, shown=shown)
    assert not out.exists()
    return source, out


def whole(tmp_path: Path) -> list[dict[str, object]]:
    made = rows()
    columns = CHECK.columns([row["text"] for row in made])
    return [
        row | {name: values[n] for name, values in columns.items()}
        for n, row in enumerate(made)
    ]


@kinds
def test_a_run_that_was_stopped_goes_on_and_gives_the_same(tmp_path, kind):
    source, out = stopped(tmp_path, kind)
    summary = check_file(source, out, CHECK, workers=0, rows=33)
    assert summary.before == 110
    assert summary.rows == COUNT
    expected = whole(tmp_path)
    assert read(out) == ([as_csv(r) for r in expected] if kind == "csv" else expected)


def test_a_last_line_that_was_cut_off_is_checked_again(tmp_path):
    source, out = stopped(tmp_path)
    journal = tmp_path / "out.jsonl.journal"
    data = journal.read_bytes()
    journal.write_bytes(data[:-40])
    assert check_file(source, out, CHECK, workers=0).before == 100
    assert read(out) == whole(tmp_path)


def test_nothing_is_checked_again_when_only_the_writing_was_stopped(
    tmp_path, monkeypatch
):
    from promptguard.batch import files

    source = write(tmp_path / "in.jsonl", rows())
    out = tmp_path / "out.jsonl"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.JsonTable, "write", full)
        with pytest.raises(ConfigError, match="No space left"):
            check_file(source, out, CHECK, workers=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "in.jsonl",
        "out.jsonl.journal",
    ]
    summary = check_file(source, out, CHECK, workers=0)
    assert summary.before == summary.rows == COUNT
    assert read(out) == whole(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda source: Check(WORDS, role="tool"), "another check"),
        (lambda source: source.write_text('{"text": "a"}\n') and CHECK, "another file"),
    ],
    ids=["check", "file"],
)
def test_a_journal_of_something_else_is_refused(tmp_path, change, says):
    source, out = stopped(tmp_path)
    with pytest.raises(ConfigError, match=f"{says}; remove it"):
        check_file(source, out, change(source), workers=0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x93\x01zebra\xff",
        b"\x93\x01zebra\xff\n",
        b'{"other": 1}\n',
        b"[1]\n",
        b"[" * 100_000 + b"\n",
        b'{"format":1,"file":"of another"',
    ],
    ids=["bytes", "a line of bytes", "JSON", "a list", "deep", "cut off"],
)
def test_what_is_no_journal_is_refused_and_left_as_it_is(tmp_path, data):
    source = write(tmp_path / "in.jsonl", rows()[:3])
    journal = tmp_path / "out.jsonl.journal"
    journal.write_bytes(data)
    with pytest.raises(ConfigError, match="is no journal of ours; move it"):
        check_file(source, tmp_path / "out.jsonl", CHECK, workers=0)
    assert journal.read_bytes() == data


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_journal_that_was_cut_off_in_its_first_line_is_begun_anew(tmp_path, kept):
    source, out = stopped(tmp_path)
    journal = tmp_path / "out.jsonl.journal"
    journal.write_bytes(journal.read_bytes()[:kept])
    assert check_file(source, out, CHECK, workers=0).before == 0
    assert read(out) == whole(tmp_path)


def test_a_model_that_was_trained_anew_is_another_check(tmp_path):
    from promptguard import PromptInjection
    from promptguard.batch.local import _told

    check = Check(PromptInjection(model=str(tmp_path)))
    (tmp_path / "bundle.json").write_text("1")
    before = _told(check)
    (tmp_path / "bundle.json").write_text("2")
    assert _told(check) != before


def test_two_runs_do_not_write_one_file(tmp_path):
    pytest.importorskip("fcntl", reason="locks files as Unix does")
    source = write(tmp_path / "in.jsonl", rows())
    with (
        Journal(tmp_path / "out.jsonl.journal", {}),
        pytest.raises(ConfigError, match="another run is writing"),
    ):
        check_file(source, tmp_path / "out.jsonl", CHECK, workers=0)


def test_a_journal_is_for_its_owner_alone_and_holds_no_text(tmp_path):
    stopped(tmp_path)
    journal = tmp_path / "out.jsonl.journal"
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    said = journal.read_text()
    assert "Zanzibar" not in said
    assert "joe@" not in said
