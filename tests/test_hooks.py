"""Verdicts reach those who asked for them, and no text reaches the logs."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from dataclasses import dataclass

import pytest

from promptguard import (
    Action,
    ConfigError,
    Finding,
    Guard,
    Text,
    Verdict,
    capture,
    on_verdict,
)
from promptguard.guard import Inspection


@dataclass(frozen=True)
class Finds(Guard):
    """Finds the first character."""

    def inspect(self, text: Text) -> Inspection:
        yield Finding("first", 1.0, 0, 1)


def test_capture_collects_allowed_and_blocked_verdicts() -> None:
    with capture() as verdicts:
        Finds().check("x")
        Finds(action=Action.ALLOW).check("y")
    assert [verdict.blocked for verdict in verdicts] == [True, False]
    Finds().check("z")
    assert len(verdicts) == 2


def test_captures_nest() -> None:
    with capture() as outer:
        Finds().check("x")
        with capture() as inner:
            Finds().check("y")
    assert (len(outer), len(inner)) == (2, 1)


async def test_concurrent_tasks_capture_their_own() -> None:
    async def one(text: str) -> list[Verdict]:
        with capture() as verdicts:
            await Finds().acheck(text)
            await asyncio.sleep(0)
            await Finds().acheck(text)
        return verdicts

    for verdicts in await asyncio.gather(one("a"), one("b")):
        assert len({verdict.original for verdict in verdicts}) == 1
        assert len(verdicts) == 2


def test_a_hook_sees_verdicts_until_it_is_removed() -> None:
    seen: list[Verdict] = []
    remove = on_verdict(seen.append)
    Finds().check("x")
    remove()
    Finds().check("y")
    assert [verdict.original for verdict in seen] == ["x"]


def test_a_hook_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(verdict: Verdict) -> None:
        raise ValueError(verdict.original)

    remove = on_verdict(broken)
    try:
        assert Finds().check("canary-7713").blocked
    finally:
        remove()
    assert "ValueError" in caplog.text and "canary" not in caplog.text


def test_logs_and_pickles_hold_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    verdict = Finds().check("canary-7713")
    assert "first 1.00 at 0..1" in caplog.text and "canary" not in caplog.text
    assert b"canary" not in pickle.dumps(verdict)
    assert pickle.loads(pickle.dumps(verdict)).findings == verdict.findings


def test_a_pickle_keeps_the_redacted_text() -> None:
    verdict = Finds(action=Action.REDACT).check("canary")
    data = pickle.dumps(verdict)
    assert pickle.loads(data).text == verdict.text != "canary"
    assert b"canary" not in data


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigError, match="function"):
        on_verdict(5)  # type: ignore[arg-type]  # the mistake


def test_a_verdict_keeps_its_text_in_copies_and_loses_it_in_pickles() -> None:
    verdict = Finds(action=Action.ALLOW).check("hello")
    assert copy.deepcopy(verdict).text == copy.copy(verdict).text == "hello"
    # None, so that nobody sends an empty prompt on by mistake.
    assert pickle.loads(pickle.dumps(verdict)).text is None
