"""Spellings made to get past a word list: by sound, exchanged, doubled, masked."""

from __future__ import annotations

import pytest

from promptguard import Profanity
from promptguard._language import known
from promptguard.guards._respelling import respelt

GUARD = Profanity()

SPELT = (
    *("fuq", "phuk", "fukk", "fock off, fxck", "fvck", "fcuker", "mothafuckah"),
    *("shyt", "bytch", "bich", "bicth", "btiches", "biitch", "azzhole", "asshoel"),
    *("whoore", "wankar", "bastrad", "faggit", "nigguh", "dikhead", "kunt"),
    *("f?ck", "sh&t", "b@tch", "c!nt", "d$ck", "wh+re", "b\u2022tch", "s\u2588\u2588t"),
    *("fu/ck", "bi:tch", "cu=nt", "wh;ore", "sh~t"),
)
INNOCENT = (
    *(
        "a cent or two",
        "nicer pens",
        "pennies",
        "posses",
        "beech",
        "faking it",
        "kicks",
    ),
    *("Niger and Nigeria", "Fokker built planes", "Mr. Koch", "Van Dyck", "Kock"),
    *("he/she/it", "and/or", "as/is", "R&D", "Q&A", "a=b", "key:value", "who? me?"),
    *("Shiite", "committee", "balloon", "bookkeeper", "assess", "Missisippi", "tweet"),
    *("http://example.com/a?b=c&d=e", "user@example.org", "x = y;z", "C++"),
)


@pytest.mark.parametrize("text", SPELT)
def test_other_spellings_are_found(text: str) -> None:
    assert GUARD.check(text).flagged


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_another_word_is_left_alone(text: str) -> None:
    assert not GUARD.check(text).flagged


def test_no_spelling_is_a_usual_word() -> None:
    made = respelt("shit") | respelt("bastard")
    assert len(made) > 100
    assert not [word for word in made if known(word) or len(word) < 4]
    assert "sheet" not in made and "bastrad" in made


def test_an_allowed_word_is_allowed_behind_a_sign() -> None:
    guard = Profanity(allow=("shit",))
    assert not guard.check("sh!t and $hit").flagged
    assert guard.check("b!tch").flagged
