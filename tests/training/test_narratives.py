"""Our own narratives, their variations, and more of them by an LLM."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from promptguard.testing import ChatServer, Reply
from training.__main__ import main
from training.errors import PipelineError
from training.narratives import Narrative, five_grams, load, vary
from training.simulate import Order, simulate

OWN = load()


def test_there_are_300_of_30_topics_with_and_without_a_disclosure() -> None:
    assert len(OWN) >= 300
    topics = Counter(narrative.topic for narrative in OWN)
    assert len(topics) >= 30
    for topic in topics:
        labels = {n.disclosure for n in OWN if n.topic == topic}
        assert labels == {0, 1}
    assert len({narrative.text for narrative in OWN}) == len(OWN)


def test_a_narrative_discloses_when_its_facts_say_so() -> None:
    for narrative in OWN:
        kinds = {fact.kind for fact in narrative.facts if fact.disclosed}
        health = kinds & {"condition", "health"}
        who = kinds & {"name", "surname", "identifier"}
        assert bool(health and who) == bool(narrative.disclosure), narrative.text
        assert bool(kinds) == bool(narrative.disclosure), narrative.text


def test_hardly_any_two_share_half_of_their_words_in_a_row() -> None:
    grams = [five_grams(narrative) for narrative in OWN]
    pairs = alike = 0
    for one, other in combinations(grams, 2):
        pairs += 1
        alike += len(one & other) > 0.5 * max(1, min(len(one), len(other)))
    assert alike <= 0.05 * pairs


def test_that_measure_sees_a_copy_with_other_names() -> None:
    first = next(n for n in OWN if n.disclosure and n.facts[0].kind == "name")
    copy = next(iter(vary([first], 1, 5)))
    shared = five_grams(first) & five_grams(copy)
    assert len(shared) > 0.5 * len(five_grams(first))


def test_variations_keep_their_labels_and_their_facts() -> None:
    made = [*vary(OWN, 2, 7)]
    assert len(made) == 2 * len(OWN)
    for old, new in zip((n for n in OWN for _ in range(2)), made, strict=True):
        assert (new.disclosure, new.topic) == (old.disclosure, old.topic)
        assert new.made.startswith("varied: ")
        assert [f.kind for f in new.facts] == [f.kind for f in old.facts]
        for fact in new.facts:
            part = new.text[fact.start : fact.end]
            assert part and part == part.strip()
    changed = sum(new.text != old.text for old, new in zip(OWN, made[::2], strict=True))
    assert changed > 0.75 * len(OWN)
    steps = Counter(step for n in made for step in n.made[8:].split(", "))
    assert min(steps[step] for step in ("names", "sex", "person", "tense")) >= 10


def test_the_same_seed_makes_the_same_variations() -> None:
    assert [*vary(OWN[:20], 2, 3)] == [*vary(OWN[:20], 2, 3)]
    assert [*vary(OWN[:20], 2, 3)] != [*vary(OWN[:20], 2, 4)]


def test_no_name_stays_behind() -> None:
    for old, new in zip(OWN, vary(OWN, 1, 11), strict=True):
        for fact in old.facts:
            name = old.text[fact.start : fact.end]
            if fact.kind == "name" and " " not in name:
                assert name not in new.text.replace(name.lower(), "").split(), old.text


def test_vary_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "varied.jsonl"
    assert main(["vary", "--count", "1", "--seed", "2", "--out", str(out)]) == 0
    assert f"{len(OWN)} narratives" in capsys.readouterr().out
    assert load(out) == [*vary(OWN, 1, 2)]


def test_a_line_that_is_no_narrative_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"text": "Mia", "topic": "t", "disclosure": 0}\n{"secret": 1}\n')
    with pytest.raises(PipelineError, match=r"bad\.jsonl, line 2") as caught:
        load(file)
    assert "secret" not in str(caught.value)


# Answers of an LLM

STORY = "Mia has asthma. Mia keeps her inhaler in a red bag."


def answer(body: dict[str, object]) -> str:
    """What a model might say: prose around the JSON, and facts where asked for."""
    messages = body["messages"]
    assert isinstance(messages, list)
    if "Give no facts" in messages[1]["content"]:
        return json.dumps({"text": "I like ducks.", "facts": []})
    facts = [{"text": "Mia", "kind": "name"}, {"text": "asthma", "kind": "health"}]
    return "Here it is:\n" + json.dumps({"text": STORY, "facts": facts}) + "\nDone."


def test_an_llm_writes_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai", reason="the openai client is an extra")
    out = tmp_path / "more.jsonl"
    with ChatServer(answer) as server:
        command = ["simulate", "--base-url", server.base_url, "--model", "writer"]
        command += ["--topics", "park, zoo", "--count", "2", "--out", str(out)]
        assert main(command) == 0
        assert "4 narratives written" in capsys.readouterr().out
        assert len(server.requests) == 4
        # What is there is not asked for again.
        assert main(command) == 0
        assert len(server.requests) == 4
        base = server.base_url
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(r["topic"], r["disclosure"]) for r in rows] == [
        *(("park", 1), ("park", 0), ("zoo", 1), ("zoo", 0))
    ]
    made = rows[0]["provenance"]
    assert (made["model"], made["base_url"], made["number"]) == ("writer", base, 0)
    assert len(made["prompt_sha256"]) == 64
    first = rows[0]
    spans = [(first["text"][f["start"] : f["end"]], f["kind"]) for f in first["facts"]]
    assert spans == [("Mia", "name"), ("asthma", "health"), ("Mia", "name")]
    assert [n.made for n in load(out)] == ["simulated"] * 4


def order(server: ChatServer, count: int = 2) -> Order:
    return Order(server.base_url, "writer", ("park",), count)


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason="the openai client is an extra")
    out = tmp_path / "more.jsonl"
    said = answer({"messages": [0, {"content": ""}]})
    with ChatServer([said, *[Reply(status=400)] * 3]) as server:
        with pytest.raises(PipelineError, match="did not answer") as caught:
            simulate(order(server), out)
        assert "Mia" not in str(caught.value)
    whole = out.read_bytes()
    out.write_bytes(whole + whole[:40])
    with ChatServer(answer) as server:
        assert simulate(order(server), out) == (1, 0)
        assert len(server.requests) == 1
    assert out.read_bytes().startswith(whole)
    assert len(load(out)) == 2


@pytest.mark.parametrize(
    "said",
    [
        "I would rather not.",
        '{"text": "Mia has asthma.", "facts": []}',
        '{"text": "Mia has asthma.", "facts": [{"text": "Mia", "kind": "name"}]}',
        '{"text": "Tom.", "facts": [{"text": "Mia", "kind": "name"}]}',
        '{"text": "Tom.", "facts": [{"text": "", "kind": "name"}]}',
        '{"text": ["Tom"], "facts": []}',
    ],
    ids=["no JSON", "no facts", "no health", "not in the text", "empty", "no text"],
)
def test_what_does_not_fit_its_label_is_asked_for_again(
    tmp_path: Path, said: str
) -> None:
    pytest.importorskip("openai", reason="the openai client is an extra")
    out = tmp_path / "more.jsonl"
    with ChatServer(said) as server:
        assert simulate(order(server, 1), out) == (0, 1)
        assert len(server.requests) == 3
    assert out.read_text("utf-8") == ""


def test_another_file_is_not_written_into(tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\n")
    with pytest.raises(PipelineError, match="line 1: not a simulated narrative"):
        simulate(Order("http://127.0.0.1:9/v1", "writer", ("park",)), out)
    assert out.read_text() == "my notes\n"


def test_facts_have_to_be_in_order() -> None:
    for narrative in OWN:
        assert isinstance(narrative, Narrative)
        assert "".join(piece for piece, _ in narrative.parts()) == narrative.text
