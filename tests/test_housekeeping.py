"""What keeps the house: workflows, hooks, image and forms name only what is there.

Nothing here needs the network or runs a workflow."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="needs the extra yaml")

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+|release/v\d+|[0-9a-f]{40})")
# Programs that a workflow installs itself.
BROUGHT = {"build", "nox", "pip", "twine"}

by_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(path: Path) -> list[tuple[str, dict]]:
    return list(load(path)["jobs"].items())


def steps(path: Path) -> list[dict]:
    return [step for _, job in jobs(path) for step in job["steps"]]


def commands(path: Path) -> list[list[str]]:
    """The words of every command line of a workflow."""
    lines = []
    for step in steps(path):
        for line in step.get("run", "").replace("\\\n", " ").splitlines():
            try:
                lines.append(shlex.split(line, comments=True))
            except ValueError:  # a line of a longer quotation
                continue
    return [words for words in lines if words]


def test_the_three_workflows_are_there():
    assert {path.stem for path in WORKFLOWS} >= {"ci", "release", "training"}


@by_workflow
def test_a_workflow_has_few_rights_and_an_end(path):
    workflow = load(path)
    # YAML 1.1 reads the key `on` as true.
    assert workflow["name"] and (workflow.get("on") or workflow.get(True))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in jobs(path):
        assert job["timeout-minutes"] > 0, name
        assert job["runs-on"], name
        assert {*job.get("needs", "").split()} <= {other for other, _ in jobs(path)}
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


@by_workflow
def test_actions_are_pinned(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    assert not [action for action in used if not PINNED.fullmatch(action)]


@by_workflow
def test_what_a_workflow_runs_is_there(path):
    for words in commands(path):
        program = words[0].rpartition("/")[2]
        if program == "make":
            assert {w for w in words[1:] if "=" not in w} <= TARGETS
        elif program == "python" and words[1] == "-m":
            module = words[2]
            assert module in BROUGHT or importlib.util.find_spec(module), module
        elif program == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file()


@by_workflow
def test_no_text_from_outside_becomes_part_of_a_command(path):
    for step in steps(path):
        assert "${{" not in step.get("run", ""), "give it by env:"


@by_workflow
def test_files_and_folders_that_a_workflow_names_are_there(path):
    text = path.read_text(encoding="utf-8")
    for config in set(re.findall(r"training/configs/\w+\.toml", text)):
        assert (ROOT / config).is_file()
    triggers = load(path).get(True) or load(path)["on"]
    for pattern in (triggers.get("push") or {}).get("paths", []):
        files = (
            str(p.relative_to(ROOT)) for p in ROOT.glob(pattern.split("*")[0] + "*")
        )
        assert any(fnmatch(file, pattern.replace("**", "*")) for file in files), pattern


def test_continuous_training_calls_the_pipeline_as_it_is():
    pytest.importorskip("training.__main__")
    from training.__main__ import _parser

    calls = [
        words[words.index("training") + 1 :]
        for words in commands(ROOT / ".github" / "workflows" / "training.yml")
        if "training" in words
    ]
    chosen = [_parser().parse_args(words) for words in calls]
    named = [options.command for options in chosen]
    assert named == ["continuous", "continuous", "continuous", "rollback"]
    # Nothing is released before somebody has said so.
    assert chosen[0].dry_run and chosen[1].hold and not chosen[2].hold
    made = dict(jobs(ROOT / ".github" / "workflows" / "training.yml"))
    assert made["promote"]["environment"] and made["promote"]["needs"] == "train"
    assert made["rollback"]["environment"]
    for name in ("decide", "train"):
        assert "environment" not in made[name]


def test_every_supported_python_is_tested():
    classifiers = PROJECT["classifiers"]
    supported = [
        c.rpartition(" ")[2] for c in classifiers if re.search(r":: 3\.\d+$", c)
    ]
    ci = dict(jobs(ROOT / ".github" / "workflows" / "ci.yml"))
    for job in ("suite", "installed"):
        assert ci[job]["strategy"]["matrix"]["python"] == supported
    (lowest,) = (
        step["with"]["python-version"]
        for step in ci["lowest"]["steps"]
        if "python-version" in step.get("with", {})
    )
    assert lowest == supported[0] == PROJECT["requires-python"].removeprefix(">=")


def test_secrets_reach_only_the_steps_that_need_them():
    for path in WORKFLOWS:
        workflow = load(path)
        assert "secrets." not in str(workflow.get("env", ""))
        for name, job in jobs(path):
            assert "secrets." not in str(job.get("env", "")), name


def test_publishing_needs_no_token():
    release = dict(jobs(ROOT / ".github" / "workflows" / "release.yml"))
    assert release["pypi"]["permissions"] == {"id-token": "write"}
    assert "password" not in str(release["pypi"])
    assert release["build"]["permissions"]["attestations"] == "write"


def test_hooks_use_the_tools_of_the_project():
    hooks = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    needed = " ".join(PROJECT["optional-dependencies"]["test"])
    for hook in hooks[0]["hooks"]:
        program, *words = shlex.split(hook["entry"])
        tool = words[1] if words[:1] == ["-m"] else Path(program).name
        assert program.startswith(".venv/bin/")
        assert tool in needed
        assert hook["language"] == "system"
        assert all(
            (ROOT / word).exists() for word in words if word.startswith("tests/")
        )


def test_dependabot_looks_where_something_is():
    files = {
        "pip": "pyproject.toml",
        "docker": "Dockerfile",
        "github-actions": ".github",
    }
    updates = load(ROOT / ".github" / "dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == set(files)
    for update in updates:
        folder = ROOT / update["directory"].lstrip("/")
        assert (folder / files[update["package-ecosystem"]]).exists()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_are_whole(path):
    form = load(path)
    if path.stem == "config":
        return
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(names) == len({*names})
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_image_is_made_of_what_is_there_and_runs_as_nobody():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    for line in lines:
        words = line.split()
        if words[0] == "FROM":
            assert re.fullmatch(r"python:3\.\d+-slim", words[1])
        elif words[0] == "COPY" and not words[1].startswith("--from"):
            assert all((ROOT / source).exists() for source in words[1:-1])
            assert {*words[1:-1]} <= kept
    assert "USER 10001" in lines
    assert lines[-2] == 'ENTRYPOINT ["promptguard"]'
    # The wheel can be built from what is copied.
    assert PROJECT["readme"] in kept and set(PROJECT["license-files"]) <= kept


def test_sessions_of_nox_that_a_workflow_runs_are_there():
    file = ROOT / "noxfile.py"
    if not file.exists():
        pytest.skip("there is no noxfile.py")
    defined = set(re.findall(r"^def (\w+)\(session", file.read_text(), re.MULTILINE))
    for path in WORKFLOWS:
        for words in commands(path):
            if words[0] == "nox":
                wanted = [words[i + 1] for i, w in enumerate(words) if w == "-s"]
                assert {session.partition("-")[0] for session in wanted} <= defined
