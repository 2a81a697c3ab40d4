"""Policy files: what they can say, and what is told of one that is wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, ConfigError, Policy
from promptguard.handlers import reask, replace


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a policy from a text, with its own folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMPTGUARD_POLICY", raising=False)

    def load(text: str | bytes, name: str = "promptguard.toml") -> Policy:
        data = text.encode() if isinstance(text, str) else text
        Path(name).write_bytes(data)
        return Policy.load(name)

    return load


def only(*roles: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    from promptguard.text import ROLES

    return tuple(r for r in ROLES if (r in roles or not roles) and r not in without)


TOOL = ("tool", "function")

GOOD: dict[str, tuple[str, Policy]] = {
    "one guard": ("[input.pii]", Policy(input=pg.PII())),
    "a rate": (
        "[input.prompt_injection]\nfpr = 0.005",
        Policy(input=pg.PromptInjection(fpr=0.005)),
    ),
    "a whole number where a number may stand": (
        "[input.prompt_injection]\nthreshold = 1",
        Policy(input=pg.PromptInjection(threshold=1)),
    ),
    "a pair": (
        "[input.prompt_injection]\nband = [0.2, 0.9]",
        Policy(input=pg.PromptInjection(band=(0.2, 0.9))),
    ),
    "actions": (
        '[output.pii]\naction = "flag"\nactions = { EMAIL = "block" }',
        Policy(
            output=pg.PII(action=Action.FLAG, actions={"EMAIL_ADDRESS": Action.BLOCK})
        ),
    ),
    "a name of its own": (
        '[output.projects]\nguard = "keywords"\nwords = ["heliotrope"]',
        Policy(output=pg.Keywords(("heliotrope",), name="projects")),
    ),
    "two sides, several guards": (
        "[input.pii]\n[input.invisible_text]\n[output.secrets]\nentropy = false",
        Policy(input=pg.PII() | pg.InvisibleText(), output=pg.Secrets(entropy=False)),
    ),
    "operators": (
        '[output.pii]\noperator = "mask"\n[input.pii]\noperator = { mask = 2 }\n'
        '[tool.pii]\noperator = "remove"',
        Policy(
            input=pg.PII(operator=pg.Mask(2)).only(*only(without=TOOL))
            | pg.PII(operator=pg.Remove()).only(*TOOL),
            output=pg.PII(operator=pg.Mask()),
        ),
    ),
    "a schema": (
        '[output.json.schema]\ntype = "object"\nrequired = ["password"]',
        Policy(output=pg.Json({"type": "object", "required": ["password"]})),
    ),
    "a second opinion": (
        "[input.prompt_injection]\nband = [0.2, 0.9]\n"
        '[input.prompt_injection.then]\nguard = "keywords"\nwords = ["please"]',
        Policy(
            input=pg.PromptInjection(band=(0.2, 0.9)).then(pg.Keywords(("please",)))
        ),
    ),
    "a section takes the place of a guard there": (
        "[input.pii]\n[input.secrets]\n[retrieved.pii]\nentities = ['EMAIL']",
        Policy(
            input=pg.PII().only(*only(without=("retrieved",)))
            | pg.Secrets()
            | pg.PII(entities=("EMAIL",)).only("retrieved"),
        ),
    ),
    "a section switches a guard off there": (
        "[input.pii]\n[tool.pii]\nenabled = false",
        Policy(input=pg.PII().only(*only(without=TOOL))),
    ),
    "switching off a name of its own": (
        "[input.mine]\nguard = 'max_length'\nlimit = 3\n[tool.mine]\nenabled = false\n"
        "[output.regex]\nenabled = false",
        Policy(input=pg.MaxLength(3, name="mine").only(*only(without=TOOL))),
    ),
    "only some roles": (
        "[user.pii]\n[tool.secrets]",
        Policy(input=pg.PII().only("user") | pg.Secrets().only(*TOOL)),
    ),
    "a text in place": (
        '[input.pii]\n[on_block]\nreplace = "No."',
        Policy(input=pg.PII(), on_block=replace("No.")),
    ),
    "asking again": (
        'on_block = { reask = 2, replace = "No." }\n[output.pii]',
        Policy(output=pg.PII(), on_block=reask(2, then=replace("No."))),
    ),
    "settings": (
        "on_error = 'allow'\nrestore = true\ndry_run = true\n"
        "budget = { seconds = 1, then = 'flag' }\n[input.pii]",
        Policy(
            input=pg.PII(),
            on_error="allow",
            restore=True,
            dry_run=True,
            budget=pg.Budget(1.0, then="flag"),
        ),
    ),
    "routes": (
        "on_error = 'allow'\non_block = { replace = 'No.' }\n[input.pii]\n"
        "[input.secrets]\n[routes.mail.input.pii]\nentities = ['IBAN']\n"
        "[routes.mail.output.urls]\n[routes.mail.on_block]\n"
        "[routes.logs]\non_error = 'block'\n[routes.logs.input.secrets]\n"
        "enabled = false",
        Policy(
            input=pg.PII() | pg.Secrets(),
            on_error="allow",
            on_block=replace("No."),
            routes=(
                (
                    "mail",
                    Policy(
                        input=pg.PII(entities=("IBAN",)) | pg.Secrets(),
                        output=pg.Urls(),
                        on_error="allow",
                    ),
                ),
                ("logs", Policy(input=pg.PII(), on_block=replace("No."))),
            ),
        ),
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_file_says_what_code_would(load, text):
    text, expected = text
    policy = load(text)
    assert policy == expected
    assert policy.source == "promptguard.toml"


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("kind", ["json", "yaml", "yml"])
def test_json_and_yaml_say_the_same(load, text, kind):
    import tomllib

    if kind != "json":
        pytest.importorskip("yaml")
    text, expected = text
    # JSON is YAML as well, but for what a person would write.
    data = tomllib.loads(text)
    written = json.dumps(data, indent=1) if kind == "json" else as_yaml(data)
    assert load(written, f"policy.{kind}") == expected


def as_yaml(data: Any) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_policy_is_a_value(load, text):
    policy = load(text[0])
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert hash(policy) == hash(load(text[0]))


# What is wrong, the line it is on, and what is said of it.
BAD: dict[str, tuple[str, int | None, str]] = {
    "no TOML": ("[input.pii\n", 1, "is not TOML"),
    "an end too early": ('a = """\n\n', 3, "is not TOML"),
    "a key twice": ("a = 1\na = 2", 2, "is not TOML"),
    "nothing": ("", None, "checks nothing"),
    "no guards": ("on_error = 'block'", None, "checks nothing"),
    "all switched off": ("[input.pii]\nenabled = false", None, "checks nothing"),
    "an unknown key": ("on_eror = 'x'\n[input.pii]", 1, "did you mean 'on_error'"),
    "an unknown section": ("[inptu.pii]", 1, "did you mean 'input'"),
    "an unknown guard": ("\n[input.pi]", 2, "unknown guard 'pi'; did you mean 'pii'"),
    "the class of a guard": (
        "[input.PromptInjection]",
        1,
        "did you mean 'prompt_injection'",
    ),
    "a name without its guard": (
        "[input.my_words]\nwords = ['x']",
        1,
        'needs guard = "..."',
    ),
    "an unknown kind": (
        "[input.mine]\nguard = 'keyword'",
        2,
        "input.mine.guard: unknown guard 'keyword'; did you mean 'keywords'",
    ),
    "a kind that is no string": ("[input.mine]\nguard = 3", 2, "name of a guard"),
    "guards side by side": (
        "[input.any_of]",
        1,
        "not named in a file",
    ),
    "an unknown option": (
        "[input.prompt_injection]\n\ntreshold = 0.5",
        3,
        "input.prompt_injection.treshold: unknown key; did you mean 'threshold'",
    ),
    "an option far from any": ("[input.pii]\nzzz = 1", 2, "unknown key. Known: "),
    "an option for code alone": (
        "[input.max_length]\ntokens = 5\ncount = 'len'",
        3,
        "can be given in code only",
    ),
    "an option that is missing": ("\n[output.regex]", 2, "pattern is missing"),
    "a number in quotes": (
        "[input.prompt_injection]\nfpr = '0.01'",
        2,
        "fpr: must be a number",
    ),
    "a fraction of a thing": ("[input.max_length]\nlimit = 1.5", 2, "a whole number"),
    "a number for a truth": ("restore = 1\n[input.pii]", 1, "must be true or false"),
    "no finite number": (
        "[input.prompt_injection]\nfpr = nan",
        2,
        "must be a finite number",
    ),
    "one for several": (
        "[input.pii]\nentities = 'EMAIL'",
        2,
        "entities: must be a list",
    ),
    "a list for a table": ("input = []", 1, "input: must be a table"),
    "a string for a table": ("[input]\npii = 'on'", 2, "input.pii: must be a table"),
    "three for two": (
        "[input.prompt_injection]\nband = [0.1, 0.2, 0.3]",
        2,
        "must have 2 values",
    ),
    "an unknown word": (
        "[input.pii]\naction = 'reddact'",
        2,
        "must be 'allow', 'flag', 'redact' or 'block'; did you mean 'redact'",
    ),
    "an unknown action of a label": (
        "[input.pii]\nactions = { EMAIL = 'off' }",
        2,
        "input.pii.actions.EMAIL: must be",
    ),
    "an unknown label": (
        "[input.pii]\nentities = ['EMAIL']\nactions = { EMAIL_ADRESS = 'flag' }",
        1,
        "unknown label of PII 'EMAIL_ADRESS'; did you mean",
    ),
    "what the guard refuses": (
        "[input.pii]\nentities = [\n  'EMAIL',\n  'EMAIL_ADRESS',\n]",
        1,
        "input.pii: unknown entity 'EMAIL_ADRESS'; did you mean 'EMAIL_",
    ),
    "an option that the guard refuses": (
        "[input.prompt_injection]\naction = 'flag'\nfpr = 2",
        3,
        "input.prompt_injection.fpr: fpr must be a share",
    ),
    "a pattern that takes for ever": (
        "[output.regex]\npattern = '(a+)+$'",
        1,
        "exponential time",
    ),
    "two ways at once": (
        "[input.prompt_injection]\nfpr = 0.02\nthreshold = 0.5",
        1,
        "fpr or threshold, not both",
    ),
    "an unknown operator": (
        "[output.pii]\noperator = 'hide'",
        2,
        'must be "mask", "remove"',
    ),
    "a second opinion of no kind": (
        "[input.pii.then]\nwords = ['x']",
        1,
        "guard is missing",
    ),
    "an option of a second opinion": (
        "[input.pii.then]\nguard = 'keywords'\nwords = ['x']\nword = 1",
        4,
        "input.pii.then.word: unknown key; did you mean 'words'",
    ),
    "a setting of a route": (
        "[input.pii]\n[routes.mail]\nonblock = 3",
        3,
        "routes.mail.onblock: unknown key; did you mean 'on_block'",
    ),
    "a guard of a route": ("[routes.mail.input.pi]", 1, "did you mean 'pii'"),
    "a route in a route": (
        "[input.pii]\n[routes.a.routes.b]",
        2,
        "routes.a.routes: unknown key",
    ),
    "a handler that is unknown": (
        "on_block = { repalce = 'x' }\n[input.pii]",
        1,
        "on_block.repalce: unknown key; did you mean 'replace'",
    ),
    "asking again too often": (
        "[output.pii]\n[on_block]\nreask = 11",
        3,
        "on_block.reask: must be less than or equal to 10",
    ),
    "asking again without looking": (
        "[input.pii]\n[on_block]\nreask = 1",
        3,
        "has no meaning without output guards",
    ),
    "restoring what nobody takes out": (
        "restore = true\n[output.pii]",
        1,
        "restore: has no meaning without input guards",
    ),
    "no time": (
        "budget = { seconds = 0 }\n[input.pii]",
        1,
        "budget.seconds: must be greater than 0",
    ),
    "time without a number": (
        "[input.pii]\n[budget]\nthen = 'block'",
        2,
        "seconds is missing",
    ),
    "switching off what is not there": (
        "[input.pii]\n[tool.pi]\nenabled = false",
        2,
        "tool.pi: there is no guard of this name to switch off",
    ),
    "switching off with a mistake": (
        "[input.pii]\n[tool.pii]\nenabled = false\nentites = []",
        4,
        "did you mean 'entities'",
    ),
    "a date": ("[input.pii]\nentities = [2020-01-01]", 2, "must be a string"),
}


@pytest.mark.parametrize(("text", "line", "says"), BAD.values(), ids=BAD)
def test_a_broken_file_is_refused_with_the_line(load, text, line, says):
    with pytest.raises(ConfigError) as caught:
        load(text)
    said = str(caught.value)
    place = "promptguard.toml" if line is None else f"promptguard.toml, line {line}"
    assert said.startswith(f"{place}: "), said
    assert says in said


def test_all_that_is_wrong_is_told_at_once_and_in_order(load):
    with pytest.raises(ConfigError) as caught:
        load("a = 1\n[output.pii]\nb = 2\n[input.zzz]\n[routes.x.budget]\nc = 3")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"promptguard.toml, line {number}" for number in (1, 3, 4, 5, 6)
    ]


def test_two_guards_that_cannot_be_made_are_both_told(load):
    with pytest.raises(ConfigError) as caught:
        load("[input.pii]\nentities = ['X']\n[output.pii]\ncountries = ['Q']")
    assert "line 1: input.pii" in str(caught.value)
    assert "line 3: output.pii" in str(caught.value)


KEY = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ" * 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"[input.pii]\napi_key = '{KEY}'", 2),
        ("api_key = 'short'\n[input.pii]", 1),
        ("[input.pii]\npassword = 'short'", 2),
        ("[input.pii]\nopenai_key = 123", 2),
        (f"[output.pii]\n\ncountries = ['DE', '{KEY}']", 3),
        (f"[output.pii]\noperator = {{ hash_env = '{KEY}' }}", 2),
        ("[output.pii]\noperator = { hash_env = 'not a name' }", 2),
        ("[output.pii]\noperator = { hash_env = 'AKIAIOSFODNN7EXBMPLE' }", 2),
        ("[output.pii]\noperator = { hash_env = 7 }", 2),
        ("[input.prompt_injection]\nmodel = 'https://me:hunter2@example.com/m'", 2),
    ],
)
def test_a_key_in_a_file_is_refused_and_not_shown(load, text, line):
    with pytest.raises(ConfigError) as caught:
        load(text)
    said = str(caught.value)
    assert said.startswith(f"promptguard.toml, line {line}: ")
    assert "environment variable" in said
    for shown in (KEY, "short", "hunter2", "AKIA", "not a name"):
        assert shown not in said
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_is_to_be_let_through_may_look_like_a_key(load):
    policy = load(f"[output.secrets]\nallow = ['{KEY}']")
    assert policy.output == pg.Secrets(allow=(KEY,))


def test_values_are_not_shown_in_errors(load):
    with pytest.raises(ConfigError) as caught:
        load("on_error = 'zanzibar'\n[input.pii]\nentities = 'zanzibar'")
    assert "zanzibar" not in str(caught.value)


def test_an_environment_variable_has_to_be_set(load, monkeypatch):
    text = "[output.pii]\noperator = { hash_env = 'PG_TEST_HASH' }"
    monkeypatch.delenv("PG_TEST_HASH", raising=False)
    with pytest.raises(ConfigError, match=r"line 2: .*PG_TEST_HASH is not set"):
        load(text)
    monkeypatch.setenv("PG_TEST_HASH", "0123456789abcdef")
    assert load(text).output == pg.PII(operator=pg.Hash(b"0123456789abcdef"))
    monkeypatch.setenv("PG_TEST_HASH", "short")
    with pytest.raises(ConfigError, match="at least 16 bytes") as caught:
        load(text)
    assert "short" not in str(caught.value)


def test_paths_that_begin_with_a_dot_are_seen_from_the_file(load, tmp_path):
    (tmp_path / "deploy").mkdir()
    text = "[input.prompt_injection]\ncalibration = './points.json'"
    policy = load(text, "deploy/policy.toml")
    assert policy.input == pg.PromptInjection(
        calibration=str(Path("deploy", "points.json"))
    )


# Files that are not what they seem.


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("policy.txt", "[input.pii]", "ends with one of .toml, .json, .yaml, .yml"),
        ("policy", "[input.pii]", "ends with one of"),
        ("policy.toml", b"[input.pii]\n# caf\xe9", "line 2: is not UTF-8"),
        ("policy.toml", "#" * (1 << 20) + "\n", "larger than a policy"),
        ("policy.toml", "a = " + "[" * 5000, "policy.toml"),
        ("policy.json", "[" * 100_000, "nested too deep"),
        ("policy.json", "[]", "no table"),
        ("policy.json", "{", "line 1: is not JSON"),
        ("policy.json", '{\n"a": 1,\n}', "is not JSON"),
        ("policy.json", '{"a": NaN}', "no number of JSON"),
        ("policy.json", '{"a": %s}' % ("9" * 5000), "too long"),
        ("policy.json", '{"input": {"pii": {},\n"pii": {}}}', "line 2: the key"),
        (
            "policy.json",
            '{"input": {"pii":\n {"entities": ["A", {}],\n "x": null}}}',
            "line 3: input.pii.x: unknown key",
        ),
        (
            "policy.json",
            '{"input": {"pii":\n {"action": null}}}',
            "line 2: input.pii.action: must be 'allow'",
        ),
    ],
)
def test_files_that_cannot_be_read(load, name, text, says):
    with pytest.raises(ConfigError) as caught:
        load(text, name)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("input: [", "is not YAML"),
        ("input:\n  pii: {}\n  pii: {}", "line 3: the key 'input.pii' stands"),
        ("on: 1", "line 1: a key must be a string"),
        ("a: &a [*a]", "repeats itself"),
        ("- 1", "no table"),
        ("", "no table"),
        ("a: 2020-13-45", "cannot be read"),
        ("a: !!python/object:os.system {}", "is not YAML"),
        ("input:\n  pii:\n    entites: []", "line 3: input.pii.entites: unknown key"),
        (
            "\n".join(
                ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
                + [
                    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]"
                    for n in range(1, 9)
                ]
            ),
            "repeats itself",
        ),
    ],
)
def test_yaml_that_cannot_be_read(load, text, says):
    pytest.importorskip("yaml")
    with pytest.raises(ConfigError, match=says.replace("'", ".")):
        load(text, "policy.yaml")


def test_yaml_may_share_a_part(load):
    pytest.importorskip("yaml")
    text = (
        "input:\n  pii: &mail\n    entities: [EMAIL]\n"
        "output:\n  pii:\n    <<: *mail\n    action: flag\n"
    )
    policy = load(text, "policy.yaml")
    assert policy.output == pg.PII(entities=("EMAIL",), action=Action.FLAG)


def test_yaml_needs_its_extra(load, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(pg.MissingExtra, match=r"promptguard-llm\[yaml\]"):
        load("input: {pii: {}}", "policy.yaml")


def test_a_byte_order_mark_and_other_line_ends_are_no_part_of_it(load):
    assert load("\ufeff[input.pii]\r\n").input == pg.PII()
    with pytest.raises(ConfigError, match=r"line 3: input\.pii\.x"):
        load("\ufeff[input.pii]\r\n\r\nx = 1\r\n")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such policy file"):
        Policy.load(tmp_path / "nope.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        Policy.load(tmp_path)


def test_a_schema_key_is_for_editors(load):
    text = '{"$schema": "./policy.schema.json", "input": {"pii": {}}}'
    assert load(text, "policy.json").input == pg.PII()


# The line of a key in TOML, whatever stands around it.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[input.pii]\nx = 1", 2),
        ("[input]\n# pii = x\npii.x = 1", 3),
        ("[input]\npii = { entities = [],\n  x = 1 }", 2),
        ("input.pii.x = 1", 1),
        ("[ input . pii ]\n\n\n'x' = 1", 4),
        ('[input.pii]\nentities = """\nx = 2\n"""\nx = 1', 5),
        ("[input.pii]\nentities = [\n'x',\n'= 1'\n]\n\nx = 1", 7),
        ("[output.pii]\nx = [\n]\n[input.pii]\nx = 1", 5),
    ],
)
def test_the_line_of_a_key(text, line):
    from promptguard.policy.files import parse

    if "{ entities = [],\n" in text:
        # A table in one line ends there, but for TOML 1.1.
        text = text.replace("\n  x", " x")
    source = parse(text, "p.toml", ".toml")
    assert source.line(("input", "pii", "x")) == line
    assert source.line(("input", "pii", "y")) is None
    assert source.line(()) is None


def test_the_line_is_found_with_few_looks(load, monkeypatch):
    import tomllib

    tables = [f"[input.w{n}]\nguard = 'keywords'\nwords = ['a']" for n in range(400)]
    looks, loads = [], tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: looks.append(1) or loads(text))
    with pytest.raises(ConfigError, match=r"line 1202: input\.pii\.x"):
        load("\n".join([*tables, "[input.pii]", "x = 1"]))
    assert len(looks) < 50
