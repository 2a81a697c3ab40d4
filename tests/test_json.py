"""Json: an answer that a program can read, and small repairs of one that is not."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import promptguard as pg
from promptguard.errors import ConfigError, MissingExtra
from promptguard.guards._json_repair import repairs
from promptguard.guards.json import Json
from promptguard.testing import check_guard
from promptguard.verdict import Action


class Order(BaseModel):
    item: str
    count: int = 1


SCHEMA = {
    "type": "object",
    "properties": {"item": {"$ref": "#/$defs/name"}},
    "required": ["item"],
    "$defs": {"name": {"type": "string"}},
}


def labels(guard: Json, text: str) -> list[str]:
    return sorted({finding.label for finding in guard.check(text).findings})


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2.5e3, null, "x\\u00e9"]}', "3", '"x"', " [] \n", "true"]
)
def test_json_is_let_through(text: str) -> None:
    assert labels(Json(), text) == []
    assert labels(Json(repair=True), text) == []


@pytest.mark.parametrize(
    "text",
    {
        "empty": "",
        "words": "Here you are.",
        "two values": "[1] [2]",
        "twice the same key": '{"a": 1, "b": {"c": 1, "c": 2}}',
        "nan": "[NaN]",
        "infinity": "[-Infinity]",
        "beyond a float": "[1e999]",
        "control character": '["a\nb"]',
        "byte order mark": "\ufeff[]",
        "too deep": "[" * 100_000,
        "too long a number": "[" + "9" * 10_000 + "]",
    }.values(),
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_not_json_is_blocked(text: str) -> None:
    verdict = Json().check(text)
    assert verdict.blocked
    (finding,) = verdict.findings
    assert (finding.label, finding.start, finding.end) == ("json", 0, len(text))


def test_a_pydantic_model_is_the_shape() -> None:
    guard = Json(Order)
    assert labels(guard, '{"item": "rake"}') == []
    assert labels(guard, '{"count": 2}') == ["json_schema"]
    assert labels(guard, '{"item": "rake", "count": "two"}') == ["json_schema"]
    assert labels(guard, "{") == ["json"]


def test_a_json_schema_is_the_shape() -> None:
    pytest.importorskip("jsonschema")
    for schema in (SCHEMA, json.dumps(SCHEMA)):
        guard = Json(schema)
        assert labels(guard, '{"item": "rake"}') == []
        assert labels(guard, '{"item": 3}') == ["json_schema"]
    assert Json(SCHEMA) == Json(dict(reversed(SCHEMA.items())))
    assert labels(Json(False), "{}") == ["json_schema"]


def test_a_wrong_schema_is_told_at_the_first_check() -> None:
    pytest.importorskip("jsonschema")
    with pytest.raises(ConfigError, match="properties/a/type"):
        Json({"properties": {"a": {"type": "text"}}}).check("no JSON at all")


def test_nothing_is_fetched() -> None:
    pytest.importorskip("jsonschema")
    guard = Json({"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(pg.GuardError):
        guard.check("{}")


def test_without_jsonschema_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    monkeypatch.setitem(sys.modules, "jsonschema.exceptions", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[json\]"):
        Json({"title": "asked for nowhere else"}).warmup()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (3, "not int"),
        (dict, "not type"),
        ("{", "not JSON"),
        ({"a": object()}, "not of JSON"),
    ],
)
def test_a_schema_is_one(schema: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Json(schema)
    with pytest.raises(ConfigError, match="repair must be"):
        Json(repair="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "mended"),
    {
        "fence": ('```json\n{"a": 1}\n```', '{"a": 1}'),
        "words around": ('Sure:\n{"a": 1}\nAnything else?', '{"a": 1}'),
        "words and fence": ("See [1]:\n```\n[1]\n``` Well.", "[1]"),
        "commas": ('{"a": [1, 2, ], }', '{"a": [1, 2 ] }'),
        "single quotes": ("{'a': 'say \"it\\'s\"'}", '{"a": "say \\"it\'s\\""}'),
        "typographic quotes": ("{“a”: “b”}", '{"a": "b"}'),
        "keys": ("{a: 1, b_2: 2}", '{"a": 1, "b_2": 2}'),
        "constants": ("[True, False, None]", "[true, false, null]"),
        "comments": ("[1, // one\n2 /* two */]", "[1,  2  ]"),
        "line in a string": ('["a\nb\tc\x01"]', '["a\\nb\\tc\\u0001"]'),
        "no-break space": ("[\xa01]", "[ 1]"),
    }.values(),
    ids=lambda value: ascii(value)[:30],
)
def test_small_faults_are_mended_where_asked(text: str, mended: str) -> None:
    assert Json().check(text).blocked
    verdict = Json(repair=True).check(text)
    assert verdict.action is Action.REDACT
    assert {finding.label for finding in verdict.findings} == {"json_repaired"}
    assert json.loads(verdict.text) == json.loads(mended)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ('{"a": "x', {"a": "x"}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "x\\u00e', {"a": "x"}),
        ('{"a": [1, {"b": 2', {"a": [1, {"b": 2}]}),
        ('{"a": [1, ', {"a": [1]}),
        ('{"a": tr', {"a": True}),
        ('{"a":', {"a": None}),
        ('{"a', {"a": None}),
        ("[", []),
        ("```json\n['a", ["a"]),
    ],
)
def test_an_end_that_is_missing_is_told(text: str, mended: object) -> None:
    verdict = Json(repair=True).check(text)
    assert json.loads(verdict.text) == mended
    assert "json_cut" in {finding.label for finding in verdict.findings}


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[1 2]",
        "[,]",
        "[1,,2]",
        '{"a" 1}',
        "[1}",
        '{"a": 1}{"a": 2}',
        '{"a": 1, "a": 2,}',
        "[NaN,]",
        "['it's']",
        '"only a string',
        "[" + "'a'," * 20_000 + "]",
    ],
)
def test_what_is_not_nearly_json_is_blocked(text: str) -> None:
    assert labels(Json(repair=True), text) == ["json"]


def test_what_is_mended_has_the_right_shape() -> None:
    guard = Json(Order, repair=True)
    assert guard.check("{'item': 'rake'}").text == '{"item": "rake"}'
    assert labels(guard, "{'count': 3}") == ["json_schema"]


def test_a_repair_and_a_redaction_stand_side_by_side() -> None:
    guard = Json(repair=True) | pg.Regex(r"\d{4}", action=Action.REDACT)
    text = guard.check("{'pin': '1234', }").text
    assert set(json.loads(text)) == {"pin"}
    assert "1234" not in text


def test_the_answer_that_goes_on_is_mended() -> None:
    @pg.guarded(output=Json(Order, repair=True))
    def ask(prompt: str) -> str:
        return "```json\n{'item': 'rake'}\n```"

    @pg.guarded(output=Json(Order, repair=True))
    def stream(prompt: str):  # type: ignore[no-untyped-def]
        yield from ("```js", "on\n{'item'", ": 'rake'", "}\n```")

    assert ask("?") == '{"item": "rake"}'
    assert "".join(stream("?")) == '{"item": "rake"}'


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NEARLY = st.lists(
    st.sampled_from([*"{}[]:,'\"“”\\ \n\t1ax/*`", "//", "/*", "true", "None", "\\u12"]),
    max_size=40,
).map("".join)


@patient
@given(NEARLY | NEARLY.map(lambda text: "{" + text))
def test_what_is_mended_is_json_and_stays_as_it_is(text: str) -> None:
    guard = Json(repair=True)
    verdict = guard.check(text)
    if not verdict.blocked:
        json.loads(verdict.text)
        assert not guard.check(verdict.text).flagged


@patient
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ),
    st.integers(0, 200),
)
def test_json_that_is_cut_anywhere_can_be_read(value: object, cut: int) -> None:
    text = json.dumps([value])[: cut + 1]
    # Half a number, such as a minus sign, is not completed, nor a key that is there.
    verdict = Json(repair=True).check(text)
    if not text.rstrip().endswith("-"):
        repeated = [finding.label for finding in verdict.findings] == ["json"]
        assert not verdict.blocked or (repeated and '"' in text)


@patient
@given(NEARLY)
def test_edits_are_apart_and_in_order(text: str) -> None:
    at = 0
    for edit in repairs(text) or ():
        assert at <= edit.start < edit.end <= len(text)
        at = edit.end


@pytest.mark.parametrize("guard", [Json(), Json(repair=True), Json(Order, repair=True)])
def test_it_keeps_the_rules(guard: Json) -> None:
    check_guard(guard, ['{"item": "x"}', "{'item': 'canary-like thing', }", "[1, 2"])
