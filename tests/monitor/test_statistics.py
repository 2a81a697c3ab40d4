"""Distances and chances, beside values from tables and from simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from promptguard.monitor import figures
from promptguard.monitor.separating import balanced


@pytest.mark.parametrize(
    ("value", "degrees", "chance"),
    [
        (3.841459, 1, 0.05),
        (6.634897, 1, 0.01),
        (18.307038, 10, 0.05),
        (29.588298, 10, 0.001),
        (124.342113, 100, 0.05),
        (0.0, 3, 1.0),
    ],
)
def test_the_tail_of_chi_squared_is_that_of_the_tables(value, degrees, chance):
    assert figures.chi2_tail(value, degrees) == pytest.approx(chance, rel=1e-5)


@pytest.mark.parametrize(
    ("table", "chance"),
    [
        # Fisher's own: a lady tells tea with milk first from milk later.
        ((3, 4, 1, 4), 0.4857142857),
        ((4, 4, 0, 4), 0.0285714286),
        ((1, 10, 8, 12), 0.0114993366),
        ((0, 0, 5, 10), 1.0),
    ],
)
def test_fishers_exact_test_is_exact(table, chance):
    assert figures.fisher_p(*table) == pytest.approx(chance, rel=1e-6)


def test_many_hits_are_reckoned_as_few_are():
    exact = figures.fisher_p(2000, 20_000, 2120, 20_000)
    about = figures.fisher_p(20_000, 200_000, 20_380, 200_000)
    assert exact == pytest.approx(0.050278, abs=1e-5)
    assert about == pytest.approx(0.0448, abs=0.001)


def test_kolmogorov_is_at_its_tabled_value():
    # 1.358 / sqrt(n m / (n + m)) is the 5 % point of large samples.
    assert figures.ks_p(1.358 / math.sqrt(5000), 10_000, 10_000) == pytest.approx(
        0.05, abs=0.001
    )
    assert figures.ks_p(0.0, 100, 100) == 1.0


def test_psi_of_a_worked_example():
    one, other = np.array([100.0, 300.0, 600.0]), np.array([200.0, 300.0, 500.0])
    by_hand = 0.1 * math.log(2) + -0.1 * math.log(5 / 6)
    assert figures.psi(one, other) == pytest.approx(by_hand, rel=0.02)
    assert figures.psi(one, 7 * one) == pytest.approx(0, abs=1e-3)


def test_two_rates_by_their_arcsines():
    assert figures.cohen_h(0.10, 0.17) == pytest.approx(0.2065, abs=1e-3)
    assert figures.cohen_h(0.3, 0.3) == 0


def test_chances_are_adjusted_for_how_many_there_are():
    assert figures.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert figures.holm([]) == []


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.9, 0.05, 0.03, 0.015, 0.005)])
def test_chi_squared_calls_chance_what_is_chance(shares):
    draw = np.random.default_rng(1)
    one, other = (draw.multinomial(300, shares, size=600).astype(float) for _ in "ab")
    chances = np.array(
        [figures.chi2_p(a, b, (1.0, 1.0)) for a, b in zip(one, other, strict=True)]
    )
    assert 0.02 <= (chances < 0.05).mean() <= 0.08


def test_texts_of_one_request_are_not_taken_for_many():
    one, other = np.array([300.0, 700.0]), np.array([350.0, 650.0])
    alone = figures.chi2_p(one, other, (1.0, 1.0))
    together = figures.chi2_p(one, other, (0.2, 0.2))
    assert alone < 0.02 < 0.2 < together


def test_f1_has_an_interval_that_holds():
    draw = np.random.default_rng(2)
    shares, held = (0.12, 0.03, 0.05, 0.80), 0
    true = 2 * 0.12 / (2 * 0.12 + 0.03 + 0.05)
    for tp, fp, fn, tn in draw.multinomial(400, shares, size=200):
        low, high = figures.f1_interval(int(tp), int(fp), int(fn), int(tn))
        held += low <= true <= high
    assert 0.90 <= held / 200 <= 0.99
    assert figures.f1_interval(0, 0, 0, 10) is None


def test_weights_bring_means_to_where_they_should_be():
    draw = np.random.default_rng(3)
    features = draw.normal((0.5, -0.3, 0.0), size=(500, 3))
    weights = balanced(features)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0
    assert np.abs(weights @ features).max() < 0.01


def test_weights_of_what_cannot_be_reached_do_not_get_lost():
    weights = balanced(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0]]))
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)
