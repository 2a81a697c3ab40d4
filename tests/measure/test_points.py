"""Operating points keep their rate on texts that nobody has measured yet."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import fake_model
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptguard import ConfigError
from promptguard.measure.points import Point, check_enough, lines, measure, needed
from promptguard.measure.rows import Row
from promptguard.measure.scoring import BUCKETS, Measured, bucket, lengths
from promptguard.queries import Scores, Window


def text(score: float, windows: int = 1, role: str = "user") -> Measured:
    answer = Scores(
        (Window(0, 0, ()),) * windows, 1.0, fake_model.POINTS, fake_model.DIGEST
    )
    return Measured(Row("", None, role, "", ()), score, True, 1.0, 0.0, answer)


def draw(
    rng: random.Random, count: int, windows: Sequence[int] = (1,)
) -> list[Measured]:
    """Texts whose score is the highest of as many even draws as they have windows."""
    sizes = [rng.choice(windows) for _ in range(count)]
    return [text(rng.random() ** (1 / size), size) for size in sizes]


def own(points: Iterable[Point]) -> list[Point]:
    return [point for point in points if point.together]


@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize(
    "rounded",
    [
        pytest.param(lambda score: score, id="no two alike"),
        pytest.param(lambda score: round(score, 3), id="many alike"),
    ],
)
def test_the_interval_holds_the_true_rate_in_19_of_20_measurements(
    rate: float, rounded: Callable[[float], float]
) -> None:
    rng = random.Random(7)
    held = below = above = 0
    for _ in range(400):
        here = [text(rounded(rng.random())) for _ in range(needed(rate))]
        point = own(measure(here, [rate]))[0]
        # The scores are even from 0 to 1, so the true rate is what lies above.
        true = sum(0.001 * (n / 1000 >= point.threshold) for n in range(1000))
        if rounded(1 / 3) == 1 / 3:
            true = 1 - point.threshold
        low, high = point.table()["interval"]
        below += true < low
        above += true > high
        held += low <= true <= high
    assert held >= 0.94 * 400
    assert max(above, below) <= 0.035 * 400


def test_every_length_keeps_the_rate_on_fresh_texts() -> None:
    rng = random.Random(3)
    held = 0
    for _ in range(60):
        points = own(measure(draw(rng, 4000, (1,) * 8 + (2, 2, 3, 5, 12)), [0.02]))
        for point, size in zip(points, (1, 2, 3, 5, 12), strict=True):
            low, high = point.table()["interval"]
            held += low <= 1 - point.threshold**size <= high
    assert held >= 0.94 * 300


def test_fresh_texts_reach_the_threshold_as_often_as_measured() -> None:
    rng = random.Random(5)
    (point, *_) = own(measure(draw(rng, 20_000), [0.01]))
    fresh = draw(rng, 200_000)
    share = sum(m.score >= point.threshold for m in fresh) / len(fresh)
    low, high = point.table()["interval"]
    assert low <= share <= high


def test_at_most_the_rate_is_stopped_of_what_was_measured() -> None:
    here = [text(n / 1000) for n in range(1000)]
    point = own(measure(here, [0.01]))[0]
    assert (point.texts, point.reached) == (1000, 10)
    assert 0.989 < point.threshold < 0.9891


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(150, 600))
def test_thresholds_never_fall_with_length_nor_with_strictness(
    seed: int, count: int
) -> None:
    rng = random.Random(seed)
    kinds = rng.choice(((1,), (1, 2, 3, 9), (1,) * 9 + (2, 4, 8, 30), (7, 16, 40)))
    here = [text(rng.random(), rng.choice(kinds)) for _ in range(count)]
    roles = [text(rng.random(), 1, "tool") for _ in range(rng.choice((0, 40, 200)))]
    points = measure(here + roles, [0.05, 0.02])
    for role in ("user", "tool"):
        by_rate = {
            rate: {p.windows: p.threshold for p in points if (p.role, p.fpr) == key}
            for rate in (0.05, 0.02)
            for key in [(role, rate)]
        }
        for found in by_rate.values():
            in_order = [found[size] for size in sorted(found)]
            assert in_order == sorted(in_order)
        if len(by_rate[0.02]) == len(by_rate[0.05]):
            for size, threshold in by_rate[0.02].items():
                assert threshold >= by_rate[0.05][size]
    assert [p.windows for p in points if p.role == "user"] == [*BUCKETS, *BUCKETS]


def test_lengths_with_few_texts_are_measured_with_longer_ones() -> None:
    rng = random.Random(1)
    here = draw(rng, 400) + draw(rng, 100, (2,)) + draw(rng, 250, (3,))
    points = {p.windows: p for p in own(measure(here, [0.01]))}
    assert points[1].together == (1,)
    assert points[2].together == points[4].together == (2, 4)
    assert points[2].threshold == points[4].threshold
    assert (points[2].texts, points[4].texts) == (100, 250)


def test_the_longest_texts_borrow_when_they_are_too_few() -> None:
    rng = random.Random(2)
    low = [text(score / 10, 20) for score in (1, 2, 3)]
    high = [text(0.999, 20)]
    short = draw(rng, 1000)
    points = own(measure(short + low, [0.01]))
    assert len({p.threshold for p in points}) == 1
    assert [p.enough for p in points] == [True, False, False, False, False]
    assert [p.borrowed for p in points] == [False, True, True, True, True]
    stated = own(measure(short + high, [0.01]))
    assert stated[-1].threshold > 0.999 > stated[0].threshold
    assert not stated[-1].borrowed
    shown = "\n".join(lines(points + stated, {"user": 1}, [0.01]))
    assert "too few texts; borrowed" in shown


def test_no_length_is_stopped_more_often_where_longer_texts_score_lower() -> None:
    rng = random.Random(6)
    here = draw(rng, 500) + [text(rng.random() / 2, 3) for _ in range(500)]
    points = {p.windows: p for p in own(measure(here, [0.05]))}
    assert points[1].reached == 25
    assert points[4].threshold == points[1].threshold
    assert (points[4].reached, points[4].enough, points[4].borrowed) == (0, True, True)


def test_a_role_with_too_few_texts_keeps_the_points_of_the_model() -> None:
    rng = random.Random(4)
    here = [*draw(rng, 500), text(0.9, 2, "tool"), text(0.1, 30, "retrieved")]
    tool = [p for p in measure(here, [0.01]) if p.role == "tool"]
    assert [(p.windows, p.threshold, p.texts, p.reached) for p in tool] == [
        (1, 0.8, 0, 0),
        (16, 0.8, 2, 1),
    ]
    assert not any(p.together or p.enough for p in tool)
    # The model has none at this rate, so there is nothing to keep.
    assert not [p for p in measure(here, [0.03]) if p.role == "tool"]


def test_what_the_model_itself_would_stop_is_told() -> None:
    here = [text(0.9)] * 40 + [text(0.1)] * 360
    point = own(measure(here, [0.01]))[0]
    assert point.table()["reached_before"] == 40
    assert own(measure(here, [0.03]))[0].before is None


@pytest.mark.parametrize(
    ("rate", "count"), [(0.05, 60), (0.01, 300), (0.001, 3000), (0.0001, 30000)]
)
def test_too_few_texts_are_refused_with_the_number_it_takes(
    rate: float, count: int
) -> None:
    assert needed(rate) == count
    check_enough({"user": count, "tool": 0}, [rate])
    with pytest.raises(ConfigError, match=f"at least {count:,} benign texts") as caught:
        check_enough({"user": count - 1, "tool": 7}, [rate])
    assert f"there are {count - 1:,} (user) and 7 (tool)" in str(caught.value)


def test_a_refusal_names_a_rate_that_would_do() -> None:
    with pytest.raises(ConfigError, match=r"a rate of 0\.0038 or more"):
        check_enough({"user": 800, "tool": 0}, [0.001])
    check_enough({"user": 800, "tool": 0}, [0.0038])


def test_texts_with_the_highest_score_of_all_leave_no_threshold() -> None:
    here = [text(1.0)] * 20 + [text(0.1)] * 280
    with pytest.raises(ConfigError, match="label the attacks"):
        measure(here, [0.01])


def test_lengths_are_written_as_ranges() -> None:
    assert [lengths(size) for size in BUCKETS] == [
        *("1", "2", "3..4", "5..8", "9 and more")
    ]
    assert [bucket(n) for n in (0, 1, 2, 3, 4, 5, 16, 500)] == [
        1,
        1,
        2,
        4,
        4,
        8,
        16,
        16,
    ]
