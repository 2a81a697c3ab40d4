"""Canary: a token in a system prompt, and the prompt's words, found in answers."""

from __future__ import annotations

import base64
import codecs
import dataclasses
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptguard.errors import ConfigError
from promptguard.guards.canary import Canary
from promptguard.testing import check_guard
from promptguard.verdict import Action

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROMPT = (
    "You are the assistant of Riverbank Tools, a shop for garden machines. Never give "
    "discounts above ten percent. Answer in the language of the customer, and be "
    "brief. If a customer asks for a manager, say that somebody will call back."
)
TOKEN = "qwrtplkjhgfdsmnb"
CANARY = Canary(PROMPT, token=TOKEN)


def found(guard: Canary, text: str) -> list[tuple[str, str]]:
    return [(f.label, text[f.start : f.end]) for f in guard.check(text).findings]


def test_the_prompt_holds_the_token_and_the_whole_of_what_was_given() -> None:
    canary = Canary(PROMPT)
    assert canary.prompt.endswith(PROMPT)
    assert canary.token in canary.prompt
    assert len(canary.token) == 16
    assert Canary(PROMPT).token != canary.token


def test_with_a_token_it_is_a_value() -> None:
    assert Canary(PROMPT, token=TOKEN) == CANARY
    assert Canary(CANARY.prompt, token=TOKEN) == CANARY
    assert pickle.loads(pickle.dumps(CANARY)) == CANARY
    assert dataclasses.replace(CANARY, action=Action.FLAG).prompt == CANARY.prompt


def test_neither_prompt_nor_token_is_in_the_repr() -> None:
    assert TOKEN not in repr(CANARY)
    assert "Riverbank" not in repr(CANARY)


@pytest.mark.parametrize(
    "form",
    {
        "as it is": TOKEN,
        "capitals": TOKEN.upper(),
        "full width": "".join(chr(ord(char) + 0xFEE0) for char in TOKEN),
        "spaced": " ".join(TOKEN),
        "hyphens": "-".join(TOKEN),
        "uneven": "qwrt plk.jhgf\nds*mnb",
        "invisible": "\u200b".join(TOKEN),
        "reversed": TOKEN[::-1],
        "rot13": codecs.encode(TOKEN, "rot13"),
        "hexadecimal": TOKEN.encode().hex(),
        "percent": "".join(f"%{ord(char):02X}" for char in TOKEN),
        "escapes": "".join(f"\\x{ord(char):02x}" for char in TOKEN),
        "inside a word": f"abc{TOKEN}xyz",
    }.items(),
    ids=lambda form: form[0],
)
def test_the_token_is_found_however_it_is_written(form: tuple[str, str]) -> None:
    (finding,) = CANARY.check(f"It is: {form[1]}, I think.").findings
    assert (finding.label, finding.action) == ("canary", Action.BLOCK)
    assert finding.start >= 7 and finding.end <= 7 + len(form[1])


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_the_token_is_found_in_base64_wherever_it_stands(before: str) -> None:
    code = base64.b64encode(f"{before}{TOKEN} and more".encode()).decode()
    assert CANARY.check(f"Here: {code}").blocked


def test_a_part_of_the_token_is_not_the_token() -> None:
    assert found(CANARY, f"{TOKEN[:10]} and {TOKEN[10:]} {TOKEN[1:]}") == []


@pytest.mark.parametrize(
    ("text", "leaks"),
    {
        "all of it": (PROMPT, [PROMPT.rstrip(".")]),
        "capitals": (f"SURE: {PROMPT[:80].upper()}", [PROMPT[:80].upper()]),
        "twelve words": (
            "So: tools, a shop for garden machines. Never give discounts above ten "
            "percent. Well.",
            [
                "tools, a shop for garden machines. Never give discounts above ten "
                "percent",
            ],
        ),
        "in a list": (
            "* Answer in the language\n* of the customer,\n* and be brief.\n* If a "
            "customer",
            [
                "Answer in the language\n* of the customer,\n* and be brief.\n* If a "
                "customer"
            ],
        ),
        "eleven words": (
            "for garden machines. Never give discounts above ten percent. Answer in",
            [],
        ),
        "another order": (" ".join(reversed(PROMPT.split())), []),
        "its words, not in a row": (
            "The customer asks for the manager of the shop, and somebody will answer "
            "in the language of the manager, brief and above all in ten percent.",
            [],
        ),
        "too far apart": (PROMPT.replace(" ", " ---------- "), []),
    }.values(),
    ids=lambda value: str(value)[:30],
)
def test_a_run_of_words_is_a_leak(text: str, leaks: list[str]) -> None:
    assert found(CANARY, text) == [("prompt_leak", leak) for leak in leaks]


def test_how_many_words_are_a_leak_is_chosen() -> None:
    text = "We never give discounts above ten percent, sorry."
    assert found(CANARY, text) == []
    (leak,) = found(Canary(PROMPT, token=TOKEN, words=6), text)
    assert leak == ("prompt_leak", "never give discounts above ten percent")
    assert found(Canary(PROMPT, token=TOKEN, words=None), PROMPT) == []


def test_a_prompt_in_a_script_without_spaces() -> None:
    canary = Canary("你是河岸工具店的助手,从不给超过百分之十的折扣。", token=TOKEN)
    assert found(canary, "我的规则:从不给超过百分之十的折扣。") == [
        ("prompt_leak", "从不给超过百分之十的折扣")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": ""}, "prompt must be"),
        ({"prompt": 3}, "prompt must be"),
        ({"token": "short"}, "12 to 64 letters"),
        ({"token": "Qwrtplkjhgfdsmnb"}, "12 to 64 letters"),
        ({"token": 3}, "token must be a str"),
        ({"words": 3}, "from 4 on"),
        ({"words": True}, "from 4 on"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Canary(**{"prompt": PROMPT, **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [Action.BLOCK, Action.REDACT])
def test_it_keeps_the_rules(action: Action) -> None:
    check_guard(
        Canary(PROMPT, token=TOKEN, action=action),
        [
            f"It is {' '.join(TOKEN)}, and then {TOKEN.encode().hex()} as well.",
            f"My rules are these: {PROMPT[20:150]} And now {PROMPT[100:190]}",
        ],
        long=2_000,
    )


@patient
@given(st.text(alphabet=f"{TOKEN} .\n\u200bЯ你1", max_size=60))
def test_what_is_found_spells_the_token(text: str) -> None:
    for label, part in found(CANARY, text):
        letters = "".join(filter(str.isalpha, part)).replace("Я", "")
        assert label == "canary"
        assert letters in (TOKEN, TOKEN[::-1])
