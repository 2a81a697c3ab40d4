"""``promptguard traffic`` as a user runs it."""

from __future__ import annotations

import json
import shutil
import time

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from records_made import CANARY, record_of

from promptguard import Verdict
from promptguard.cli import main
from promptguard.traffic import Writer
from promptguard.traffic.database import without_password


@pytest.fixture
def kept(url):
    with Writer(url) as writer:
        writer.write(record_of("plain words", "plain", time=time.time() - 7200))
        writer.write(record_of(f"{CANARY}@example.com, heliotrope", "blocked"))
        writer.write(record_of(Verdict("x"), "old", time=time.time() - 40 * 86_400))
    return url


def run(capsys, *words: str) -> tuple[int, str, str]:
    status = main(["traffic", *words])
    return status, *capsys.readouterr()


def test_list_shows_a_line_a_request_and_no_text(kept, capsys):
    status, out, _ = run(capsys, "list", "--traffic", kept)
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 3
    assert "blocked" in lines[0]
    assert "pii: EMAIL_ADDRESS 0.99; keywords: keyword" in lines[0]
    assert "error: content_filter" in lines[0]
    assert CANARY not in out and "plain words" not in out


def test_list_takes_filters_and_gives_json(kept, capsys):
    _, out, _ = run(
        capsys,
        *("list", "--traffic", kept, "--since", "3h", "--action", "allow", "--json"),
    )
    (row,) = map(json.loads, out.splitlines())
    assert row["request"] == "plain"
    assert "text" not in row["texts"][0]


def test_show_shows_the_text_as_it_was_kept(kept, capsys):
    status, out, _ = run(capsys, "show", "--traffic", kept, "blocked")
    assert status == 0
    assert "  | <EMAIL_ADDRESS>, <KEYWORD>" in out
    assert "pii: EMAIL_ADDRESS 0.99 at 0.." in out
    _, out, _ = run(capsys, "show", "--traffic", kept, "--json", "blocked")
    assert json.loads(out)["texts"][0]["text"] == "<EMAIL_ADDRESS>, <KEYWORD>"


def test_show_sends_nothing_to_the_terminal_that_it_would_obey(url, capsys):
    with Writer(url, texts="whole") as writer:
        writer.write(
            record_of("\x1b[2J\x1b]0;x\x07two\nlines", "odd", model="\x1b[31m")
        )
    _, out, _ = run(capsys, "show", "--traffic", url, "odd")
    assert "\x1b" not in out and "\x07" not in out
    assert "  | \\x1b[2J\\x1b]0;x\\x07two\n  | lines" in out
    _, out, _ = run(capsys, "list", "--traffic", url)
    assert "\x1b" not in out


def test_stats_count(kept, capsys):
    status, out, _ = run(capsys, "stats", "--traffic", kept)
    assert status == 0
    assert out.startswith("3 requests, ")
    assert "keywords: keyword (block)  1 times" in out
    assert "gpt-4o-mini: 3 requests, 3,000 tokens in, 1,500 out" in out
    assert "3 records written, 0 dropped, 0 ended without closing" in out
    _, out, _ = run(capsys, "stats", "--traffic", kept, "--json", "--since", "24h")
    assert json.loads(out)["requests"] == 2


def test_export_writes_tasks_and_the_interface_they_are_made_for(
    kept, capsys, tmp_path
):
    out, config = tmp_path / "tasks.json", tmp_path / "labels.xml"
    status, _, err = run(
        capsys,
        *("export", "--traffic", kept, "--format", "label-studio"),
        *("--out", str(out), "--config", str(config), "--guard", "pii"),
    )
    assert (status, err) == (0, "promptguard: wrote 1 texts\n")
    assert len(json.loads(out.read_text())) == 1
    assert '<Label value="EMAIL_ADDRESS"/>' in config.read_text()


def test_purge_deletes_what_is_old(kept, capsys):
    status, out, _ = run(capsys, "purge", "--traffic", kept, "--older-than", "30d")
    assert (status, out) == (0, "deleted 1 requests\n")
    _, out, _ = run(capsys, "stats", "--traffic", kept, "--json")
    assert json.loads(out)["requests"] == 2


def test_stats_say_that_requests_named_no_model(url, capsys):
    with Writer(url) as writer:
        writer.write(record_of("words", "one", model=""))
    _, out, _ = run(capsys, "stats", "--traffic", url)
    assert "\nno model: 1 requests, " in out


def test_the_variable_names_the_database(kept, capsys, monkeypatch):
    monkeypatch.setenv("PROMPTGUARD_CAPTURE", kept)
    status, out, _ = run(capsys, "list", "--limit", "1")
    assert (status, len(out.splitlines())) == (0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "say which database"),
        (["list", "--traffic", "sqlite:///none.db"], "no such file"),
        (["list", "--traffic", "URL", "--since", "soon"], "--since must be a time"),
        (["list", "--traffic", "URL", "--min-score", "7"], "between 0 and 1"),
        (["purge", "--traffic", "URL", "--older-than", "a while"], "--older-than must"),
        (["show", "--traffic", "URL", "nothing"], "no request with this id"),
        (["export", "--traffic", "URL", "--out", "/no/x.jsonl"], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line(kept, capsys, monkeypatch, words, said):
    monkeypatch.delenv("PROMPTGUARD_CAPTURE", raising=False)
    status, out, err = run(capsys, *(kept if w == "URL" else w for w in words))
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_without_a_command_the_commands_are_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["traffic"])
    assert stopped.value.code == 2
    assert "list, show, stats, export, purge" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:sec@retpw@127.0.0.1:1/db",
        "postgresql://u:sec/retpw@x@127.0.0.1:1/db",
        "postgresql://u:secret:retpw@127.0.0.1:port/db",
        "postgresql:/u:secret@retpw@127.0.0.1/db",
        "postgresql//u:retpw@127.0.0.1/db",
        "mysql://u:retpw@127.0.0.1/db",
        "postgresql://127.0.0.1:1/db?user=u&password=retpw&connect_timeout=1",
    ],
)
@pytest.mark.parametrize(
    "command", [["monitor", "--save-reference", "p.json"], ["traffic", "stats"]]
)
def test_no_part_of_a_password_is_shown(capsys, monkeypatch, tmp_path, command, url):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--traffic", url]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith("promptguard: ")
    assert "retpw" not in said


def test_a_url_is_shown_without_its_password():
    shown = {
        "postgresql://u:p@q@h:1/db": "postgresql://u:***@h:1/db",
        "postgresql://u@h/db": "postgresql://u@h/db",
        "postgresql://h/db?password=p&x=1": "postgresql://h/db?password=***&x=1",
        "postgresql//u:p@h/db": "postgresql//u:***@h/db",
        "sqlite:////data/a:b@c.db": "sqlite:////data/a:b@c.db",
        "traffic.jsonl": "traffic.jsonl",
    }
    assert {url: without_password(url) for url in shown} == shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "DB"], "--out would write over"),
        (["--out", "link"], "--out would write over"),
        (["--out", "DB-wal"], "--out would write over"),
        (["--out", "other.db"], "a database of SQLite"),
        (["--out", "no/x.jsonl"], "there is no such folder"),
        (["--out", "folder"], "is a folder"),
        (
            ["--format", "label-studio", "--out", "a.json", "--config", "./a.json"],
            "which --out names",
        ),
        (
            ["--format", "label-studio", "--out", "a.json", "--config", "DB"],
            "--config would write over",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_export_writes_over_no_database(
    kept, path, capsys, monkeypatch, tmp_path, words, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "folder").mkdir()
    shutil.copy(path, tmp_path / "other.db")
    before = {file: file.read_bytes() for file in (path, tmp_path / "other.db")}
    words = [word.replace("DB", path.name) for word in words]
    status, out, err = run(capsys, "export", "--traffic", f"sqlite:///{path}", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert {file: file.read_bytes() for file in before} == before
    assert not (tmp_path / "a.json").exists()


def test_the_database_of_the_variable_is_not_written_over(
    kept, path, capsys, monkeypatch
):
    monkeypatch.setenv("PROMPTGUARD_CAPTURE", kept)
    before = path.read_bytes()
    assert run(capsys, "export", "--out", str(path))[0] == 2
    assert path.read_bytes() == before
