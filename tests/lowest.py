"""Prints the lowest versions of what the library depends on, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("json",)


def constraints(project: dict[str, object]) -> list[str]:
    """``name==version`` for each requirement of the core and of the light extras."""
    table = project["project"]
    wanted = list(table["dependencies"])
    for extra in EXTRAS:
        wanted += table["optional-dependencies"][extra]
    found = []
    for requirement in wanted:
        match = re.match(r"([A-Za-z0-9._-]+)>=([0-9.]+)", requirement)
        if match is None:
            raise ValueError(f"no lower bound: {requirement}")
        found.append(f"{match[1]}=={match[2]}")
    return found


if __name__ == "__main__":
    known = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(constraints(known)) + "\n")
