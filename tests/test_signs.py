"""What a text is seen to lack: patterns that do not look would have found nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptguard as pg
from promptguard._signs import kinds, signs
from promptguard.guards._regex import need

PATTERNS = (
    *(r"\bticket-[0-9]{2}\b", r"\b(?:\d[ -]?){3,4}\b", r"(?i:ab)c", r"(a|1)b?[A-C]+"),
    *(r"(?i)a1", r"(?<=a)-b", r"(?:é|a-)c", r"[^a]1", r"x{0,2}\d", r"(\d)-\1"),
)


def test_signs_are_what_is_no_small_letter_and_no_space() -> None:
    found = signs("Ab c1, D-e")
    assert found is not None and found.rest == b"A0,A-"
    assert not found.kinds.isdisjoint(kinds("7")) and found.kinds.isdisjoint(kinds("@"))
    assert signs("é1") is None


def test_what_a_pattern_needs_is_read_from_it() -> None:
    needed = need(r"\bticket-[0-9]{4,12}\b", 0)
    assert (needed.opening, needed.kinds) == ("ticket-", (kinds("-"), kinds("0")))
    assert need(r"(?i)ticket", 0) == need(r"a|1", 0)._replace(kinds=())
    assert need(r"x", re.IGNORECASE).opening == ""


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60)
@given(text=st.text("abctikeABC019- éx", max_size=30) | st.just("a ticket-12, 1-1"))
def test_a_regex_finds_what_the_expression_does(pattern: str, text: str) -> None:
    found = [(f.start, f.end) for f in pg.Regex(pattern).check(text).findings]
    assert found == [m.span() for m in re.finditer(pattern, text) if m[0]]
