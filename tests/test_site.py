"""The site: every page has its place, every name its entry, every figure its source,
and nothing of it comes from another server. `make docs` builds it."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
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
    assert re.search(r"^## (Figures|How (well|often))", text, re.MULTILINE)
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
    # The function of that name, not the module.
    entries = [e.replace(".guarded.guarded", ".guarded") for e in entries]
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


@pytest.fixture(scope="module")
def benchmarks():
    """The modules that write pages and pictures; they are no part of the package."""
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import curves, overview, pages, plots
    finally:
        sys.path.remove(str(ROOT))
    return types.SimpleNamespace(
        curves=curves, overview=overview, pages=pages, plots=plots
    )


def test_every_row_of_figures_has_its_source(benchmarks):
    pages = benchmarks.pages
    known = tomllib.loads(pages.FIGURES.read_text(encoding="utf-8"))
    for name, rows in known.items():
        for row in rows:
            assert pages._row(row, DOCS / "a.md").count("|") == 4, name


def test_a_figure_without_a_source_is_an_error(benchmarks):
    pages = benchmarks.pages
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


def test_a_result_that_is_not_there_is_said_to_be_missing(benchmarks):
    overview, pages = benchmarks.overview, benchmarks.pages
    row = {"what": "speed", "from": "no-such-result", "figure": "{}", "at": ["a"]}
    assert pages.MISSING in pages._row(row, DOCS / "a.md")
    page = overview.overview(lambda name: None)
    assert page.count("Not measured yet") == len(overview.CHAPTERS)
    begin, end = "<!-- table: {} -->\n", "<!-- end of table -->"
    text = pages.with_figures(begin.format("nobody > A") + end, Path("p.md"))
    assert text == begin.format("nobody > A") + f"\n{pages.MISSING}\n\n{end}"
    with pytest.raises(LookupError, match="no table 'Nothing'"):
        pages.with_figures(begin.format("robustness > Nothing") + end, Path("p.md"))


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


def scores(*texts: tuple[str, str, bool, float]) -> list[dict[str, object]]:
    """Rows as an evaluation writes them."""
    return [
        {"set": name, "role": role, "attack": attack, "score": score}
        for name, role, attack, score in texts
    ]


def test_curves_weigh_every_set_alike(benchmarks):
    rows = scores(
        ("unseen:a", "user", True, 0.9),
        ("unseen:a", "user", True, 0.1),
        *[("unseen:b", "user", True, 0.8)] * 50,
        *[("unseen:c", "user", False, 0.5)] * 99,
        ("unseen:c", "user", False, 0.85),
        ("unseen:d", "tool", True, 0.5),  # no benign text of that role
        ("tested:e", "user", False, 0.99),  # neither test set nor unseen
    )
    (found,) = benchmarks.curves.curves(rows)
    assert found["name"] == "sources kept out of training, role user"
    assert (found["attacks"], found["benign"]) == (52, 100)
    points = dict(found["points"])
    # Above 0.85: half of a, nothing of b, which counts as much as a.
    assert points[0.001] == 0.25
    assert points[0.01] == 0.75
    assert points[1.0] == 1.0
    # Half of a above all benign texts, b above 99 of 100, the rest of a above none.
    assert found["auc"] == 0.25 + 0.5 * 0.99


def test_curves_are_drawn_from_what_an_evaluation_wrote(
    benchmarks, tmp_path, monkeypatch
):
    rows = scores(
        ("benchmark:a", "user", True, 0.9), ("benchmark:a", "user", False, 0.2)
    )
    file = tmp_path / "scores.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    monkeypatch.setattr(sys, "argv", ["x", str(file), "--out", str(tmp_path)])
    assert benchmarks.curves.main() == 0
    found = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))
    picture = str(benchmarks.plots.roc(found))
    assert "test sets, role user" in picture
    assert "| test sets, role user" in (tmp_path / "curves.md").read_text()


def test_other_libraries_are_drawn_where_they_were_measured(benchmarks):
    row = {"peer": "theirs", "characters": 1000, "times ours median": 12.5}
    found = {
        "machine": {"cpu": "c", "cores": 2},
        "date": "2026-01-01",
        "results": {
            "Time of a call: secrets": [row, {"peer": "x", "characters": 1000}]
        },
    }
    picture = str(benchmarks.plots.peers(found))
    assert "theirs: secrets" in picture and ">12.5<" in picture
