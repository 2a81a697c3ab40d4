"""Measures the service under load: latency and throughput.

    python benchmarks/server.py

A process of ``promptguard serve`` with the echo upstream answers a load generator on
the loopback interface, which runs beside it and takes its part of the cores. Latency is
measured in an open loop: requests start when they are due, whatever became of the ones
before, and a request is timed from when it was due. No two prompts are the same, so no
memo helps. What a guard has blocked is counted apart, and so is what the service had no
place for: an error is whatever else is not the answer that was due, by its name. Memory
over very many requests is measured by benchmarks/soak.py. Writes results/server.json
and .md beside this file.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

from report import Row, arguments, publish

WORDS = (
    "parcel warehouse Monday letter street window garden market bottle winter train "
    "question answer supplier invoice summer kitchen number report meeting because "
    "before after between several every other small large early late would could"
).split()
# What `promptguard policy init` writes, patterns alone, and next to nothing.
POLICIES = {
    "default": "[input.prompt_injection]\n[input.invisible_text]\n[output.secrets]\n",
    "patterns": "[input.pii]\n[input.secrets]\n[input.invisible_text]\n"
    "[output.pii]\n[output.secrets]\n",
    "one word": "[input.keywords]\nwords = ['heliotrope']\n",
}
ADDRESS = re.compile(r"running on http://[^:]+:(\d+)")
SECONDS = 30.0
AT_ONCE = 16
# The service closes a connection that is idle for 5 seconds. As clients do, this one
# uses none that is about to be closed.
IDLE = 4.0


class Service:
    """A process of ``promptguard serve``."""

    def __init__(self, policy: str, *options: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name, "promptguard.toml")
        path.write_text(POLICIES[policy], encoding="utf-8")
        command = [sys.executable, "-m", "promptguard", "serve", "--port", "0"]
        self._process = subprocess.Popen(
            [*command, "--policy", str(path), *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self.port = 0
        for line in self._process.stderr:
            if found := ADDRESS.search(line):
                self.port = int(found[1])
                break
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        # Workers begin to listen some time after the first line says so.
        while not self._ready():
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def processor(self) -> float:
        """Seconds of the processor that it has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]
        ticks = sum(map(int, fields.split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident memory in MiB, of all its processes."""
        group = [self._process.pid]
        children = Path(f"/proc/{group[0]}/task/{group[0]}/children")
        with suppress(OSError):
            group += map(int, children.read_text().split())
        total = 0
        for pid in group:
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                total += int(re.findall(r"VmRSS:\s+(\d+)", status)[0])
        return total / 1024

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._folder.cleanup()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def kind(prompt: str, status: int, data: bytes) -> str:
    """What an answer is to a prompt that the upstream says again."""
    value = json.loads(data)
    if status == 200:
        (choice,) = value["choices"]
        if choice["finish_reason"] == "content_filter":
            return "blocked"
        said = choice["message"]["content"]
        return "answered" if said == f"You said: {prompt}" else "another answer"
    code = str(value["error"]["code"])
    if status == 400 and code == "content_filter":
        return "blocked"
    if status == 503 and code == "overloaded":
        return "refused"
    return f"{status} {code}"


class Client:
    """HTTP with as little as it takes, on connections that are kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: deque[tuple[float, Connection]] = deque()

    async def ask(self, prompt: str) -> str:
        """Send a prompt, and say what came: ``answered``, ``blocked`` or ``refused``.

        Anything else is an error.
        """
        try:
            return kind(prompt, *await self._asked(prompt))
        except (OSError, EOFError) as error:
            return type(error).__name__

    async def _asked(self, prompt: str) -> tuple[int, bytes]:
        messages = [{"role": "user", "content": prompt}]
        body = json.dumps({"model": "echo", "messages": messages}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        reader, writer = await self._connection()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"content-length: (\d+)", answer)
        data = await reader.readexactly(int(length))
        self._free.append((time.monotonic(), (reader, writer)))
        return int(answer.split()[1]), data

    async def _connection(self) -> Connection:
        while self._free:
            since, (reader, writer) = self._free.pop()
            if time.monotonic() - since < IDLE and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def close(self) -> None:
        """Close the connections."""
        for _, (_, writer) in self._free:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def prompts(characters: int, seed: int) -> Callable[[], str]:
    """Gives prompts of about this length, each another one."""
    dice = random.Random(seed)

    def prompt() -> str:
        words = [dice.choice(WORDS)]
        size = 0
        while size < characters:
            words.append(dice.choice(WORDS))
            size += len(words[-1]) + 1
        return " ".join(words)[:characters]

    return prompt


async def open_loop(
    port: int, rate: float, seconds: float, prompt: Callable[[], str]
) -> tuple[list[float], Counter[str]]:
    """Milliseconds of each request, and how many ended how."""
    client = Client(port)
    taken: list[float] = []
    ends: Counter[str] = Counter()

    async def one(text: str, due: float) -> None:
        end = await client.ask(text)
        taken.append(1e3 * (time.perf_counter() - due))
        ends[end] += 1

    # Enough for the tables to be read and the clock of the processor to be up.
    for _ in range(5):
        await client.ask(prompt())
    dice = random.Random(0)
    tasks = []
    due = time.perf_counter()
    end = due + seconds
    while due < end:
        text = prompt()
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.ensure_future(one(text, due)))
        # As callers come who do not know of each other.
        due += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    await client.close()
    return taken, ends


async def closed_loop(
    port: int, count: int, at_once: int, prompt: Callable[[], str]
) -> tuple[float, Counter[str]]:
    """Requests a second with so many callers that wait for each answer; their ends."""
    client = Client(port)
    left = count
    ends: Counter[str] = Counter()

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            ends[await client.ask(prompt())] += 1

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    seconds = time.perf_counter() - begun
    await client.close()
    return count / seconds, ends


def counted(ends: Counter[str]) -> Row:
    """How requests ended, as columns of a table."""
    known = ("answered", "blocked", "refused")
    others = {end: count for end, count in ends.items() if end not in known}
    return {
        # Words at random look like an attack now and then.
        "blocked": ends["blocked"],
        # Told at once that there is no place: the load was more than the machine.
        "refused": ends["refused"],
        "errors": sum(others.values()),
        "which": ", ".join(f"{count} {end}" for end, count in others.items()),
    }


LOADS = [
    # policy, characters (25 tokens are about 100), requests a second, most p50, p99
    ("one word", 1000, 20.0, None, None),
    ("default", 1000, 20.0, 30, 150),
    ("default", 100, 50.0, None, 100),
    ("one word", 1000, 50.0, None, None),
    ("patterns", 1000, 50.0, None, 5),
]


def latency(seconds: float) -> list[Row]:
    """Latency of each load, in an open loop."""
    rows: list[Row] = []
    for number, (policy, characters, rate, middle, late) in enumerate(LOADS):
        service = Service(policy)
        try:
            prompt = prompts(characters, number)
            used = service.processor
            run = open_loop(service.port, rate, seconds, prompt)
            taken, ends = asyncio.run(run)
            used = 1e3 * (service.processor - used) / len(taken)
        finally:
            service.stop()
        rows.append(
            {
                "policy": policy,
                "characters": characters,
                "a second": rate,
                "requests": len(taken),
                **counted(ends),
                "unit": "ms",
                "p50": round(quantile(taken, 0.5), 1),
                "p99": round(quantile(taken, 0.99), 1),
                "most": round(max(taken), 1),
                "processor": round(used, 1),
                "p50 at most": middle,
                "p99 at most": late,
            }
        )
    return rows


def saturation(count: int) -> list[Row]:
    """Requests a second with more callers than can be answered at once."""
    rows: list[Row] = []
    cores = os.cpu_count() or 1
    for policy, workers in (("default", 1), ("default", cores), ("patterns", 1)):
        service = Service(policy, "--workers", str(workers))
        try:
            prompt = prompts(1000, 99 + workers)
            asyncio.run(closed_loop(service.port, 4 * cores, AT_ONCE, prompt))
            run = closed_loop(service.port, count, AT_ONCE, prompt)
            rate, ends = asyncio.run(run)
        finally:
            service.stop()
        rows.append(
            {
                "policy": policy,
                "characters": 1000,
                "workers": workers,
                "callers": AT_ONCE,
                **counted(ends),
                "requests a second": round(rate, 1),
                "a core": round(rate / cores, 1),
                "at least": 35 if policy == "default" else None,
            }
        )
    return rows


async def crowded(port: int, full: int, probes: int) -> list[tuple[str, float]]:
    """Ends and milliseconds of requests to a service that others keep full."""
    client = Client(port)
    prompt = prompts(1000, 3)
    over = asyncio.Event()
    seen: list[tuple[str, float]] = []

    async def caller() -> None:
        while not over.is_set():
            if await client.ask(prompt()) == "refused":
                await asyncio.sleep(0.05)

    callers = [asyncio.ensure_future(caller()) for _ in range(full)]
    await asyncio.sleep(1)
    for _ in range(probes):
        text = prompt()
        begun = time.perf_counter()
        end = await client.ask(text)
        seen.append((end, 1e3 * (time.perf_counter() - begun)))
        await asyncio.sleep(0.02)
    over.set()
    await asyncio.gather(*callers)
    await client.close()
    return seen


def refusals(probes: int) -> list[Row]:
    """How long somebody waits for being told that there is no place."""
    cores = os.cpu_count() or 1
    queue = 4
    service = Service("default", "--queue", str(queue))
    try:
        # Four a core are checked at a time.
        seen = asyncio.run(crowded(service.port, 4 * cores + queue, probes))
    finally:
        service.stop()
    refused = [taken for end, taken in seen if end == "refused"]
    return [
        {
            "requests": len(seen),
            **counted(Counter(end for end, _ in seen)),
            "unit": "ms",
            "p50": round(quantile(refused, 0.5), 1) if refused else None,
            "p99": round(quantile(refused, 0.99), 1) if refused else None,
            "p50 at most": 10,
        }
    ]


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def main() -> int:
    """Measure all of it."""
    parser = arguments(str(__doc__).partition("\n")[0])
    chosen = parser.parse_args()
    seconds, count = (3.0, 40) if chosen.quick else (SECONDS, 2000)
    sections = {
        "Latency in an open loop": latency(seconds),
        "Saturation": saturation(count),
        "Refusals": refusals(50 if chosen.quick else 1000),
    }
    publish("server", "The service under load", sections, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
