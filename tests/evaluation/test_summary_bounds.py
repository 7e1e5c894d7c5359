from __future__ import annotations

import random
from fractions import Fraction
from math import factorial

import pytest

from promptops.evaluation.summary_bounds import Sum, difference_interval, mean_interval


def test_nothing_seen_says_nothing():
    assert mean_interval(Sum(0, 0.0), 0.05) == (0.0, 1.0)
    assert Sum(0, 0.0).mean is None


@pytest.mark.parametrize(("n", "total"), [(1, 0.0), (1, 1.0), (150, 0.0), (150, 3.0), (150, 75.5), (150, 150.0)])
def test_the_interval_holds_the_mean_and_mirrors(n, total):
    low, high = mean_interval(Sum(n, total), 0.05)
    assert 0.0 <= low <= total / n <= high <= 1.0
    mirrored = mean_interval(Sum(n, n - total), 0.05)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_no_success_in_n_has_the_closed_form():
    # B(1, n+1) / (1-m)^n = 1/alpha  =>  m = 1 - (alpha / (n+1))^(1/n)
    assert mean_interval(Sum(100, 0.0), 0.05).high == pytest.approx(1 - (0.05 / 101) ** (1 / 100), abs=1e-9)


def test_more_observations_narrow_it():
    widths = [high - low for low, high in (mean_interval(Sum(n, 0.2 * n), 0.05) for n in (10, 100, 1000, 10_000))]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.04


def test_it_covers_at_every_stopping_time():
    missed = 0
    for number in range(300):
        generator, total = random.Random(number), 0.0
        for n in range(1, 151):
            total += generator.choice([0.0, 0.0, 0.5, 1.0])
            low, high = mean_interval(Sum(n, total), 0.1) if n % 5 == 0 else (0.0, 1.0)
            if not low <= 0.375 <= high:
                missed += 1
                break
    assert missed <= 30


def test_a_difference_needs_more_than_either_mean():
    low, high = difference_interval(Sum(150, 15.0), Sum(150, 90.0), 0.05)
    assert 0 < low < 0.5 < high
    low, high = difference_interval(Sum(150, 15.0), Sum(150, 15.0), 0.05)
    assert low < 0 < high
    assert low == pytest.approx(-high)


@pytest.mark.parametrize(("n", "successes", "low", "high"), [(1000, 700, 0.646985, 0.749662), (50, 0, 0.0, 0.129381)])
def test_the_conjugate_mixture_has_its_published_numbers(n, successes, low, high):
    """Robbins' beta-binomial mixture with a = b = 1, of which `mean_interval` is the extension to scores in [0, 1]."""
    assert mean_interval(Sum(n, float(successes)), 0.05) == pytest.approx((low, high), abs=1e-6)


def test_the_bounds_are_where_the_exact_mixture_reaches_one_over_alpha():
    """B(S + 1, n - S + 1) / (m^S (1 - m)^(n - S)) in rational numbers: B(a + 1, b + 1) = a! b! / (a + b + 1)!."""

    def e_value(m):
        beta = Fraction(factorial(9) * factorial(31), factorial(41))
        return beta / (m**9 * (1 - m) ** 31)

    bounds = mean_interval(Sum(40, 9.0), 0.05)
    assert [float(e_value(Fraction(bound))) for bound in bounds] == pytest.approx([20.0, 20.0], rel=1e-9)
