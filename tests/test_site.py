"""The site: every page has its place, every name its entry, every figure its source,
and nothing of it comes from another server. `make docs` builds it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import promptguard as pg
from promptguard import testing

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md")}
yaml = pytest.importorskip("yaml", reason="needs the extra yaml")
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
COMBINING = {"AnyOf", "Guard", "Only", "Then"}
GUARDS = sorted(
    name
    for name in pg.__all__
    if isinstance(getattr(pg, name), type)
    and issubclass(getattr(pg, name), pg.Guard)
    and name not in COMBINING
)


def page_of(guard: str) -> Path:
    """Where a guard's page is: docs/guards/max-length.md for MaxLength."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", guard)
    return DOCS / "guards" / ("-".join(words).lower() + ".md")


def places(nav: object) -> list[str]:
    """Every page that the navigation names, in its order."""
    if isinstance(nav, str):
        return [nav]
    values = nav.values() if isinstance(nav, dict) else nav
    return [place for value in values for place in places(value)]


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "site" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_one_place_in_the_navigation(hooks):
    named = places(SITE["nav"])
    assert not PAGES - {*named}, "put these into nav of mkdocs.yml"
    assert len(named) == len({*named})
    made = {place for place in hooks.OUTSIDE if not place.startswith("results/")}
    assert {*named} == PAGES | made | {"results/*.md"}


def test_what_becomes_a_page_is_there(hooks):
    missing = [s for s in hooks.OUTSIDE.values() if not (ROOT / s).is_file()]
    assert not missing


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_has_a_page_with_example_figures_and_limits(guard):
    text = page_of(guard).read_text(encoding="utf-8")
    assert text.startswith(f"# {guard}\n")
    assert f"pg.{guard}(" in text
    assert re.search(r"^## (Figures|How well it does)", text, re.MULTILINE)
    assert re.search(r"^## Where it stops$", text, re.MULTILINE)
    overview = (DOCS / "guards.md").read_text(encoding="utf-8")
    assert f"[{guard}](guards/{page_of(guard).name})" in overview


@pytest.mark.parametrize(
    ("package", "names"),
    [("promptguard", pg.__all__), ("promptguard.testing", testing.__all__)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_public_name_is_in_the_reference(package, names):
    pages = [p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md")]
    entries = re.findall(r"^::: (\S+)$", "\n".join(pages), re.MULTILINE)
    here = [entry for entry in entries if entry.rpartition(".")[0] == package]
    assert sorted(here) == sorted(f"{package}.{name}" for name in names)


@pytest.mark.parametrize("module", ["benchmarks.plots", "benchmarks.pages"])
def test_pictures_and_tables_are_what_the_results_say(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
        timeout=120,
    )
    assert done.returncode == 0, f"run `make figures`: {done.stderr}"


def test_a_figure_without_a_source_is_an_error():
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import pages
    finally:
        sys.path.remove(str(ROOT))
    found = {"results": {"A": [{"what": "x", "n": 1.5}, {"what": "y", "n": 2}]}}
    assert pages.look(found, "A > what=y > n", "f") == 2
    for path in ("A > what=z > n", "A > n", "B", "A > what=x > m", "A > what=x"):
        with pytest.raises(LookupError):
            pages.look(found, path, "f")
    with pytest.raises(LookupError, match="no figures named"):
        pages.with_figures(
            "<!-- figures: nobody -->\n<!-- end of figures -->", Path("p.md")
        )
    assert f"{pages.Number(0.8352):.1%}" == "83.5 %"


def test_a_result_that_is_not_there_is_said_to_be_missing():
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import overview, pages
    finally:
        sys.path.remove(str(ROOT))
    row = {"what": "speed", "from": "no-such-result", "figure": "{}", "at": ["a"]}
    assert pages.MISSING in pages._row(row, DOCS / "a.md")
    page = overview.overview(lambda name: None)
    assert page.count("Not measured yet") == len(overview.CHAPTERS)


def test_pictures_have_a_title_and_load_nothing(hooks):
    pictures = sorted((DOCS / "pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert hooks.in_page(text) == []
        assert len(text) < 40_000
        assert picture.name == "icon.svg" or "<title>" in text


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/a.css">',
        '<link rel="preconnect" href="https://fonts.example.org" crossorigin>',
        '<img src="http://example.org/a.png">',
        '<img srcset="/a.png 1x, https://example.org/b.png 2x">',
        '<iframe src="https://example.org"></iframe>',
        '<style>@import "https://example.org/a.css";</style>',
        "<style>b { background: url('https://example.org/a.png') }</style>",
        '<b style="background: url(https://example.org/a.png)">',
        '<svg><image xlink:href="https://example.org/a.png"/></svg>',
        '<pre class="mermaid">graph TD</pre>',
    ],
)
def test_what_comes_from_another_server_is_found(hooks, html):
    assert hooks.in_page(html)


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://example.org">read on</a>',
        '<link rel="canonical" href="https://example.org/a/">',
        '<script src="../assets/a.js"></script>',
        '<img src="data:image/svg+xml,x">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        "<code>url(https://example.org)</code>",
    ],
)
def test_what_stays_here_is_not(hooks, html):
    assert hooks.in_page(html) == []


def test_nothing_of_the_theme_comes_from_another_server():
    assert SITE["theme"]["font"] is False
    assert "extra_javascript" not in SITE
    assert all("://" not in style for style in SITE["extra_css"])


def test_links_lead_to_where_pages_are_on_the_site(hooks):
    page = (
        "See [figures](../../benchmarks/results/guards-pii.md#a) and "
        "[home](../../README.md)."
    )
    assert hooks.relinked(page, "guards/pii.md") == (
        "See [figures](../results/guards-pii.md#a) and [home](../index.md)."
    )
    assert hooks.relinked("[licence](../LICENSE)", "a.md") == "licence"
    assert hooks.relinked("`[a](b.md)`", "a.md") == "`[a](b.md)`"
    assert hooks.relinked("[w](docs/streaming.md)", "changelog.md") == (
        "[w](streaming.md)"
    )
    with pytest.raises(LookupError):
        hooks.relinked("[gone](gone.md)", "a.md")
