"""What `import promptguard` costs, and how long a fresh process takes to its verdict.

    python benchmarks/import_time.py            time, modules, memory
    python benchmarks/import_time.py --size     also what an installation weighs

Every figure is from fresh processes, the variants taken in turn so that a busy moment
of the machine hits all of them.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from report import Row, arguments, publish, spread

ROOT = Path(__file__).parents[1]
CHECK = "pg.PromptInjection().check('What is the capital of France?')"
VARIANTS = {
    "bare interpreter": "pass",
    "import promptguard": "import promptguard",
    "import and first verdict": f"import promptguard as pg; {CHECK}",
    "import numpy, onnxruntime, tokenizers": "import numpy, onnxruntime, tokenizers",
}
# What the process says of itself when it is done.
EPILOGUE = """
import sys
modules = len(sys.modules)
import resource
print(modules, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def once(code: str) -> tuple[float, float, int, float]:
    """Wall and processor milliseconds, modules and peak MiB of one fresh process."""
    cpu = _children()
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code + EPILOGUE], capture_output=True, check=True
    )
    wall = time.perf_counter() - begun
    cpu = _children() - cpu
    modules, kibibytes = map(int, done.stdout.split())
    return wall * 1000, cpu * 1000, modules, kibibytes / 1024


def timings(rounds: int) -> list[Row]:
    runs = {name: [] for name in VARIANTS}
    for code in VARIANTS.values():
        once(code)  # compiles, and brings the files into memory
    for _ in range(rounds):
        for name, code in VARIANTS.items():
            runs[name].append(once(code))
    bare = zip(*runs["bare interpreter"], strict=True)
    base = [statistics.median(column) for column in bare]
    rows = []
    for name, found in runs.items():
        wall, cpu, modules, memory = zip(*found, strict=True)
        row: Row = {"what": name, "processes": rounds}
        row |= {f"ms {key}": value for key, value in spread(wall, 1).items()}
        row["ms above bare"] = round(statistics.median(wall) - base[0], 1)
        row["cpu ms above bare"] = round(statistics.median(cpu) - base[1], 1)
        row["modules above bare"] = int(statistics.median(modules) - base[2])
        row["peak MiB"] = round(statistics.median(memory), 1)
        rows.append(row)
    return rows


TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def sizes() -> list[Row]:
    """What `pip install` of the core brings into an empty environment."""
    with tempfile.TemporaryDirectory() as home:
        venv.create(home, with_pip=True)
        python = Path(home) / "bin" / "python"
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", ROOT], check=True, cwd=home
        )
        (site,) = Path(home).glob("lib/python*/site-packages")
        weights: dict[str, int] = {}
        bytecode = 0
        for path in site.rglob("*"):
            if path.is_file() and not path.is_symlink():
                top = path.relative_to(site).parts[0].removesuffix(".py")
                top = top.partition("-")[0].removesuffix(".libs")
                # Blocks on disk, as du counts them.
                size = path.stat().st_blocks * 512
                weights[top] = weights.get(top, 0) + size
                if path.suffix == ".pyc" and top not in TOOLS:
                    bytecode += size
    for tool in TOOLS:
        weights.pop(tool, None)
    largest = sorted(weights.items(), key=lambda item: -item[1])
    total = sum(weights.values())
    rows: list[Row] = [
        {"what": "what the wheels hold", "MiB": _mib(total - bytecode)},
        {"what": "with the bytecode that pip adds", "MiB": _mib(total)},
    ]
    rows += [{"what": name, "MiB": _mib(size)} for name, size in largest[:8]]
    return rows


def _children() -> float:
    """Processor seconds of all child processes so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _mib(size: int) -> float:
    return round(size / 2**20, 1)


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=31, metavar="N")
    parser.add_argument("--size", action="store_true", help="weigh an installation too")
    chosen = parser.parse_args()
    rounds = 3 if chosen.quick else chosen.rounds
    sections = {"A fresh process": timings(rounds)}
    if chosen.size:
        sections["Installed size"] = sizes()
    publish("import_time", "Import and cold start", sections, chosen)


if __name__ == "__main__":
    main()
