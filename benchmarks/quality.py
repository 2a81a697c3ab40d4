"""Measures how well the shipped model tells what its guards look for.

    python benchmarks/quality.py [--data FOLDER] [--model FOLDER] [--parts sets,evasion]
    python benchmarks/quality.py --parts toxicity,harmful

Writes results/quality-injection.json and .md beside this file, and for the parts
toxicity and harmful results/quality-toxicity and results/quality-harmful. The test sets
lie outside this repository; without them nothing is measured and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from training import config as configuration  # noqa: E402
from training import heads  # noqa: E402
from training.config import Config  # noqa: E402
from training.errors import PipelineError  # noqa: E402
from training.evaluate import PARTS, evaluate, head_of, markdown  # noqa: E402
from training.headtables import markdown as of_heads  # noqa: E402
from training.stage import write_atomically  # noqa: E402

CONFIG = HERE.parent / "training" / "configs" / "release.toml"
ALL = (*PARTS, *heads.PARTS)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="data folder, instead of the configuration's")
    parser.add_argument("--model", help="a bundle's folder, instead of the shipped one")
    parser.add_argument(
        "--parts",
        default=",".join(PARTS),
        help=f"what to measure, of {', '.join(ALL)} (default: {','.join(PARTS)})",
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
        if wrong := [part for part in parts if part not in ALL]:
            raise PipelineError(f"unknown part {wrong[0]!r}. Known: {', '.join(ALL)}")
        command = "python benchmarks/quality.py"
        if set(parts) != set(PARTS):
            command += f" --parts {options.parts}"
        _measure(config, options, parts, command)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _measure(
    config: Config, options: argparse.Namespace, parts: Sequence[str], command: str
) -> None:
    if own := [part for part in parts if part in PARTS]:
        report = evaluate(config, options.model, command, parts=own)
        _write(options.out, "quality-injection", report, markdown(report))
    for part in parts:
        if part in heads.PARTS:
            report = {
                **head_of(options.model, command),
                **heads.measure(config, options.model, part),
            }
            _write(options.out, f"quality-{part}", report, of_heads(report, part))


def _write(folder: Path, name: str, report: object, page: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1) + "\n"
    write_atomically(folder / f"{name}.json", text.encode())
    write_atomically(folder / f"{name}.md", page.encode())
    print(page)


if __name__ == "__main__":
    sys.exit(main())
