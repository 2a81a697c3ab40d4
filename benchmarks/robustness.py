"""Runs the tests of docs/robustness.md part by part, and notes at which size each ran.

    python benchmarks/robustness.py run threads memory
    python benchmarks/robustness.py run fuzz --size FUZZ=2000
    python benchmarks/robustness.py write

`run` notes every test as it ends in build/robustness.jsonl, so that what has passed is
not run again when a part is cut short and begun anew: with the same sources, sizes and
versions. Parts may run side by side, also with other Pythons. `write` makes
results/robustness.json and .md from the notes, and the table of docs/robustness.md is
taken from there; what other checkouts have written stays, until a run as large as it
takes its place. Full sizes are the default; together they take hours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from report import RESULTS, Row, machine, table, versions

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "build" / "robustness.jsonl"
HERE = "tests/robustness"


@dataclass(frozen=True)
class Part:
    """Some of the tests.

    Args:
        what: What they hold.
        tests: Arguments of pytest.
        full: The full sizes, by the variables without their beginning.
    """

    what: str
    tests: tuple[str, ...]
    full: dict[str, int] = field(default_factory=dict)


PARTS = {
    "fuzz": Part(
        "every guard has a verdict on made-up texts, each within a second",
        (f"{HERE}/test_fuzz.py", "-k", "on_anything or is_here or no_string"),
        {"FUZZ": 100_000, "SECONDS": 1},
    ),
    "long": Part(
        "every guard has a verdict on what is very long or deep; patterns in a second",
        (f"{HERE}/test_fuzz.py", "-k", "long_or_deep or deep_are_refused"),
        {"FUZZ": 100_000, "SECONDS": 1},
    ),
    "ways": Part(
        "every way in ends with an answer or a typed refusal on made-up texts",
        (f"{HERE}/test_fuzz.py", "-k", "every_way_in"),
        {"FUZZ": 100_000},
    ),
    "threads": Part(
        "threads side by side come to the verdicts of one alone",
        (f"{HERE}/test_threads.py",),
        {"THREADS": 64, "THREAD_TEXTS": 200},
    ),
    "memory": Part(
        "a call leaves at most 1 KB",
        (f"{HERE}/test_memory.py",),
        {"CALLS": 100_000, "LEARNED_CALLS": 100_000},
    ),
    "processes": Part(
        "processes that are forked or spawned after use answer and end",
        (f"{HERE}/test_processes.py",),
        {"PROCESSES": 8},
    ),
    "large": Part(
        "very long texts have a verdict, or are refused",
        (f"{HERE}/test_large.py",),
        {"CHARACTERS": 10_000_000},
    ),
    "altered": Part(
        "a model folder with a byte changed is refused",
        (f"{HERE}/test_altered_files.py",),
    ),
    "canaries": Part(
        "a canary is in no error, log, repr or pickle",
        (f"{HERE}/test_canaries.py",),
    ),
    "sockets": Part(
        "no socket beyond the loopback interface",
        (f"{HERE}/test_sockets.py",),
    ),
    "redaction": Part(
        "the span is the value, nothing else changes, twice is once",
        ("tests/test_redaction.py",),
        {"TEXTS": 100_000},
    ),
}


class Noting:
    """Notes each test as it ends, and leaves out those that have passed before."""

    def __init__(self, about: Row, passed: set[str]) -> None:
        self._about = about
        self._passed = passed

    # After -k, so that only what it leaves is counted.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        note({**self._about, "selected": len(items)})
        done = [item for item in items if item.nodeid in self._passed]
        if done:
            config.hook.pytest_deselected(items=done)
            items[:] = [item for item in items if item.nodeid not in self._passed]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.passed:
            return
        line = {
            **self._about,
            "test": report.nodeid,
            "outcome": report.outcome,
            "seconds": round(report.duration, 2),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if report.user_properties:
            line["said"] = dict(report.user_properties)
        note(line)


def note(line: Row) -> None:
    """Append a line; others may do the same at this moment."""
    NOTES.parent.mkdir(parents=True, exist_ok=True)
    with NOTES.open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


def notes() -> list[dict[str, Any]]:
    """All lines so far."""
    if not NOTES.exists():
        return []
    return [json.loads(line) for line in NOTES.read_text().splitlines()]


def run(name: str, sizes: dict[str, int]) -> int:
    """Run a part in a process of its own, and say how it ended."""
    command = [sys.executable, __file__, "inside", name]
    command += [f"--size={key}={value}" for key, value in sizes.items()]
    print(f"{time.strftime('%H:%M:%S')} {name} {sizes}", flush=True)
    return subprocess.run(command, cwd=ROOT).returncode


def inside(name: str, sizes: dict[str, int]) -> int:
    """Run a part in this process, whose environment the tests read their sizes from."""
    part = PARTS[name]
    for key, value in sizes.items():
        os.environ[f"PROMPTGUARD_{key}"] = str(value)
    about: Row = {
        "part": name,
        "sizes": sizes,
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "sources": sources(),
    }
    passed = {
        str(line["test"])
        for line in notes()
        if line.get("outcome") == "passed"
        and {key: line[key] for key in about} == about
    }
    # Each failure is noted; one does not keep the rest from running.
    options = ["-q", "-p", "no:cacheprovider", *part.tests]
    return int(pytest.main(options, plugins=[Noting(about, passed)]))


def sources() -> str:
    """What the sources of the package are, by the hash that git gives them."""
    command = ["git", "rev-parse", "--short", "HEAD:src"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    changed = ["git", "diff", "--quiet", "HEAD", "--", "src"]
    clean = subprocess.run(changed, cwd=ROOT).returncode == 0
    return done.stdout.strip() + ("" if clean else "+")


def rows(lines: Iterable[dict[str, Any]]) -> list[Row]:
    """One row for each part, size and environment: what it came to."""
    runs: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        sizes = tuple(line["sizes"].items())
        key = line["part"], line["python"], line["onnxruntime"], sizes
        runs.setdefault(key, []).append(line)
    made: list[Row] = []
    for (name, python, runtime, sizes), found in runs.items():
        # Of a test that ran again, the last time counts.
        last = {line["test"]: line for line in found if "test" in line}
        outcomes = [line["outcome"] for line in last.values()]
        selected = max((line.get("selected", 0) for line in found), default=0)
        if not outcomes or not selected:
            # Begun, and cut short before a test was at its end.
            continue
        full = PARTS[name].full
        counts = [(key, value) for key, value in sizes if key != "SECONDS"]
        said = [words for line in last.values() for words in _said(line)]
        longest = max((line["seconds"] for line in last.values()), default=None)
        made.append(
            {
                "part": name,
                "Python": python,
                "onnxruntime": runtime,
                "size": ", ".join(f"{key} {value:,}" for key, value in counts),
                "whole": "yes" if all(n >= full[key] for key, n in counts) else "no",
                "tests": selected,
                "passed": outcomes.count("passed"),
                "failed": outcomes.count("failed"),
                "not run": selected - len(outcomes) + outcomes.count("skipped"),
                "longest test, s": longest,
                "sources": found[-1]["sources"],
                "said": "; ".join(said),
            }
        )
    return sorted(made, key=_order)


def _order(row: Row) -> tuple[int, str, str]:
    names = [*PARTS]
    return names.index(str(row["part"])), str(row["onnxruntime"]), str(row["size"])


def kept(before: Iterable[Row], made: Sequence[Row]) -> list[Row]:
    """Those of all rows that no other new one stands for: as large, and as far on."""

    def stands(new: Row, old: Row) -> bool:
        alike = all(
            new[name] == old[name] for name in ("part", "Python", "onnxruntime")
        )
        pairs = zip(_counts(new), _counts(old), strict=True)
        further = int(str(new["not run"])) <= int(str(old["not run"]))
        return alike and further and all(a >= b for a, b in pairs)

    every = [*before, *made]
    return [
        old
        for old in every
        if not any(new is not old and stands(new, old) for new in made)
    ]


def _counts(row: Row) -> list[int]:
    """The sizes of a row, in their order."""
    counts = re.findall(r"[A-Z_]+ ([0-9,]+)(?:, |$)", str(row["size"]))
    return [int(count.replace(",", "")) for count in counts]


def _said(line: dict[str, Any]) -> Iterable[str]:
    """What a test said of itself, such as the memory that it saw."""
    if said := line.get("said"):
        which = line["test"].rpartition("[")[2].rstrip("]")
        yield f"{which}: " + ", ".join(f"{k} {v:,.0f}" for k, v in said.items())


def write() -> None:
    """Write the results from the notes."""
    lines = notes()
    path = RESULTS / "robustness.json"
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found = kept(before.get("results", {}).get("Parts", ()), rows(lines))
    for row in found:
        if "sources" not in row:
            # The first results told them for all rows together.
            said = row.pop("said")
            row |= {"sources": ", ".join(before["sources"]), "said": said}
    found.sort(key=_order)
    failed = [
        {"part": line["part"], "test": line["test"], "size": str(line["sizes"])}
        for line in lines
        if line.get("outcome") == "failed"
    ]
    facts = {
        "command": "python benchmarks/robustness.py run ...; ... write",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "results": {"Parts": found, "Failures on the way": failed},
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    text = [
        "# Tests at full size",
        "",
        f"`{facts['command']}`, {facts['date']}",
        "",
        ", ".join(f"{k} {v}" for k, v in machine().items()),
        "",
        "Times are of a machine that did other work beside this, at lower priority.",
        "A part may have been run by several commands, one after the other.",
        "",
        table(found),
        "",
    ]
    if failed:
        text += ["## Failures on the way", "", table(failed), ""]
    (RESULTS / "robustness.md").write_text("\n".join(text), encoding="utf-8")
    print(table(found))


def main() -> int:
    """Run parts, or write what came of them."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("what", choices=("run", "inside", "write"))
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", help="not the full one"
    )
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.parts if name not in PARTS]:
        parser.error(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    if chosen.what == "write":
        write()
        return 0
    given = {k: int(v) for k, _, v in (size.partition("=") for size in chosen.size)}
    status = 0
    for name in chosen.parts or PARTS:
        full = PARTS[name].full
        sizes = {key: given.get(key, full[key]) for key in full}
        status = max(status, (inside if chosen.what == "inside" else run)(name, sizes))
    return status


if __name__ == "__main__":
    sys.exit(main())
