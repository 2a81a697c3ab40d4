"""Hidden parts of pages: comments, attributes, elements that are not shown.

Most injections found on the web stand in such places.
"""

from __future__ import annotations

import html
import random
import re

from .carriers import IMAGES, PAGES, PARAGRAPHS, TITLES
from .disguise import Disguise, anything, each_word, lettered, made, sprinkled

__all__ = ["DISGUISES"]


def _page(hidden: str, rng: random.Random) -> str:
    return rng.choice(PAGES).format(
        title=rng.choice(TITLES), paragraph=rng.choice(PARAGRAPHS), hidden=hidden
    )


def html_comment(text: str, rng: random.Random) -> str:
    """A comment of HTML."""
    # Two hyphens might end it.
    return _page(f"<!-- {re.sub('-(?=-)', '- ', text)} -->", rng)


_HIDDEN = (
    "display:none",
    "visibility:hidden",
    "font-size:0",
    "color:#fff;background:#fff",
    "position:absolute;left:-9999px",
    "opacity:0;height:0",
)


def hidden_html(text: str, rng: random.Random) -> str:
    """An element that a browser does not show."""
    return _hidden(html.escape(text, quote=False), rng)


def _hidden(inner: str, rng: random.Random) -> str:
    name = rng.choice(("div", "span", "p"))
    style = rng.choice(_HIDDEN)
    return _page(f'<{name} style="{style}">{inner}</{name}>', rng)


def html_attribute(text: str, rng: random.Random) -> str:
    """The alternative text of an image, a title, or an attribute for scripts."""
    value = html.escape(text)
    shapes = (
        f'<img src="{rng.choice(IMAGES)}" alt="{value}">',
        f'<a href="/contact" title="{value}">Contact</a>',
        f'<div class="box" data-note="{value}"></div>',
        f'<button aria-label="{value}">OK</button>',
        f'<meta name="description" content="{value}">',
    )
    return _page(rng.choice(shapes), rng)


def words_split_by_tags(text: str, rng: random.Random) -> str:
    """Elements that begin and end inside words, and show nothing."""
    tags = ("<b></b>", "<span></span>", "<i></i>", "<wbr>", "<!-- -->")
    # Around the entities: their names are not words.
    parts = re.split(r"(&#?\w+;)", html.escape(text, quote=False))
    parts[::2] = [
        each_word(part, lambda word: sprinkled(word, rng, lambda: rng.choice(tags), 0))
        for part in parts[::2]
    ]
    return f"<p>{''.join(parts)}</p>"


def xml_cdata(text: str, rng: random.Random) -> str:
    """Character data of XML that nothing is unescaped in."""
    inner = text.replace("]]>", "]]]]><![CDATA[>")
    return (
        f"<item><title>{rng.choice(TITLES)}</title>"
        f"<description><![CDATA[{inner}]]></description></item>"
    )


def markdown_comment(text: str, rng: random.Random) -> str:
    """A definition of a link that nothing links to: nothing is shown."""
    line = " ".join(text.split()).replace("(", "[").replace(")", "]")
    paragraph = rng.choice(PARAGRAPHS)
    return f"# {rng.choice(TITLES)}\n\n{paragraph}\n\n[//]: # ({line})\n"


def markdown_title(text: str, rng: random.Random) -> str:
    """The title of a link or the alternative text of an image."""
    line = " ".join(text.split()).replace('"', "'").replace("]", ")").replace("[", "(")
    target = rng.choice(IMAGES)
    shown = rng.choice((f'[more]({target} "{line}")', f"![{line}]({target})"))
    return f"{rng.choice(PARAGRAPHS)}\n\n{shown}\n"


DISGUISES: tuple[Disguise, ...] = (
    *made("B", anything, html_comment, hidden_html, html_attribute, xml_cdata),
    *made("B", lettered, words_split_by_tags),
    *made("B", anything, markdown_comment, markdown_title),
)
