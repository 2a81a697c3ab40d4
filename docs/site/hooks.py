"""What mkdocs does besides its own when it builds the site.

Pages of the repository that lie outside of ``docs/`` (results of benchmarks, the
changelog, the model card) become pages of the site, links lead to them, and a site that
would load anything from another server is an error.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages made of files outside of docs/: where on the site, and from what.
OUTSIDE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "examples.md": "examples/README.md",
    "security.md": "SECURITY.md",
    "model-card.md": "src/promptguard/models/MODEL_CARD.md",
    "word-lists.md": "src/promptguard/data/profanity/README.md",
    **{
        f"results/{path.name}": f"benchmarks/results/{path.name}"
        for path in sorted((ROOT / "benchmarks/results").glob("*.md"))
    },
}
# The home page says what the README says.
ALIASES = {"README.md": "index.md"}

_LINK = re.compile(r"(?P<text>!?\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^()\s]+)\)")
_BRACKETS = re.compile(r"\[([^\[\]\n]*)\]( ?)\[([^\[\]\n]*)\]")
_CODE = re.compile(r"^(```|~~~).*?^\1[ \t]*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give every page of a benchmark its place in the navigation."""
    pages = [
        {_title(source): place}
        for place, source in OUTSIDE.items()
        if place.startswith("results/")
    ]
    config.nav = _filled(config.nav, pages)
    return config


def _filled(nav: Any, pages: list[dict[str, str]]) -> Any:
    if isinstance(nav, list):
        return [_filled(item, pages) for item in nav]
    if isinstance(nav, dict):
        return {name: _filled(item, pages) for name, item in nav.items()}
    return pages if nav == "results/*.md" else nav


def _title(source: str) -> str:
    text = (ROOT / source).read_text(encoding="utf-8")
    return text.partition("\n")[0].lstrip("# ")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/."""
    from mkdocs.structure.files import File

    for place, source in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files):
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, place: str) -> str:
    """A page's text with its links as the site has them.

    Args:
        markdown: The text, with links from file to file of the repository.
        place: Where the page is on the site, as ``guards/pii.md``.

    Raises:
        LookupError: A link leads to no file.
    """
    source = PurePosixPath(OUTSIDE.get(place, f"docs/{place}"))
    code = [match.span() for match in _CODE.finditer(markdown)]

    def new(match: re.Match[str]) -> str:
        target = match["target"]
        if any(start <= match.start() < end for start, end in code):
            return match[0]
        if "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        path, _, anchor = target.partition("#")
        found = os.path.normpath(source.parent / path).replace(os.sep, "/")
        if not (ROOT / found).exists():
            raise LookupError(f"{source}: the link to {target} leads to no file")
        there = _place(found)
        if there is None:
            return match["text"][1:-1]
        relative = os.path.relpath(there, PurePosixPath(place).parent)
        anchor = f"#{anchor}" if anchor else ""
        return f"{match['text']}({relative.replace(os.sep, '/')}{anchor})"

    markdown = _LINK.sub(new, markdown)
    # A disguise such as [dot] is no link; two in a row would look like one to MkDocs.
    if place in OUTSIDE:
        return _BRACKETS.sub(r"\\[\1]\2\\[\3]", markdown)
    return markdown


def _place(source: str) -> str | None:
    """Where a file of the repository is on the site; None where it is not."""
    if source in ALIASES:
        return ALIASES[source]
    for place, outside in OUTSIDE.items():
        if source == outside:
            return place
    inside = source.removeprefix("docs/")
    return inside if inside != source else None


def on_post_build(config: MkDocsConfig) -> None:
    from mkdocs.exceptions import PluginError

    loads = [
        f"{path.relative_to(config.site_dir)}: {address}"
        for path, address in loaded_from_elsewhere(Path(config.site_dir))
    ]
    if loads:
        raise PluginError("the site loads from other servers:\n" + "\n".join(loads))


def loaded_from_elsewhere(site: Path) -> Iterator[tuple[Path, str]]:
    """Each address of another server that a page or a style of the site would load.

    Links that a reader may follow are none. Material's script knows an address for
    Mermaid diagrams, which it loads only on a page that has one: so such a page is one.
    """
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".svg"):
            text = path.read_text(encoding="utf-8")
            yield from ((path, address) for address in in_page(text))
        elif path.suffix == ".css":
            text = path.read_text(encoding="utf-8")
            yield from ((path, address) for address in in_style(text))


def in_page(html: str) -> list[str]:
    """What a page loads from other servers."""
    reader = _Loads()
    reader.feed(html)
    return reader.found


def in_style(css: str) -> list[str]:
    """What a style sheet loads from other servers."""
    used = re.findall(r"url\(\s*['\"]?([^'\")]+)", css)
    used += re.findall(r"@import\s+['\"]([^'\"]+)", css)
    return [address for address in used if _elsewhere(address)]


class _Loads(HTMLParser):
    """Collects what elements load; links to follow are passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        addresses = [given.get(n, "") for n in ("src", "data", "poster", "action")]
        addresses += [part.split()[0] for part in _parts(given.get("srcset", ""))]
        if tag in ("link", "use", "image"):
            shown = "canonical" not in given.get("rel", "")
            addresses += [given.get("href", ""), given.get("xlink:href", "")] * shown
        self.found += [address for address in addresses if _elsewhere(address)]
        self.found += in_style(given.get("style", ""))
        if "mermaid" in given.get("class", "").split():
            self.found.append("mermaid, from the address in the theme's script")

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += in_style(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def _parts(srcset: str) -> list[str]:
    return [part for part in srcset.split(",") if part.strip()]


def _elsewhere(address: str) -> bool:
    return address.strip().lower().startswith(("http:", "https:", "//", "ftp:"))
