"""`promptguard eval` as a shell sees it, with a model that says what a row tells it."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from promptguard.measure import progress

SECRET = "zanzibar-7781"
needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib, the extra `eval`"
)


def rows(*scores: tuple[float, int], **more: object) -> list[dict[str, object]]:
    return [
        {"text": f"{SECRET} {n} score={score}", "label": label, **more}
        for n, (score, label) in enumerate(scores)
    ]


# At 0.8: three attacks of four found, one benign text of six stopped.
ROWS = rows(
    *((0.9, 1), (0.95, 1), (0.85, 1), (0.3, 1)),
    *((0.9, 0), (0.1, 0), (0.2, 0), (0.1, 0), (0.5, 0), (0.0, 0)),
)


def test_the_report_counts_what_the_guard_decides(run, write):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--json", "out.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 attacks, 6 benign" in done.stdout
    assert "PromptInjection(fpr=0.01)" in done.stdout
    assert SECRET not in done.stdout


def test_the_json_file_holds_every_figure_and_no_text(run, write, tmp_path):
    path = write("rows.jsonl", ROWS)
    assert run("eval", path.name, "--json", "out.json").returncode == 0
    text = (tmp_path / "out.json").read_text()
    found = json.loads(text)
    assert SECRET not in text
    assert [
        found[key]
        for key in (
            *("true_positives", "false_negatives"),
            *("false_positives", "true_negatives"),
        )
    ] == [3, 1, 1, 5]
    assert found["precision"]["value"] == found["recall"]["value"] == 0.75
    assert found["f1"] == 0.75
    assert found["false_positive_rate"]["value"] == pytest.approx(1 / 6)
    low, high = found["false_positive_rate"]["interval"]
    assert 0 < low < 1 / 6 < high < 1
    # Pairs in which the attack scores higher: 5.5, 6, 5, 4 of 6 each.
    assert found["roc_auc"] == pytest.approx(20.5 / 24)
    assert found["recall_at_1_percent"]["value"] == 0.25
    assert found["coverage"] == {"mean": 1.0, "least": 1.0, "below_1": 0}
    assert found["latency_ms"]["texts"] == 10
    assert found["latency_ms"]["p95"] >= found["latency_ms"]["p50"] > 0
    assert found["bundle"] == "d" * 64
    assert found["files"][0]["name"] == "rows.jsonl" and found["files"][0]["sha256"]


def test_groups_are_told_apart_where_rows_name_them(run, write, tmp_path):
    write("a.jsonl", rows((0.9, 1), (0.1, 1), category="leak", lang="en"))
    write("b.jsonl.gz", rows((0.9, 0), (0.1, 0), lang="de", role="tool"))
    long = {"text": "score=0.9 windows=3", "label": 1, "category": "leak"}
    done = run(
        *("eval", "a.jsonl", "b.jsonl.gz", "-", "--json", "out.json"),
        stdin=json.dumps(long),
    )
    assert done.returncode == 0, done.stderr
    by = json.loads((tmp_path / "out.json").read_text())["by"]
    assert list(by) == ["category", "lang", "source", "role", "windows"]
    texts = {name: part["texts"] for name, part in by["category"].items()}
    assert texts == {"leak": 3, "(none)": 2}
    assert set(by["lang"]) == {"en", "de", "(none)"}
    assert set(by["source"]) == {"a.jsonl", "b.jsonl.gz", "standard input"}
    assert list(by["windows"]) == ["1", "3..4"]
    assert by["role"]["tool"]["false_positives"] == 1
    assert by["category"]["leak"]["recall"]["value"] == pytest.approx(2 / 3)
    assert "by category" in done.stdout and "by windows" in done.stdout


def test_names_from_a_file_cannot_move_the_cursor(run, write):
    write(
        "rows.jsonl",
        rows((0.9, 1), category="\x1b[2Jgone")
        + rows((0.1, 0), category="x" * 500)
        + rows((0.1, 0)),
    )
    done = run("eval", "rows.jsonl")
    assert "\x1b" not in done.stdout
    assert "?[2Jgone" in done.stdout
    assert "x" * 40 not in done.stdout


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--threshold", "0.2"), 4),
        (("--threshold", "1"), 0),
        (("--fpr", "0.05"), 3),
        (("--limit", "2"), 2),
        (("--role", "tool"), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_change_what_is_measured(run, write, tmp_path, options, found):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--json", "out.json", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["true_positives"] == found


def test_fields_of_other_names_are_found(run):
    stdin = json.dumps({"prompt": "score=0.9", "attack": True})
    done = run(
        *("eval", "-", "--field", "text=prompt", "--field", "label=attack"), stdin=stdin
    )
    assert "1 attacks, 0 benign" in done.stdout


def test_texts_that_were_met_before_are_not_timed(run, write, tmp_path):
    write("rows.jsonl", rows((0.9, 1)) * 5)
    run("eval", "rows.jsonl", "--json", "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["texts"], found["latency_ms"]["texts"]) == (5, 1)


def test_a_text_the_guard_cannot_decide_about_is_named_and_counted(
    run, write, tmp_path
):
    bad = [{"text": f"unreadable {SECRET} {n}", "label": 1} for n in range(5)]
    write("rows.jsonl", ROWS + bad)
    done = run("eval", "rows.jsonl", "--json", "out.json")
    assert done.returncode == 0
    notes = done.stderr.splitlines()
    assert len(notes) == 3
    assert notes[0].startswith("promptguard: rows.jsonl:11: the text is longer than")
    assert notes[2].endswith("left out; more are counted")
    assert SECRET not in done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["texts"], found["left_out"]) == (10, 5)
    assert "5 texts that it could not decide about" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "FILE"),
        (("nowhere.jsonl",), "nowhere.jsonl cannot be read"),
        (("empty.jsonl",), "no text to measure"),
        (("bad.jsonl",), "bad.jsonl:2: 'label' must be 0 or 1"),
        (("good.jsonl", "bad.jsonl"), "bad.jsonl:2"),
        (("good.jsonl", "--fpr", "0.2"), "choose one of 0.01, 0.05"),
        (("good.jsonl", "--fpr", "2"), "fpr must be a share"),
        (("good.jsonl", "--fpr", "0.05", "--threshold", "1"), "not allowed with"),
        (("good.jsonl", "--threshold", "0.5", "--calibration", "x"), "not both"),
        (("good.jsonl", "--calibration", "nowhere.json"), "nowhere.json cannot be"),
        (("good.jsonl", "--role", "boss"), "boss"),
        (("good.jsonl", "--limit", "0"), "at least 1"),
        (("good.jsonl", "--field", "body=x"), "say KIND=NAME"),
        (("good.jsonl", "--field", "text"), "say KIND=NAME"),
        (("good.jsonl", "--field", "text=body"), "no field 'body'; the row has text"),
        (("good.jsonl", "--json", "no/such/folder.json"), "no such folder"),
        (("good.jsonl", "--json", "."), "is a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(run, write, arguments, says):
    write("good.jsonl", ROWS)
    write("bad.jsonl", [ROWS[0], {"text": SECRET, "label": "yes"}])
    write("empty.jsonl", [])
    done = run("eval", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("promptguard")
    assert says in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_bad_row_shows_before_anything_is_scored(run, write):
    write("rows.jsonl", [{"text": "unreadable", "label": 1}, {"text": 1, "label": 1}])
    done = run("eval", "rows.jsonl")
    assert "rows.jsonl:2" in done.stderr
    assert "longer than a model reads" not in done.stderr


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_the_figures_may_go_into_a_pipe(run, write):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--json", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.index("{") :])["attacks"] == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_that_names_the_file(run, write):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--json", "/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("promptguard: /dev/full cannot be written: No space")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_file_is_replaced_behind_its_link(run, write, tmp_path):
    write("rows.jsonl", ROWS)
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    assert run("eval", "rows.jsonl", "--json", "link.json").returncode == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["attacks"] == 4
    assert not list(tmp_path.glob(".*"))


@needs_matplotlib
def test_plots_are_pictures(run, write, tmp_path):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--plots", "deep/plots")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("roc.png", "scores.png", "reliability.png"):
        data = (tmp_path / "deep/plots" / name).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 10_000
        assert name in done.stdout


@needs_matplotlib
@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_text_is_drawn_as_far_as_it_can_be(run, write, tmp_path, label):
    write("rows.jsonl", rows((0.9, label), (0.2, label)))
    done = run("eval", "rows.jsonl", "--plots", "plots")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["scores.png"]


@needs_matplotlib
def test_plots_need_a_folder_that_can_be_made(run, write):
    write("rows.jsonl", ROWS)
    done = run("eval", "rows.jsonl", "--plots", "rows.jsonl")
    assert done.returncode == 2
    assert "rows.jsonl cannot be made" in done.stderr


def test_plots_without_matplotlib_name_the_extra(monkeypatch):
    from promptguard import MissingExtra
    from promptguard.measure import plots

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[eval\]"):
        plots.prepare("plots")


class Terminal:
    def __init__(self, tty: bool) -> None:
        self.text = ""
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_a_terminal_sees_how_far_it_is_and_a_file_does_not(monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", 0)
    for tty in (True, False):
        terminal = Terminal(tty)
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(progress.progress("abcd", 4, "eval")) == [*"abcd"]
        monkeypatch.undo()
        monkeypatch.setattr(progress, "_EVERY", 0)
        if not tty:
            assert terminal.text == ""
            continue
        assert "eval ############------------ 2 of 4 (50%), 0:00:00 left" in (
            terminal.text
        )
        # The line is clear again for what comes after.
        assert terminal.text.endswith("\r\x1b[K")
        assert max(map(len, terminal.text.split("\r\x1b[K"))) < 80
