"""Operating points: which texts set them, and what is said about them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from promptguard.measure.figures import exact
from promptguard.runtime.bundle import Bundle
from training import calibrate
from training import config as configuration
from training.calibrate import BUCKETS, Measured, points, setting
from training.config import Calibrate
from training.errors import PipelineError
from training.metrics import effective, share_interval
from training.rows import Row, load_sources, write_rows
from training.testing.tiny import write_bundle


def texts(
    count: int,
    *,
    sources: int = 1,
    windows: int = 1,
    role: str = "user",
    pasted: bool = False,
    low: float = 0.0,
    seed: int = 1,
) -> list[Measured]:
    draw = random.Random(seed)
    return [
        Measured(
            source=f"source {number % sources}",
            role=role,
            windows=windows,
            score=low + (1 - low) * draw.random() * 0.9,
            pasted=pasted,
        )
        for number in range(count)
    ]


def at(table: Sequence[dict], rate: float, role: str = "user") -> dict[int, dict]:
    return {r["windows"]: r for r in table if (r["fpr"], r["role"]) == (rate, role)}


def test_a_point_has_the_measured_rate_and_its_interval() -> None:
    table = points(texts(1000), Calibrate(rates=(0.01, 0.1)))
    row = at(table, 0.01)[1]
    assert row["texts"] == row["effective"] == 1000
    assert row["measured"] == 0.01
    assert row["interval"] == pytest.approx(exact(10, 1000), abs=1e-6)
    assert row["interval"][0] < row["measured"] < row["interval"][1]


def test_texts_that_stand_for_a_whole_source_count_for_less() -> None:
    even = [[0.1] * 100, [0.2] * 100]
    uneven = [[0.1] * 190, [0.2] * 10]
    assert effective(even) == pytest.approx(200)
    assert effective(uneven) == pytest.approx(4 / (1 / 190 + 1 / 10))
    assert effective([]) == 0.0
    narrow, wide = share_interval(even, 0.15), share_interval(uneven, 0.15)
    assert narrow and wide
    # Half of the weight reaches it either way, and one half is ten texts.
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]
    assert share_interval([], 0.5) is None


def test_a_length_with_too_few_texts_is_measured_with_the_longer_ones() -> None:
    measured = [
        *texts(400, windows=1),
        *texts(60, windows=2, low=0.2),
        *texts(60, windows=3, low=0.3),
        *texts(5, windows=30, low=0.5),
    ]
    table = points(measured, Calibrate(rates=(0.05,), least=100))
    rows = at(table, 0.05)
    assert rows[1]["measured_with"] == [1]
    assert rows[2]["measured_with"] == rows[4]["measured_with"] == [2, 4]
    assert rows[2]["threshold"] == rows[4]["threshold"] > rows[1]["threshold"]
    assert rows[2]["enough"]
    assert not rows[16]["enough"]
    assert rows[8]["texts"] == 0
    assert rows[8]["measured"] is rows[8]["interval"] is None


def test_no_threshold_falls_with_the_length_or_rises_with_the_rate() -> None:
    draw = random.Random(4)
    measured = [
        m
        for windows in BUCKETS
        for m in texts(
            draw.choice((30, 150, 400)),
            windows=windows,
            low=draw.random() / 2,
            seed=windows,
        )
    ]
    rates = (0.001, 0.01, 0.1)
    table = points(measured, Calibrate(rates=rates, least=100))
    by_rate = [[at(table, rate)[b]["threshold"] for b in BUCKETS] for rate in rates]
    for thresholds in by_rate:
        assert thresholds == sorted(thresholds)
    for strict, loose in pairwise(by_rate):
        assert all(a >= b for a, b in zip(strict, loose, strict=True))


def test_pasted_documents_count_only_where_own_words_are_too_few() -> None:
    own, pasted = texts(300), texts(300, pasted=True, low=0.8)
    settings = Calibrate(rates=(0.01, 0.1), least=100)
    alone = at(points(own, settings), 0.01)[1]
    both = at(points([*own, *pasted], settings), 0.01)[1]
    assert both["threshold"] == alone["threshold"]
    assert (both["texts"], both["pasted"]) == (300, 0)
    few = at(points([*own[:60], *pasted], settings), 0.01)[1]
    assert few["threshold"] > alone["threshold"]
    assert (few["texts"], few["pasted"]) == (360, 300)


def test_a_role_without_texts_gets_no_point() -> None:
    table = points(texts(200), Calibrate(rates=(0.1,)))
    assert {row["role"] for row in table} == {"user"}


def row(text: str, source: str, role: str = "user") -> Row:
    return Row(text, role, {"injection": 0}, source, "benign_chat", "en")


def test_unseen_sources_set_no_threshold(world: Path) -> None:
    config = configuration.load(world / "run.toml")
    quantize = write_bundle(world / "build" / "quantize")
    data = world / "build" / "data"
    data.mkdir()
    # The tiny model gives 0.98 to whatever says "secret".
    rows = [row(f"how is river {number}?", "chat") for number in range(40)]
    rows += [
        row(f"report {number} of the house", "documents", "tool")
        for number in range(40)
    ]
    loud = [row(f"a secret garden {n}", "new_documents", "tool") for n in range(40)]
    write_rows(data / "heldout.jsonl.gz", [*rows, *loud])
    out = world / "build" / "calibrate"
    out.mkdir()
    calibrate.make(config, {"data": data, "quantize": quantize}, out)
    bundle = Bundle.load(str(out))
    assert {p.role for p in bundle.operating_points} == {"user", "tool"}
    assert max(p.threshold for p in bundle.operating_points) < 0.9
    statement = json.loads((out / "bundle.json").read_text())
    assert statement["measured_on"]["sources"] == ["chat", "documents"]
    assert all("interval" in point for point in statement["operating_points"])


def test_a_label_is_set_by_texts_that_are_known_not_to_have_it(world: Path) -> None:
    config = configuration.load(world / "run.toml")
    others = {"toxicity": {"toxic": ("moron",), "threat": ("burn",)}}
    quantize = write_bundle(world / "build" / "quantize", others=others)
    data = world / "build" / "data"
    data.mkdir()

    def comment(text: str, **labels: int) -> Row:
        return Row(text, "user", labels, "comments", "plain_comment", "en")

    rows = [row(f"how is river {number}?", "chat") for number in range(40)]
    rows += [comment(f"what a house {n}", toxic=0, threat=0) for n in range(30)]
    # They are known to be no threats, and whether they are toxic is not known.
    rows += [comment(f"you moron {n}", threat=0) for n in range(30)]
    rows += [comment(f"i will burn it {n}", toxic=1, threat=1) for n in range(30)]
    write_rows(data / "heldout.jsonl.gz", rows)
    out = world / "build" / "calibrate"
    out.mkdir()
    calibrate.make(config, {"data": data, "quantize": quantize}, out)
    found = Bundle.load(str(out)).operating_points
    roles = {(p.label, p.role) for p in found}
    # Comments are read in either role, because there are some in documents.
    assert roles == {
        ("injection", "user"),
        *((label, role) for label in ("toxic", "threat") for role in ("user", "tool")),
    }
    statement = json.loads((out / "bundle.json").read_text())
    texts = {
        (point["label"], point["role"]): point["texts"]
        for point in statement["operating_points"]
        if point["windows"] == 1
    }
    assert texts["injection", "user"] == 40
    assert texts["toxic", "user"] == 30
    assert texts["threat", "user"] == 60
    assert max(p.threshold for p in found) < 0.9


def test_without_held_out_texts_it_says_what_to_change(world: Path) -> None:
    sources = load_sources(world / "sources.toml")
    benign = [row("a report", "new_documents", "tool")]
    with pytest.raises(PipelineError, match="held_out"):
        setting(benign, sources)
    assert setting([*benign, row("a house", "chat")], sources)[0].source == "chat"
