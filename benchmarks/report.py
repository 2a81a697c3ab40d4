"""What every benchmark writes: a table on the screen, and JSON and Markdown beside it.

The files hold the command, the machine and the versions, so that a figure can be traced
to what made it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Options that name folders of this machine.
_FOLDERS = ("--build", "--data", "--environments", "--out", "--held-out", "--plain")
_FOLDERS += ("--engines", "--ray", "--spark")
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("promptguard-llm", "numpy", "onnxruntime", "tokenizers", "pydantic")

Row = dict[str, object]


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few repetitions, to see that it runs; writes no files",
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the files")
    return parser


def machine() -> dict[str, str]:
    """The processor, its cores and the load when the benchmark ended."""
    facts = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    if hasattr(os, "getloadavg"):
        facts["load"] = f"{os.getloadavg()[0]:.1f}"
    return facts


def versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed packages."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def spread(values: Sequence[float], digits: int = 3) -> Row:
    """Median and quartiles."""
    if len(values) < 2:
        return {"median": round(values[0], digits), "p25": None, "p75": None}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    rounded = [round(value, digits) for value in (middle, low, high)]
    return dict(zip(("median", "p25", "p75"), rounded, strict=True))


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; the columns are the keys in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def publish(
    name: str,
    title: str,
    sections: dict[str, list[Row]],
    chosen: argparse.Namespace,
    command: str = "",
) -> None:
    """Print the tables and, unless the run was a quick one, write them.

    Args:
        name: Stem of the two files.
        title: First line of the Markdown file.
        sections: Rows by heading.
        chosen: The parsed options.
        command: How the benchmark is run, if not as a script of this folder.
    """
    for heading, rows in sections.items():
        print(f"\n{heading}\n{table(rows)}")
    if chosen.quick:
        print("\nA quick run: nothing was written.")
        return
    command = command or f"python benchmarks/{Path(sys.argv[0]).name}"
    facts = {
        "command": " ".join([command, *_options(sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
    }
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / f"{name}.json").write_text(
        json.dumps({**facts, "results": sections}, indent=2) + "\n", encoding="utf-8"
    )
    lines = [f"# {title}", "", f"`{facts['command']}`, {facts['date']}", ""]
    for kind in ("machine", "versions"):
        lines += [", ".join(f"{k} {v}" for k, v in facts[kind].items()), ""]
    for heading, rows in sections.items():
        lines += [f"## {heading}", "", table(rows), ""]
    (chosen.out / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
    print(f"\nWritten: {name}.json and {name}.md in {chosen.out}")


def _options(words: Sequence[str]) -> Iterable[str]:
    """The words of the command line, without folders of this machine."""
    words = iter(words)
    for word in words:
        if word.partition("=")[0] in _FOLDERS:
            if "=" not in word:
                next(words, None)
        else:
            yield word


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    # A guard may be called `PII | Secrets`, and a pipe would begin another cell.
    return "" if value is None else str(value).replace("|", "\\|")


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
