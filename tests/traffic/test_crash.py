"""A process that is killed loses what came in its last second, and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from kept_records import ask

from promptguard.traffic import Writer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

BUSY = """
import sys, time
from promptguard import Verdict
from promptguard.traffic import Writer
writer = Writer({url!r}, texts="whole")
number = 0
while True:
    number += 1
    writer(Verdict(str(number)))
    sys.stdout.write(f"{{number}} {{time.time()}}\\n")
    sys.stdout.flush()
    time.sleep(0.005)
"""


@pytest.mark.slow
def test_a_killed_process_loses_its_last_second_at_most_and_the_next_says_so(
    url, path, caplog
):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY.format(url=url)], stdout=subprocess.PIPE, text=True
    )
    until, lines = time.time() + 60, []
    while len(lines) < 600 and time.time() < until:
        lines.append(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    killed = time.time()
    lines += process.communicate()[0].splitlines()
    taken = {int(line.split()[0]): float(line.split()[1]) for line in lines if line}
    assert len(taken) >= 600
    rows = ask(path, "select cast(text as integer) from promptguard_texts")
    kept = {number for (number,) in rows}
    lost = [when for number, when in taken.items() if number not in kept]
    assert kept
    assert all(killed - when <= 1.0 for when in lost), killed - min(lost)
    # Whole records, in order, from the first one on.
    assert kept == set(range(1, len(kept) + 1))
    with Writer(url):
        pass
    assert "ended without closing" in caplog.text
    runs = ask(path, "select clean from promptguard_runs order by started")
    assert runs == [(0,), (1,)]
    caplog.clear()
    with Writer(url):
        pass
    assert "ended without closing" not in caplog.text


def test_a_writer_that_is_at_work_is_not_taken_for_dead(url, path, caplog):
    with Writer(url), Writer(url):
        pass
    assert caplog.text == ""
    assert ask(path, "select clean from promptguard_runs") == [(1,), (1,)]


def test_a_silent_writer_on_another_machine_is(url, path, caplog):
    Writer(url).close()
    import sqlite3

    connection = sqlite3.connect(path)
    for host, beat in (("elsewhere", time.time() - 120), ("there", time.time() - 5)):
        connection.execute(
            "insert into promptguard_runs select ?, ?, pid, version, started, ?, null, "
            "null, 7, 0 from promptguard_runs limit 1",
            (host, host, beat),
        )
    connection.commit()
    connection.close()
    with Writer(url):
        pass
    rows = ask(
        path,
        "select run, clean from promptguard_runs where pid = host or clean is not 1",
    )
    assert dict(rows) == {"elsewhere": 0, "there": None}
    assert caplog.text.count("ended without closing") == 1
