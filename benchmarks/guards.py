"""Measures the guards that are tables of facts on public test sets.

    python benchmarks/guards.py pii [--data FOLDER]

Writes results/guards-NAME.json and .md beside this file. The test sets lie outside this
repository; without them nothing is measured and nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from guards_pii import pii
from report import Row, arguments, publish

DATA = Path(__file__).parents[1] / "../shared/data"

GUARDS: dict[str, Callable[[Path, bool], tuple[str, dict[str, list[Row]]]]] = {
    "pii": pii,
}


def main() -> int:
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("guard", choices=sorted(GUARDS))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the sets")
    chosen = parser.parse_args()
    folder = chosen.data / "benchmarks" / chosen.guard
    if not folder.is_dir():
        print(f"skipped: {folder} is not there; point --data at the test sets")
        return 0
    title, sections = GUARDS[chosen.guard](folder, chosen.quick)
    publish(f"guards-{chosen.guard}", title, sections, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
