"""What was kept is found again."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra capture")

from records_made import record_of

from promptguard import Action, ConfigError, Finding, Verdict
from promptguard.records import Checked, Latency, Said
from promptguard.traffic import Filters, Traffic, Writer

NOW = 1_800_000_000.0


def judged(request: str, score: float, **fields: object):
    found = Finding("injection", score, 0, 4, "prompt_injection", Action.BLOCK)
    action = Action.BLOCK if score > 0.5 else Action.FLAG
    verdict = Verdict("some words", (found,), action, "some words")
    return record_of(verdict, request, **fields)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('traffic')}/traffic.db"
    answer = Verdict("an answer", (), Action.ALLOW, "an answer")
    two = judged("both", 0.3, time=NOW + 3)
    checks = (*two.checks, Checked.of(answer, "output", "assistant"))
    said = (*two.texts, Said("output", "assistant", "an answer", "an answer"))
    with Writer(url, texts="whole") as writer:
        writer.write(record_of("plain words", "plain", time=NOW))
        writer.write(judged("high", 0.9, time=NOW + 1, caller="bob"))
        writer.write(judged("low", 0.6, time=NOW + 2, endpoint="/v1/responses"))
        writer.write(
            replace(
                two,
                endpoint="/v1/responses",
                model="other",
                tokens_in=None,
                tokens_out=None,
                outcome="flagged",
                checks=checks,
                latency=Latency(0.5, 0.02, 0.4, 0.03),
                texts=said,
            )
        )
        writer.write(
            record_of(
                "x",
                "refused",
                time=NOW + 4,
                checks=(),
                texts=(),
                outcome="refused",
                status=401,
                model="",
            )
        )
    with Traffic(url) as traffic:
        yield traffic


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["refused", "both", "low", "high", "plain"]),
        ({"since": NOW + 2}, ["refused", "both", "low"]),
        ({"until": NOW + 2}, ["high", "plain"]),
        ({"since": NOW + 1, "until": NOW + 2}, ["high"]),
        ({"endpoint": "/v1/responses"}, ["both", "low"]),
        ({"model": "other"}, ["both"]),
        ({"caller": "bob"}, ["high"]),
        ({"outcome": "refused"}, ["refused"]),
        ({"action": "block"}, ["low", "high"]),
        ({"action": "allow"}, ["both", "plain"]),
        ({"direction": "output"}, ["both"]),
        ({"role": "user"}, ["both", "low", "high", "plain"]),
        ({"guard": "prompt_injection"}, ["both", "low", "high"]),
        ({"label": "injection", "min_score": 0.5}, ["low", "high"]),
        ({"min_score": 0.2, "max_score": 0.7}, ["both", "low"]),
        ({"direction": "output", "guard": "prompt_injection"}, []),
        ({"guard": "nobody"}, []),
    ],
    ids=str,
)
def test_requests_are_found_by(traffic, filters, found):
    requests = traffic.requests(Filters(**filters))
    assert [request.about["request"] for request in requests] == found


def test_a_limit_gives_the_newest(traffic):
    found = [request.about["request"] for request in traffic.requests(limit=2)]
    assert found == ["refused", "both"]


def test_a_request_comes_with_its_texts_in_order(traffic):
    (request,) = traffic.show("both")
    assert [text.about["direction"] for text in request.texts] == ["input", "output"]
    assert [len(text.findings) for text in request.texts] == [1, 0]
    assert traffic.show(request.about["key"]) == (request,)


def test_texts_are_those_that_fit_and_not_their_neighbours(traffic):
    found = [text.text for _, text in traffic.texts(Filters(direction="output"))]
    assert found == ["an answer"]
    scores = Filters(min_score=0.5)
    assert [r.about["request"] for r, _ in traffic.texts(scores)] == ["low", "high"]
    assert len([*traffic.texts(limit=3)]) == 3


def test_an_unknown_id_is_said_without_repeating_it(traffic):
    with pytest.raises(ConfigError, match="no request with this id"):
        traffic.show("nothing")


def test_no_text_is_in_a_repr(traffic):
    (request,) = traffic.show("both")
    assert "answer" not in repr(request)


def test_statistics_are_counted(traffic):
    stats = traffic.stats()
    assert stats["requests"] == 5
    assert stats["outcomes"] == {"blocked": 2, "flagged": 1, "allowed": 1, "refused": 1}
    assert stats["texts"] == {"block": 2, "flag": 1, "allow": 2}
    assert stats["findings"] == [
        ("prompt_injection", "injection", "block", 3, pytest.approx(0.9))
    ]
    # Nearest rank: the third of five, and the highest.
    assert stats["seconds"] == {"p50": 0.25, "p95": 0.5, "p99": 0.5}
    assert stats["seconds_added"]["p99"] == pytest.approx(0.05)
    assert stats["models"] == [
        ("", None, 1, 1000, 500, None),
        ("gpt-4o-mini", None, 3, 3000, 1500, None),
    ]
    assert stats["writers"] == {
        "writers": 1,
        "written": 5,
        "dropped": 0,
        "ended_without_closing": 0,
    }
    some = traffic.stats(Filters(action="block"))
    assert (some["requests"], some["texts"]) == (2, {"block": 2})


def test_statistics_of_nothing_are_zero(traffic):
    stats = traffic.stats(Filters(model="none"))
    assert (stats["requests"], stats["seconds"], stats["findings"]) == (0, {}, [])


def test_more_than_a_page_is_read_in_order_and_once(url):
    with Writer(url) as writer:
        for number in range(450):
            # Many at the same time, so that the key decides.
            writer.write(record_of("x", f"{number}", time=NOW + number // 100))
    with Traffic(url) as traffic:
        found = [int(r.about["request"]) for r in traffic.requests()]
        assert sorted(found) == list(range(450))
        assert len([*traffic.requests(limit=250)]) == 250
    assert [n // 100 for n in found] == sorted((n // 100 for n in found), reverse=True)


def test_reading_while_somebody_writes(url):
    with Writer(url) as writer, Traffic(url) as traffic:
        writer.write(record_of("x"))
        until = time.monotonic() + 10
        while not [*traffic.requests()]:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_database_without_traffic_is_said(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        Traffic(f"sqlite:///{tmp_path}/none.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="no traffic in this database"):
        Traffic(f"sqlite:///{tmp_path}/empty.db")


def test_a_score_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Filters(min_score=70.0)
