"""Measures batches: verdicts and throughput of every engine, and memory over a million.

    make test-batch                       makes .venv-batch, which has the engines
    python benchmarks/batch.py --engines .venv-batch/bin/python
    python benchmarks/batch.py --texts 1000 --long 20000 --build build/batch --quick

All engines read one Parquet file of texts of 30 tokens, one in ten of which has
something to find, and write another; what they wrote is compared row by row with what a
single process wrote. The time of a run over a few texts is taken off, so that what is
left is checking and not starting. Seconds of the processor are those of all processes
of an engine, so that they hold on a busy machine too.

What is measured is kept in --build: the same command goes on after it was stopped, also
within the long run, whose journal is there. Writes results/batch.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.texts import ENDINGS, of_tokens
from promptguard import PII, InvisibleText, PromptInjection, Secrets
from promptguard.batch import Check, check_file, on_ray, on_spark
from report import Row, arguments, publish

TOKENIZER = Path(__file__).parents[1] / "src/promptguard/models/tokenizer.json"
CHECK = Check(PromptInjection() | InvisibleText() | PII() | Secrets(), redacted=True)
TEXTS, LONG, TOKENS = 10_000, 1_000_000, 30
FOUND = ("injection", "pii", "secrets", "invisible")
# Of the throughput of a single process, on each core.
LEAST = 0.8
FEW = 16
POINTS = 10
# Sentences that are drawn from: drawing is not what is measured.
POOL = 20_000


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--texts", type=int, default=TEXTS, help="texts of each engine")
    parser.add_argument("--long", type=int, default=LONG, help="texts of the long run")
    for name in ("spark", "ray"):
        parser.add_argument(f"--{name}", help="Python that has it, if another one")
    parser.add_argument("--engines", help="Python that has Spark and Ray; else neither")
    parser.add_argument("--build", type=Path, help="where what is measured is kept")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.job:
        return job(chosen.job[0], Path(chosen.job[1]), Path(chosen.job[2]))
    if chosen.build is not None:
        chosen.build.mkdir(parents=True, exist_ok=True)
        measure(chosen, chosen.build)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen, Path(folder))
    return 0


def measure(chosen: argparse.Namespace, folder: Path) -> None:
    sections: dict[str, list[Row]] = {}
    engines = {"single": sys.executable, "file": sys.executable}
    for name in ("spark", "ray"):
        if python := getattr(chosen, name) or chosen.engines:
            engines[name] = python
    if chosen.texts:
        source, few = made(folder, chosen.texts), made(folder, FEW)
        runs = {
            name: kept(
                folder / f"{name}-{chosen.texts}.json",
                lambda n=name, p=python: engine(n, p, folder, source, few),
            )
            for name, python in engines.items()
        }
        wanted = rows_of(folder / "out-single.parquet")
        sections["Verdicts"] = [
            equal(name, rows_of(folder / f"out-{name}.parquet"), wanted)
            for name in runs
        ]
        single = runs["single"]
        sections["Throughput"] = [
            throughput(name, run, single, chosen.texts) for name, run in runs.items()
        ]
    if chosen.long:
        sections["Memory"] = long_run(folder, chosen.long)
    publish("batch", "Batches", sections, chosen)


def kept(path: Path, work: Callable[[], Any]) -> Any:
    """What was measured before, or is now."""
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(json.dumps(work()), encoding="utf-8")
        part.rename(path)
    return json.loads(path.read_text(encoding="utf-8"))


# ---- texts ---------------------------------------------------------------------------


def texts(count: int) -> Iterator[str]:
    """Texts of about so many tokens, no two alike; one in ten has something to find."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def length(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    # The number of a text takes some tokens of its own.
    pool = list(islice(of_tokens(TOKENS - 3, length), min(count, POOL)))
    dice = random.Random(0)
    for number in range(count):
        if dice.random() < 0.1:
            yield f"{number}. {dice.choice(pool)[:60]} {ENDINGS[dice.choice(FOUND)]}"
        else:
            yield f"{number}. {pool[number % len(pool)]}"


def made(folder: Path, count: int) -> Path:
    """A Parquet file of so many texts."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / f"in-{count}.parquet"
    if path.exists():
        return path
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    part = path.with_suffix(".part")
    source = enumerate(texts(count))
    with parquet.ParquetWriter(part, schema) as writer:
        while rows := list(islice(source, 10_000)):
            columns = [list(column) for column in zip(*rows, strict=True)]
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True))))
    part.rename(path)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of an output, by id."""
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return sorted(rows, key=lambda row: int(row["id"]))


# ---- engines -------------------------------------------------------------------------


def engine(name: str, python: str, folder: Path, source: Path, few: Path) -> Any:
    """What a run of an engine took, in a process of its own."""
    out = folder / f"out-{name}.parquet"
    if out.is_dir():
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
    for file in (out, folder / f"out-{name}-few.parquet"):
        if file.is_file():
            file.unlink()
    command = [python, __file__, "--job", name, str(source), str(out)]
    paths = [str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(paths),
            "BATCH_FEW": str(few),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray's processes are nicer than others by default.
            "RAY_worker_niceness": "0",
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
    )
    assert process.stdout is not None
    with Watch(process.pid) as watch:
        told: dict[str, Any] = {}
        for line in process.stdout:
            if line.startswith("{"):
                told |= json.loads(line)
                if "began" in told and "before" not in told:
                    told["before"] = watch.processor()
                if "seconds" in told and "after" not in told:
                    told["after"] = watch.processor()
        process.wait()
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}")
    return told | {"peak": watch.peak}


def job(name: str, source: Path, out: Path) -> int:
    """One engine over one file; in its own process."""
    few = Path(os.environ["BATCH_FEW"])
    run = {"single": single, "file": on_file, "spark": spark, "ray": ray}[name]()
    small = out.with_name(f"{out.stem}-few.parquet")
    # The first run starts what stays; the second tells what every run takes to begin.
    took = []
    for _ in range(2):
        begun = time.perf_counter()
        run(few, small)
        took.append(time.perf_counter() - begun)
        for path in small.iterdir() if small.is_dir() else [small]:
            path.unlink()
        if small.is_dir():
            small.rmdir()
    tell(start=took[-1], began=True)
    time.sleep(1.0)
    begun = time.perf_counter()
    run(source, out)
    tell(seconds=time.perf_counter() - begun)
    time.sleep(1.0)
    return 0


def tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


Run = Callable[[Path, Path], object]


def single() -> Run:
    return lambda source, out: check_file(source, out, CHECK, workers=0)


def on_file() -> Run:
    return lambda source, out: check_file(source, out, CHECK)


def spark() -> Run:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    cores = os.cpu_count() or 1
    builder = SparkSession.builder.master(f"local[{cores}]")
    for key, value in {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    def run(source: Path, out: Path) -> None:
        # Some tasks a core: the last to end is waited for.
        frame = session.read.parquet(str(source)).repartition(4 * cores)
        on_spark(frame, CHECK).write.parquet(str(out))

    return run


def ray() -> Run:
    import logging

    import ray

    cores = os.cpu_count() or 1
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(source: Path, out: Path) -> None:
        data = ray.data.read_parquet(str(source)).repartition(4 * cores)
        on_ray(data, CHECK).write_parquet(str(out))

    return run


def equal(name: str, found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> Row:
    """How many rows are those of the single process, every column of them."""
    same = sum(a == b for a, b in zip(found, wanted, strict=False))
    flagged = sum(bool(row["verdict_flagged"]) for row in found)
    return {
        "engine": name,
        "texts": len(wanted),
        "rows": len(found),
        "equal": same,
        "different": max(len(wanted), len(found)) - same,
        "flagged": flagged,
        "errors": sum(row["verdict_error"] is not None for row in found),
    }


def throughput(name: str, run: Any, one: Any, count: int) -> Row:
    cores = 1 if name == "single" else os.cpu_count() or 1

    def rate(told: Any, cores: int) -> float:
        return float(count / (told["seconds"] - told["start"]) / cores)

    def cost(told: Any) -> float:
        return float(1e3 * (told["after"] - told["before"]) / count)

    return {
        "engine": name,
        "texts": count,
        "cores": cores,
        "start s": round(run["start"], 1),
        "s": round(run["seconds"], 1),
        "a second and core": round(rate(run, cores), 1),
        "of the single process": round(rate(run, cores) / rate(one, 1), 2),
        "at least": None if name == "single" else LEAST,
        "processor ms a text": round(cost(run), 2),
        "of its processor": round(cost(run) / cost(one), 2),
        "peak MiB": round(run["peak"]),
    }


# ---- memory --------------------------------------------------------------------------


def long_run(folder: Path, count: int) -> list[Row]:
    """Memory and speed over a long run, a row for each tenth of it."""
    out = folder / f"long-{count}.parquet"
    log = folder / f"long-{count}.jsonl"
    step = max(1, count // POINTS)
    if not out.exists():
        source = made(folder, count)
        journal = out.with_name(f"{out.name}.journal")
        begun = time.perf_counter()
        with Watch(os.getpid()) as watch, log.open("a", encoding="utf-8") as file:

            def shown(steps: Any, total: int) -> Iterator[None]:
                since, used = time.perf_counter(), watch.processor()
                for done, item in enumerate(steps, start=count - total + 1):
                    yield item
                    if done % step == 0:
                        now = time.perf_counter()
                        point = {
                            "done": done,
                            "seconds": now - since,
                            "processor": watch.processor() - used,
                            "rss": watch.least_and_most(),
                        }
                        since, used = now, watch.processor()
                        file.write(json.dumps(point) + "\n")
                        file.flush()
                        print(f"{done:,} of {count:,}", flush=True)

            summary = check_file(source, out, CHECK, shown=shown)
            mine = {"writing": time.perf_counter() - begun, "ended": summary.ended}
            file.write(json.dumps(mine | {"rss": watch.least_and_most()}) + "\n")
        assert not journal.exists()
    points = [json.loads(line) for line in log.read_text().splitlines()]
    rows: list[Row] = []
    for point in points:
        if "done" not in point:
            continue
        (_, own_high), (all_low, all_high) = point["rss"]
        rows.append(
            {
                "texts": point["done"],
                "s": round(point["seconds"], 1),
                "a second": round(step / point["seconds"], 1),
                "processor ms a text": round(1e3 * point["processor"] / step, 2),
                "own MiB": round(own_high),
                "all MiB median": round(all_low),
                "all MiB most": round(all_high),
            }
        )
    return rows


class Watch:
    """Looks at a process and those below it: memory, and seconds of the processor."""

    EVERY = 0.5

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used: dict[tuple[int, str], float] = {}
        self._own: list[float] = []
        self._all: list[float] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.peak = 0.0

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self.EVERY):
            self._look()

    def _look(self) -> None:
        with self._lock:
            memory = {pid: self._note(pid) for pid in below(self._pid)}
            self._own.append(memory.get(self._pid, 0.0))
            self._all.append(sum(memory.values()))
            self.peak = max(self.peak, self._all[-1])

    def _note(self, pid: int) -> float:
        """Note what a process has used, and give its memory in MiB."""
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks = sum(map(int, fields[11:13]))
            # A number of a process may be given to another one later.
            self._used[pid, fields[19]] = ticks / os.sysconf("SC_CLK_TCK")
            # What is shared with others counts for each its part.
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
            return sum(map(int, re.findall(r"^Pss:\s+(\d+)", told, re.M))) / 1024
        return 0.0

    def processor(self) -> float:
        """Seconds that all of them have used so far."""
        self._look()
        with self._lock:
            return sum(self._used.values())

    def least_and_most(self) -> list[list[float]]:
        """Median and most of the process's own memory, and of all, since last asked."""
        with self._lock:
            told = [[statistics.median(v), max(v)] for v in (self._own, self._all)]
            self._own, self._all = self._own[-1:], self._all[-1:]
        return told


def below(pid: int) -> list[int]:
    """A process and all that it started, and they."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


if __name__ == "__main__":
    sys.exit(main())
