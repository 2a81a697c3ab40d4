"""Cheap guards go first; what is cheap is measured."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from promptguard import AnyOf, Finding, Guard, Text, engine
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
    guard.check_batch(["fine"] * Costs.ENOUGH)
    order.clear()
    verdict = guard.check("fine")
    assert order == ["cheap", "middling", "dear"]
    assert dict(verdict.timings) == pytest.approx(
        {"cheap": 0.001, "middling": 0.02, "dear": 0.5}
    )


def test_a_block_spares_what_costs_more(clock):
    guard, order = three(clock)
    guard.check_batch(["fine"] * Costs.ENOUGH)
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


def noted(*seconds: float, size: int = 1000) -> tuple[Costs, Guard, Guard]:
    """Two guards; the first took these, the second always a little."""
    costs, a, b = Costs(), Takes(name="a"), Takes(name="b")
    for one in seconds:
        costs.note(a, one, size)
        costs.note(b, 0.01, 1000)
    return costs, a, b


def test_a_guard_that_was_seldom_used_stays_as_written():
    costs, a, b = noted(*[5.0] * (Costs.ENOUGH - 1))
    assert costs.ordered((a, b)) == (a, b)
    costs.note(a, 5.0, 1000)
    costs.note(b, 0.01, 1000)
    assert costs.ordered((a, b)) == (b, a)


def test_one_slow_use_is_not_held_against_a_guard():
    costs, a, b = noted(5.0, 0.01, 5.0, 5.0)
    assert costs.ordered((a, b)) == (a, b)


def test_a_guard_that_has_become_slow_is_noticed():
    costs, a, b = noted(0.01, *[1.0] * 200)
    assert costs.ordered((a, b)) == (b, a)


def test_long_texts_do_not_make_a_guard_look_slow():
    costs, a, b = noted(*[10.0] * 5, size=1_000_000)
    assert costs.ordered((a, b)) == (a, b)


def test_what_is_cheap_is_not_put_in_order():
    """A verdict lists the same findings, whichever of two quick guards was quicker."""
    costs, a, b = Costs(), Takes(name="a"), Takes(name="b")
    for _ in range(5):
        costs.note(a, 2e-4, 1000)
        costs.note(b, 1e-6, 1000)
    assert costs.ordered((a, b)) == (a, b)


def test_what_is_kept_is_bounded():
    costs = Costs()
    for number in range(Costs.KEPT + 10):
        costs.note(Takes(name=f"guard {number}"), 1.0, 1)
    assert len(costs._known) <= Costs.KEPT


def test_an_order_that_is_fixed_does_not_depend_on_what_was_measured(clock):
    guard, order = three(clock)
    guard.check_batch(["fine"] * Costs.ENOUGH)
    order.clear()
    fixed = AnyOf(guard.parts, in_order=True)
    assert fixed.check("bad").blocked
    assert order == ["dear"]
    order.clear()
    fixed.only("user").check("fine")
    assert order == ["dear", "cheap", "middling"]
