"""Means, intervals and agreement, held against values that can be worked out."""

from __future__ import annotations

import random
from statistics import NormalDist

import pytest

from promptguard.experiments.bootstrap import alpha, estimate, share


def test_a_mean_of_one_has_no_interval():
    assert estimate([]) is None
    assert estimate([0.5]).low is None and not estimate([0.5]).apart
    same = estimate([0.25] * 9)
    assert (same.low, same.high, same.apart) == (0.25, 0.25, True)


def test_an_interval_is_that_of_the_mean():
    """For many values the bootstrap comes to what the normal approximation says."""
    draw = random.Random(7)
    values = [draw.random() for _ in range(400)]
    found = estimate(values)
    assert found.mean == pytest.approx(sum(values) / 400)
    half = NormalDist().inv_cdf(0.975) * (1 / 12 / 400) ** 0.5
    assert found.half == pytest.approx(half, rel=0.1)
    assert found.low < found.mean < found.high
    assert estimate(values) == found


@pytest.mark.slow
def test_an_interval_holds_the_truth_as_often_as_it_says():
    """Of intervals over 40 grades, about 95 in 100 hold the true mean."""
    draw = random.Random(3)
    grades, weights = (0.0, 0.25, 0.5, 0.75, 1.0), (1, 2, 3, 4, 2)
    truth = sum(g * w for g, w in zip(grades, weights, strict=True)) / sum(weights)
    runs = [estimate(draw.choices(grades, weights, k=40)) for _ in range(120)]
    held = sum(found.low <= truth <= found.high for found in runs)
    assert 0.90 <= held / 120 <= 0.99


def test_a_share_of_all_is_not_certain():
    found = share([1.0] * 30)
    assert (found.mean, found.high) == (1.0, 1.0)
    # The rule of three: with 30 that pass, one in ten may not.
    assert found.low == pytest.approx(0.886, abs=0.001)
    assert share([]) is None


def test_a_difference_that_is_chance_is_not_apart():
    draw = random.Random(5)
    noise = [draw.choice((-0.25, 0.0, 0.25)) for _ in range(60)]
    assert not estimate(noise).apart
    assert estimate([value + 0.2 for value in noise]).apart


def test_alpha_is_1_for_agreement_and_0_for_chance():
    assert alpha([]) is None
    assert alpha([[0.5, 0.5], [0.5, 0.5]]) is None
    assert alpha([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]) == 1.0
    draw = random.Random(2)
    chance = [[draw.random(), draw.random()] for _ in range(3000)]
    assert alpha(chance) == pytest.approx(0.0, abs=0.05)
    assert alpha([[0.0, 1.0], [1.0, 0.0]]) < 0


def test_alpha_is_that_of_the_literature():
    """The example of Krippendorff's "Computing Krippendorff's Alpha-Reliability"
    (2011), four observers and twelve units, interval data: 0.849."""
    rows = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
        (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
    )
    units = [[v for v in unit if v is not None] for unit in zip(*rows, strict=True)]
    assert alpha(units) == pytest.approx(0.849, abs=0.001)
