"""JSON text as the guards see it, and redaction in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptguard import Action, Finding, Placeholders, Verdict
from promptguard.escapes import Escaped, decided, pieces, still_json, view


@given(st.text())
def test_the_view_of_a_json_string_is_what_it_says(text):
    raw = json.dumps(text)
    assert view(pieces(raw)) == f'"{text}"'


@given(st.lists(st.sampled_from(["\\", "u", "d83d", "de00", "00", "n", '"', "x"])))
def test_pieces_add_up_and_say_one_character_each(parts):
    raw = "".join(parts)
    found = pieces(raw)
    assert "".join(found) == raw
    assert len(view(found)) == len(found)


@given(
    st.lists(st.sampled_from(["\\", "\\u", "d83d", "\\ude00", "00e9", "n", "x"])),
    st.lists(st.integers(1, 9)),
)
def test_pieces_do_not_depend_on_how_the_text_is_cut(parts, sizes):
    raw = "".join(parts)
    found, tail, at = [], "", 0
    for size in sizes:
        done, tail = decided(tail + raw[at : at + size])
        found += done
        at += size
    assert found + pieces(tail + raw[at:]) == pieces(raw)


def redact(raw: str, word: str) -> Verdict:
    escaped = Escaped(raw)
    start = escaped.view.index(word)
    finding = Finding("word", 1.0, start, start + len(word), "g", Action.REDACT)
    verdict = Verdict(escaped.view, (finding,), Action.REDACT, "")
    return escaped.verdict(verdict, Placeholders())


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (r'{"a": "x\nbob@b.c"}', "bob@b.c"),
        (r'{"a": "b\u006fb"}', "bob"),
        (r'{"a": "\ud83d\ude00bob"}', "bob"),
        (r'{"a": "say \"bob\""}', "bob"),
    ],
)
def test_redaction_behind_escapes_keeps_the_json(raw, word):
    verdict = redact(raw, word)
    assert verdict.action is Action.REDACT
    assert json.loads(verdict.text)["a"].endswith(("<WORD_1", '"', ">"))
    assert word not in str(json.loads(verdict.text))
    finding = verdict.findings[0]
    assert view(pieces(raw[finding.start : finding.end])) == word
    assert verdict.original == raw


def test_redaction_that_breaks_the_json_is_a_block():
    verdict = redact('{"card": 4111}', "4111")
    assert verdict.action is Action.BLOCK
    assert verdict.findings[0].action is Action.BLOCK
    assert verdict.text == verdict.original


def test_what_was_not_json_is_redacted_all_the_same():
    assert redact('{"card": 4111', "4111").action is Action.REDACT


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("{}", "{}", True),
        ("{}", "[]", True),
        ("{}", "{", False),
        ("{", "{{", True),
        ("[" * 100_000 + "]" * 100_000, "[", False),
        ("1" * 5000, "x", False),
        ("1" * 5000, "[" + "1" * 5000 + "]", True),
    ],
    ids=["same", "still", "broken", "never", "deep", "long number", "long number kept"],
)
def test_still_json(before, after, expected):
    assert still_json(before, after) is expected
