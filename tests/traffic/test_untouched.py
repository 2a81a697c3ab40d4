"""Whoever looks at a database changes nothing in it, and nobody another program's."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from kept_records import ask
from records_made import record_of

from promptguard import ConfigError
from promptguard.cli import main
from promptguard.traffic import Traffic, Writer

LOOKS = {
    "list": ("traffic", "list"),
    "stats": ("traffic", "stats"),
    "show": ("traffic", "show", "REQUEST"),
    "export": ("traffic", "export", "--out", "-"),
    "purge": ("traffic", "purge", "--older-than", "1d"),
    "monitor": (
        *("monitor", "--since", "1d", "--reference-since", "3d"),
        *("--reference-until", "2d"),
    ),
}


def foreign(path, mode="delete"):
    connection = sqlite3.connect(path)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("create table invoices (number integer)")
    connection.execute("insert into invoices values (7)")
    connection.commit()
    connection.close()


def newer(path, url):
    with Writer(url) as writer:
        writer.write(record_of("words", "one"))
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode=delete")
    connection.execute("update promptguard_meta set value='2' where name='version'")
    connection.commit()
    connection.close()


def written(writer, number):
    end = time.monotonic() + 20
    while writer.counts.written < number:
        assert time.monotonic() < end
        time.sleep(0.02)


def run(words, url):
    try:
        return main([*words, "--traffic", url])
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize("words", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_another_programs_database_stays_as_it_is(path, url, capsys, words, mode):
    foreign(path, mode)
    before = path.read_bytes()
    assert run(words, url) == 2
    assert "there is no traffic in this database" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("words", LOOKS.values(), ids=LOOKS)
def test_an_empty_file_stays_empty(path, url, capsys, words):
    path.touch()
    assert run(words, url) == 2
    assert path.read_bytes() == b""


@pytest.mark.parametrize("words", LOOKS.values(), ids=LOOKS)
def test_a_newer_database_is_refused_and_stays_as_it_is(path, url, capsys, words):
    newer(path, url)
    before = path.read_bytes()
    assert run(words, url) == 2
    assert "of version 2" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_writer_refuses_another_programs_database_before_it_changes_it(
    path, url, mode
):
    foreign(path, mode)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another program's"):
        Writer(url)
    assert path.read_bytes() == before
    assert ask(path, "select name from sqlite_master") == [("invoices",)]


def test_a_writer_refuses_a_newer_database_before_it_changes_it(path, url):
    newer(path, url)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="version 2"):
        Writer(url)
    assert path.read_bytes() == before


def test_a_writer_fills_an_empty_file(path, url):
    path.touch()
    with Writer(url) as writer:
        writer.write(record_of("words", "one"))
    with Traffic(url) as traffic:
        assert [r.about["request"] for r in traffic.requests()] == ["one"]


def test_a_reader_sees_what_a_running_writer_has_just_written(path, url):
    with Writer(url) as writer, Traffic(url) as traffic:
        for number in range(5):
            writer.write(record_of("words", str(number)))
            written(writer, number + 1)
            assert len(list(traffic.requests())) == number + 1


def test_a_reader_changes_nothing_of_what_a_killed_writer_left(path, url):
    code = (
        "import sys, time; from promptguard import Verdict\n"
        "from promptguard.traffic import Writer\n"
        f"writer = Writer({url!r})\n"
        # Whoever closes the database last empties its log.
        f"import sqlite3; held = sqlite3.connect({str(path)!r})\n"
        "held.execute('select count(*) from promptguard_meta').fetchall()\n"
        "writer(Verdict('x'))\n"
        "while not writer.counts.written: time.sleep(0.02)\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    log = path.with_name("traffic.db-wal")
    before = path.read_bytes(), log.read_bytes()
    assert before[1]
    with Traffic(url) as traffic:
        assert len(list(traffic.requests())) == 1
    assert (path.read_bytes(), log.read_bytes()) == before


@pytest.mark.parametrize("name", ["a b%20c.db", "what?.db", "gärten#1.db"])
def test_a_file_is_read_whatever_its_name_is(tmp_path, name):
    from sqlalchemy import URL

    where = str(tmp_path / name)
    url = URL.create("sqlite", database=where).render_as_string()
    with Writer(url) as writer:
        writer.write(record_of("words", "one"))
    with Traffic(url) as traffic:
        found = list(traffic.requests())
    made = {file.name for file in tmp_path.iterdir()}
    assert len(found) == 1
    assert made <= {name, f"{name}-wal", f"{name}-shm"}
