"""The policy commands as a shell sees them, and the schema that editors read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = """\
[input.prompt_injection]
fpr = 0.005

[output.secrets]
"""


@pytest.fixture
def run(tmp_path):
    """Run the command line in a folder of its own."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "PROMPTGUARD_POLICY"}
        return subprocess.run(
            [sys.executable, "-m", "promptguard", "policy", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | variables,
            timeout=120,
        )

    return run


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "promptguard.toml") -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")

    return write


def test_check_tells_what_will_run(run, write):
    write(
        GOOD
        + "[output.projects]\nguard = 'keywords'\nwords = ['heliotrope']\n"
        + "[tool.prompt_injection]\nfpr = 0.001\n[output.refusal]\n"
        + "[routes.mail.output.pii]\nactions = { EMAIL = 'flag' }\n"
        + "[on_block]\nreplace = 'No.'\n[budget]\nseconds = 2\n"
    )
    done = run("check")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].endswith("promptguard.toml is right.")
    for line in (
        "a blocked text another text in its place",
        "a guard breaks blocks",
        "time budget 2 s, then block",
        "[input] goes to the model",
        "prompt_injection block; at a false-positive rate of 0.005; not for tool "
        "results",
        "[tool] tool results",
        "[output] comes from the model",
        "secrets redact; streams are held back by 768 characters",
        "refusal flag; streams are held to their end",
        "routes: mail (tell one with --route NAME)",
    ):
        assert line in lines, line
    assert any(line.startswith("projects block; streams") for line in lines)
    assert "pii" not in done.stdout
    route = run("check", "--route", "mail")
    assert "redact, EMAIL_ADDRESS: flag" in route.stdout


def test_check_reads_the_file_that_is_named(run, write, tmp_path):
    write('{"input": {"pii": {}}, "output": {"pii": {}}}', "other.json")
    assert run("check", "other.json").stdout.startswith("other.json is right.")
    found = run("check", PROMPTGUARD_POLICY=str(tmp_path / "other.json"))
    assert found.stdout.startswith(f"{tmp_path / 'other.json'} is right.")


def test_everything_that_is_wrong_is_one_line_each(run, write):
    write("on_eror = 'block'\n\n[input.pi]\n[input.pii]\nentites = []\n")
    done = run("check", "promptguard.toml")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"promptguard.toml, line {number}" for number in (1, 3, 5)
    ]
    assert [line.partition("did you mean ")[2].split("?")[0] for line in lines] == [
        "'on_error'",
        "'pii'",
        "'entities'",
    ]


def test_check_tries_what_shows_only_at_the_first_text(run, write):
    write("[output.secrets]\n\n[tool.prompt_injection]\nfpr = 0.0123\n")
    done = run("check", "promptguard.toml")
    assert done.returncode == 1
    assert done.stderr.startswith("promptguard.toml, line 3: tool.prompt_injection: ")
    assert "false-positive rate" in done.stderr
    write("[input.prompt_injection]\nmodel = './no-such-folder'\n")
    done = run("check", "promptguard.toml")
    assert done.returncode == 1
    assert "line 1: input.prompt_injection" in done.stderr


WARNED = {
    "dry_run = true\n[input.pii]\n[output.pii]": "line 1: dry_run: nothing is blocked",
    "on_error = 'allow'\n[input.pii]\n[output.pii]": "line 1: on_error: a guard that",
    "[input.pii]": "what the model answers is not checked",
    "[output.pii]": "the user's own words are not checked",
    "[user.pii]\n[output.pii]": "tool results are not checked",
    "[user.pii]\n[tool.pii]\n[output.pii]": "documents and pages are not checked",
    "[input.pii]\n[output.pii]\n[tool.pii]\nenabled = false": "is switched off",
    "[input.pii]\n[output.pii]\naction = 'allow'": "output.pii: changes nothing",
    "[input.pii]\n[output.pii]\n[on_block]\nreask = 1": "functions that stream cannot",
    "[input.pii]\n[output.pii]\n[budget]\nseconds = 1\nthen = 'flag'": (
        "line 5: budget.then: a guard that is late lets the text go on"
    ),
    "[input.pii]\n[output.pii]\noperator = {hash_env = 'PG_NOT_SET'}": (
        "line 3: output.pii.operator.hash_env: PG_NOT_SET is not set here"
    ),
    "[input.pii]\n[output.pii]\n[routes.x]\ndry_run = true": (
        "line 4: routes.x.dry_run: nothing is blocked"
    ),
}


@pytest.mark.parametrize(("text", "says"), WARNED.items())
def test_check_warns_of_what_will_not_run(run, write, text, says):
    write(text)
    done = run("check", "--strict", "promptguard.toml")
    assert done.returncode == 3, done.stderr
    assert says in done.stdout.partition("\nwarnings\n")[2]


def test_what_holds_everywhere_is_warned_of_once(run, write):
    write("[input.pii]\n[routes.a.input.secrets]\n[routes.b.input.secrets]\n")
    done = run("check")
    assert done.returncode == 0
    assert done.stdout.count("what the model answers is not checked") == 1


def test_nothing_to_warn_of_is_no_warning(run, write):
    write(GOOD)
    done = run("check", "--strict")
    assert (done.returncode, "warnings" in done.stdout) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check",), "found no policy"),
        (("check", "gone.toml"), "no such policy file"),
        (("check", "a", "b"), "--help"),
        ((), "name one of its commands: check, schema, init"),
        (("chek",), "--help"),
        (("init", "policy.json"), "name a file with .toml"),
        (("init", "no/such/folder.toml"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(run, arguments, says):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_route_is_exit_2(run, write):
    write(GOOD + "[routes.mail.output.pii]")
    done = run("check", "--route", "mial")
    assert done.returncode == 2
    assert "did you mean 'mail'" in done.stderr


def test_init_writes_a_policy_that_is_right_and_never_over_another(run, tmp_path):
    done = run("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert "promptguard policy check promptguard.toml" in done.stdout
    text = (tmp_path / "promptguard.toml").read_bytes()
    assert text.count(b"#") > 30 and b"\r" not in text
    assert run("check", "--strict").returncode == 0
    again = run("init")
    assert again.returncode == 2
    assert "was left as it is" in again.stderr
    assert (tmp_path / "promptguard.toml").read_bytes() == text
    assert run("init", "other.toml").returncode == 0


# The schema.


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run(
        [sys.executable, "-m", "promptguard", "policy", "schema"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_schema_knows_every_key_and_guard(schema):
    import promptguard as pg
    from promptguard.policy.catalogue import built_in

    assert set(schema["properties"]) == {
        *("$schema", "budget", "dry_run", "input", "on_block", "on_error", "output"),
        *("restore", "retrieved", "routes", "tool", "user"),
    }
    entries = schema["$defs"]["entries"]["properties"]
    assert set(entries) == set(built_in())
    assert len(entries) == len(pg._GUARDS)
    pii = schema["$defs"][entries["pii"]["$ref"].rpartition("/")[2]]
    assert pii["additionalProperties"] is False
    assert pii["properties"]["entities"]["type"] == "array"
    assert "EMAIL_ADDRESS" in pii["properties"]["entities"]["description"]
    assert "null" not in json.dumps(schema)


def test_every_reference_of_the_schema_leads_somewhere(schema):
    import re

    names = re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema))
    assert names
    assert set(names) <= set(schema["$defs"])


def test_what_the_schema_takes_is_what_the_library_takes(schema):
    jsonschema = pytest.importorskip("jsonschema")
    import tomllib

    from test_policy_files import BAD, GOOD

    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for name, (text, _) in GOOD.items():
        assert validator.is_valid(tomllib.loads(text)), name
    refused = 0
    for text, _, _ in BAD.values():
        try:
            data = tomllib.loads(text)
        except ValueError:
            continue
        refused += not validator.is_valid(data)
    # The rest is known when a guard is made: labels, entities, patterns, ranges.
    assert refused >= 30


# A guard of a package that pip installed.

WHEEL = {
    "METADATA": "Metadata-Version: 2.1\nName: acme-guards\nVersion: 1.2\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "entry_points.txt": "[promptguard.guards]\n"
    "shouting = acme_guards:Shouting\nbroken = acme_guards:Gone\n",
}

GUARD = '''
from dataclasses import dataclass

import promptguard as pg


@dataclass(frozen=True, kw_only=True)
class Shouting(pg.Guard):
    """Flags texts in capitals."""

    share: float = 0.8
    action: pg.Action = pg.Action.FLAG

    def inspect(self, text):
        if text.original.isupper():
            yield pg.Finding("shouting", 1.0, 0, len(text.original))
'''


@pytest.mark.slow
def test_a_guard_of_an_installed_package_is_named_like_any_other(tmp_path):
    wheel = tmp_path / "acme_guards-1.2-py3-none-any.whl"
    files = {f"acme_guards-1.2.dist-info/{name}": text for name, text in WHEEL.items()}
    files["acme_guards.py"] = GUARD
    record = "acme_guards-1.2.dist-info/RECORD"
    files[record] = "".join(f"{name},,\n" for name in (*files, record))
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    # What this environment has is there as well; the package is in the new one alone.
    here = [str(ROOT / "src"), *(path for path in sys.path if "site-pack" in path)]
    site = next(home.glob("**/site-packages"))
    (site / "outer.pth").write_text("\n".join(here), encoding="utf-8")
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=300,
        )

    pip = sys.executable, "-m", "pip", "--python", python, "install", "--quiet"
    done = call(*pip, "--no-deps", "--no-index", wheel)
    assert done.returncode == 0, done.stderr
    (tmp_path / "promptguard.toml").write_text(
        "[input.shouting]\nshare = 0.5\n[output.pii]\n", encoding="utf-8"
    )
    done = call(python, "-m", "promptguard", "policy", "check")
    assert done.returncode == 0, done.stderr
    assert "shouting  flag; from acme-guards 1.2" in done.stdout
    done = call(python, "-m", "promptguard", "policy", "schema")
    assert '"shouting"' in done.stdout
    assert "left out: the guard 'broken' of acme-guards 1.2" in done.stderr
    (tmp_path / "promptguard.toml").write_text("[input.shoutign]", encoding="utf-8")
    done = call(python, "-m", "promptguard", "policy", "check")
    assert done.returncode == 1
    assert "did you mean 'shouting'" in done.stderr
