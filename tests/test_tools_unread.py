"""guard_tool and what is no text: read as str() says it, or refused; errors as well."""

from __future__ import annotations

import asyncio
import collections
import decimal
import enum
import types
import uuid
from pathlib import Path
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, Blocked, ConfigError, GuardError, guard_tool
from promptguard.testing import FakeGuard

BAD = FakeGuard(name="bad", word="bad")
CANARY = "canary-5150"


class Colour(enum.Enum):
    RED = "so bad"


class Named:
    """Says what it is in a way of its own, and has a field."""

    def __init__(self, said: str = "so bad") -> None:
        self.field = "fine"
        self.said = lambda: said

    def __str__(self) -> str:
        return self.said()


class Broken:
    def __str__(self) -> str:
        raise ValueError(CANARY)


SAID = {
    "path": Path("so bad"),
    "paths": [Path("fine"), Path("so bad")],
    "path inside": {"file": Path("so bad")},
    "bytes": b"so bad",
    "bytes inside": {"rows": [bytearray(b"so bad")]},
    "memory": memoryview(b"so bad"),
    "error": ValueError("so bad"),
    "errors inside": {"failed": [KeyError("so bad")]},
    "enum": Colour.RED,
    "enum inside": [Colour.RED],
    "own words": Named(),
    "fields": types.SimpleNamespace(note="so bad"),
    "set of tuples": {("fine", "so bad")},
    "key that is a tuple": {("so bad",): 1},
    "deque": collections.deque(["so bad"]),
    "values of a dict": {"a": "so bad"}.values(),
}
FINE = {
    "path": Path("fine"),
    "bytes": b"fine",
    "decimal": decimal.Decimal("1.5"),
    "uuid": uuid.UUID(int=1),
    "error": ValueError("fine"),
    "own words": Named("fine"),
}
UNREAD = {
    "a picture's bytes": b"\x89PNG\r\n\x1a\n\x00\xff",
    "bytes inside": {"png": b"\x89PNG"},
    "an object": object(),
    "objects": [object(), object()],
}


@pytest.mark.parametrize("value", SAID.values(), ids=SAID)
def test_what_is_no_string_is_read_as_frameworks_hand_it_on(value):
    with pytest.raises(Blocked):
        guard_tool(lambda: value, result=BAD)()


@pytest.mark.parametrize("value", FINE.values(), ids=FINE)
def test_what_says_nothing_bad_goes_on_as_it_is(value):
    with pg.capture() as verdicts:
        assert guard_tool(lambda: value, result=BAD)() is value
    assert {verdict.coverage for verdict in verdicts} <= {1.0}


@pytest.mark.parametrize("value", [Path("/home/Joe"), b"Joe", ValueError("Joe")])
def test_what_cannot_be_rewritten_is_blocked_where_it_would_be_redacted(value):
    guard = FakeGuard(word="Joe", action=Action.REDACT)
    with pytest.raises(Blocked):
        guard_tool(lambda: value, result=guard)()


@pytest.mark.parametrize("value", UNREAD.values(), ids=UNREAD)
def test_a_result_that_nobody_can_read_is_refused_unless_told_otherwise(value):
    with pytest.raises(ConfigError, match="no guard can read"):
        guard_tool(lambda: value, result=BAD)()
    with pg.capture() as verdicts:
        allowed = guard_tool(lambda: value, result=BAD, on_error="allow")
        assert allowed() is value
    assert [verdict.coverage for verdict in verdicts] == [0.0]


def test_what_is_partly_read_is_stated():
    with pg.capture() as verdicts:
        guard_tool(lambda: {"alt": "a cat", "png": b"\x89PNG"}, result=BAD)()
    assert [verdict.coverage for verdict in verdicts] == [0.5]


def test_an_object_that_fails_to_say_what_it_is_is_refused():
    with pytest.raises(ConfigError) as raised:
        guard_tool(lambda: Broken(), result=BAD)()
    assert CANARY not in str(raised.value)
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize("value", [Path("so bad"), b"so bad", Named()])
def test_arguments_that_a_framework_made_of_strings_are_read(value):
    with pytest.raises(Blocked):
        guard_tool(lambda where: 1, arguments=BAD)(value)
    with pytest.raises(Blocked):
        guard_tool(lambda where: 1, arguments=BAD)(where=value)


def failing(error: BaseException) -> Any:
    def fn(n: int = 0) -> str:
        raise error

    return fn


def chained() -> Exception:
    error = RuntimeError("fine")
    error.__cause__ = ValueError("so bad")
    return error


def noted() -> Exception:
    error = RuntimeError("fine")
    error.add_note("so bad")
    return error


ERRORS = {
    "message": ValueError("so bad"),
    "cause": chained(),
    "note": noted(),
    "group": ExceptionGroup("fine", [ValueError("so bad")]),
    "file": FileNotFoundError(2, "missing", "so bad"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_what_an_error_says_is_checked_as_a_result_is(error):
    with pytest.raises(Blocked) as blocked:
        guard_tool(failing(error), result=BAD)()
    assert blocked.value.__cause__ is blocked.value.__context__ is None
    answered = guard_tool(failing(error), result=BAD, on_block="[removed]")
    assert answered() == "[removed]"


def test_an_error_that_says_nothing_bad_is_raised_as_it_is():
    error = ValueError("fine")
    with pytest.raises(ValueError) as raised, pg.capture() as verdicts:
        guard_tool(failing(error), result=BAD)()
    assert raised.value is error
    assert [verdict.coverage for verdict in verdicts] == [1.0]


def test_an_error_is_checked_with_the_role_of_a_tool_and_not_without_a_guard():
    roles = []

    class Asks(pg.Guard):
        def inspect(self, text):
            roles.append(text.role)
            return
            yield

    for guards in ({"result": Asks()}, {"arguments": Asks()}):
        with pytest.raises(ValueError):
            guard_tool(failing(ValueError("fine")), **guards)()
    assert roles == ["tool"]


async def test_errors_of_async_tools_are_checked():
    async def fetch() -> str:
        await asyncio.sleep(0)
        raise ValueError("so bad")

    with pytest.raises(Blocked):
        await guard_tool(fetch, result=BAD)()
    # A plain function that gives an awaitable.
    with pytest.raises(Blocked):
        await guard_tool(lambda: fetch(), result=BAD)()
    quiet = FakeGuard(word="worse")
    with pytest.raises(ValueError, match="so bad"):
        await guard_tool(fetch, result=quiet)()


async def test_cancelling_and_ending_are_no_errors_of_a_tool():
    async def fetch() -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await guard_tool(fetch, result=BAD)()
    with pytest.raises(SystemExit):
        guard_tool(failing(SystemExit(1)), result=BAD)()


def test_a_guard_that_breaks_over_an_error_shows_neither():
    broken = FakeGuard(error=RuntimeError(CANARY))
    with pytest.raises(GuardError) as raised:
        guard_tool(failing(ValueError(CANARY)), result=broken)()
    assert CANARY not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_guard_within_a_tool_raises_through_it():
    inner = guard_tool(lambda: "so bad", result=BAD)
    with pytest.raises(Blocked):
        guard_tool(lambda: inner(), result=FakeGuard(word="blocked"))()


def test_the_tool_keeps_its_name_and_signature():
    import inspect

    def fetch(url: str, *, n: int = 1) -> str:
        """Fetch a page."""
        return url

    guarded = guard_tool(fetch, result=BAD)
    assert (guarded.__name__, guarded.__doc__) == ("fetch", "Fetch a page.")
    assert inspect.signature(guarded) == inspect.signature(fetch)


def test_in_a_conversation_a_result_that_is_data_goes_on():
    with pg.Conversation():
        rows = {"rows": ["fine"]}
        assert guard_tool(lambda: rows, result=BAD)() is rows
