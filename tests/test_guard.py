"""Guards as values, and their combinations."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass

import pytest

from promptguard import (
    Action,
    AnyOf,
    ConfigError,
    Finding,
    Guard,
    GuardError,
    PromptInjection,
    Text,
)
from promptguard.guard import Inspection


@dataclass(frozen=True)
class LongName(Guard):
    """Finds a word; settles it when told so."""

    word: str
    settled: bool = False
    reach: int | None = None
    broken: bool = False

    def settles(self, finding: Finding) -> bool:
        return self.settled

    def inspect(self, text: Text) -> Inspection:
        if self.broken:
            raise ValueError
        start = text.original.find(self.word)
        if start >= 0:
            yield Finding(self.word, 1.0, start, start + len(self.word))


def test_a_guard_is_a_value() -> None:
    guard = LongName("x")
    assert guard == LongName("x") != LongName("y")
    assert hash(guard) == hash(LongName("x"))
    assert pickle.loads(pickle.dumps(guard)) == guard
    with pytest.raises(dataclasses.FrozenInstanceError):
        guard.word = "z"  # type: ignore[misc]  # what is shown to fail


def test_the_name_is_the_class_unless_given() -> None:
    assert LongName("x").name == "long_name"
    assert LongName("x", name="mine").check("x").findings[0].guard == "mine"


def test_or_adds_up_findings_and_flattens() -> None:
    guard = LongName("a") | LongName("b") | LongName("c")
    assert isinstance(guard, AnyOf) and len(guard.parts) == 3
    verdict = (
        LongName("b", action=Action.FLAG) | LongName("a", action=Action.FLAG)
    ).check("ab")
    assert [finding.label for finding in verdict.findings] == ["a", "b"]


def test_or_with_anything_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        LongName("a") | "b"  # type: ignore[operator]  # what is shown to fail


def test_the_reach_of_several_is_the_longest_and_unknown_wins() -> None:
    assert (LongName("a", reach=3) | LongName("b", reach=9)).reach == 9
    assert (LongName("a", reach=3) | LongName("b")).reach is None
    assert LongName("a", reach=3).then(LongName("b", reach=3)).reach is None


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        (LongName("a"), LongName("b"), ["b"]),
        (LongName("a", settled=True), LongName("b"), ["a"]),
        (LongName("absent"), LongName("b"), []),
        (LongName("a"), LongName("absent"), []),
        (LongName("a", settled=True) | LongName("b"), LongName("ab"), ["a", "ab"]),
        (LongName("b"), LongName("a") | LongName("ab"), ["a", "ab"]),
    ],
    ids=[
        "unsure is decided by the second",
        "settled needs no second",
        "nothing found asks nobody",
        "the second may clear",
        "settled stands beside unsure",
        "the second may be several",
    ],
)
def test_then(first: Guard, second: Guard, labels: list[str]) -> None:
    verdict = first.then(second).check("ab")
    assert [finding.label for finding in verdict.findings] == labels


def test_then_keeps_the_names_and_actions_of_its_guards() -> None:
    guard = LongName("a").then(LongName("b", name="mine", action=Action.FLAG))
    (finding,) = guard.check("ab").findings
    assert (finding.guard, finding.action) == ("mine", Action.FLAG)


def test_then_blocks_when_the_second_breaks() -> None:
    with pytest.raises(GuardError):
        LongName("a").then(LongName("b", broken=True)).check("ab")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LongName("a", action="block"), "Action.BLOCK"),
        (lambda: LongName("a", name=3), "name must be"),
        (lambda: LongName("a").then("b"), "takes a guard"),
        (lambda: AnyOf(()), "at least one"),
        (lambda: LongName("a").check(3), "str"),
        (lambda: LongName("a").check(None), "str"),
        (lambda: LongName("a").check(b"bytes"), "str"),
        (lambda: LongName("a").check("x", role="usr"), "user"),
        (lambda: LongName("a").check_batch("text"), "check()"),
        (lambda: LongName("a").check_batch(None), "check()"),
        (lambda: AnyOf(LongName("a")), "at least one"),
        (lambda: PromptInjection(model=""), "empty"),
        (lambda: pickle.dumps(Text("x")), "not pickled"),
        (lambda: Guard().check("x"), "inspect"),
    ],
)
def test_mistakes_are_named(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]  # a table of callables


async def test_the_async_twin_gives_the_same_verdict() -> None:
    guard = LongName("b")
    assert await guard.acheck("ab") == guard.check("ab")
    assert await guard.acheck_batch(["a", "b"]) == guard.check_batch(["a", "b"])


def test_warming_up_finds_a_rate_that_was_not_measured() -> None:
    with pytest.raises(ConfigError, match=r"0\.002"):
        PromptInjection(fpr=0.002).warmup()
