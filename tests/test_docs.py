"""The documents hold: their Python runs, their links lead somewhere, and their figures
are in the result files they name."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

from promptguard.testing import ChatServer

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS += [ROOT / "examples" / "README.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
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
