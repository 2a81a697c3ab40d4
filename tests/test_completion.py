"""Shell completion as a shell does it: a line, TAB, and what is offered."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptguard.cli import _parser
from promptguard.completion import SHELLS, _commands, script

COMMANDS = {"check", "eval", "calibrate", "policy", "completion"}
ROLES = {"system", "developer", "user", "assistant", "tool", "function", "retrieved"}

# A line, words that must be offered behind it, and words that must not.
LINES = [
    ("promptguard ", COMMANDS, {"--version", "schema"}),
    ("promptguard ch", {"check"}, {"eval"}),
    ("promptguard check --exp", {"--explain"}, {"--out"}),
    ("promptguard check --role ", ROLES, {"--role"}),
    ("promptguard check --role=to", {"tool"}, {"user"}),
    ("promptguard check --guard pro", {"profanity", "prompt_injection"}, {"pii"}),
    ("promptguard policy ", {"check", "schema", "init"}, {"eval"}),
    ("promptguard policy check --str", {"--strict"}, {"--explain"}),
    ("promptguard calibrate --o", {"--out"}, {"--json"}),
    ("promptguard eval row", {"rows.jsonl"}, {"--role"}),
    ("promptguard check --policy own", {"own.toml"}, {"rows.jsonl"}),
    ("promptguard completion ", {"bash", "zsh", "fish"}, {"check"}),
]
lines = pytest.mark.parametrize(
    ("line", "offered", "others"), LINES, ids=[line for line, _, _ in LINES]
)


def needs(shell: str) -> pytest.MarkDecorator:
    missing = shutil.which(shell) is None
    return pytest.mark.skipif(missing, reason=f"{shell} is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts, and two files that may be named."""
    folder = tmp_path_factory.mktemp("shell")
    for shell in SHELLS:
        (folder / f"script.{shell}").write_text(script(_parser(), shell))
    (folder / "rows.jsonl").touch()
    (folder / "own.toml").touch()
    return folder


def offered_by_bash(folder: Path, line: str) -> set[str]:
    """As bash sets the words, which it also cuts at "="."""
    words = [part for part in re.split(r"\s+|(=)", line) if part]
    words += [""] if line.endswith((" ", "=")) else []
    code = (
        f"source ./script.bash; COMP_WORDS=({shlex.join(words)}); "
        f"COMP_CWORD={len(words) - 1}; _promptguard; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    return set(told(["bash", "--norc", "-c", code], folder).split())


def offered_by_fish(folder: Path, line: str) -> set[str]:
    code = f"source ./script.fish; complete -C {shlex.quote(line)}"
    told_lines = told(["fish", "--no-config", "-c", code], folder).splitlines()
    names = {said.partition("\t")[0] for said in told_lines}
    return {name.partition("=")[2] or name for name in names}


def told(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


@needs("bash")
@lines
def test_bash_offers(folder, line, offered, others):
    found = offered_by_bash(folder, line)
    assert offered <= found
    assert not others & found


@needs("fish")
@lines
def test_fish_offers(folder, line, offered, others):
    found = offered_by_fish(folder, line)
    assert offered <= found
    assert not others & found


class Zsh:
    """A zsh at a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        import pty

        self.control, terminal = pty.openpty()
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=env | {"LC_ALL": "C.UTF-8"},
            cwd=folder,
            start_new_session=True,
        )
        os.close(terminal)
        self.send(
            "PS1='> '; autoload -Uz compinit; compinit -u -D; LISTMAX=1000; "
            "source ./script.zsh; echo re''ady\n"
        )
        assert "ready" in self.until(lambda said: "ready" in said)

    def send(self, text: str) -> None:
        os.write(self.control, text.encode())

    def until(self, enough: Callable[[str], bool], seconds: float = 30.0) -> str:
        """What it says until that is enough, or so many seconds are over."""
        said, end = "", time.monotonic() + seconds
        while not enough(said) and time.monotonic() < end:
            said += self.read(0.1)
        return said + self.read(0.1)

    def read(self, seconds: float) -> str:
        import select

        ready, _, _ = select.select([self.control], [], [], seconds)
        return os.read(self.control, 65_536).decode(errors="replace") if ready else ""

    def offered(self, line: str, *wanted: set[str]) -> set[str]:
        self.send(line)
        self.until(lambda said: line.strip() in said)
        self.send("\t")
        return words(self.until(lambda said: any(one <= words(said) for one in wanted)))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.control)


@contextmanager
def zsh_in(folder: Path) -> Iterator[Zsh]:
    shell = Zsh(folder)
    try:
        yield shell
    finally:
        shell.close()


@needs("zsh")
@lines
def test_zsh_offers(folder, line, offered, others):
    # The one word that is left is completed in the line itself: all of it is written
    # again, or the rest.
    typed = re.split("[ =]", line)[-1]
    rest = {word.removeprefix(typed) for word in offered}
    with zsh_in(folder) as shell:
        found = shell.offered(line, offered, rest if len(offered) == 1 else offered)
    assert offered <= found or rest <= found
    assert not (others - words(line)) & found


def words(said: str) -> set[str]:
    return set(re.findall(r"[\w./-]+", said))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_every_command_option_and_value(shell):
    written = script(_parser(), shell)
    commands = [*_commands(_parser(), (), "")]
    assert len(commands) >= 9
    for command in commands:
        for option in command.options:
            for name in (*option.names, *option.values):
                assert name.lstrip("-") in written


def test_an_unknown_shell_is_told_what_there_is(capsys):
    from promptguard.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["completion", "bsh"])
    assert ended.value.code == 2
    assert "did you mean 'bash'? Known: bash, fish, zsh" in capsys.readouterr().err
