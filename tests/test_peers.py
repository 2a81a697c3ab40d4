"""The benchmark of other libraries, without them."""

from __future__ import annotations

import io
import json
import re
import sys
import textwrap
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import scaleplots
from benchmarks.beside import beside, growth
from benchmarks.peers import __main__ as command
from benchmarks.peers import processes
from benchmarks.peers.__main__ import Run, installed
from benchmarks.peers.environments import DONE, Environment, _reason
from benchmarks.peers.fresh import importing
from benchmarks.peers.kept import Progress, Remembering
from benchmarks.peers.peer import OURS, TASKS, UNTIMED, Missing, Peer, peers
from benchmarks.peers.scale import by_length, by_threads
from benchmarks.peers.texts import ENDINGS, SIZES, TOKENS, of_tokens, texts
from benchmarks.peers.timing import by_tokens, side_by_side
from benchmarks.peers.worker import serve


def test_adapters_are_read_without_their_peers() -> None:
    known = peers()
    assert next(iter(known)) == OURS
    assert known.keys() >= {
        "alt-profanity-check",
        "better-profanity",
        "detect-secrets",
        "guardrails-ai",
        "llm-guard",
        "nemoguardrails",
        "openai-guardrails",
        "presidio",
        "stackone-defender",
    }
    theirs = {peer.imports for name, peer in known.items() if name != OURS}
    assert not {*theirs, "sklearn", "torch", "transformers"} & sys.modules.keys()


@pytest.mark.parametrize("name", [name for name in peers() if name != OURS])
def test_an_adapter_pins_what_it_installs(name: str) -> None:
    peer = peers()[name]
    wanted = (*peer.first, *peer.requirements)
    assert wanted and all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", one) for one in wanted)
    assert peer.tasks.keys() <= {*TASKS, *UNTIMED}
    # Whatever is compared, promptguard does it too.
    assert peer.tasks.keys() <= peers()[OURS].tasks.keys()


@pytest.mark.parametrize("task", TASKS)
def test_texts_are_of_one_length_and_always_the_same(task: str) -> None:
    for size in SIZES:
        some = list(islice(texts(task, size), 5))
        assert {len(text) for text in some} == {size}
        assert len(set(some)) > 3
        assert some == list(islice(texts(task, size), 5))
        # A guard that remembers must not be asked for the same in another part.
        assert not {*some} & {*islice(texts(task, size, "length"), 50)}


@pytest.mark.parametrize("task", [task for task in TASKS if task != "injection"])
def test_promptguard_finds_what_every_text_ends_with(task: str) -> None:
    find = peers()[OURS].tasks[task]()
    text = next(texts(task, 1000))
    spans = find(text)
    assert spans
    if task != "profanity":
        assert min(start for start, _, _ in spans) >= 1000 - len(ENDINGS[task])


def test_texts_have_so_many_tokens() -> None:
    def count(text: str) -> int:
        return len(text.split()) + 2

    for tokens in TOKENS:
        some = list(islice(of_tokens(tokens, count), 4))
        assert {count(text) for text in some} == {tokens}
        assert len({*some}) == 4


def ask(
    tasks: dict[str, object], *questions: tuple[str, str]
) -> list[dict[str, object]]:
    lines = [json.dumps({"task": task, "text": text}) for task, text in questions]
    answers = io.StringIO()
    serve(tasks, io.StringIO("\n".join(lines)), answers, iter(range(99)).__next__)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_worker_makes_a_finder_once_and_times_the_call_alone() -> None:
    made = []

    def make() -> object:
        made.append(1)
        return lambda text: [(0, len(text), "x")]

    first, second = ask({"pii": make}, ("pii", "ab"), ("pii", "abc"))
    assert made == [1]
    assert "first_ms" in first and "ns" not in first
    assert second == {"ns": 1, "spans": [[0, 3, "x"]]}


def test_a_worker_says_what_went_wrong_without_the_text() -> None:
    def broken(text: str) -> list[object]:
        raise ValueError(f"no {text}")

    def missing() -> object:
        raise Missing("not in this version")

    answers = ask(
        {"pii": lambda: broken, "secrets": missing}, ("pii", "s3cret"), ("secrets", "x")
    )
    assert answers == [{"problem": "ValueError"}, {"problem": "not in this version"}]


class Fake:
    """A worker whose calls take so many milliseconds."""

    def __init__(self, name: str, milliseconds: float) -> None:
        self.name = name
        self.ns = milliseconds * 1e6
        self.seen: list[str] = []

    def ask(self, task: str, text: str, **more: object) -> dict[str, object]:
        self.seen.append(text)
        if "texts" in more:
            return {"ns": self.ns * (len(more["texts"]) - more["threads"])}
        return {"ns": self.ns, "spans": []}


def test_a_slow_peer_gets_fewer_of_the_same_texts() -> None:
    ours, slow = Fake(OURS, 1), Fake("slow", 100)
    rows = side_by_side("pii", [ours, slow], 1.0)  # type: ignore[list-item]
    by = {(row["peer"], row["characters"]): row for row in rows}
    assert by[OURS, 100]["texts"] == 200
    assert by["slow", 100]["texts"] == 11
    assert by["slow", 100]["times ours median"] == 100
    assert set(slow.seen) <= set(ours.seen)


def test_a_peer_that_cannot_be_installed_is_in_the_table() -> None:
    peer = Peer(imports="x", tasks={}, requirements=("x==1",))
    said = "\n".join(
        ("Looking in indexes", "ERROR: cannot read /home/joe/wheels/x.whl: gone", "")
    )
    environment = Environment(Path("nowhere"), _reason(said))
    (row,) = installed({"x": peer}, {"x": environment})
    assert str(row["note"]).startswith("not installed: ERROR: cannot read")
    assert "joe" not in str(row["note"])


def test_classifiers_are_timed_by_tokens() -> None:
    ours, theirs = Fake(OURS, 2), Fake("theirs", 50)
    rows = by_tokens([ours, theirs], 1.0, lambda text: len(text.split()))  # type: ignore[list-item]
    assert [row["tokens"] for row in rows[::2]] == [*TOKENS]
    assert {row["times ours median"] for row in rows[1::2]} == {25}
    assert {len(text.split()) for text in theirs.seen} == {*TOKENS}


class Linear(Fake):
    """A worker whose calls take a millisecond a character."""

    def ask(self, task: str, text: str, **more: object) -> dict[str, object]:
        self.seen.append(text)
        return {"ns": len(text) * 1e6}


def test_a_slow_peer_is_not_asked_for_a_book() -> None:
    slow = Linear("slow", 0)
    rows = by_length("pii", [slow], 5.0, (100, 1_000, 10_000, 100_000))  # type: ignore[list-item]
    assert [row["texts"] for row in rows] == [5, 2, 0, 0]
    assert rows[1]["ms median"] == 1000 and rows[1]["\u00b5s a character"] == 1000
    assert "not asked" in str(rows[2]["note"])
    assert max(map(len, slow.seen)) == 1_000


def test_threads_are_compared_with_one_and_with_ours() -> None:
    ours, theirs = Fake(OURS, 1), Fake("theirs", 10)
    rows = by_threads("pii", [ours, theirs], 0.02)  # type: ignore[list-item]
    by = {(row["peer"], row["threads"]): row for row in rows}
    assert by[OURS, 1]["a second median"] == 1000
    assert by["theirs", 16]["ours times as many"] == 10
    assert by["theirs", 16]["times one thread"] == 1


def test_a_worker_times_texts_that_no_thread_has_seen() -> None:
    seen: list[str] = []

    def make() -> object:
        return lambda text: seen.append(text) or []

    questions = [
        {"task": "pii", "text": "first"},
        {"task": "pii", "text": "", "texts": list("abcde"), "threads": 2},
    ]
    answers = io.StringIO()
    lines = io.StringIO("\n".join(json.dumps(question) for question in questions))
    clock = iter(range(99)).__next__
    serve({"pii": make}, lines, answers, lambda: clock() * 100 + len(seen))
    taken = json.loads(answers.getvalue().splitlines()[1])["ns"]
    # Two warm up before the clock starts, the other three are timed.
    assert taken == 100 + 3 and sorted(seen) == ["a", "b", "c", "d", "e", "first"]


def test_a_run_that_was_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    done = []

    def measure() -> list[dict[str, object]]:
        done.append(1)
        return [{"n": 1}]

    first = Progress(file, ["a"])
    assert first.section("Import", measure) == [{"n": 1}]
    again = Progress(file, ["a"])
    assert again.section("Import", measure) == [{"n": 1}] and len(done) == 1
    # Other versions or options are another run.
    Progress(file, ["b"]).section("Import", measure)
    assert len(done) == 2
    Progress(file, ["b"]).close()
    assert not file.exists()


def test_a_section_of_yesterday_is_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    Progress(file, ["a"]).section("Import", lambda: [{"n": 1}])
    old = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(old | {"begun": old["begun"] - 86_400}), "utf-8")
    assert Progress(file, ["a"]).section("Import", lambda: [{"n": 2}]) == [{"n": 2}]


def test_what_a_peer_finds_is_kept_without_the_text(tmp_path: Path) -> None:
    (tmp_path / DONE).write_text("theirs==1", "utf-8")
    worker = Fake("theirs", 1)
    first = Remembering(worker, tmp_path)  # type: ignore[arg-type]
    text = "a lone \ud800 and a s3cret"
    assert first.ask("pii", text) == {"spans": []}
    first.save()
    kept = (tmp_path / "answers.json").read_text("utf-8")
    assert "s3cret" not in kept and "ns" not in json.loads(kept)
    assert Remembering(worker, tmp_path).ask("pii", text) == {"spans": []}  # type: ignore[arg-type]
    assert len(worker.seen) == 1
    (tmp_path / DONE).write_text("theirs==2", "utf-8")
    Remembering(worker, tmp_path).ask("pii", text)  # type: ignore[arg-type]
    assert len(worker.seen) == 2


def test_what_promptguard_finds_is_never_kept(tmp_path: Path) -> None:
    ours = Fake(OURS, 1)
    for _ in range(2):
        asked = Remembering(ours, tmp_path)  # type: ignore[arg-type]
        asked.ask("pii", "x")
        asked.save()
    assert len(ours.seen) == 2 and not (tmp_path / "answers.json").exists()


@pytest.fixture
def fake_environment(tmp_path: Path) -> Callable[[str], Environment]:
    """An environment with a package of one file and this Python, made in no time."""

    def make(name: str) -> Environment:
        site = tmp_path / name / "lib/python3/site-packages"
        site.mkdir(parents=True)
        (site / f"{name}.py").write_text("# a comment\n" * 100_000, "utf-8")
        (site / f"{name}-1.2.dist-info").mkdir()
        python = tmp_path / name / "bin/python"
        python.parent.mkdir()
        script = f"""\
            #!/bin/sh
            PYTHONPATH={site} exec {sys.executable} "$@"
            """
        python.write_text(textwrap.dedent(script), "utf-8")
        python.chmod(0o755)
        return Environment(tmp_path / name)

    return make


def test_imports_are_measured_in_each_environment(
    fake_environment: Callable[[str], Environment],
) -> None:
    known = {name: Peer(imports=name, tasks={}) for name in (OURS, "theirs")}
    there = {name: fake_environment(name) for name in known}
    ours, theirs = importing(known, there, 2, 9.0)
    assert (ours["peer"], theirs["peer"]) == (OURS, "theirs")
    assert ours["wall ms"] > 0 and isinstance(theirs["cpu ms median"], float)
    (row, other) = installed(known, there)
    assert (row["packages"], other["packages"]) == (1, 1)
    assert other["times ours"] == 1


def test_a_whole_run_over_a_fake_peer(
    fake_environment: Callable[[str], Environment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the environments to the tables and pictures, with real processes."""
    known = {
        OURS: Peer(imports=OURS, tasks={"secrets": lambda: None}),
        "detect-secrets": Peer(
            imports="json", tasks={"pii_common": lambda: None, "secrets": lambda: None}
        ),
        "gone": Peer(imports="gone", tasks={}, requirements=("gone==1",)),
    }
    made = {name: fake_environment(name) for name in (OURS, "detect-secrets")}
    made["gone"] = Environment(tmp_path / "gone", "ERROR: No matching distribution")
    # The worker of another library: a module beside it, which answers as a peer would.
    worker = tmp_path / "worker.py"
    code = """\
        import json, sys
        for line in sys.stdin:
            question = json.loads(line)
            if question["task"] == "pii_common":
                answer = {"problem": "it has no model"}
            elif "texts" in question:
                answer = {"ns": 1000}
            else:
                answer = {"ns": 2000, "spans": [], "peak_mib": 9.0}
            print(json.dumps(answer), flush=True)
        """
    worker.write_text(textwrap.dedent(code), "utf-8")
    started = processes.subprocess.Popen

    def start(words: list[object], **more: object) -> object:
        if "benchmarks.peers.worker" in words:
            words = [words[0], worker]
        return started(words, **more)

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    monkeypatch.setattr(command, "QUALITY", {})
    run = Run(known, made, Progress(tmp_path / "p.json", ["a"]), 0.01)
    try:
        sections, grown = run.everything(tmp_path, True)
    finally:
        run.close()
    gone = [row for row in sections["The peers"] if row["peer"] == "gone"]
    assert gone == [
        {
            "peer": "gone",
            "note": "not installed: ERROR: No matching distribution",
        }
    ]
    timed = sections[f"Time of a call: {TASKS['secrets']}"]
    assert {row["peer"] for row in timed} == {OURS, "detect-secrets"}
    assert timed[1]["times ours median"] == 1
    assert sections["What could not be run"] == [
        {"peer": "detect-secrets", "task": "pii_common", "problem": "it has no model"}
    ]
    machine = {"cpu": "c", "cores": "2"}
    found = {"results": {**sections, **grown}, "machine": machine, "date": "today"}
    shown = beside(found)
    timed = shown[f"Time of a call: {TASKS['secrets']}"]
    assert timed[1]["times ours"] == "1 (1 to 1)"
    (lengths,) = growth("Length", "ms median")(found).values()
    assert lengths[0]["1,000"] == 0.002
    assert ">the same, detect-secrets<" in str(scaleplots.lengths(found))
    assert ">secrets<" in str(scaleplots.threads(found))
