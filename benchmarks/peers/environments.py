"""An environment for each peer, made once, and what it weighs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from .peer import OURS, Peer

__all__ = ["ROOT", "Environment", "make"]

ROOT = Path(__file__).parents[2]
DONE = "installed.txt"
# What an environment has before anything is installed in it.
TOOLS = (
    "pip",
    "setuptools",
    "pkg_resources",
    "_distutils_hack",
    "distutils-precedence",
)


@dataclass(frozen=True)
class Environment:
    """Where a peer is installed, or why it is not."""

    folder: Path
    problem: str = ""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def _site(self) -> Path:
        (site,) = self.folder.glob("lib/python*/site-packages")
        return site

    def packages(self) -> dict[str, str]:
        """Names and versions of what pip installed."""
        found = {}
        for info in sorted(self._site.glob("*.dist-info")):
            name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
            if name not in TOOLS:
                found[name] = version
        return found

    def mebibytes(self) -> float:
        """Blocks on disk, bytecode left out: it is made or not."""
        size = 0
        for path in self._site.rglob("*"):
            top = path.relative_to(self._site).parts[0]
            tool = re.split(r"[-.]", top)[0] in TOOLS or top.startswith(TOOLS)
            if path.is_file() and path.suffix != ".pyc" and not tool:
                size += path.stat().st_blocks * 512
        return round(size / 2**20, 1)


def make(peer: Peer, home: Path) -> Environment:
    """The environment of a peer; what is there and up to date is left as it is."""
    folder = home / peer.name
    wanted = _wanted(peer)
    done = folder / DONE
    if done.is_file() and done.read_text("utf-8") == wanted:
        return Environment(folder)
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    for requirements in filter(None, (peer.first, _arguments(peer))):
        problem = _install(folder, requirements)
        if problem:
            return Environment(folder, problem)
    if peer.prepare:
        _prepare(peer, Environment(folder))
    done.write_text(wanted, "utf-8")
    return Environment(folder)


def _arguments(peer: Peer) -> tuple[str, ...]:
    if peer.name != OURS:
        return peer.requirements
    # Once for what it needs, and then this state of it.
    return ("--upgrade", "--force-reinstall", "--no-deps", str(ROOT))


def _install(folder: Path, requirements: tuple[str, ...]) -> str:
    """What pip says against it, nothing when all is well."""
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    pip.append("--disable-pip-version-check")
    if requirements[-1] == str(ROOT):
        done = subprocess.run([*pip, ROOT], capture_output=True, text=True)
        if done.returncode:
            return _reason(done.stderr)
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    return _reason(done.stderr) if done.returncode else ""


def _prepare(peer: Peer, environment: Environment) -> None:
    """Run what makes files for it; its adapter says so where they are missing."""
    command = [environment.python, "-m", peer.prepare, environment.folder.absolute()]
    subprocess.run(command, cwd=ROOT, check=False, capture_output=True)


def _reason(said: str) -> str:
    """The last error of pip, without the folders of this machine."""
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    last = (errors or said.splitlines() or ["pip gave no reason"])[-1]
    return re.sub(r"(?:file:/|~)?/[^\s'\"]+", "(a folder)", last)[:200]


def _wanted(peer: Peer) -> str:
    """What the environment should hold, in words that change when that does."""
    lines = [f"python {sys.version.split()[0]}", *peer.first, *peer.requirements]
    if peer.name == OURS:
        digest = hashlib.sha256()
        files = [ROOT / "pyproject.toml", *sorted((ROOT / "src").rglob("*"))]
        for path in files:
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
        lines.append(f"this repository {digest.hexdigest()}")
    return "\n".join(lines) + "\n"
