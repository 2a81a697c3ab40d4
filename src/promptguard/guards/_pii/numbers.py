"""Numbers in groups: which of the rules a chain, or a part of one, keeps."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .candidates import Around, Candidate, around, closeness, nearest
from .chains import (
    LONG_GROUP,
    SPAN_GROUPS,
    Group,
    compact,
    joint,
    loose,
    neighbours,
    torn,
)
from .tables import Layout, Rule, words

__all__ = ["Numbers"]

ALONE = 0.9
EXPECTED = 0.6
UNSURE = 0.75
SURE = 0.95
LONGEST_VALUE = 40

# Rules for values with letters in them, and for those without.
Kinds = tuple[list[tuple[Rule, Layout]], list[tuple[Rule, Layout]]]
# From so many rules on it is quicker to ask first whether any of them fits.
_MANY = 3
_HERE: Any = None


@dataclass(eq=False, slots=True)
class Numbers:
    """The rules that are asked for, arranged by how their values are written.

    Args:
        rules: Rows of the table.
        named: The entities whose check digit is enough without a context word.
    """

    rules: tuple[Rule, ...]
    named: frozenset[str]
    _tree: dict[Any, Any] = field(init=False, repr=False)
    _free: dict[tuple[int, bool], list[Rule]] = field(init=False, repr=False)
    # Those that are a value without a context word, and the words of all.
    _sure: dict[tuple[int, bool], list[Rule]] = field(init=False, repr=False)
    _contexts: dict[tuple[int, bool], re.Pattern[str]] = field(init=False, repr=False)
    # By the identity of a list in the tree, which lives as long as this does.
    _shapes: dict[int, re.Pattern[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._tree = {}
        self._shapes = {}
        free: defaultdict[tuple[int, bool], list[Rule]] = defaultdict(list)
        for rule in self.rules:
            for layout in rule.layouts:
                node = self._tree
                for size in layout.sizes:
                    node = node.setdefault(size, {})
                kinds = node.setdefault(_HERE, ([], []))
                if not rule.letters:
                    kinds[True].append((rule, layout))
                if not rule.digits:
                    kinds[False].append((rule, layout))
            if rule.free:
                for length in {sum(layout.sizes) for layout in rule.layouts}:
                    if not rule.letters:
                        free[length, True].append(rule)
                    if not rule.digits:
                        free[length, False].append(rule)
        self._free = dict(free)
        self._sure = {
            key: [rule for rule in rules if rule.alone or self._asked(rule)]
            for key, rules in free.items()
        }
        self._contexts = {}

    def find(self, text: str, groups: list[Group]) -> Iterator[Candidate]:
        """The values in a chain, overlapping ones too."""
        sizes = [group.end - group.start for group in groups]
        for first in range(len(groups)):
            node: Any = self._tree
            for last in range(first, min(first + SPAN_GROUPS, len(groups))):
                node = node.get(sizes[last])
                if node is None:
                    break
                if _HERE in node:
                    part = groups[first : last + 1]
                    yield from self._written(text, part, node[_HERE])
        yield from self._spaced(text, groups)

    def _written(
        self,
        text: str,
        groups: list[Group],
        kinds: Kinds,
    ) -> Iterator[Candidate]:
        """Values in a layout of their rule."""
        if not any([group.digit for group in groups]):
            return
        value = compact(text, groups)
        plain = value.isdigit()
        if not kinds[plain]:
            return
        upper = value if plain else value.upper()
        if len(kinds[plain]) >= _MANY and not self._any(kinds[plain]).fullmatch(upper):
            return
        joints: tuple[str, ...] | None = None
        start, end = groups[0].start, groups[-1].end
        near: Around | None = None
        for rule, layout in kinds[plain]:
            if layout.joints is not None:
                joints = joints or _joints(text, groups)
                if joints != layout.joints:
                    continue
            if not rule.fits(upper):
                continue
            if near is None:
                if torn(text, start, end):
                    return
                near = around(text, start, end)
            alone = layout.alone and (rule.lower or value == upper)
            if alone and not rule.alone and len(groups) > 1:
                joints = joints or _joints(text, groups)
                alone = not _continued(text, groups, joints)
            score = self._score(near, rule, alone, layout.named)
            if score:
                yield Candidate(rule.entity, start, end, score)

    def _said(self, key: tuple[int, bool]) -> re.Pattern[str]:
        """What announces a value of so many signs, by any of the rules."""
        known = self._contexts.get(key)
        if known is None:
            listed = dict.fromkeys(word for r in self._free[key] for word in r.words)
            known = self._contexts[key] = words(tuple(listed))
        return known

    def _any(self, rules: list[tuple[Rule, Layout]]) -> re.Pattern[str]:
        """The shapes of these rules as one; kept, for there are few lists of them."""
        known = self._shapes.get(id(rules))
        if known is None:
            shapes = dict.fromkeys(
                # The number of a group that is referred to would change.
                ".*" if rule.shape.groups else rule.shape.pattern
                for rule, _ in rules
            )
            known = re.compile("|".join(f"(?:{shape})" for shape in shapes))
            self._shapes[id(rules)] = known
        return known

    def _spaced(self, text: str, groups: list[Group]) -> Iterator[Candidate]:
        """Values with separators where nobody writes them, as in 4 1 1 1 and so on."""
        for run in _runs(groups):
            for part in {_trimmed(run, letters) for letters in (False, True)}:
                if not 3 <= len(part) <= SPAN_GROUPS:
                    continue
                start, end = part[0].start, part[-1].end
                value = compact(text, part)
                if len(value) > LONGEST_VALUE or not loose(text, start, end, True):
                    continue
                near: Around | None = None
                key = len(value), value.isdigit()
                rules = self._free.get(key, [])
                if len(rules) >= _MANY:
                    near = around(text, start, end)
                    if nearest(near, self._said(key)) is None:
                        rules = self._sure[key]
                for rule in rules:
                    if rule.fits(value.upper()):
                        near = near or around(text, start, end)
                        score = self._score(near, rule, rule.alone, rule.named)
                        if score:
                            yield Candidate(rule.entity, start, end, score)

    def _score(self, near: Around, rule: Rule, alone: bool, named: bool) -> float:
        """How sure it is, 0 where a word is missing that it would take."""
        distance = nearest(near, rule.context)
        if distance is not None:
            score = SURE if alone or rule.check is not None else UNSURE
            return round(score + closeness(distance), 4)
        if alone:
            return ALONE
        return EXPECTED if named and rule.entity in self.named else 0

    def _asked(self, rule: Rule) -> bool:
        """True where the check digit is enough without a context word."""
        return rule.named and rule.entity in self.named


def _joints(text: str, groups: list[Group]) -> tuple[str, ...]:
    return tuple(joint(text, one, two) for one, two in itertools.pairwise(groups))


def _continued(text: str, groups: list[Group], joints: tuple[str, ...]) -> bool:
    """True when more groups of digits go on in the same way on either side."""
    around = neighbours(text, groups[0].start, groups[-1].end)
    return not around.isdisjoint(joints)


def _runs(groups: list[Group]) -> Iterator[list[Group]]:
    """Stretches of groups that are of digits, or single letters.

    A long group is a value of its own: what is beside it is not its continuation.
    """
    run: list[Group] = []
    for group in groups:
        size = group.end - group.start
        if size == 1 or (group.digit and size < LONG_GROUP):
            run.append(group)
        else:
            if len(run) > 2:
                yield run
            run = []
    if len(run) > 2:
        yield run


def _trimmed(run: list[Group], letters: bool) -> tuple[Group, ...]:
    """The run without the single letters at its ends, or with them."""
    first, last = 0, len(run)
    while not letters and first < last and not run[first].digit:
        first += 1
    while not letters and first < last and not run[last - 1].digit:
        last -= 1
    return tuple(run[first:last])
