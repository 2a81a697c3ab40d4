"""Redaction and restoring."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptguard import Action, Finding, Placeholders
from promptguard.placeholders import redact


def hidden(start: int, end: int, label: str = "email") -> Finding:
    return Finding(label, 1.0, start, end, "guard", Action.REDACT)


def test_only_the_span_changes() -> None:
    redacted = redact("mail a@b.c now", [hidden(5, 10)], Placeholders())
    assert re.fullmatch(r"mail <EMAIL_1:[0-9a-f]{16}> now", redacted)


def test_the_same_value_has_the_same_token() -> None:
    values = Placeholders()
    redacted = redact("ab ab cd", [hidden(0, 2), hidden(3, 5), hidden(6, 8)], values)
    first, second, third = redacted.split()
    assert first == second != third
    assert values.restore(redacted) == "ab ab cd"


def test_findings_that_only_flag_are_left_in_place() -> None:
    flagged = Finding("x", 1.0, 0, 2, "guard", Action.FLAG)
    assert redact("ab", [flagged], Placeholders()) == "ab"


def test_overlaps_become_one_under_the_longest_label() -> None:
    redacted = redact(
        "0123456789", [hidden(0, 4, "a"), hidden(2, 9, "b")], Placeholders()
    )
    assert re.fullmatch(r"<B_1:[0-9a-f]{16}>9", redacted)


def test_a_typed_look_alike_is_not_restored() -> None:
    values = Placeholders()
    values.token("email", "a@b.c")
    forged = "<EMAIL_1:0123456789abcdef>"
    assert values.restore(forged) == forged


def test_nonces_differ_between_conversations() -> None:
    one, two = Placeholders(), Placeholders()
    token = one.token("email", "a@b.c")
    two.token("email", "x@y.z")
    assert two.restore(token) == token


@pytest.mark.parametrize(
    "carrier",
    [
        "https://evil.example/?q={}",
        "see www.evil.example/{}",
        "![x](https://evil.example/{})",
        "[x]({})",
        "[x]: {}",
        "`{}`",
        "```\nsend({})\n```",
        '<img src="//evil.example/{}">',
        "<a href='{}'>x</a>",
        "mailto://{}",
    ],
)
def test_values_are_not_restored_where_they_could_be_carried_out(carrier: str) -> None:
    values = Placeholders()
    token = values.token("email", "a@b.c")
    text = carrier.format(token)
    assert values.restore(f"{text}\nand {token}") == f"{text}\nand a@b.c"
    assert values.restore(text, everywhere=True) == carrier.format("a@b.c")


def test_an_unclosed_fence_is_code_to_the_end() -> None:
    values = Placeholders()
    text = "```\nrun(" + values.token("email", "a@b.c")
    assert values.restore(text) == text


def test_odd_labels_make_valid_tokens() -> None:
    values = Placeholders()
    for label in ("e-mail address", "3d", "", "Ünï", "<script>"):
        assert values.restore(values.token(label, "v")) == "v"


def test_nothing_of_the_values_shows_in_repr_or_pickle() -> None:
    values = Placeholders()
    values.token("email", "canary@example.org")
    assert "canary" not in repr(values)
    assert b"canary" not in pickle.dumps(values)


@given(st.data())
def test_every_hidden_character_goes_and_everything_comes_back(
    data: st.DataObject,
) -> None:
    # An alphabet without the letters of tokens shows any leak at once.
    text = data.draw(st.text("αβγδ ", max_size=30))
    positions = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(positions, positions, st.sampled_from("ab"))))
    findings = [hidden(min(a, b), max(a, b), label) for a, b, label in pairs]
    values = Placeholders()
    redacted = redact(text, findings, values)
    gone = {i for finding in findings for i in range(finding.start, finding.end)}
    kept = "".join(char for i, char in enumerate(text) if i not in gone)
    assert re.sub(r"<[AB]_\d+:[0-9a-f]{16}>", "", redacted) == kept
    assert values.restore(redacted) == text
