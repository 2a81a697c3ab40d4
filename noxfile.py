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
# A tool that takes no other version than that of what it is for.
PAIRED = ("opentelemetry-sdk",)
# What Matplotlib 3.9 was made with; it calls newer ones by names that they warn of.
BESIDE = ("pyparsing<3.3",)
# FastAPI asks for newer versions of what the core takes older; its tests are skipped.
NEWER = frozenset({"examples", "server"})

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
    pins.write_text("\n".join([*lower_bounds(), *BESIDE]) + "\n")
    session.install(
        "-e", f".[{','.join(sorted(own_extras() - NEWER))}]", "-c", str(pins)
    )
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


def own_extras() -> frozenset[str]:
    """The extras that `dev` is made of."""
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    asked = " ".join(project["optional-dependencies"]["dev"])
    return frozenset(re.findall(r"\w+", ",".join(re.findall(r"\[([^\]]*)\]", asked))))


def lower_bounds() -> list[str]:
    """What pyproject.toml asks for at least, as pins; test tools aside.

    Of a package that several extras ask for, the highest of their bounds.
    """
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"]]
    for extra in sorted(own_extras() - NEWER):
        tools = extra in TOOLS
        asked += [r for r in extras[extra] if not tools or r.startswith(PAIRED)]
    bounds: dict[str, str] = {}
    for requirement in asked:
        if requirement.startswith(f"{project['name']}["):
            continue  # Another extra, which `dev` names as well.
        found = re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?[>=]=([\w.]+).*", requirement)
        if found is None:
            raise ValueError(f"{requirement} has no lower bound")
        name, least = found[1], found[2]
        bounds[name] = max(least, bounds.get(name, least), key=_numbers)
    return [f"{name}=={least}" for name, least in sorted(bounds.items())]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
