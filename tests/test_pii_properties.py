"""PII over made-up texts: spans, redaction, streams, and time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pii import FOUND, marked

import promptguard as pg
from promptguard.drivers import drive
from promptguard.engine import Engine
from promptguard.guards._pii import candidates, chains
from promptguard.guards.pii import PII
from promptguard.placeholders import Placeholders, merge
from promptguard.stream import Gate
from promptguard.text import Text

ALL = PII()
MASK = PII(operator=pg.Mask())
HASH = PII(operator=pg.Hash(key=b"k" * 16))

VALUES = [value for _, case in FOUND for value in marked(case)[1]]
WORDS = (
    "the SSN phone number card IBAN passport NHS tax account bank born on call dot at "
    "(at) a I x 12 2024 3.5 00 + - . / , ; : * *** **** < > @ ( ) https:// example.org "
    "é 한국 日本 ไทย \u200b \u0301 \b \ud800 ４ ①"
).split()

pieces = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(WORDS),
    st.integers(0, 10**19).map(str),
    st.lists(st.integers(0, 9999), min_size=2, max_size=7).map(
        lambda parts: "-".join(map(str, parts))
    ),
    st.lists(st.sampled_from("0123456789AX"), min_size=5, max_size=44).map(" ".join),
    st.text(max_size=6),
)
joints = st.sampled_from(["", " ", " ", " ", "\n", ", ", "-", ".", "/"])
texts = st.lists(st.tuples(pieces, joints), max_size=14).map(
    lambda parts: "".join(piece + joint for piece, joint in parts)
)


@given(texts)
@settings(deadline=None, max_examples=200)
def test_nothing_outside_a_span_changes(text: str) -> None:
    verdict = MASK.check(text)
    # A mask is as long as what it hides, so that positions stay.
    assert len(verdict.text) == len(text)
    hidden = {i for f in merge(verdict.findings) for i in range(f.start, f.end)}
    assert all(
        old == new or place in hidden
        for place, (old, new) in enumerate(zip(text, verdict.text, strict=True))
    )


@given(texts)
@settings(deadline=None, max_examples=150)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    for guard in (ALL, MASK, HASH):
        once = guard.check(text).text
        assert guard.check(once).text == once


@given(texts, st.sampled_from(VALUES[:40]))
@settings(deadline=None, max_examples=100)
def test_a_value_with_words_around_it_is_found_wherever_it_stands(
    before: str, value: str
) -> None:
    text = f"{before}\n\nmy e-mail is ann@example.org;\n"
    spans = [text[f.start : f.end] for f in ALL.check(text).findings]
    assert "ann@example.org" in spans


@given(texts, st.lists(st.integers(1, 40), min_size=1, max_size=5))
@settings(deadline=None, max_examples=80)
def test_a_stream_finds_what_the_whole_text_does(text: str, sizes: list[int]) -> None:
    prose = "And so it went on, the story of the man who never came back home. "
    text = f"{text} {prose * 6}{text}"
    gate, at, turn = Gate(ALL, Placeholders()), 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        gate.feed(text[at : at + size])
        released(gate)
        at, turn = at + size, turn + 1
    released(gate, end=True)
    whole = drive(Engine(ALL, (Text(text, "assistant"),)))[0]
    assert set(gate.verdict().findings) == set(whole.findings)


def released(gate: Gate, end: bool = False) -> None:
    steps = gate.release(end)
    verdicts = None
    while True:
        try:
            engine = steps.send(verdicts)
        except StopIteration:
            return
        engine.start()
        verdicts = engine.verdicts


def test_a_value_streams_out_after_the_reach() -> None:
    gate = Gate(ALL, Placeholders())
    gate.feed("Card 4111 1111 1111 1111. " + "And so on it went for a while. " * 40)
    steps = gate.release()
    engine = next(steps)
    engine.start()
    with pytest.raises(StopIteration) as done:
        steps.send(engine.verdicts)
    assert done.value.value.startswith("Card <CREDIT_CARD_1:")


def test_a_reach_covers_what_the_guard_looks_at() -> None:
    groups = chains.SPAN_GROUPS * (1 + chains.MOST_BETWEEN)
    longest = max(254, groups, chains.LONGEST_GROUP)
    around = candidates.BEFORE + candidates.AFTER
    assert ALL.reach is not None
    assert ALL.reach >= longest + around
