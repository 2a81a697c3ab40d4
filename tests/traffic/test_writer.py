"""Records reach the database without a request waiting for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from kept_records import ask, texts
from records_made import CANARY, record_of

from promptguard import PII, ConfigError, Keywords, MissingExtra, on_verdict
from promptguard.prices import Price, Prices
from promptguard.records import Latency
from promptguard.traffic import Traffic, Writer, database
from promptguard.traffic.writer import Counts

COUNT = "select count(*) from promptguard_requests"


def wait_for(condition, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def test_a_clean_stop_loses_nothing(url, path):
    record = record_of("hello")
    with Writer(url) as writer:
        for number in range(1200):
            writer.write(replace(record, id=f"req-{number}"))
    assert writer.counts == Counts(1200, 0, 0)
    assert ask(path, COUNT) == [(1200,)]
    distinct = "select count(distinct request) from promptguard_requests"
    assert ask(path, distinct) == [(1200,)]
    assert ask(path, "select clean, written, dropped from promptguard_runs") == [
        (1, 1200, 0)
    ]


def test_a_record_is_there_within_a_second(url, path):
    with Writer(url) as writer:
        writer.write(record_of("hello"))
        wait_for(lambda: ask(path, COUNT) == [(1,)], 2.0)


def test_what_a_record_says_is_kept(url, path):
    prices = Prices((Price("gpt-4o*", 2.0, 4.0),), "EUR")
    with Writer(url, texts="whole", prices=prices) as writer:
        writer.write(record_of(f"Mail {CANARY}@example.com", caller="key-1"))
    with Traffic(url) as traffic:
        (request,) = traffic.requests()
    expected = {
        "request": "req-1",
        "endpoint": "/v1/chat/completions",
        "caller": "key-1",
        "tokens_in": 1000,
        "seconds": 0.25,
        "cost": pytest.approx(0.004),
        "currency": "EUR",
        "outcome": "allowed",
    }
    assert {name: request.about[name] for name in expected} == expected
    (text,) = request.texts
    assert text.text == f"Mail {CANARY}@example.com"
    assert set(text.about["timings"]) == {"pii", "secrets", "keywords"}
    (found,) = text.findings
    assert (found.guard, found.label, found.action) == (
        "pii",
        "EMAIL_ADDRESS",
        "redact",
    )


def test_a_hook_keeps_what_the_library_checks(url, path):
    with Writer(url) as writer:
        remove = on_verdict(writer)
        try:
            PII().check(f"{CANARY}@example.com")
            Keywords(("heliotrope",)).check("heliotrope")
        finally:
            remove()
    rows = ask(path, "select outcome from promptguard_requests order by key")
    assert rows == [("redacted",), ("blocked",)]
    ways = ask(path, "select distinct direction, role from promptguard_texts")
    assert ways == [("unknown", "unknown")]


def test_taking_a_record_does_not_wait_for_a_locked_database(url, path):
    with Writer(url) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        record = record_of("hello")
        begun = time.perf_counter()
        for _ in range(500):
            writer.write(record)
        took = time.perf_counter() - begun
        time.sleep(1.0)
        assert writer.counts.written == 0
        assert writer.counts.queued == 500
        lock.execute("ROLLBACK")
        lock.close()
        wait_for(lambda: writer.counts.written == 500)
    assert took < 0.5
    assert writer.counts == Counts(500, 0, 0)
    assert ask(path, COUNT) == [(500,)]


def test_a_database_that_stays_locked_for_long_is_tried_again(
    url, path, monkeypatch, caplog
):
    monkeypatch.setattr(database, "_WAIT", 0.05)
    with Writer(url) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for number in range(50):
            writer.write(record_of(f"{CANARY} {number}", f"{number}"))
        wait_for(lambda: "cannot be written (OperationalError" in caplog.text)
        assert writer.counts.written == 0
        lock.execute("ROLLBACK")
        lock.close()
    assert writer.counts == Counts(50, 0, 0)
    rows = ask(path, "select cast(request as integer) from promptguard_requests")
    assert sorted(number for (number,) in rows) == list(range(50))
    assert CANARY not in caplog.text


def test_a_full_queue_drops_counts_and_says_so(url, path, caplog):
    with Writer(url, queue=10) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for number in range(100):
            writer.write(record_of(f"{CANARY} {number}"))
        # One batch may be in the writer's hands while ten more wait.
        dropped = writer.counts.dropped
        assert dropped >= 80
        lock.execute("ROLLBACK")
        lock.close()
    counts = writer.counts
    assert counts == Counts(100 - dropped, dropped, 0)
    assert ask(path, "select dropped from promptguard_runs") == [(dropped,)]
    assert f"{dropped} records were dropped" in caplog.text
    assert CANARY not in caplog.text


def test_long_texts_fill_the_queue_as_well(url, path):
    with Writer(url, texts="whole", characters=1000) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for _ in range(10):
            writer.write(record_of("a " * 250))
        assert writer.counts.dropped >= 6
        lock.execute("ROLLBACK")
        lock.close()


def test_a_database_that_stays_locked_is_given_up_and_counted(url, path, caplog):
    writer = Writer(url)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        writer.write(record_of(CANARY))
    writer.close(timeout=0.5)
    assert writer.counts == Counts(0, 5, 0)
    assert "5 records are lost" in caplog.text
    assert CANARY not in caplog.text
    lock.execute("ROLLBACK")
    lock.close()


def test_what_comes_after_the_end_is_counted(url):
    writer = Writer(url)
    writer.close()
    writer.close()
    writer.write(record_of("late"))
    assert writer.counts == Counts(0, 1, 0)


def test_a_record_that_cannot_be_written_does_not_take_others_along(url, path, caplog):
    bad = record_of("bad", latency=Latency(float("nan")))
    with Writer(url) as writer:
        writer.write(record_of("good", "1"))
        writer.write(replace(bad, id=CANARY))
        writer.write(record_of("good", "2"))
        writer.write(replace(bad, id="odd", checks=(None,)))
        writer.write(record_of("good", "3"))
    assert writer.counts == Counts(3, 2, 0)
    rows = ask(path, "select request from promptguard_requests order by key")
    assert rows == [("1",), ("2",), ("3",)]
    assert "cannot be written (IntegrityError" in caplog.text
    assert CANARY not in caplog.text


def test_many_threads_write(url, path):
    record = record_of("hello")
    with Writer(url) as writer:
        threads = [
            threading.Thread(target=lambda: [writer.write(record) for _ in range(200)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ask(path, COUNT) == [(1600,)]


async def test_an_event_loop_is_not_held_up(url, path):
    late = []

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - begun)

    with Writer(url) as writer:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        watching = asyncio.create_task(watch())
        record = record_of("hello")
        for _ in range(40):
            writer.write(record)
            await asyncio.sleep(0.01)
        watching.cancel()
        lock.execute("ROLLBACK")
        lock.close()
    # The lock is held for 0.4 s and more; no turn of the loop waits for it.
    assert sorted(late)[len(late) // 2] < 0.1


@pytest.mark.parametrize("texts_", ["redacted", "hashed", "none"])
def test_no_text_is_in_the_files_that_was_not_to_be_kept(tmp_path, texts_):
    secret = f"Mail {CANARY}@example.com, key glpat-{CANARY * 2}, please"
    with Writer(
        f"sqlite:///{tmp_path}/traffic.db", texts=texts_, key=b"0" * 16
    ) as writer:
        for _ in range(20):
            writer.write(record_of(secret))
        writer.write(record_of(f"{CANARY}@example.com"))
    files = list(tmp_path.iterdir())
    assert files
    assert not [f for f in files if CANARY.encode() in f.read_bytes()]


def test_only_the_owner_may_read_the_file(url, path):
    with Writer(url) as writer:
        writer.write(record_of("hello"))
        time.sleep(0.3)
        modes = {stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    assert modes == {0o600}


def test_what_is_too_old_goes_and_leaves_nothing_in_the_file(tmp_path, url, path):
    old = record_of(f"old {CANARY}", time=time.time() - 3 * 86_400)
    with Writer(url, texts="whole") as writer:
        writer.write(old)
        writer.write(record_of("new"))
    assert any(CANARY.encode() in f.read_bytes() for f in tmp_path.iterdir())
    with Writer(url, texts="whole", retention="2d") as writer:
        writer.write(record_of("newer"))
        wait_for(lambda: texts(path) == ["new", "newer"])
    assert not any(CANARY.encode() in f.read_bytes() for f in tmp_path.iterdir())


def test_retention_needs_no_traffic(url, path):
    with Writer(url, texts="whole") as writer:
        writer.write(record_of("old", time=time.time() - 3 * 86_400))
    with Writer(url, retention="2d"):
        wait_for(lambda: texts(path) == [])


@pytest.mark.parametrize(
    ("url_", "said"),
    [
        ("mysql://localhost/x", "sqlite or postgresql, not in 'mysql'"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:////nowhere/at/all/traffic.db", "cannot be written"),
    ],
)
def test_a_wrong_url_stops_the_start(url_, said):
    with pytest.raises(ConfigError, match=said):
        Writer(url_)


def test_a_file_that_is_no_database_stops_the_start(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and no database at all. " * 100)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Writer(f"sqlite:///{path}")


def test_a_password_is_in_no_message():
    url = f"postgresql://user:{CANARY}@127.0.0.1:9/none"
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    with pytest.raises(ConfigError) as caught:
        Writer(url)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_another_version_of_the_tables_is_refused(url, path):
    Writer(url).close()
    connection = sqlite3.connect(path)
    connection.execute("update promptguard_meta set value = '99'")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="of version 99"):
        Writer(url)
    with pytest.raises(ConfigError, match="of version 99"):
        Traffic(url)


def test_several_processes_may_make_the_tables_at_once(url, path):
    code = f"""
    from promptguard.traffic import Writer
    from promptguard import Verdict
    with Writer({url!r}) as writer:
        writer(Verdict("x"))
    assert writer.counts.written == 1, writer.counts
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    several = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in several:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert ask(path, COUNT) == [(4,)]


FORK = """
import os, time
from promptguard import Verdict
from promptguard.traffic import Writer
writer = Writer({url!r})
writer(Verdict("before"))
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for _ in range(10):
            writer(Verdict("child"))
        writer.close()
        os._exit(0 if writer.counts.written == 10 else 1)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
writer(Verdict("after"))
writer.close()
assert writer.counts.written == 2, writer.counts
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_writes_on_its_own(url, path):
    code = FORK.format(url=url)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert ask(path, COUNT) == [(32,)]
    assert ask(path, "select clean from promptguard_runs") == [(1,)] * 4


def test_leaving_the_program_writes_what_is_left(url, path):
    code = f"""
    from promptguard.traffic import Writer
    from promptguard import Verdict
    writer = Writer({url!r})
    for _ in range(100):
        writer(Verdict("x"))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(path, COUNT) == [(100,)]
    assert ask(path, "select clean from promptguard_runs") == [(1,)]


def test_without_the_package_the_extra_is_named(monkeypatch, url):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[capture\]"):
        Writer(url)


def test_a_writer_shows_no_password_and_no_text(url):
    with Writer(url) as writer:
        assert repr(writer) == f"Writer({url!r}, texts='redacted')"
        assert writer.wants_texts
    with Writer(url, texts="none") as writer:
        assert not writer.wants_texts


def test_what_sqlalchemy_logs_has_no_text_in_it(url, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    with Writer(url, texts="whole") as writer:
        writer.write(record_of(f"{CANARY}@example.com"))
        writer.write(record_of(CANARY, latency=Latency(float("nan"))))
    assert "INSERT INTO promptguard_texts" in caplog.text
    assert CANARY not in caplog.text
