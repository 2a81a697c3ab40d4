"""Dates of birth: dates with a word beside them that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache

from .candidates import Candidate, around, nearest
from .chains import SIGN, VEIL, Digits
from .checks import valid_date
from .tables import read, words

__all__ = ["births"]

ENTITY = "DATE_OF_BIRTH"
OLDEST = 1900
# A date further from its word than this is of something else.
NEAR = 30


def births(text: str, at: int) -> Iterator[Candidate]:
    """Dates of birth from a position on."""
    dates = _dates()
    digits = Digits(text)
    while (first := digits.after(at)) >= 0:
        match = dates.match(text, first)
        if match is None:
            at = _end(text, first)
            continue
        at = match.end()
        start, end = match.span()
        month = None
        if match["d4"]:
            month = _MONTH_BEFORE.search(text, max(0, start - 16), start)
            if month is None:
                continue
            start = month.start()
        if _is_date(match, month):
            near = nearest(around(text, start, end), _context())
            if near is not None and near <= NEAR:
                yield Candidate(ENTITY, start, end, 0.9)


def _end(text: str, start: int) -> int:
    """Where the digits end of which the first is known."""
    run = _DIGITS.match(text, start)
    return start + 1 if run is None else run.end()


@cache
def _context() -> re.Pattern[str]:
    return words(tuple(read("pii-words")["context"][ENTITY]))


@cache
def _months() -> dict[str, int]:
    found: dict[str, int] = {}
    for line in read("pii-words")["months"]["names"]:
        found.update((name, place) for place, name in enumerate(line.split(), 1))
    return found


@cache
def _dates() -> re.Pattern[str]:
    months = "|".join(map(re.escape, sorted(_months(), key=len, reverse=True)))
    between = r"(?: ?[-./\u2010-\u2015] ?| )"
    day = r"(?:3[01]|[12]\d|0?[1-9])"
    ordinal = r"(?:st|nd|rd|th|er|º|ª|\.)?"
    year = r"(?:18|19|20)\d\d"
    # The name of a month that comes first is looked for from the day.
    return re.compile(
        rf"(?<!{SIGN})(?<![*{VEIL}])(?:(?:"
        rf"(?P<y1>{year}){between}(?P<m1>1[0-2]|0?[1-9]){between}(?P<d1>{day})"
        rf"|(?P<a2>{day}){between}(?P<b2>{day}){between}(?P<y2>{year}|\d\d)"
        rf"|(?P<d3>{day}){ordinal}[ -](?:of |de |del )?(?P<m3>{months})"
        rf"(?:,? |-| de | del )(?P<y3>{year})"
        rf"|(?P<d4>{day}){ordinal},? (?P<y4>{year})"
        rf")(?!{SIGN}|{VEIL})(?![-./][\d*{VEIL}])"
        r"|(?P<y5>(?:19|20)\d\d) ?[年년] ?(?P<m5>\d\d?) ?[月월] ?(?P<d5>\d\d?) ?[日일]"
        r")",
        re.IGNORECASE,
    )


_DIGITS = re.compile(r"\d+")
_MONTH_BEFORE = re.compile(rf"(?<!{SIGN})(?P<name>[^\W\d_]{{3,12}}\.?) \Z")


def _is_date(match: re.Match[str], before: re.Match[str] | None) -> bool:
    values = {key[0]: value for key, value in match.groupdict().items() if value}
    year = _year(values["y"])
    if "a" in values:
        # The day may come first, or the month.
        one, two = int(values["a"]), int(values["b"])
        return _past(year, two, one) or _past(year, one, two)
    month = values["m"] if before is None else before["name"]
    number = int(month) if month.isdecimal() else _months().get(month.lower(), 0)
    return _past(year, number, int(values["d"]))


def _year(written: str) -> int:
    year = int(written)
    if year >= 100:
        return year
    return year + (2000 if year <= date.today().year % 100 else 1900)


def _past(year: int, month: int, day: int) -> bool:
    if not valid_date(year, month, day):
        return False
    return OLDEST <= year <= date.today().year
