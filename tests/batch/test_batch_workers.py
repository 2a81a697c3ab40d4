"""Processes that check texts: in order, bounded, and none whose end loses a text."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from batch_guards import WORDS, Breaks, Kills, NotReady, Slow, numbered

from promptguard import ConfigError, Keywords
from promptguard.batch import Check, check_file
from promptguard.batch.apart import Apart
from promptguard.batch.workers import _AHEAD, Workers

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
HERE = Path(__file__).parent


def batches(texts: list[str], size: int) -> list[list[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def test_rows_come_in_the_order_of_the_texts():
    texts = numbered(100)
    check = Check(WORDS)
    with Workers(check, 3) as workers:
        told = list(workers.rows(batches(texts, 9)))
    assert [row for rows in told for row in rows] == check.rows(texts)
    assert workers.processes == ()


def test_no_more_is_read_than_can_be_worked_at():
    taken = 0

    def source():
        nonlocal taken
        for part in batches(numbered(400), 4):
            taken += 1
            yield part

    # One process keeps the first batch for long; the other is through with the rest.
    with Workers(Check(Slow(1.0, "order? 0")), 2) as workers:
        for given, _ in enumerate(workers.rows(source()), start=1):
            assert taken - given < _AHEAD * 2
    assert given == taken == 100


def test_a_process_that_ends_once_is_replaced_and_loses_nothing(tmp_path):
    texts = [*numbered(60), "boom", *numbered(60)]
    guard = Kills(once=str(tmp_path / "done")) | WORDS
    with Workers(Check(guard), 2) as workers:
        told = [row for rows in workers.rows(batches(texts, 10)) for row in rows]
    assert workers.ended == 1
    # Here the file is there, and nothing ends.
    assert told == Check(guard).rows(texts)


def test_a_process_that_somebody_kills_is_replaced_and_loses_nothing():
    texts = numbered(120)
    check = Check(Slow(0.005))
    with Workers(check, 2) as workers:
        told = []
        for number, rows in enumerate(workers.rows(batches(texts, 10))):
            told += rows
            if number == 3:
                os.kill(workers.processes[0], signal.SIGKILL)
    assert workers.ended == 1
    assert told == check.rows(texts)


def test_ctrl_c_at_a_terminal_is_not_for_the_processes():
    texts = numbered(60)
    check = Check(Slow(0.005))
    with Workers(check, 2) as workers:
        told = []
        for rows in workers.rows(batches(texts, 10)):
            told += rows
            for process in workers.processes:
                os.kill(process, signal.SIGINT)
    assert workers.ended == 0
    assert told == check.rows(texts)


def test_a_text_that_ends_every_process_is_told_of_alone():
    texts = numbered(21)
    texts[13] = "boom 13"
    check = Check(Kills() | WORDS)
    with Workers(check, 2) as workers:
        told = [row for rows in workers.rows(batches(texts, 7)) for row in rows]
    names = list(check.types)
    errors = [row[names.index("verdict_error")] for row in told]
    assert errors[13] == "its process ended (signal 9)"
    assert told[13][names.index("verdict_blocked")]
    rest = [n for n in range(21) if n != 13]
    assert [told[n] for n in rest] == check.rows([texts[n] for n in rest])


def test_a_process_apart_may_end_and_the_next_texts_find_another_one():
    texts = [*numbered(9), "boom", None, *numbered(3)]
    guard = Kills() | WORDS
    with closing(Apart(Check(guard), pickle.dumps)) as apart:
        told = [apart(texts), apart(texts[:9])]
        (process,) = apart.processes
        assert apart(texts[:9]) == told[1] and apart.processes == (process,)
    assert not alive(process)
    rest = Check(WORDS).rows([text for text in texts if text != "boom"])
    assert told[0][:9] == told[1] == rest[:9]
    assert told[0][10:] == rest[9:]
    assert told[0][9][-1] == "its process ended (signal 9)"


def test_a_broken_guard_blocks_its_text_in_another_process_too():
    check = Check(Breaks() | WORDS)
    with Workers(check, 1) as workers:
        told = [row for rows in workers.rows([["fine", "broken"]]) for row in rows]
    assert told == check.rows(["fine", "broken"])
    assert workers.ended == 0


@pytest.mark.parametrize(
    ("guard", "says"),
    [
        (NotReady(), "end before they are ready \\(exit status 3\\)"),
        (Breaks("config"), "no such rate"),
        (WORDS.then(Keywords(("x",), name="y")) | Breaks("config"), "no such rate"),
    ],
    ids=["not ready", "configuration", "both"],
)
def test_guards_that_no_process_can_run_end_the_batch(guard, says):
    with (
        Workers(Check(guard), 2) as workers,
        pytest.raises(ConfigError, match=says),
    ):
        list(workers.rows(batches([*numbered(30), "broken"], 5)))


def test_guards_that_cannot_be_sent_say_what_to_do():
    from promptguard import Judge

    check = Check(Judge("safety", llm=lambda rubric, text: "safe"))
    with pytest.raises(ConfigError, match="workers=0"):
        Workers(check, 2)
    Workers(check, 0)


RUN = """
import sys
sys.path.insert(0, {here!r})
from batch_guards import Slow
from promptguard.batch import Check, check_file
if __name__ == "__main__":
    check_file({source!r}, {out!r}, Check(Slow(0.01)), workers=2, rows=5)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_that_is_killed_leaves_no_process_and_goes_on(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    texts = numbered(300)
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    script = tmp_path / "run.py"
    script.write_text(RUN.format(here=str(HERE), source=str(source), out=str(out)))
    process = subprocess.Popen([sys.executable, script])
    journal = tmp_path / "out.jsonl.journal"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if journal.exists() and journal.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    process.kill()
    process.wait()
    while any(map(alive, map(int, children.split()))) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, map(int, children.split())))
    assert not out.exists()
    summary = check_file(source, out, Check(Slow(0.01)), workers=0)
    assert 0 < summary.before < summary.rows == 300
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["text"] for row in found] == texts
    assert [row["verdict_flagged"] for row in found] == ["heron" in t for t in texts]
