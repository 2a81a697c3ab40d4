"""A real service keeps what it was asked: a process, requests over TCP, a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest
from kept_records import ask
from records_made import CANARY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="needs SIGTERM"),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("sqlalchemy", "fastapi", "uvicorn")),
        reason="needs the extras capture and server",
    ),
]

POLICY = """
[input.pii]
[input.keywords]
words = ["heliotrope"]
[output.pii]
"""


class Service:
    """``promptguard serve`` with a scripted model behind it."""

    def __init__(self, folder, *options: str) -> None:
        (folder / "policy.toml").write_text(POLICY)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "log"
        command = [sys.executable, "-m", "promptguard", "serve"]
        command += ["--port", str(self.port), "--policy", str(folder / "policy.toml")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, cwd=folder
            )
        until = time.monotonic() + 60
        while not self.ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until
            time.sleep(0.1)

    def ready(self) -> bool:
        try:
            return self.get("/readyz") is not None
        except OSError:
            return False

    def get(self, path: str) -> str:
        address = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.read().decode()

    def ask(self, prompt: str) -> int:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) in (0, -signal.SIGTERM), self.log.read_text()


@pytest.fixture
def serve(tmp_path):
    services: list[Service] = []

    def serve(*options: str) -> Service:
        services.append(Service(tmp_path, *options))
        return services[-1]

    yield serve
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()


def test_a_service_that_is_told_to_stop_has_kept_everything(serve, tmp_path, url, path):
    service = serve("--capture", url)
    for number in range(20):
        assert service.ask(f"Write to {CANARY}{number}@example.com") == 200
    assert service.ask(f"heliotrope, {CANARY}@example.com") == 400
    page = service.get("/metrics")
    service.end()
    rows = ask(path, "select outcome, count(*) from promptguard_requests group by 1")
    assert dict(rows) == {"blocked": 1, "redacted": 20}
    assert ask(path, "select clean, written, dropped from promptguard_runs") == [
        (1, 21, 0)
    ]
    inputs = "select distinct text from promptguard_texts where direction = 'input'"
    assert {text for (text,) in ask(path, inputs)} == {
        "Write to <EMAIL_ADDRESS>",
        "<KEYWORD>, <EMAIL_ADDRESS>",
    }
    # Neither the database, nor what was counted, nor the log has any of the text.
    assert 'promptguard_findings_total{action="block",guard="keywords"' in page
    assert CANARY not in page
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes(), file.name


def test_a_service_whose_database_is_locked_answers_all_the_same(serve, url, path):
    import sqlite3

    service = serve("--capture", url)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    assert service.ask("hello") == 200
    took = []
    for _ in range(10):
        begun = time.perf_counter()
        assert service.ask("hello") == 200
        took.append(time.perf_counter() - begun)
    lock.execute("ROLLBACK")
    lock.close()
    service.end()
    # One that waited for the lock would have waited for seconds.
    assert sorted(took)[5] < 1.0
    assert ask(path, "select count(*) from promptguard_requests") == [(11,)]


def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path):
    command = [sys.executable, "-m", "promptguard", "serve", "--port", "0"]
    command += ["--capture", f"sqlite:///{tmp_path}/no/folder/traffic.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
