"""Texts made with names that belong to nobody, from wordings of our own."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import PipelineError
from .tokenlabels import Mark, Marked

__all__ = ["NAME_TEXTS", "made"]

NAME_TEXTS = Path(__file__).parent / "nametexts.toml"

_SLOT = re.compile(r"\{([a-z]+)\}")
_LABELS = {
    **dict.fromkeys(("person", "first", "last"), "PERSON"),
    **dict.fromkeys(("city", "country", "street", "address", "hospital"), "LOCATION"),
    **dict.fromkeys(("company", "school"), "ORGANIZATION"),
}
# Of the languages, English is what most texts that are checked are written in.
_ENGLISH = 0.5
# As many people type: no capitals, or nothing but capitals.
_LOWER, _UPPER = 0.15, 0.03


def made(count: int, seed: int) -> Iterator[Marked]:
    """So many texts, always the same for a seed and a version of Faker.

    Raises:
        PipelineError: Faker is not installed.
    """
    try:
        from faker import Faker
    except ImportError:
        raise PipelineError(
            "names: Faker is not installed, which makes the names in made texts; run "
            "`make train-env`, or set [names] made = 0"
        ) from None
    languages = tomllib.loads(NAME_TEXTS.read_text("utf-8"))
    draw = random.Random(f"{seed}:names")
    makers: dict[str, Callable[[str], str]] = {}
    for table in languages.values():
        for locale in table["locales"]:
            maker = Faker(locale, use_weighting=False)
            maker.seed_instance(f"{seed}:{locale}")
            makers[locale] = _values(maker, random.Random(f"{seed}:{locale}"))
    others = [lang for lang in languages if lang != "en"]
    for _ in range(count):
        lang = "en" if draw.random() < _ENGLISH else draw.choice(others)
        table = languages[lang]
        value = makers[draw.choice(table["locales"])]
        yield _filled(draw.choice(table["texts"]), value, lang, draw)


def _filled(
    wording: str, value: Callable[[str], str], lang: str, draw: random.Random
) -> Marked:
    text = ""
    marks: list[Mark] = []
    at = 0
    for slot in _SLOT.finditer(wording):
        text += wording[at : slot.start()]
        put = value(slot[1])
        if label := _LABELS.get(slot[1]):
            marks.append((len(text), len(text) + len(put), label))
        text += put
        at = slot.end()
    text += wording[at:]
    chance = draw.random()
    for change in (str.lower, str.upper):
        # A few letters become two; then the marks would be wrong.
        most = _LOWER if change is str.lower else _LOWER + _UPPER
        if chance < most and len(change(text)) == len(text):
            text = change(text)
            break
    return Marked(text, tuple(marks), "made", lang)


def _values(maker: Any, draw: random.Random) -> Callable[[str], str]:
    """What goes into a slot, by its name."""

    def person() -> str:
        first, last = maker.first_name(), maker.last_name()
        form = draw.random()
        if form < 0.75:
            return f"{first} {last}"
        if form < 0.85:
            return f"{first} {maker.first_name()[0]}. {last}"
        if form < 0.93:
            return f"{first[0]}. {last}"
        return f"{first} {last}-{maker.last_name()}"

    def address() -> str:
        lines = [line for line in str(maker.address()).split("\n") if line]
        return draw.choice((", ", "\n", " ")).join(lines)

    def street() -> str:
        return str(maker.street_address()).partition("\n")[0]

    def hospital() -> str:
        kind = draw.choice(("Hospital", "General Hospital", "Medical Center", "Clinic"))
        whose = draw.choice((maker.city, maker.last_name))()
        return draw.choice((f"{whose} {kind}", f"St. {maker.first_name()}'s Hospital"))

    def school() -> str:
        return draw.choice(
            ("University of {}", "{} University", "{} High School", "{} College")
        ).format(maker.city())

    def company() -> str:
        name = str(maker.company())
        return name if draw.random() < 0.7 else re.split(r"[ ,]", name)[0]

    def number() -> str:
        return str(draw.randrange(10, 10 ** draw.randint(2, 8)))

    kinds: dict[str, Callable[[], object]] = {
        "person": person,
        "first": maker.first_name,
        "last": maker.last_name,
        "city": maker.city,
        "country": maker.country,
        "street": street,
        "address": address,
        "hospital": hospital,
        "company": company,
        "school": school,
        "mail": maker.email,
        "phone": maker.phone_number,
        "number": number,
        "date": lambda: maker.date(
            draw.choice(("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y"))
        ),
        "year": maker.year,
        "time": lambda: maker.time("%H:%M"),
        "job": maker.job,
        "word": maker.word,
        "amount": lambda: f"{draw.randrange(1, 2000)}.{draw.randrange(100):02}",
    }

    def value(slot: str) -> str:
        # One line and no blanks at its ends, so that a mark is the name alone.
        text = str(kinds[slot]()).strip()
        return text if slot == "address" else " ".join(text.split())

    return value
