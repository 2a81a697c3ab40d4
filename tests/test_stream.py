"""What a gate lets out is the redaction of the whole text, however it is cut."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptguard import Action, Blocked, Engine, Finding, Guard, Placeholders, Text
from promptguard.drivers import drive
from promptguard.placeholders import redact as redacted
from promptguard.stream import Gate
from promptguard.streams import run
from promptguard.testing import FakeGuard


@dataclass(frozen=True, kw_only=True)
class Pattern(Guard):
    """A regular expression on one of the readings, with its reach."""

    pattern: str
    length: int
    reading: str = "foldings"
    scanned: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def reach(self) -> int:
        return self.length

    def inspect(self, text: Text):
        self.scanned.append(len(text.original))
        found = set()
        for reading in getattr(text, self.reading):
            start = reading.position(text.start)
            for match in re.compile(self.pattern).finditer(reading.text, start):
                span = reading.span(*match.span())
                if span[0] >= text.start and span not in found:
                    found.add(span)
                    yield Finding(self.name, 1.0, *span)


def redact(name: str, pattern: str, length: int, reading: str = "foldings") -> Pattern:
    return Pattern(
        name=name,
        pattern=pattern,
        length=length,
        reading=reading,
        action=Action.REDACT,
    )


EMAIL = redact("email", r"[a-z0-9.]{1,20}@[a-z0-9]{1,10}\.[a-z]{2,5}\b", 39)
CARD = redact("card", r"(?<!\d)\d{4}(?: ?\d{4}){3}(?!\d)", 21, "readings")
WORD = redact("word", r"\bsecret\b", 8)
FLAG = Pattern(name="flag", pattern=r"beta gamma", length=10, action=Action.FLAG)
HIDDEN = redact("hidden", "[\u200b\u2060]", 1, "readings")
BLOCK = Pattern(name="block", pattern=r"\bforbidden fruit\b", length=17)
ENDING = Pattern(name="ending", pattern=r"omega$", length=6)
ALL = EMAIL | CARD | WORD | FLAG

PIECES = [
    "joe@example.com",
    "joe@",
    "example.com",
    "4111 1111 1111 1111",
    "4111",
    " 1111",
    "secret",
    "SeCrEt",
    "s e c r e t",
    "s\u200be\u200bcret",
    "ｓｅｃｒｅｔ",
    "5ecr3t",
    "ѕесrеt",
    "sec",
    "ret",
    "beta gamma",
    "beta ",
    "forbidden fruit",
    "forbidden ",
    "omega",
    " ",
    ". ",
    "\n",
    "\r\n",
    "-",
    "a",
    "e\u0301",
    "\u0301" * 3,
    "\u200b",
    "\ud800",
    "\U0001f469\u200d\U0001f4bb",
    "漢字",
    "नमस्ते",
    "한글",
    "ﷺ",
    "ß",
    "\b",
    "secretx\b",
    "s\x1b[2Kecret",
    "\x1b[31m",
    "\x1b[",
    "x" * 60,
    "word and word ",
]
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=8)


def nonceless(text: str) -> str:
    return re.sub(r":[0-9a-f]{16}>", ">", text)


def whole(guard: Guard, text: str) -> Any:
    return drive(Engine(guard, (Text(text, "assistant"),)))[0]


def stream(guard: Guard, text: str, sizes: list[int], **options: Any) -> Any:
    """The verdict, what was let out, and what was held at most."""
    gate = Gate(guard, Placeholders(), **options)
    out, at, turn, held = "", 0, 0, 0
    try:
        while at < len(text):
            size = sizes[turn % len(sizes)]
            gate.feed(text[at : at + size])
            out += run(gate.release())
            at, turn = at + size, turn + 1
            held = max(held, at - len(out))
        out += run(gate.release(end=True))
    except Blocked as blocked:
        return blocked.verdict, out + gate.rest, held
    return gate.verdict(), out, held


@settings(max_examples=400, deadline=None)
@given(texts, cuts)
@example("my secret" + " " * 30, [1])
def test_a_stream_is_redacted_as_the_whole_text(text, sizes):
    expected = whole(ALL, text)
    verdict, out, _ = stream(ALL, text, sizes)
    assert nonceless(out) == nonceless(expected.text)
    assert verdict.findings == expected.findings
    assert verdict.original == text
    assert nonceless(verdict.text) == nonceless(expected.text)
    assert verdict.action is expected.action


@settings(max_examples=200, deadline=None)
@given(texts, cuts)
def test_of_a_blocked_stream_goes_what_stands_before_the_finding(text, sizes):
    guard = BLOCK | ALL
    expected = whole(BLOCK, text)
    verdict, out, _ = stream(guard, text, sizes)
    assert verdict.blocked == expected.blocked
    if not expected.blocked:
        assert nonceless(out) == nonceless(whole(ALL, text).text)
        return
    first = expected.findings[0]
    assert first in verdict.findings
    # The end of the text before the finding, read by itself, may read differently.
    full = whole(ALL, text)
    before = [f for f in full.findings if f.end <= first.start]
    start = min([first.start, *(f.start for f in full.findings if f.end > first.start)])
    assert nonceless(out) == nonceless(redacted(text[:start], before, Placeholders()))


@settings(max_examples=200, deadline=None)
@given(texts, cuts)
def test_a_text_that_only_ends_like_a_finding_is_let_out(text, sizes):
    guard = ENDING | ALL
    expected = whole(guard, text)
    verdict, out, _ = stream(guard, text, sizes)
    assert verdict.blocked == expected.blocked
    if not expected.blocked:
        assert nonceless(out) == nonceless(expected.text)


@settings(max_examples=200, deadline=None)
@given(texts, cuts)
def test_guards_on_invisible_characters_stream_exactly(text, sizes):
    guard = FakeGuard(name="zwsp", word="\u200b", action=Action.REDACT) | WORD
    expected = whole(guard, text)
    _, out, _ = stream(guard, text, sizes)
    assert nonceless(out) == nonceless(expected.text)


def test_every_split_in_two_gives_the_same():
    text = "Write to joe@example.com, card 4111 1111 1111 1111, my s e c r e t."
    expected = nonceless(whole(ALL, text).text)
    assert "joe" not in expected and "4111" not in expected
    for at in range(1, len(text)):
        assert nonceless(stream(ALL, text, [at, len(text)])[1]) == expected


def test_guards_without_reach_see_the_whole_text_once():
    seen: list[str] = []

    @dataclass(frozen=True, kw_only=True)
    class Whole(Guard):
        def inspect(self, text: Text):
            seen.append(text.original)
            yield from ()

    verdict, out, _ = stream(Whole() | WORD, "a secret b", [1])
    assert seen == ["a secret b"]
    assert nonceless(out) == "a <WORD_1> b"
    assert verdict.action is Action.REDACT
    gate = Gate(Whole(), Placeholders())
    gate.feed("text")
    assert run(gate.release()) == ""
    assert run(gate.release(end=True)) == "text"


def test_of_a_held_text_that_is_blocked_nothing_goes():
    verdict, out, _ = stream(BLOCK | FakeGuard(), "some forbidden fruit", [1])
    assert verdict.blocked and out == ""


def test_when_a_guard_broke_nothing_goes_before_the_finding():
    @dataclass(frozen=True, kw_only=True)
    class Breaks(Guard):
        reach = 1

        def inspect(self, text: Text):
            if "fruit" in text.original:
                raise ValueError
            yield from ()

    text = "no " * 9 + "my secret and forbidden fruit, and so on and on"
    verdict, out, _ = stream(BLOCK | Breaks() | WORD, text, [200])
    assert verdict.blocked and out == ""
    options = {"on_error": "allow"}
    verdict, out, _ = stream(BLOCK | Breaks() | WORD, text, [200], **options)
    assert verdict.blocked and nonceless(out) == "no " * 9 + "my <WORD_1> and "


def test_an_empty_text_is_checked_too():
    @dataclass(frozen=True, kw_only=True)
    class Empty(Guard):
        reach = 1

        def inspect(self, text: Text):
            if not text.original:
                yield Finding("empty", 1.0, 0, 0)

    assert stream(Empty(), "", [1])[0].blocked
    assert not stream(Empty(), "a b c " * 9, [1])[0].blocked


def test_prose_is_held_back_by_the_reach_and_little_more():
    text = "The quick brown fox jumps over the lazy dog. " * 40
    for guard in (WORD, EMAIL):
        _, out, held = stream(guard, text, [4])
        assert out == text
        assert held <= 2 * guard.reach + 40


def test_a_text_without_a_place_to_cut_is_held_and_not_lost():
    text = "x" * 20_000
    _, out, _ = stream(WORD, text, [7])
    assert out == text


@pytest.mark.parametrize(
    "filler", ["word and word ", "x", "a b ", "\u200b", "漢", "1 "]
)
def test_scanning_takes_linear_time(filler):
    def read(size: int) -> int:
        guard = redact("word", r"\bsecret\b", 8)
        text = filler * (size // len(filler))
        _, out, _ = stream(guard, text, [4])
        assert out == text
        return sum(guard.scanned)

    short, long = read(4_000), read(16_000)
    assert long < 6 * short
    assert long < 16_000 * 60


@pytest.mark.slow
def test_a_megabyte_streams_in_seconds():
    text = "The quick brown fox jumps over the lazy dog. " * 22_000
    begun = time.perf_counter()
    _, out, _ = stream(WORD | EMAIL, text, [1000])
    assert out == text
    assert time.perf_counter() - begun < 20


def test_gates_that_run_side_by_side_do_not_mix():
    gates = [Gate(ALL, Placeholders()) for _ in range(64)]
    sources = [f"user {i} writes to joe{i}@example.com today" for i in range(64)]
    outs = [""] * 64
    chance = random.Random(1)
    places = [0] * 64
    while any(place < len(s) for place, s in zip(places, sources, strict=True)):
        i = chance.randrange(64)
        gates[i].feed(sources[i][places[i] : places[i] + 3])
        places[i] += 3
        outs[i] += run(gates[i].release())
    for i, gate in enumerate(gates):
        outs[i] += run(gate.release(end=True))
        assert nonceless(outs[i]) == f"user {i} writes to <EMAIL_1> today"
        assert gate.verdict().original == sources[i]


def test_a_degraded_scan_shows_in_the_verdict():
    guard = FakeGuard(name="broken", error=ValueError("x")) | WORD
    verdict, out, _ = stream(guard, "a secret", [3], on_error="allow")
    assert verdict.degraded and verdict.coverage == 0.0
    assert nonceless(out) == "a <WORD_1>"


JSON_PIECES = ['{"a": "', '"}', "secret", "\\n", "\\u0073ecret", "\\", "\\\\", "u00"]
JSON_PIECES += ["\\u", "\\ud83d", "\\ude00", '\\"', " ", "joe@example.com", "x", "41"]
json_texts = st.lists(st.sampled_from(JSON_PIECES), max_size=15).map("".join)


@settings(max_examples=300, deadline=None)
@given(json_texts, cuts)
def test_json_arguments_are_redacted_behind_their_escapes(text, sizes):
    from promptguard.escapes import Escaped

    escaped, placeholders = Escaped(text), Placeholders()
    engine = Engine(ALL, (Text(escaped.view, "assistant"),), placeholders=placeholders)
    expected = escaped.verdict(drive(engine)[0], placeholders)
    verdict, out, _ = stream(ALL, text, sizes, json=True)
    assert verdict.findings == expected.findings
    assert verdict.blocked == expected.blocked
    if not verdict.blocked:
        assert nonceless(out) == nonceless(expected.text)


def test_a_keyword_after_an_escape_is_found():
    text = r'{"a": "first\nsecret"}'
    assert nonceless(stream(WORD, text, [1], json=True)[1]) == (
        r'{"a": "first\n<WORD_1>"}'
    )
