"""Redaction over made-up texts, for every guard that redacts and for several at once.

A few hundred texts by default. All of them, 100,000, with

    PROMPTGUARD_TEXTS=100000 python -m pytest tests/test_redaction.py
"""

from __future__ import annotations

import importlib
import os
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_pii import FOUND, marked
from test_secrets import AWS_ID, GITHUB, JWT, PEM, STRIPE, VALUE

import promptguard as pg
from promptguard.guard import Guard
from promptguard.placeholders import Placeholders, merge, redact

# Hypothesis remembers what it has tried: parts keep that small.
TEXTS = int(os.environ.get("PROMPTGUARD_TEXTS", "300"))
PART = 5_000

PROMPT = (
    "You are the clerk of a small shop for maps. Never tell the price of the globe."
)
REDACT = pg.Action.REDACT

GUARDS: dict[str, Guard] = {
    "PII": pg.PII(),
    "PII, masks": pg.PII(operator=pg.Mask()),
    "PII, hashes": pg.PII(operator=pg.Hash(key=b"k" * 16)),
    "Secrets": pg.Secrets(),
    "Urls": pg.Urls(("example.org",)),
    "InvisibleText": pg.InvisibleText(action=REDACT),
    "Keywords": pg.Keywords(("zanzibar", "blue heron", "秘密"), action=REDACT),
    "Regex": pg.Regex(r"\bTKT-\d{4,8}\b", action=REDACT),
    "Canary": pg.Canary(PROMPT, token="qwrtplkjhgfdsmnb", action=REDACT),
    "Code": pg.Code(action=REDACT),
    "Disclosure": pg.Disclosure(action=pg.Action.REDACT),
    "Profanity": pg.Profanity(),
}
# Words and patterns have edges that may hold beside a placeholder and not beside what
# that stands for, an unseen sign above all; what looks like code depends on all of it.
WORDY = {"Keywords", "Profanity"}
ALONE = {"PII, masks", "PII, hashes", "Regex", "Code"}
TOGETHER = {
    "PII | Secrets": GUARDS["PII"] | GUARDS["Secrets"],
    "Secrets | Urls": GUARDS["Secrets"] | GUARDS["Urls"],
    "PII, masks | Urls | InvisibleText": (
        GUARDS["PII, masks"] | GUARDS["Urls"] | GUARDS["InvisibleText"]
    ),
    "words and data": pg.AnyOf(
        tuple(g for name, g in GUARDS.items() if name not in ALONE | {"InvisibleText"})
    ),
    "signs and data": pg.AnyOf(
        tuple(g for name, g in GUARDS.items() if name not in ALONE | WORDY)
    ),
}

# What a guard finds by itself: before it, the value, behind it.
PLANTED = {
    "PII": ("Write to ", "ann.lee@example.org", " about it."),
    "Secrets": ("The new one is ", GITHUB, " as of now."),
    "Urls": ("Look at ", "https://evil.example/x", " for more."),
    "InvisibleText": ("Some wo", "\u200b", "rds more."),
    "Keywords": ("They went to ", "Zanzibar", " by ship."),
    "Regex": ("See ", "TKT-20417", " for that."),
    "Canary": ("It said ", "qwrtplkjhgfdsmnb", " and no more."),
}
CALM = "\n\nThe boat came back in the evening, and nobody had seen the island. " * 3

VALUES = [value for _, case in FOUND for value in marked(case)[1]]
KEY = "\n".join(PEM.split("\n")[:3] + PEM.split("\n")[-2:])
SECRETS = [AWS_ID, GITHUB, JWT, KEY, STRIPE, VALUE, "hu7nter", "abcd efgh\n"]
WORDS = (
    "the SSN phone number card IBAN passport NHS tax account bank born on call dot at "
    "a I x 12 2024 3.5 00 + - . / , ; : | * *** **** < > @ ( ) [ ] { } = \" ' ` ``` # "
    "$ % password: api_key= secret is Bearer joe: http:// https://example.org/ www. "
    "://a:b@ https://evil.example/?q= data:text/html, javascript: ![x]( ) &amp; %40 "
    "\\n \\u0041 zanzibar z.a.n.z blue heron 秘密 TKT-1234 TKT- qwrtplkjhgfdsmnb qwrt "
    "plkj You are the clerk of a small shop for maps. def f(x): return x; SELECT * "
    "FROM t <EMAIL_ADDRESS_1:0123456789abcdef> <PATTERN_1:00000000000000aa "
    "é ß İ ﷺ ① ⓐ 한국 日本 我 ไทย हिन्दी 👩‍💻 ❤️ 🇺🇸 4️⃣ ４ ٣ ＠ 。 аpple 5̶ "
    "\u200b \u200d \ufe0f \xad \u202e \U000e0041 \ue000 \u0301 \u3099 \b \x7f \x1b[31m "
    "\x1b]0; \x07 \x00 \ud800 \udc00 \u2028"
).split(" ")

pieces = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(SECRETS),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.integers(0, 10**19).map(str),
    st.text("0123456789abcdefABXYZ+/=_-", min_size=8, max_size=48),
    st.text(max_size=6),
    st.text(st.characters(max_codepoint=sys.maxunicode), max_size=6),
)
# What is glued to a value of one guard may show another guard something once that value
# is out. Several guards at once get texts whose pieces stand apart.
apart = st.lists(pieces, max_size=14).map(" ".join)
joints = st.sampled_from(["", "", " ", " ", " ", "\n", ", ", "-", ".", "/", "\u200b"])
texts = st.lists(st.tuples(pieces, joints), max_size=14).map(
    lambda parts: "".join(piece + joint for piece, joint in parts)
)
# As Placeholders makes them: 16 digits, one of them a letter.
nonces = st.text("0123456789abcdef", min_size=16, max_size=16).filter(
    lambda nonce: not nonce.isdecimal()
)

parts = pytest.mark.parametrize("part", range(max(1, TEXTS // PART)))
many = settings(
    max_examples=min(TEXTS, PART),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def places_with(nonce: str) -> Placeholders:
    places = Placeholders()
    places.nonce = nonce
    return places


@parts
@many
@given(text=texts, nonce=nonces)
@example(text="", nonce="0" * 15 + "a")
@example(text="S1234567D+44 20 7946 0958", nonce="0" * 15 + "a")
@example(text="AB 12 34 56 C+44 20 7946 0958", nonce="0" * 15 + "a")
@example(
    text="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 "
    "1 3 0 0 0",
    nonce="0" * 15 + "a",
)
def test_a_redaction_is_exact_and_done_in_one_go(
    part: int, text: str, nonce: str
) -> None:
    for name, guard in GUARDS.items():
        assert holds(guard, text, nonce), name


@parts
@many
@given(text=apart, nonce=nonces)
@example(text="/\x07A 2123 45670 1", nonce="0" * 15 + "a")
def test_a_redaction_by_several_is_exact_and_done_in_one_go(
    part: int, text: str, nonce: str
) -> None:
    for name, guard in TOGETHER.items():
        assert holds(guard, text, nonce), name


def holds(guard: Guard, text: str, nonce: str) -> bool:
    findings = guard.check(text).findings
    if not findings:
        return True
    assert all(0 <= f.start <= f.end <= len(text) for f in findings)
    places = places_with(nonce)
    once = redact(text, findings, places)
    assert keeps_the_rest(text, once, findings)
    if all(finding.operator is None for finding in findings):
        # The tokens stand for text[start:end] and nothing else.
        assert places.restore(once, everywhere=True) == text
    more = guard.check(once).findings
    return redact(once, more, places_with(nonce[::-1])) == once


def keeps_the_rest(text: str, new: str, findings: tuple[pg.Finding, ...]) -> bool:
    """True when all that lies outside the spans is there, in order, at both ends."""
    outside, last = [], 0
    for finding in merge(findings):
        outside.append(text[last : finding.start])
        last = finding.end
    outside.append(text[last:])
    if len(outside) == 1:
        return new == text
    if not (new.startswith(outside[0]) and new.endswith(outside[-1])):
        return False
    at = len(outside[0])
    for piece in outside[1:-1]:
        at = new.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return at <= len(new) - len(outside[-1])


@parts
@many
@given(before=texts, after=texts, name=st.sampled_from(sorted(PLANTED)))
def test_the_span_is_the_value(part: int, before: str, after: str, name: str) -> None:
    said, value, rest = PLANTED[name]
    start = len(before) + len(CALM) + len(said)
    text = f"{before}{CALM}{said}{value}{rest}{CALM}{after}"
    for guard in (GUARDS[name], pg.AnyOf(tuple(GUARDS.values()))):
        spans = {(f.start, f.end) for f in guard.check(text).findings}
        assert (start, start + len(value)) in spans


def test_every_guard_that_redacts_is_here() -> None:
    module = importlib.import_module("promptguard")
    kinds = {type(guard).__name__ for guard in GUARDS.values()}
    # These judge a text as a whole: there is nothing in it to take out.
    whole = {"Classifier", "HarmfulRequest", "Json", "Judge", "Language", "MaxLength"}
    whole |= {"PromptInjection", "Refusal", "Toxicity"}
    guards = {
        name
        for name in module.__all__
        if isinstance(kind := getattr(module, name), type)
        and issubclass(kind, Guard)
        and kind not in (Guard, pg.AnyOf, pg.Only, pg.Then)
    }
    assert guards - whole == kinds
