"""Measures how well the shipped model tells attacks from ordinary text.

    python benchmarks/quality.py [--data FOLDER] [--model FOLDER] [--parts sets,evasion]

Writes results/quality-injection.json and .md beside this file. The test sets lie
outside this repository; without them nothing is measured and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from training import config as configuration  # noqa: E402
from training.errors import PipelineError  # noqa: E402
from training.evaluate import PARTS, evaluate, markdown  # noqa: E402
from training.stage import write_atomically  # noqa: E402

CONFIG = HERE.parent / "training" / "configs" / "release.toml"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="data folder, instead of the configuration's")
    parser.add_argument("--model", help="a bundle's folder, instead of the shipped one")
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        help=f"what to measure, of {', '.join(PARTS)}; by default all of it",
    )
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    root = str(HERE.parent / "../shared/data") if options.data is None else options.data
    if not Path(root, "benchmarks", "injection").is_dir():
        print(f"skipped: {root} is not there; point --data at the test sets")
        return 0
    try:
        config = configuration.load(CONFIG, data_root=root)
        parts = options.parts.split(",")
        command = "python benchmarks/quality.py"
        if set(parts) != set(PARTS):
            command += f" --parts {options.parts}"
        report = evaluate(config, options.model, command, parts=parts)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1) + "\n"
    write_atomically(options.out / "quality-injection.json", text.encode())
    write_atomically(options.out / "quality-injection.md", markdown(report).encode())
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
