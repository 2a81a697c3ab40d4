"""Writes the figures of the documents, from the files under results/.

    python -m benchmarks.pages            write them
    python -m benchmarks.pages --check    say which pages are out of date, and fail

`docs/benchmarks.md` is written whole. In any other page, and in README.md, the lines
between `<!-- figures: NAME -->` and `<!-- end of figures -->` are written from the rows
of NAME in figures.toml, and those between `<!-- table: NAME > HEADING -->` and
`<!-- end of table -->` are that table of a result. Nothing is measured here: a result
that is not there is said to be missing, and a path that leads to nothing in a result is
an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .overview import overview
from .report import RESULTS, table

ROOT = Path(__file__).parents[1]
FIGURES = Path(__file__).parent / "figures.toml"
OVERVIEW = ROOT / "docs" / "benchmarks.md"
MISSING = "not measured yet"

_BLOCK = re.compile(
    r"(?P<begin><!-- figures: (?P<name>[\w-]+) -->\n).*?"
    r"(?P<end><!-- end of figures -->)",
    re.DOTALL,
)

_TABLE = re.compile(
    r"(?P<begin><!-- table: (?P<name>[\w-]+) > (?P<heading>[^>]+) -->\n).*?"
    r"(?P<end><!-- end of table -->)",
    re.DOTALL,
)


class Number(float):
    """A number that knows shares: `{:.1%}` gives `12.3 %`, with a space."""

    def __format__(self, spec: str) -> str:
        if spec.endswith("%"):
            return f"{100 * self:{spec[:-1]}f} %"
        return super().__format__(spec)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    old = [path for path, text in pages() if _read(path) != text]
    if chosen.check:
        for path in old:
            print(f"out of date: {path.relative_to(ROOT)}", file=sys.stderr)
        return 1 if old else 0
    for path, text in pages():
        if path in old:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each page that has figures, and what it should say."""
    yield OVERVIEW, overview(result)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        if path != OVERVIEW and (_BLOCK.search(text) or _TABLE.search(text)):
            yield path, with_figures(text, path)


def with_figures(text: str, path: Path) -> str:
    """A page's text with its figures as the results have them.

    Raises:
        LookupError: figures.toml has no rows of that name, or a path leads nowhere.
    """
    known = tomllib.loads(FIGURES.read_text(encoding="utf-8"))

    def block(match: re.Match[str]) -> str:
        if match["name"] not in known:
            raise LookupError(f"{path.name}: no figures named {match['name']!r}")
        rows = known[match["name"]]
        lines = ["| what | figure | from |", "| --- | --- | --- |"]
        lines += [_row(row, path) for row in rows]
        table = "\n".join(lines)
        return f"{match['begin']}\n{table}\n\n{match['end']}"

    return _TABLE.sub(_tabled, _BLOCK.sub(block, text))


def _tabled(match: re.Match[str]) -> str:
    found = result(match["name"])
    rows = [] if found is None else found["results"].get(match["heading"])
    if rows is None:
        raise LookupError(f"{match['name']}.json has no table {match['heading']!r}")
    said = table(rows) if rows else MISSING
    return f"{match['begin']}\n{said}\n\n{match['end']}"


def _row(row: Mapping[str, Any], page: Path) -> str:
    if guard := row.get("check"):
        row = {
            "what": "a check of 100 and of 1,000 characters",
            "from": "latency",
            "figure": "{:.1f} and {:.1f} µs",
            "at": [
                f"Per call > what=check: {guard} > characters={size} > µs median"
                for size in (100, 1000)
            ],
        }
    name = row["from"]
    found = result(name)
    if found is None:
        return f"| {row['what']} | {MISSING} | {name} |"
    values = [Number(look(found, at, name)) for at in row["at"]]
    place = os.path.relpath(RESULTS / f"{name}.md", page.parent).replace(os.sep, "/")
    figure = row["figure"].format(*values)
    return f"| {row['what']} | {figure} | [{name}]({place}) |"


def look(found: Any, at: str, name: str) -> float:
    """The number at a path: keys of tables, and `key=value` for a row of a list.

    Raises:
        LookupError: The path leads to no number, or to several rows.
    """
    value = found.get("results", found)
    for step in at.split(" > "):
        if isinstance(value, list):
            key, _, wanted = step.partition("=")
            if len(value) == 1 and not wanted:
                value = value[0].get(key)
                continue
            value = [row for row in value if str(row.get(key)) == wanted]
            continue
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LookupError(f"{name}.json has no number at: {at}")
    return value


@cache
def result(name: str) -> Any:
    """A result file; None where that benchmark has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
