"""The suite on other Pythons and on the oldest and newest of what it stands on.

    nox                          all sessions
    nox -s tests-3.13            the suite on one Python
    nox -s lowest -- tests/robustness

What a session is given behind -- goes to pytest. A Python that is not installed is
skipped, and fails in CI.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
# Tools of ours, which users do not install: their newest versions will do.
TOOLS = frozenset({"test"})

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The suite, on each Python."""
    session.install("-e", ".[dev]")
    suite(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The suite on the lowest version of everything that pyproject.toml allows."""
    pins = Path(session.create_tmp()) / "lowest.txt"
    pins.write_text("\n".join(lower_bounds()) + "\n")
    session.install("-e", ".[dev]", "-c", str(pins))
    suite(session)


@nox.session(python=PYTHONS[-1])
def highest(session: nox.Session) -> None:
    """The suite on the newest versions there are, on the newest Python."""
    session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[dev]")
    suite(session)


@nox.session(python=PYTHONS[0])
def batch(session: nox.Session) -> None:
    """Spark and Ray as they are; Spark needs Java 17."""
    session.install("-e", ".[parquet,ray,spark,test]", "mlflow>=3.17,<3.18")
    suite(session, "-rs", "tests/batch")


def suite(session: nox.Session, *words: str) -> None:
    session.run("python", "-m", "pip", "list", "--format=freeze", silent=True)
    session.run("python", "-m", "pytest", *(session.posargs or words or ["-q"]))


def lower_bounds() -> list[str]:
    """What pyproject.toml asks for at least, as pins; test tools aside."""
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = dict(project["optional-dependencies"])
    wanted = re.findall(r"\w+", extras["dev"][0].partition("[")[2])
    asked = list(project["dependencies"])
    for extra in wanted:
        if extra not in TOOLS:
            asked += extras[extra]
    pins = []
    for requirement in asked:
        found = re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?>=([\w.]+).*", requirement)
        if found is None:
            raise ValueError(f"{requirement} has no lower bound")
        pins.append(f"{found[1]}=={found[2]}")
    return sorted(set(pins))
