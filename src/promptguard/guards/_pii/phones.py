"""Telephone numbers, by the plans of the countries or by ``phonenumbers``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from .candidates import AFTER, BEFORE, Candidate, around, closeness, nearest
from .chains import SIGN, SPAN_GROUPS, Group, compact, joint, loose, torn
from .tables import layout, read, words

__all__ = ["Phones"]

ENTITY = "PHONE_NUMBER"
# E.164: at most 15 digits, with the calling code.
MOST_DIGITS = 15
LEAST_DIGITS = 7
MOST_GROUPS = 8

_PLUS = re.compile(r"(?:\+|(?<![^\W_])00)[ (]{0,2}\Z")
# An extension, behind the number or right at it.
_EXTENSION = re.compile(
    rf" ?(?:x|ext\.?|extension) ?\d{{1,6}}(?!{SIGN})", re.IGNORECASE
)
_DATE = re.compile(
    r"\(?(?:(?:19|20)\d\d[-./ ][01]?\d[-./ ][0-3]?\d"
    r"|[0-3]?\d[-./ ][0-3]?\d[-./ ](?:19|20)\d\d)(?!\d)"
)
_TIME = re.compile(r":\d")
_HERE: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a country numbers its telephones."""

    code: str
    countries: tuple[str, ...]
    least: int
    most: int
    trunk: str
    shape: re.Pattern[str]

    def holds(self, digits: str) -> bool:
        """True for a number as it is dialled inside the country."""
        if self.trunk and digits.startswith(self.trunk):
            digits = digits[len(self.trunk) :]
        return self.national(digits)

    def national(self, digits: str) -> bool:
        """True for a national significant number."""
        return (
            self.least <= len(digits) <= self.most
            and self.shape.fullmatch(digits) is not None
        )


@dataclass(eq=False, slots=True)
class Phones:
    """Telephone numbers of some countries, and of all behind a plus sign.

    Args:
        countries: ISO 3166-1 codes; empty for all that have a plan.
        named: A plausible national number is enough without a context word.
    """

    countries: frozenset[str]
    named: bool
    _plans: tuple[Plan, ...] = field(init=False, repr=False)
    _tree: dict[Any, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        chosen = self.countries
        rows = [(plan, row) for plan, row in _plans() if _wanted(plan, chosen)]
        self._plans = tuple(plan for plan, _ in rows)
        self._tree = {}
        for plan, row in rows:
            for written in row["layouts"]:
                sizes, joints = layout(written).sizes, layout(written).joints
                node = self._tree
                for size in sizes:
                    node = node.setdefault(size, {})
                node.setdefault(_HERE, []).append((plan, joints))

    def find(self, text: str, groups: list[Group]) -> Iterator[Candidate]:
        """The numbers in a chain."""
        groups = [_without_extension(text, group) for group in groups]
        low, high = max(0, groups[0].start - BEFORE), groups[-1].end + AFTER
        said = _context().search(text[low:high].lower()) is not None
        expected = self.named or said
        # Up to where a number behind a plus sign goes. What lies in it is less sure
        # and would be left out in the end.
        done = 0
        for first, group in enumerate(groups):
            if groups[-1].end <= done:
                break
            if not text[group.start].isdigit():
                continue
            plus = _plus(text, group.start)
            if plus is not None:
                found = self._abroad(text, groups, first, plus)
                done = done if found is None else max(done, found.end)
            else:
                found = self._at_home(text, groups, first, expected, done)
            if found is not None:
                yield found
        if expected:
            yield from self._spaced(text, groups)

    def _near(self, text: str, start: int, end: int) -> bool:
        return nearest(around(text, start, end), _context()) is not None

    def _abroad(
        self, text: str, groups: list[Group], first: int, start: int
    ) -> Candidate | None:
        """The longest number behind a plus sign, or 00."""
        digits = ""
        ends: list[tuple[int, str]] = []
        for last in range(first, min(first + SPAN_GROUPS, len(groups))):
            part = _digits(text, groups[last])
            if last > first and part == "0" and text[groups[last].start - 1] == "(":
                # A trunk prefix in brackets is left out when dialling from abroad.
                continue
            digits += part
            if not part or len(digits) > MOST_DIGITS + 2:
                break
            if (
                last == first
                and digits.startswith("00")
                and start == groups[first].start
            ):
                digits = digits[2:]
            ends.append((groups[last].end, digits))
        end = next((end for end, digits in reversed(ends) if abroad(digits)), None)
        if end is None or torn(text, groups[first].start, end):
            return None
        return self._rated(text, start, end, True, True)

    def _at_home(
        self, text: str, groups: list[Group], first: int, expected: bool, done: int
    ) -> Candidate | None:
        """A number in a layout of its country, or the longest beside a context word.

        Of the latter only what ends after ``done``.
        """
        start = _bracket(text, groups[first].start)
        alone = self._laid_out(text, groups, first)
        if alone is not None:
            end = groups[alone].end
            return self._rated(text, start, end, True, False)
        if not expected:
            return None
        near: bool | None = None
        for last in range(min(first + MOST_GROUPS, len(groups)) - 1, first - 1, -1):
            if groups[last].end <= done:
                return None
            part = groups[first : last + 1]
            size = sum(group.end - group.start for group in part)
            if not LEAST_DIGITS <= size <= MOST_DIGITS or not all(
                g.digit for g in part
            ):
                continue
            if any(group.end - group.start < 2 for group in part[1:]):
                continue
            value = compact(text, part)
            if not value.isdigit():
                continue
            end = part[-1].end
            if near is None:
                near = self.named or self._near(text, start, end)
            if not near:
                return None
            if _DATE.match(text, start) or _TIME.match(text, end):
                continue
            if self._plausible(value) and not torn(text, part[0].start, end):
                return self._rated(text, start, end, False, False)
        return None

    def _laid_out(self, text: str, groups: list[Group], first: int) -> int | None:
        node: Any = self._tree
        found = None
        for last in range(first, min(first + MOST_GROUPS, len(groups))):
            group = groups[last]
            node = node.get(group.end - group.start)
            if node is None:
                break
            if _HERE not in node:
                continue
            part = groups[first : last + 1]
            value = compact(text, part)
            joints = tuple(joint(text, a, b) for a, b in itertools.pairwise(part))
            for plan, wanted in node[_HERE]:
                fits = joints == wanted and value.isdigit() and plan.holds(value)
                if fits and plan.trunk == "0" and value[0] != "0":
                    fits = False
                if fits and loose(text, part[0].start, group.end):
                    found = last
        return found

    def _spaced(self, text: str, groups: list[Group]) -> Iterator[Candidate]:
        """Numbers of single digits, beside a context word or behind a plus sign."""
        run: list[Group] = []
        for group in (*groups, Group(0, 99, False)):
            if group.digit and group.end - group.start <= 2:
                run.append(group)
                continue
            if LEAST_DIGITS <= len(run) <= MOST_DIGITS:
                start, end = run[0].start, run[-1].end
                value = compact(text, run)
                near = self.named or self._near(text, start, end)
                plain = near and self._plausible(value) and _plus(text, start) is None
                if plain and value.isdigit() and loose(text, start, end, True):
                    found = self._rated(text, _bracket(text, start), end, False, False)
                    if found is not None:
                        yield found
            run = []

    def _plausible(self, digits: str) -> bool:
        return any(_valid_at_home(digits, plan) for plan in self._plans)

    def _rated(
        self, text: str, start: int, end: int, alone: bool, plus: bool
    ) -> Candidate | None:
        near = nearest(around(text, start, end), _context())
        if near is not None:
            score = 0.95 if alone else 0.8
            score += closeness(near)
        elif alone:
            score = 0.9 if plus else 0.8
        elif self.named:
            score = 0.5
        else:
            return None
        extension = _EXTENSION.match(text, end)
        if extension is not None:
            end = extension.end()
        return Candidate(ENTITY, start, end, round(score, 4))


def _without_extension(text: str, group: Group) -> Group:
    """The group, without what follows an x in it."""
    if not group.digit or text[group.end - 1].isalpha():
        return group
    for size in range(1, min(7, group.end - group.start - 1)):
        place = group.end - size - 1
        if text[place] in "xX":
            return Group(group.start, place, True)
    return group


def _digits(text: str, group: Group) -> str:
    value = compact(text, [group])
    return value if value.isdigit() else ""


def _plus(text: str, start: int) -> int | None:
    """Where the plus sign before a number is; its own place if it begins with 00."""
    match = _PLUS.search(text, max(0, start - 4), start)
    if match is not None:
        return match.start()
    if text.startswith("00", start) and text[start + 2 : start + 3].isdigit():
        return start
    return None


def _bracket(text: str, start: int) -> int:
    """One before, where the number begins with a bracket."""
    return start - 1 if start and text[start - 1] == "(" else start


def abroad(digits: str) -> bool:
    """True for a calling code and a number of its plan."""
    library = _library()
    if library is not None:
        return _parsed(library, "+" + digits, None)
    for size in (1, 2, 3):
        plans = _by_code().get(digits[:size])
        if plans is not None:
            return any(plan.national(digits[size:]) for plan in plans)
    return False


def _valid_at_home(digits: str, plan: Plan) -> bool:
    if not plan.holds(digits):
        return False
    library = _library()
    if library is None:
        return True
    return any(_parsed(library, digits, country) for country in plan.countries)


def _parsed(library: ModuleType, digits: str, country: str | None) -> bool:
    try:
        number = library.parse(digits, country)
    except library.NumberParseException:
        return False
    return bool(library.is_valid_number(number))


@cache
def _library() -> ModuleType | None:
    """The package phonenumbers (extra ``pii``), if it is installed."""
    try:
        return import_module("phonenumbers")
    except ImportError:
        return None


@cache
def _plans() -> tuple[tuple[Plan, dict[str, Any]], ...]:
    plans = []
    for row in read("pii-phones")["plan"]:
        least, most = row["lengths"]
        shape = re.compile(row["shape"])
        countries = tuple(row["countries"])
        plan = Plan(row["code"], countries, least, most, row["trunk"], shape)
        plans.append((plan, row))
    return tuple(plans)


@cache
def _by_code() -> dict[str, list[Plan]]:
    found: dict[str, list[Plan]] = {}
    for plan, _ in _plans():
        found.setdefault(plan.code, []).append(plan)
    anything = re.compile(r"\d+")
    for code, (least, most) in read("pii-phones")["international"].items():
        found.setdefault(code, []).append(Plan(code, (), least, most, "", anything))
    return found


def _wanted(plan: Plan, countries: frozenset[str]) -> bool:
    return not countries or not countries.isdisjoint(plan.countries)


@cache
def _context() -> re.Pattern[str]:
    return words(tuple(read("pii-words")["context"][ENTITY]))
