"""The figures are those of the books, and of counting by hand."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptguard.measure import figures

scores = st.lists(st.sampled_from([n / 8 for n in range(9)]), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Quantiles of the beta distribution, from scipy.stats.beta.ppf.
        (8, 10, 0.4439045376923585, 0.9747892736731666),
        (0, 10, 0.0, 0.3084971078187607),
        (10, 10, 0.6915028921812392, 1.0),
        (1, 1000, 2.531748749129404e-05, 0.005558924279826672),
        (50, 5000, 0.007431046999410098, 0.01316273826020126),
        (20, 10**6, 1.2216561020974466e-05, 3.088820974043738e-05),
        (999_999, 10**6, 0.9999944283693448, 0.9999999746821924),
    ],
)
def test_the_exact_interval_is_that_of_clopper_and_pearson(hits, count, low, high):
    assert figures.exact(hits, count) == pytest.approx((low, high), rel=1e-8)


def test_the_wilson_interval_is_wilsons():
    found = figures.wilson(8, 10)
    assert found == pytest.approx((0.4901624715, 0.9433178485), rel=1e-9)
    assert figures.wilson(0, 50)[0] == 0.0
    assert figures.wilson(50, 50)[1] == 1.0


def test_nothing_has_no_share_and_no_interval():
    assert figures.share(0, 0) is None
    assert figures.wilson(0, 0) is None
    assert figures.exact(0, 0) is None


@given(scores, st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.3, 0.5]))
def test_the_threshold_is_the_lowest_that_keeps_the_rate(values, rate):
    threshold = figures.threshold_at(values, rate)

    def share(at):
        return sum(value >= at for value in values) / len(values)

    assert share(threshold) <= rate
    lower = [value for value in values if value < threshold]
    assert all(share(value) > rate for value in lower)


@given(scores, scores)
def test_the_area_is_the_chance_that_an_attack_scores_higher(attacks, benign):
    pairs = [(a > b) + (a == b) / 2 for a in attacks for b in benign]
    found = figures.area(figures.curve(attacks, benign))
    assert found == pytest.approx(sum(pairs) / len(pairs))


def test_there_is_no_curve_of_one_kind_of_text():
    assert figures.curve([0.5], []) == []
    assert figures.area([]) is None
    assert figures.recall_at([0.5], [], 0.01) is None


def test_recall_at_a_rate_counts_attacks_above_the_benign_quantile():
    benign = [n / 100 for n in range(100)]
    recall, threshold = figures.recall_at([0.5, 0.985, 0.99, 1.0], benign, 0.01)
    assert 0.98 < threshold < 0.9801
    assert recall == 0.75


def test_percentiles_are_values_that_occurred():
    values = [float(n) for n in range(1, 21)]
    random.Random(0).shuffle(values)
    assert figures.percentile(values, 0.5) == 10.0
    assert figures.percentile(values, 0.95) == 19.0
    assert figures.percentile([3.0], 0.95) == 3.0
    assert figures.percentile([], 0.5) is None


@given(scores, scores)
def test_every_text_is_in_one_bin(attacks, benign):
    found = figures.bins(attacks, benign)
    assert sum(b.count for b in found) == len(attacks) + len(benign)
    assert sum(b.attacks for b in found) == len(attacks)
    means = [b.score for b in found]
    assert means == sorted(means)
    assert all(bisect_left(means, mean) == place for place, mean in enumerate(means))


def test_kappa_is_cohens():
    # 20 times both yes, 5 and 10 times one of them, 15 times both no.
    one = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert figures.kappa(one, other) == pytest.approx(0.4)
    assert figures.kappa(one, one) == 1.0
    assert figures.kappa("ABC", "BCA") < 0
    assert figures.kappa([], []) is None
    assert figures.kappa([1, 1], [1, 1]) is None


def test_spearmans_rho_counts_ties_by_their_mean_rank():
    hours = [7, 20, 28, 27, 50, 29, 6, 12, 17, 20.5]
    marks = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    ranks = [sorted(marks).index(mark) for mark in marks]
    places = [sorted(hours).index(hour) for hour in hours]
    apart = sum((a - b) ** 2 for a, b in zip(ranks, places, strict=True))
    assert figures.spearman(hours, marks) == pytest.approx(1 - 6 * apart / 990)
    assert figures.spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)
    assert figures.spearman([1, 2], [3, 3]) is None
    assert figures.spearman([1], [1]) is None
