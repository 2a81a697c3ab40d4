"""What a guard calls decided is not changed by anything that follows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptguard as pg
from promptguard import Guard, Text
from promptguard.testing import FakeGuard

PROSE = (
    *("the", "a", "to", "is", "of", "in", "on", "we", "it", "be", "or", "not", "at"),
    *("parcel", "warehouse", "delivered", "on Monday", "please", "thank you,", "dot"),
    *(
        "we'll",
        "don't",
        "(see below)",
        "and so on.",
        "Yes!",
        "Is it?",
        "point",
        "punkt",
    ),
    *("ext", "born", "phone", "call", "card number", "SSN", "account", "GB", "DE"),
)
PERSONAL = (
    *("joe@example.com", "joe @ example.com", "joe", "@", "example.com", "dot com"),
    *("joe (at) example (dot) com", "joe dot doe", "at example dot", "com", ".com"),
    *("4111 1111 1111 1111", "4111", "1111", "1111 1111", "3782 822463 10005", "+1"),
    *("+49 30 901820", "030", "901820", "(202) 555-0143", "ext. 12", "x12", "GB82"),
    *("WEST 1234 5698 7654 32", "DE89 3704 0044 0532 0130 00", "3704 0044", "12 March"),
    *("1985", "March 3, 1985", "3", "born on 12.03.1985", "192.168.1.20", "192.168"),
    *("fe80::1ff:fe23:4567:890a", "aa:bb:cc:dd:ee:ff", "aa:bb", "078-05-1120", "1 2 3"),
    *("https://joe:hunter22@example.com/", "1", "12", "2024", "5 of us", "42 items"),
)
KEYS = "AKIAQYLPMN5HHHFPZAM2 ghp_16C7e42F292c6912E7710c838347Ae178B4a".split()
SECRET = (
    *KEYS,
    *("password", "password:", "password is", "hunter2!", "S3cure-Pa55", "secret ="),
    *('"tr0ub4dor&3"', "'", '"', "api_key", "=", ":", "sk-live", "Bearer", "token"),
    *(
        "-----BEGIN RSA PRIVATE KEY-----",
        "\nMIIEpAIBAAKCAQEA" + "u1x9" * 12,
        "\nAbCdEf",
    ),
    *("\n-----END RSA PRIVATE KEY-----", "\nComment: a key of ours", "aws", "azure"),
    *("{", "}", "\\", '"\n"', "0123456789abcdef0123456789abcdef", "\n", "the key is"),
)

CASES = {
    "PII": (pg.PII(), PROSE + PERSONAL),
    "PII of one kind": (pg.PII(entities=("PHONE_NUMBER", "US_SSN")), PROSE + PERSONAL),
    "Secrets": (pg.Secrets(), PROSE + SECRET),
    "Keywords": (pg.Keywords(("parcel delivered", "joe")), PROSE + PERSONAL),
    "Regex": (pg.Regex(r"\b\d{4}( \d{4}){3}\b"), PROSE + PERSONAL),
}


def told(guard: Guard, text: str, upto: int) -> set[tuple[str, int, int]]:
    found = guard.check(text, "assistant").findings
    return {(f.label, f.start, f.end) for f in found if f.start < upto}


def holds(guard: Guard, text: str, places: list[int]) -> None:
    for place in places:
        settled = Text(text[:place], "assistant").settled(place)
        reading = Text(text[:settled]).clean
        if reading.text != text[:settled]:
            continue
        decided = guard.undecided(reading.text)
        assert 0 <= decided <= settled
        before = told(guard, text[:place], decided)
        assert before == told(guard, text, decided), (text, place, decided)


def texts(pieces: tuple[str, ...]) -> st.SearchStrategy[str]:
    # Mostly prose, so that there is something to decide.
    mixed = st.one_of(st.sampled_from(PROSE), st.sampled_from(pieces))
    return st.lists(mixed, min_size=2, max_size=70).map(" ".join)


@pytest.mark.parametrize("name", CASES)
def test_more_text_changes_nothing_that_was_decided(name):
    guard, pieces = CASES[name]

    @settings(max_examples=120, deadline=None)
    @given(texts(pieces), st.data())
    def check(text: str, data: st.DataObject) -> None:
        cut = st.integers(1, max(1, len(text)))
        holds(guard, text, data.draw(st.lists(cut, min_size=1, max_size=4)))

    check()


BEHIND = (
    "my SSN is 078 05 1120, we wrote",
    "078-05-1120 it is so that is the SSN of",
    "219099999 as we said to you is the social security number",
    "4111 1111 1111 1111 is the card we saw",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 is it",
    "GB 82 WEST 1234 5698 7654 32 is the account",
    "GB82 W E S T 1 2 3 4 5 6 9 8 7 6 5 4 3 2 is it",
    "write to joe.doe.the.second@mail.example.com today",
    "write to joe doe @ example.com today",
    "write to joe dot doe dot second at example dot co dot uk today",
    "write to joe (at) example (dot) com today",
    "write to joe_at_example_dot_com today",
    "on September 12, 1985 so it is when we were born",
    "on 12th of September 1985 so it is when we were born",
    "born on 12 . 03 . 1985 it is",
    "call +49 (0) 30 901820 extension 12345 for us",
    "ring 030 901820 ext 12 if it is a phone for you",
    "ring 020 7946 0958 so we can be at the phone",
    "the host 192 . 168 . 1 . 20 is up",
    "the host 10 dot 1 dot 2 dot 33 is up",
    "the host fe80::1ff:fe23:4567:890a is up",
    "https://joe.doe:hunter-22-hunter@example.com/ is it",
    "to be or not 12 to be or not 1985 to be so it is",
)
SAID = (
    "the password is hunter2, and that is it",
    "password: correcthorse\nand then we wrote to you",
    "password: correcthorse so we wrote to you",
    "the password for our house is Tr0ub4dor and that is it",
    'password = "Tr0ub4dor&3" so it is',
    'api_key = "0123456789ab" +\n  "cdef0123456789abcdef" so it is',
    'api_key = "0123456789abcdef0123" \\\n  "456789abcdef" so it is',
    "AKIAQYLPMN5HHHFPZAM2 is the key of ours",
    '{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"}',
    '{"k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75", "kty": "oct"}',
    "-----BEGIN RSA PRIVATE KEY-----\nComment: this is the key of our own house and"
    "\nComment: we wrote it down so that it is not lost to us and to you all"
    "\nMIIEpAIBAAKCAQEA" + "u1x9" * 12 + "\n" + "Zz7k" * 16 + "\nAbCdEfGh"
    "\n-----END RSA PRIVATE KEY----- and that is it",
    "Authorization: Bearer abcdef0123456789abcdef0123456789 so it is",
    "пароль: hunter22 это он",
)


@pytest.mark.parametrize(
    "guard, text",
    [(pg.PII(), text) for text in BEHIND] + [(pg.Secrets(), text) for text in SAID],
    ids=lambda value: value[:24] if isinstance(value, str) else value.name,
)
def test_no_place_in_or_behind_a_value_is_decided_too_early(guard, text):
    before = "the parcel left the warehouse and it is on its way to you, " * 3
    after = " the parcel left the warehouse and it is on its way to you" * 3
    whole = before + text + after
    holds(guard, whole, [*range(len(before), len(whole) - 20, 2)])


@pytest.mark.parametrize("guard", [pg.PII(), pg.Secrets(), pg.PII() | pg.Secrets()])
def test_ordinary_prose_is_held_for_a_line_and_not_for_the_whole_reach(guard):
    text = "The parcel left the warehouse and is on its way to you. " * 40
    for part in guard.parts:
        held = len(text) - part.undecided(text)
        assert held < 100 < (part.reach or 0) / 3


def test_a_number_is_let_go_once_it_is_over():
    text = "They sent 42 boxes, and " + "the parcel left the warehouse, " * 8
    assert len(text) - pg.PII().undecided(text) < 110
    assert len(text) - pg.Secrets().undecided(text) < 110


@pytest.mark.parametrize(
    "end",
    ["card 4111 1111", "joe", "joe at example", "joe dot doe", "12 March", "born on 3"],
)
def test_what_may_become_a_value_is_held(end):
    text = "the parcel left the warehouse, " * 9 + end
    assert pg.PII().undecided(text) <= len(text) - len(end)


@pytest.mark.parametrize(
    "end",
    [
        "password is hunter",
        'token = "abc',
        "-----BEGIN RSA PRIVATE KEY-----\nComment: x",
    ],
)
def test_what_may_become_a_secret_is_held(end):
    text = "the parcel left the warehouse, " * 9 + end
    assert pg.Secrets().undecided(text) <= len(text) - len(end)


def test_without_a_better_rule_the_whole_reach_is_held():
    guard = FakeGuard(word="secret")
    assert guard.undecided("x" * 100) == 100 - (guard.reach or 0)
    assert guard.undecided("") == 0
    assert pg.MaxLength(5).undecided("x" * 100) == 0
