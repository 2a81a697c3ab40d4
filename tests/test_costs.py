"""Cheap guards go first; what is cheap is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from promptguard import Finding, Guard, Text, engine
from promptguard._costs import Costs
from promptguard.guard import Inspection


@dataclass(frozen=True)
class Takes(Guard):
    """Takes its time by the clock of the test."""

    seconds: float = 0.0
    clock: list[float] = field(default_factory=list, compare=False, repr=False)
    order: list[str] = field(default_factory=list, compare=False, repr=False)

    def inspect(self, text: Text) -> Inspection:
        self.order.append(self.name)
        self.clock[0] += self.seconds
        if "bad" in text.original:
            yield Finding("bad", 1.0, 0, 1)


@pytest.fixture
def clock(monkeypatch):
    time = [0.0]
    monkeypatch.setattr(engine, "perf_counter", lambda: time[0])
    monkeypatch.setattr(engine, "_costs", Costs())
    return time


def three(clock: list[float]) -> tuple[Guard, list[str]]:
    order: list[str] = []
    makes = [("dear", 0.5), ("cheap", 0.001), ("middling", 0.02)]
    first, second, third = (Takes(s, clock, order, name=n) for n, s in makes)
    return first | second | third, order


def test_the_order_is_as_written_until_something_is_known(clock):
    guard, order = three(clock)
    guard.check("fine")
    assert order == ["dear", "cheap", "middling"]


def test_what_was_measured_puts_the_cheap_ones_first(clock):
    guard, order = three(clock)
    guard.check("fine")
    order.clear()
    verdict = guard.check("fine")
    assert order == ["cheap", "middling", "dear"]
    assert dict(verdict.timings) == pytest.approx(
        {"cheap": 0.001, "middling": 0.02, "dear": 0.5}
    )


def test_a_block_spares_what_costs_more(clock):
    guard, order = three(clock)
    guard.check("fine")
    order.clear()
    assert guard.check("bad").blocked
    assert order == ["cheap"]


def test_guards_that_cost_about_the_same_stay_as_written(clock):
    order: list[str] = []
    slow = Takes(0.004, clock, order, name="slow")
    guard = slow | Takes(0.001, clock, order, name="quick")
    for _ in range(5):
        guard.check("fine")
    assert order == ["slow", "quick"] * 5


def test_one_slow_first_use_is_not_held_against_a_guard():
    costs = Costs()
    a, b = Takes(name="a"), Takes(name="b")
    costs.note(a, 5.0, 1000)
    costs.note(b, 0.01, 1000)
    assert costs.ordered((a, b)) == (b, a)
    costs.note(a, 0.01, 1000)
    assert costs.ordered((a, b)) == (a, b)


def test_a_guard_that_has_become_slow_is_noticed():
    costs = Costs()
    a, b = Takes(name="a"), Takes(name="b")
    for seconds in (0.01, *([1.0] * 200)):
        costs.note(a, seconds, 1000)
        costs.note(b, 0.01, 1000)
    assert costs.ordered((a, b)) == (b, a)


def test_long_texts_do_not_make_a_guard_look_slow():
    costs = Costs()
    a, b = Takes(name="a"), Takes(name="b")
    costs.note(a, 1.0, 1_000_000)
    costs.note(b, 0.001, 1_000)
    assert costs.ordered((a, b)) == (a, b)


def test_what_is_kept_is_bounded():
    costs = Costs()
    for number in range(Costs.KEPT + 10):
        costs.note(Takes(name=f"guard {number}"), 1.0, 1)
    assert len(costs._seconds) <= Costs.KEPT
