"""Variants and questions: what a file may hold, and what a model is sent."""

from __future__ import annotations

import json

import pytest

from promptguard import ConfigError
from promptguard.experiments import (
    Question,
    Variant,
    read_questions,
    read_variants,
    starter_variants,
)

BARE = Question("1", "How far is it?")
FULL = Question("2", "How far?", "9 miles", ("It is {question} far.", "Nine miles."))


def test_the_shipped_variants_are_what_they_are_called():
    variants = {variant.name: variant for variant in starter_variants()}
    assert list(variants) == [
        *("better", "bad", "best", "zero-shot", "one-shot", "few-shot"),
        *("chain-of-thought", "safety-aware"),
    ]
    assert [len(variants[f"{n}-shot"].examples) for n in ("zero", "one", "few")] == [
        *(0, 1, 3)
    ]
    for variant in variants.values():
        assert variant.about
        for asked in (BARE, FULL):
            messages = variant.messages(asked)
            assert asked.question in messages[-1]["content"]
            assert messages[-1]["role"] == "user"
            # Whoever sees the right answer has no answer of their own.
            assert "9 miles" not in json.dumps(messages)
        assert "Nine miles." in variant.messages(FULL)[-1]["content"]
    turns = [m["role"] for m in variants["few-shot"].messages(BARE)]
    assert turns == ["system", *("user", "assistant") * 3, "user"]


def test_what_is_filled_in_is_not_read_as_a_template():
    variant = Variant("v", prompt="{{{question}}}", with_context="{context}|{question}")
    assert variant.messages(BARE) == [{"role": "user", "content": "{How far is it?}"}]
    (message,) = variant.messages(FULL)
    assert message["content"] == "[1] It is {question} far.\n\n[2] Nine miles.|How far?"


def test_only_what_follows_the_marker_is_the_answer():
    variant = Variant("v", answer_after="Answer:")
    assert variant.answer("Answer: I think.\nAnswer: 9\n") == "9"
    assert variant.answer("No marker.") == "No marker."
    assert variant.answer("Nothing after it. Answer: ") == "Nothing after it. Answer: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold variants"),
        ("[variants]", "must hold variants"),
        ("variants = 3", "must hold variants"),
        ("[variants.a]\n[other]", "unknown key 'other'"),
        ("[variants.a]\npromt = 'x'", "did you mean 'prompt'"),
        ("[variants.a]\nprompt = 'x'", r"prompt has no \{question\} in it"),
        ("[variants.a]\nprompt = '{qestion}'", "did you mean 'question'"),
        ("[variants.a]\nprompt = '{question} {reference}'", "unknown place of prompt"),
        ("[variants.a]\nsystem = '{question}'", "unknown place of system"),
        ("[variants.a]\nwith_context = '{context}'", r"no \{question\}"),
        ("[variants.a]\nexamples = ['x']", "a question and an answer"),
        ("[variants.a]\nexamples = [{question = 'x'}]", "a question and an answer"),
        ("[variants.a]\ntemperature = 3", "temperature must be 0 to 2"),
        ("[variants.a]\nsystem = 3", "system must be a text"),
        ("[variants.'a/b']", "name of a variant"),
        ("[variants", "is not TOML"),
    ],
)
def test_a_wrong_file_of_variants_is_told(tmp_path, text, said):
    path = tmp_path / "variants.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_variants(path)


def test_variants_may_be_written_in_yaml(tmp_path):
    pytest.importorskip("yaml", reason="needs the extra yaml")
    path = tmp_path / "variants.yaml"
    path.write_text(
        "variants:\n  a:\n    system: Be brief.\n    prompt: 'Q: {question}'\n"
        "    examples:\n      - {question: 'One?', answer: '1'}\n"
    )
    (variant,) = read_variants(path)
    assert variant.messages(BARE) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Q: How far is it?"},
    ]
    path.write_text("variants: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_variants(path)


def test_questions_are_read_from_json_lines_and_csv(tmp_path):
    path = tmp_path / "q.jsonl"
    rows = [
        {"question": "One?", "reference": "1", "context": "A page."},
        {"question": "Two?", "id": "two", "context": ["A.", "B."], "more": 1},
    ]
    path.write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    expected = (
        Question("1", "One?", "1", ("A page.",)),
        Question("two", "Two?", None, ("A.", "B.")),
    )
    assert read_questions(path) == expected
    assert read_questions(path, limit=1) == expected[:1]
    table = tmp_path / "q.csv"
    table.write_text('id,prompt,reference\n7,"One,\nor two?",\n')
    found = read_questions(table, fields={"question": "prompt"})
    assert found == (Question("7", "One,\nor two?"),)
    assert "One" not in repr(found)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.jsonl", "", "no question"),
        ("q.jsonl", "[1]", "q.jsonl:1: no JSON object"),
        ("q.jsonl", '{"question": "canary-1"}\n{', "q.jsonl:2: no JSON object"),
        ("q.jsonl", '{"prompt": "canary-1"}', "the row has prompt; say which"),
        ("q.jsonl", '{"question": 3}', "'question' must be a text"),
        ("q.jsonl", '{"question": "x", "reference": 3}', "'reference' must be"),
        ("q.jsonl", '{"question": "x", "context": [""]}', "'context' must be"),
        ("q.jsonl", '{"question": "x", "id": []}', "'id' must be"),
        ("q.jsonl", '{"question": "x", "id": 1}\n' * 2, "q.jsonl:2: the id of"),
        ("q.csv", "prompt\ncanary-1", "q.csv:2: 'question' must be a text"),
        ("none/q.jsonl", None, "cannot be read"),
    ],
)
def test_a_wrong_file_of_questions_is_told_without_its_text(tmp_path, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=said) as raised:
        read_questions(path)
    assert "canary" not in str(raised.value)


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    (tmp_path / "q.jsonl").write_bytes(b'{"question": "\xff"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_questions(tmp_path / "q.jsonl")
