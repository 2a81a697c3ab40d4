"""Made-up values in disguise are redacted whole; how many, the benchmark says."""

from __future__ import annotations

import random

import pytest

from benchmarks.disguises import FORMS, VALUES, Form
from promptguard.guards.pii import PII

GUARD = PII()
MANY = 12

CASES = [
    pytest.param(form, entity, id=f"{form.name}-{entity}")
    for form in FORMS
    for entity in form.entities
]


@pytest.mark.parametrize(("form", "entity"), CASES)
def test_a_disguised_value_is_redacted_whole(form: Form, entity: str) -> None:
    chance = random.Random(f"{entity} {form.name} here")
    whole = 0
    for _ in range(MANY):
        text, start, end = form.text(entity, chance)
        findings = GUARD.check(text).findings
        hidden = {i for f in findings for i in range(f.start, f.end)}
        whole += hidden.issuperset(range(start, end))
    # The targets over many values are 0.95, and 0.80 for words; of 12 one may slip.
    assert whole >= (10 if form.words else 11)


CHECKED = [
    entity
    for entity in VALUES
    if entity not in ("PHONE_NUMBER", "EMAIL_ADDRESS", "IP_ADDRESS", "US_SSN")
]


@pytest.mark.parametrize("entity", CHECKED)
def test_a_wrong_check_digit_is_no_value(entity: str) -> None:
    chance = random.Random(entity)
    found = 0
    for _ in range(MANY):
        value = VALUES[entity].make(chance)
        place = max(i for i, char in enumerate(value) if char.isdigit())
        wrong = str((int(value[place]) + 1) % 10)
        text = f"{VALUES[entity].said} {value[:place]}{wrong}{value[place + 1 :]}."
        found += any(f.label == entity for f in GUARD.check(text).findings)
    assert found <= 1


def test_the_mark_on_the_last_digit_goes_too() -> None:
    card = "".join(f"{digit}\u0336" for digit in "4111111111111111")
    (finding,) = GUARD.check(f"card {card} ok").findings
    assert (finding.start, finding.end) == (5, 5 + len(card))


@pytest.mark.parametrize(
    "text",
    [
        "请看。ann@example.org",
        "Напишите на ann@example.org",
        "Στο ann@example.org",
        "He said (dot, dot) . ann@example.org",
    ],
)
def test_what_stands_before_an_address_is_left_alone(text: str) -> None:
    (finding,) = GUARD.check(text).findings
    assert text[finding.start : finding.end] == "ann@example.org"


@pytest.mark.parametrize("text", ["почта@пример.рф", "δοκιμή@παράδειγμα.ευ"])
def test_an_address_in_another_script_is_one_finding(text: str) -> None:
    (finding,) = GUARD.check(text).findings
    assert (finding.start, finding.end) == (0, len(text))
