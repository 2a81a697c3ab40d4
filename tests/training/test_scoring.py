"""The score of each text, of the model that is in the folder now."""

from __future__ import annotations

from pathlib import Path

from promptguard import Action, PromptInjection
from promptguard.runtime.bundle import Bundle
from training.namepoints import measured_names
from training.rows import Row
from training.scoring import judge_all, score_all
from training.testing.tiny import write_bundle
from training.tokenlabels import Marked, write_marked

ROWS = [
    Row(text, role, {}, "made", "")
    for text in ("the heliotrope is out", "the vermilion is out")
    for role in ("user", "tool")
]


def test_a_folder_that_was_trained_into_again_is_scored_anew(tmp_path: Path):
    folder = str(tmp_path / "bundle")
    told = []
    for word in ("heliotrope", "vermilion"):
        write_bundle(Path(folder), words=(word,))
        rate = Bundle.load(folder).operating_points[0].fpr
        guard = PromptInjection(fpr=rate, model=folder, action=Action.FLAG)
        scored = score_all(ROWS, "scores", model=folder, rates=(rate,))
        judged = judge_all(ROWS, "judged", model=folder, guards={"it": guard})
        assert [one.score for one in scored] == [j.scores["injection"] for j in judged]
        likely = [one.score > 0.5 for one in scored]
        assert [bool(one.flagged_at) for one in scored] == likely
        assert [j.flagged == {"it"} for j in judged] == likely
        told.append(likely)
    assert told == [[True, True, False, False], [False, False, True, True]]


def test_its_names_are_too(tmp_path: Path):
    folder, needed = tmp_path / "bundle", {"names": tmp_path}
    row = Marked("heliotrope is out", (), "made")
    write_marked(tmp_path / "heldout.jsonl.gz", [row])
    told = []
    for word in ("heliotrope", "vermilion"):
        write_bundle(folder, names={"person": ((word,), ())})
        measured = measured_names(Bundle.load(str(folder)), needed)
        told.append({one.role: one.score > 0.5 for one in measured})
    assert told == [{"user": True, "tool": True}, {"user": False, "tool": False}]
