from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from promptops.statistics.evalues import E_VALUE_CAP
from promptops.statistics.twoproportions import Block, e_value, e_values


@st.composite
def blocks(draw, least=0):
    found = []
    for _ in range(draw(st.integers(least, 4))):
        sizes = draw(st.tuples(st.integers(0, 40), st.integers(0, 40)))
        events = [draw(st.integers(0, size)) for size in sizes]
        found.append(Block(events[0], sizes[0], events[1], sizes[1]))
    return found


def test_one_block_by_hand():
    # After (3 of 4, 1 of 4) the fitted rates are 3.18 / 4.36 and 1.18 / 4.36, whose mean for equal sizes is 1 / 2.
    first, second = Block(3, 4, 1, 4), Block(2, 2, 0, 2)
    assert e_values([first, second]) == pytest.approx([1.0, (3.18 / 2.18) ** 4], rel=1e-12)


@pytest.mark.parametrize(("margin", "greater"), [(0.0, None), (0.0, True), (0.1, True), (-0.2, True), (0.15, False)])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (6, 2)])
def test_a_factor_has_mean_at_most_one_all_over_the_null(margin, greater, sizes):
    past = Block(18, 30, 6, 30) if greater is not False else Block(3, 30, 12, 30)
    factors = {
        (a, b): e_value([past, Block(a, sizes[0], b, sizes[1])], margin=margin, greater=greater)
        for a, b in product(range(sizes[0] + 1), range(sizes[1] + 1))
    }
    grid = [i / 20 for i in range(21)]
    obeys = {None: lambda d: abs(d) < 1e-9, True: lambda d: d <= margin + 1e-9, False: lambda d: d >= margin - 1e-9}
    means = [
        sum(f * binom.pmf(a, sizes[0], p) * binom.pmf(b, sizes[1], q) for (a, b), f in factors.items())
        for p, q in product(grid, grid)
        if obeys[greater](p - q)
    ]
    assert max(means) <= 1 + 1e-9
    assert max(factors.values()) > 1.5


@pytest.mark.parametrize(("margin", "greater"), [(0.05, True), (-0.3, True), (0.3, False)])
def test_the_null_rates_are_the_closest(margin, greater):
    past = Block(18, 30, 6, 30) if greater else Block(3, 30, 12, 30)
    p, q = (past.canary + 0.18) / 30.36, (past.baseline + 0.18) / 30.36

    def distance(at):
        return sum(
            n * (a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)))
            for n, a, b in ((3, p, at + margin), (5, q, at))
        )

    found = minimize_scalar(
        distance, bounds=(max(0, -margin), min(1, 1 - margin)), method="bounded", options={"xatol": 1e-12}
    )
    expected = (p / (found.x + margin)) ** 3 * ((1 - q) / (1 - found.x)) ** 5
    assert e_value([past, Block(3, 3, 0, 5)], margin=margin, greater=greater) == pytest.approx(expected, rel=1e-5)


@given(blocks())
def test_the_directions_are_mirror_images(found):
    turned = [Block(b.baseline, b.baseline_units, b.canary, b.canary_units) for b in found]
    assert e_values(found, margin=0.1, greater=True) == pytest.approx(e_values(turned, margin=-0.1, greater=False))
    assert e_values(found) == pytest.approx(e_values(turned))


@settings(max_examples=50)
@given(blocks(least=1), st.floats(-0.9, 0.9), st.booleans())
def test_values_are_finite_and_the_first_block_is_only_learned_from(found, margin, greater):
    path = e_values(found, margin=margin, greater=greater)
    assert all(0 <= value <= E_VALUE_CAP * (1 + 1e-9) for value in path)
    assert len(path) == len(found)
    if greater == (margin >= 0):
        assert path[0] == pytest.approx(1.0)


def test_a_real_difference_is_found_and_no_data_is_wealth_one():
    days = [Block(20, 1000, 10, 1000)] * 12
    assert e_value(days, greater=True) > 100
    assert e_value(days, greater=False) == pytest.approx(1.0)
    assert e_value(days, margin=0.02, greater=False) > 100
    assert e_value([]) == 1.0
    assert e_values([]) == []


@pytest.mark.parametrize(
    ("block", "options", "words"),
    [
        (Block(2, 1, 0, 1), {}, "between none and all"),
        (Block(0, 1, -1, 1), {}, "between none and all"),
        (Block(0.5, 1, 0, 1), {}, "whole numbers"),
        (Block(0, math.nan, 0, 1), {}, "whole numbers"),
        (Block(0, 1, 0, 1), {"margin": 1.0, "greater": True}, "between -1 and 1"),
        (Block(0, 1, 0, 1), {"margin": math.nan, "greater": True}, "between -1 and 1"),
        (Block(0, 1, 0, 1), {"margin": 0.1}, "direction"),
    ],
)
def test_arguments_out_of_range_are_refused(block, options, words):
    with pytest.raises(ValueError, match=words):
        e_values([block], **options)
