from __future__ import annotations

import random
from itertools import product

import pytest
from betting import capital

from promptops.statistics.power import (
    crossing_probabilities,
    pairs_to_pass,
    smallest_distance,
    smallest_harm,
    smallest_margin,
)


@pytest.mark.parametrize("against_harm", [True, False])
def test_probabilities_are_those_of_listing_every_sequence(against_harm):
    harm, discordance, margin = 0.2, 0.5, 0.3
    chances = {1.0: 0.35, 0.0: 0.15, 0.5: 0.5}
    crossed = 0.0
    for xs in product(chances, repeat=7):
        if capital(xs, (1 + margin) / 2, at_least=against_harm).peak >= 2.0:
            weight = 1.0
            for x in xs:
                weight *= chances[x]
            crossed += weight
    path = crossing_probabilities(
        7, discordance=discordance, harm=harm, margin=margin, threshold=2.0, against_harm=against_harm
    )
    assert path[-1] == pytest.approx(crossed, abs=1e-7)
    assert 0.02 < crossed < 0.98


def test_probabilities_agree_with_simulation():
    rng = random.Random(1)
    crossed = 0
    for _ in range(1000):
        xs = rng.choices([1.0, 0.0, 0.5], [0.04, 0.04, 0.92], k=50)
        crossed += capital(xs, 0.575, at_least=True).peak >= 20
    path = crossing_probabilities(50, discordance=0.08, harm=0, margin=0.15, threshold=20, against_harm=True)
    assert path[-1] == pytest.approx(crossed / 1000, abs=0.05)


def test_a_harm_at_the_margin_crosses_no_more_often_than_alpha():
    for against_harm in (True, False):
        path = crossing_probabilities(
            800, discordance=0.3, harm=0.15, margin=0.15, threshold=20, against_harm=against_harm
        )
        assert path == sorted(path)
        assert path[-1] <= 0.05


def test_equal_replies_need_as_many_pairs_as_the_capital_says():
    n = pairs_to_pass(100, discordance=0.0, margin=0.15, alpha=0.05)
    assert capital([0.5] * n, 0.575, at_least=True).peak >= 20 > capital([0.5] * (n - 1), 0.575, at_least=True).peak


def test_more_discordance_needs_more_pairs_until_the_budget_is_short():
    needed = [pairs_to_pass(300, discordance=d, margin=0.15, alpha=0.05) for d in (0.0, 0.08, 0.2, 0.6)]
    assert needed[:3] == sorted(needed[:3])
    assert needed[3] is None


def test_smallest_margin_is_provable_and_the_next_smaller_is_not():
    margin = smallest_margin(150, discordance=0.08, alpha=0.05)
    assert pairs_to_pass(150, discordance=0.08, margin=margin, alpha=0.05) is not None
    assert pairs_to_pass(150, discordance=0.08, margin=margin - 0.005, alpha=0.05) is None
    assert smallest_margin(2, discordance=0.08, alpha=1e-9) is None


def test_smallest_harm_lies_beyond_the_margin_and_shrinks_with_pairs():
    few, many = (smallest_harm(n, discordance=0.05, margin=0.15, alpha=0.05, guardrails=4) for n in (60, 240))
    assert few > many > 0.15
    alone = smallest_harm(60, discordance=0.05, margin=0.15, alpha=0.05)
    assert alone < few
    assert smallest_harm(3, discordance=0.05, margin=0.15, alpha=0.05) is None


def test_impossible_effects_are_refused():
    with pytest.raises(ValueError, match="cannot exceed"):
        crossing_probabilities(5, discordance=0.1, harm=0.2, margin=0.1, threshold=20, against_harm=True)


@pytest.mark.parametrize("beyond", [False, True])
def test_the_smallest_distance_from_a_limit_is_that_of_simulated_replies(beyond):
    limit, replies, guardrails = 0.25, 120, 3 if beyond else 0
    distance = smallest_distance(replies, limit=limit, alpha=0.05, guardrails=guardrails)
    threshold = 20 * max(guardrails, 1)

    def share(mean):
        rng = random.Random(3)
        decided = 0
        for _ in range(400):
            xs = [float(rng.random() < mean) for _ in range(replies)]
            decided += capital(xs, limit, at_least=not beyond).peak >= threshold
        return decided / 400

    sign = 1 if beyond else -1
    assert 0.0 < distance < 0.25
    assert share(limit + sign * distance) == pytest.approx(0.8, abs=0.08)
    assert share(limit + sign * distance / 2) < 0.6


def test_a_limit_that_perfect_replies_cannot_prove_has_no_distance():
    assert smallest_distance(5, limit=0.05, alpha=0.05) is None
    assert smallest_distance(200, limit=0.05, alpha=0.05) <= 0.05
