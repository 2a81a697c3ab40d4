"""The same in PostgreSQL: a server of its own, started and stopped by the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")
pytest.importorskip("psycopg", reason="needs the extra postgres")

from records_made import CANARY, record_of

from promptguard import Verdict
from promptguard.traffic import Filters, Traffic, Writer
from promptguard.traffic.writer import Counts

FOLDERS = [*map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
BINARIES = os.pathsep.join([*sorted(FOLDERS, reverse=True), os.environ.get("PATH", "")])
INITDB, PG_CTL = (shutil.which(name, path=BINARIES) for name in ("initdb", "pg_ctl"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (INITDB and PG_CTL), reason="needs PostgreSQL's binaries"),
]


class Server:
    """A PostgreSQL on a socket of its own: while it is down nobody takes its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        data = ("-D", str(folder / "data"))
        self._run(INITDB, *data, "-U", "guard", "-A", "trust", "--no-sync")
        self.url = f"postgresql://guard:{CANARY}@/postgres?host={folder}"

    def _run(self, *command: str) -> None:
        # A file and no pipe: nobody waits for the end of what the server inherits.
        with (self._folder / "told").open("wb") as told:
            done = subprocess.run(
                command,
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                timeout=120,
            )
        assert done.returncode == 0, (self._folder / "told").read_text()

    def start(self) -> None:
        options = f"-c listen_addresses= -k {self._folder} -F"
        where = ("-D", str(self._folder / "data"), "-l", str(self._folder / "log"))
        self._run(PG_CTL, *where, "-o", options, "-t", "100", "-w", "start")

    def stop(self) -> None:
        where = str(self._folder / "data")
        self._run(PG_CTL, "-D", where, "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgres")
    # Its user must come through to it.
    for above in folder.parents:
        if above.stat().st_mode & 0o001 or os.geteuid():
            continue
        above.chmod(above.stat().st_mode | 0o011)
    server = Server(folder)
    server.start()
    yield server
    server.stop()


def test_records_are_kept_found_counted_and_purged(server):
    now = time.time()
    with Writer(server.url, texts="whole") as writer:
        assert CANARY not in repr(writer)
        for number in range(300):
            writer.write(record_of("plain", str(number), time=now - number))
        writer.write(record_of("heliotrope\x00\ud800", "blocked", time=now + 1))
        writer.write(record_of("old", "old", time=now - 86_400 * 40))
    assert writer.counts == Counts(302, 0, 0)
    with Traffic(server.url) as traffic:
        assert len([*traffic.requests()]) == 302
        ((request, text),) = traffic.texts(Filters(guard="keywords"))
        assert request.about["request"] == "blocked"
        assert text.text == "heliotrope\ufffd\ufffd"
        assert traffic.stats()["outcomes"] == {"allowed": 301, "blocked": 1}
        assert traffic.stats()["seconds"]["p99"] == 0.25
        assert traffic.purge(now - 86_400) == 1
        assert traffic.stats()["requests"] == 301


def test_a_server_that_goes_away_is_waited_for(server, caplog):
    with Writer(server.url) as writer:
        writer.write(record_of("before", "before-the-end"))
        until = time.monotonic() + 20
        while writer.counts.written < 1:
            assert time.monotonic() < until
            time.sleep(0.05)
        server.stop()
        for number in range(20):
            writer.write(record_of(f"{CANARY} {number}", f"away-{number}"))
        time.sleep(1.0)
        assert writer.counts.queued == 20
        server.start()
    assert writer.counts == Counts(21, 0, 0)
    with Traffic(server.url) as traffic:
        assert len(traffic.show("away-19")) == 1
    assert "20 records wait" in caplog.text or "cannot be written" in caplog.text
    assert CANARY not in caplog.text


def test_two_writers_share_a_database(server, caplog):
    with Writer(server.url) as one, Writer(server.url) as other:
        for number in range(50):
            one(Verdict(str(number)))
            other(Verdict(str(number)))
    assert one.counts.written == other.counts.written == 50
    assert "ended without closing" not in caplog.text
