"""The documents hold: their Python runs, their commands exist, their links lead
somewhere, and their figures are in the result files they name."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import pytest

import promptguard as pg
from promptguard.cli import _parser
from promptguard.testing import ChatServer

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
]
# A block that runs. `<!-- not run: why -->` on the line before it keeps one from that.
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: ([^\n]*) -->\n$")
# Any block of code: its indentation, its language, what it holds.
FENCE = re.compile(
    r"^([ \t]*)(?:```|~~~)[ \t]*([^\s`]*)[^\n`]*\n(.*?)^\1(?:```|~~~)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = {"", "json", "python", "sh", "text", "toml"}
# A row of a table of figures: | what | figure | [from](benchmarks/results/NAME.md) |
FIGURES = re.compile(
    r"^\|[^|\n]*\|([^|\n]*)\|[^|\n]*\]\(([^)\n]*benchmarks/results/[^)\n]*)\.md\)",
    re.MULTILINE,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")

by_path = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@pytest.fixture
def chat_server(monkeypatch):
    """What `OpenAI()` talks to while a document runs."""
    with ChatServer("Paris is the capital of France.") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
        yield server


def code_of(path: Path) -> str:
    """All blocks of a document, each on the lines where it stands."""
    text = path.read_text(encoding="utf-8")
    code = ""
    for block in BLOCK.finditer(text):
        if NOT_RUN.search(text, 0, block.start()):
            continue
        line = text.count("\n", 0, block.start(1))
        code += "\n" * (line - code.count("\n")) + block.group(1)
    return code


@by_path
def test_every_python_block_runs(path, chat_server, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    # A real module, because dataclasses and pickle look for one.
    module = types.ModuleType("document")
    monkeypatch.setitem(sys.modules, "document", module)
    exec(compile(code_of(path), path, "exec"), module.__dict__)


@by_path
def test_every_relative_link_leads_to_a_file(path):
    links = LINK.findall(path.read_text(encoding="utf-8"))
    inside = [link.partition("#")[0] for link in links if "://" not in link]
    assert not [link for link in inside if not (path.parent / link).exists()]


@by_path
def test_no_python_block_escapes_the_test(path):
    text = path.read_text(encoding="utf-8")
    fences = re.findall(r"^\s*(?:```|~~~)\s*(\w+)", text, re.MULTILINE)
    python = [fence for fence in fences if fence.lower().startswith("py")]
    assert len(python) == len(BLOCK.findall(text))
    for _, language, code in FENCE.findall(text):
        assert language in LANGUAGES, f"a block in {language!r}: nothing looks at it"
        if language in ("", "text"):
            assert not is_python(code), f"Python that nobody runs:\n{code}"


@by_path
def test_what_is_not_run_says_why(path):
    text = path.read_text(encoding="utf-8")
    skipped = [NOT_RUN.search(text, 0, block.start()) for block in BLOCK.finditer(text)]
    reasons = [match[1] for match in skipped if match]
    assert len(reasons) == text.count("<!-- not run"), "not right before a block"
    assert all(len(reason.split()) >= 3 for reason in reasons)


def is_python(code: str) -> bool:
    """Whether a block is Python that does something, and not a list of words."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    doing = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.With)
    return any(isinstance(node, (*doing, ast.Call)) for node in ast.walk(tree))


@pytest.mark.parametrize(
    ("code", "python"),
    [
        ("import promptguard as pg\n", True),
        ("verdict = guard.check('Hello')\n", True),
        ("make test\n", False),
        ("promptguard policy check\n", False),
        ("src/\n  text.py  readings\n", False),
    ],
)
def test_python_without_its_name_is_noticed(code, python):
    assert is_python(code) is python


@by_path
def test_data_in_a_block_can_be_read(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PII_HASH_KEY", "sixteen bytes at least")
    for _, language, code in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "json":
            values = [code] if code.count("\n{") == 0 else code.splitlines()
            assert all(isinstance(json.loads(value), dict) for value in values)
        elif language == "toml":
            tables = tomllib.loads(code)
            if {"input", "user", "tool", "retrieved", "output", "routes"} & {*tables}:
                file = tmp_path / "policy.toml"
                file.write_text(code, encoding="utf-8")
                pg.Policy.load(file)


@by_path
def test_every_command_of_a_block_exists(path):
    for _, language, code in FENCE.findall(path.read_text(encoding="utf-8")):
        if language in ("", "sh", "text"):
            for line in re.sub(r"\s*\\\n\s*", " ", code).splitlines():
                check_command(line)


TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_command(line: str) -> None:
    """See that what a line runs is there, if it is a command that we know."""
    try:
        words = shlex.split(re.split(r"\s{2,}", line.strip())[0], comments=True)
    except ValueError:
        return
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    for end in ("<", ">", "|"):
        words = words[: words.index(end)] if end in words else words
    if not words:
        return
    if words[0] == "promptguard":
        check_promptguard(words[1:], line)
    elif words[0] == "make":
        targets = [w for w in words[1:] if "=" not in w]
        assert {*targets} <= TARGETS, line
    elif words[0].rpartition("/")[2] in ("python", "python3"):
        if words[1:2] == ["-m"]:
            assert importlib.util.find_spec(words[2]), line
        elif words[1:] and words[1].endswith(".py"):
            assert (ROOT / words[1]).exists(), line


def check_promptguard(words: list[str], line: str) -> None:
    try:
        _, unknown = _parser().parse_known_args([w for w in words if w != "--help"])
    except SystemExit:
        pytest.fail(f"no such command: {line}")
    assert not unknown, line


@pytest.mark.parametrize(
    "line",
    [
        "promptguard chek 'Hello'",
        "promptguard check --lines --jsn -",
        "make no-such-target",
        "python -m no_such_module",
        "python benchmarks/no_such_file.py",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_command(line)


@by_path
def test_every_figure_is_in_the_result_it_names(path):
    for figures, stem in FIGURES.findall(path.read_text(encoding="utf-8")):
        result = (path.parent / f"{stem}.json").read_text(encoding="utf-8")
        known = [*numbers(json.loads(result))]
        for figure in re.findall(r"\d+(?:\.\d+)?", figures.replace(",", "")):
            digits = len(figure.partition(".")[2])
            # A share may be given in percent.
            assert any(
                round(scale * number, digits) == float(figure)
                for number in known
                for scale in (1, 100)
            ), f"{figure} of the row '{figures.strip()}' is not in {stem}.json"


def numbers(value: object):
    """Every number in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield value
