"""What the library gives to those who test: fakes, and the rules that guards keep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from promptguard import (
    Action,
    Ask,
    Classify,
    ConfigError,
    Finding,
    Guard,
    GuardError,
    Text,
)
from promptguard.testing import FakeGuard, check_guard


def test_a_fake_guard_finds_what_it_is_told_to():
    guard = FakeGuard(findings=[Finding("injection", 0.9, 0, 100)])
    verdict = guard.check("Hello")
    assert verdict.blocked
    assert verdict.findings == (
        Finding("injection", 0.9, 0, 5, "fake_guard", Action.BLOCK),
    )
    assert not guard.check("").findings
    only = FakeGuard(word="bad", findings=(Finding("injection", 0.9, 0, 3),))
    assert only.check("so bad").blocked
    assert not only.check("so good").findings


def test_a_fake_guard_finds_a_word_everywhere():
    guard = FakeGuard(name="joe", word="Joe", action=Action.REDACT)
    assert [(f.start, f.end) for f in guard.check("Joe, Joe").findings] == [
        (0, 3),
        (5, 8),
    ]
    assert guard.reach == 3
    assert FakeGuard(findings=(Finding("x", 1.0, 0, 1),)).reach is None


def test_a_fake_guard_breaks_as_it_is_told_to():
    with pytest.raises(GuardError, match="ValueError"):
        FakeGuard(error=ValueError("x")).check("Hello")


async def test_a_fake_guard_takes_its_time_without_blocking_the_loop():
    guard = FakeGuard(delay=0.05)
    begun = time.perf_counter()
    assert not (await guard.acheck("Hello")).findings
    assert time.perf_counter() - begun >= 0.05


def test_a_fake_guard_asks():
    asked: list[str] = []
    llm: Callable[[str, str], Any] = lambda rubric, text: asked.append(text)  # noqa: E731
    FakeGuard(query=Ask(llm, "rubric", "text")).check("Hello")
    assert asked == ["text"]
    with pytest.raises(ConfigError, match="str"):
        FakeGuard(query="text")  # type: ignore[arg-type]
    assert FakeGuard(query=Classify(None, "", "user")).reach is None


@pytest.mark.parametrize(
    "guard",
    [
        FakeGuard(),
        FakeGuard(word="needle"),
        FakeGuard(word="needle", action=Action.REDACT)
        | FakeGuard(name="b", word="hay"),
        FakeGuard(findings=(Finding("x", 0.5, 0, 9),)),
        FakeGuard(word="needle").then(FakeGuard(name="second")),
    ],
    ids=["nothing", "word", "both", "findings", "then"],
)
def test_good_guards_pass(guard):
    check_guard(guard, ["a needle in the hay", "hay hay needleneedle"])


PHRASE = "red foxgloves in the garden of my aunt"


@dataclass(frozen=True, kw_only=True)
class Base(Guard):
    """Finds a phrase as a guard should; each case below breaks one rule."""

    @property
    def reach(self) -> int | None:
        return len(PHRASE)

    def inspect(self, text: Text):
        reading = text.folded
        start = reading.text.find(PHRASE, reading.position(text.start))
        while start >= 0:
            end = start + len(PHRASE)
            yield Finding("flower", 1.0, *reading.span(start, end))
            start = reading.text.find(PHRASE, end)


TEXTS = [f"{PHRASE}, {PHRASE}", PHRASE.replace("r", "r\u200b"), PHRASE * 3]


def test_the_base_of_the_cases_is_good():
    check_guard(Base(), TEXTS)


@dataclass(kw_only=True)  # type: ignore[misc]
class Thawed:
    name: str = "thawed"


class Attribute(Base):
    """Not a dataclass of its own, which is fine."""


@dataclass(frozen=True, kw_only=True)
class Unhashable(Base):
    words: Any = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Unpicklable(Base):
    key: Any = field(default_factory=lambda: lambda: 1)


@dataclass(frozen=True, kw_only=True)
class Unequal(Base):
    key: Any = field(default_factory=object)


@dataclass(frozen=True, kw_only=True)
class Lists(Base):
    def inspect(self, text: Text):
        return [*super().inspect(text)]


@dataclass(frozen=True, kw_only=True)
class Outside(Base):
    reach = None

    def inspect(self, text: Text):
        yield Finding("x", 1.0, 0, len(text.original) + 1)


@dataclass(frozen=True, kw_only=True)
class Unlabelled(Base):
    reach = None

    def inspect(self, text: Text):
        yield Finding("", 1.0, 0, len(text.original))


@dataclass(frozen=True, kw_only=True)
class Fickle(Base):
    reach = None
    seen: Any = field(default=(), hash=False, compare=False)

    def inspect(self, text: Text):
        yield Finding("x", time.perf_counter() % 1, 0, len(text.original))


@dataclass(frozen=True, kw_only=True)
class Talkative(Base):
    reach = None

    def inspect(self, text: Text):
        # The first line, as a label that passes for a name.
        line = text.original.partition("\n")[0][:90]
        yield Finding(line or "x", 1.0, 0, len(text.original))


@dataclass(frozen=True, kw_only=True)
class Fragile(Base):
    reach = None

    def inspect(self, text: Text):
        text.original.encode()
        yield from ()


@dataclass(frozen=True, kw_only=True)
class BreaksOnNothing(Base):
    reach = None

    def inspect(self, text: Text):
        if text.original[0] == "x":
            yield Finding("x", 1.0, 0, 1)


@dataclass(frozen=True, kw_only=True)
class OneRole(Base):
    reach = None

    def inspect(self, text: Text):
        assert text.role in ("user", "assistant")
        yield from ()


@dataclass(frozen=True, kw_only=True)
class TooShort(Base):
    reach = 4


@dataclass(frozen=True, kw_only=True)
class Nought(Base):
    reach = 0


@dataclass(frozen=True, kw_only=True)
class Restless(Base):
    def inspect(self, text: Text):
        yield from super().inspect(Text(text.original, text.role))


@dataclass(frozen=True, kw_only=True)
class Asks(Base):
    def inspect(self, text: Text):
        yield Ask(_answer, "", "")


def _answer(rubric: str, text: str) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Counts(Base):
    def inspect(self, text: Text):
        if len(text.original) > 100:
            yield Finding("long", 1.0, text.start, len(text.original))


@pytest.mark.parametrize(
    ("guard", "says"),
    [
        (Thawed(), "is not a promptguard.Guard"),
        (Unhashable(), "hashed"),
        (Unpicklable(), "pickle"),
        (Unequal(), "copy"),
        (Lists(), "generator"),
        (Outside(), "outside"),
        (Unlabelled(), "label"),
        (Fickle(), "two verdicts"),
        (Talkative(), "text into a finding"),
        (Fragile(), "breaks on a text"),
        (BreaksOnNothing(), "breaks on a text ''"),
        (OneRole(), "breaks on"),
        (TooShort(), "reach"),
        (Nought(), "reach"),
        (Restless(), "text.start"),
        (Asks(), "asks a query"),
        (Counts(), "stream"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_broken_rule_is_named_with_the_guard(guard, says):
    with pytest.raises(AssertionError) as raised:
        check_guard(guard, TEXTS)
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"guard {guard.name!r} ")


def test_a_dataclass_is_not_needed_where_nothing_is_added():
    check_guard(Attribute(), TEXTS)
