from __future__ import annotations

from collections import Counter

import pytest

from promptops.evaluation.sampling import Again, Draw, Order, drawn, seed

POOLS = {"traffic": [f"t{n}" for n in range(30)], "safety": ["a", "b", "c", "d"], "style": ["x", "y", "z"]}
SEED = seed(previous_release="sha256:p", candidate="sha256:c", baseline="sha256:b", suites={"safety": "sha256:s"})


def take(count, pools=None, key=SEED, live=None):
    pools = pools or POOLS
    return Order(key, pools).take(count, live or pools)


def test_the_same_seed_gives_the_same_order_and_another_seed_another():
    assert take(100) == take(100)
    other = seed(previous_release="sha256:q", candidate="sha256:c", baseline="sha256:b", suites={"safety": "sha256:s"})
    assert take(100) != take(100, key=other)


@pytest.mark.parametrize("part", ["previous_release", "candidate", "baseline", "suites"])
def test_every_part_moves_the_seed(part):
    parts = {"previous_release": None, "candidate": "c", "baseline": None, "suites": {"s": "d"}}
    changed = {**parts, part: {"s": "e"} if part == "suites" else "other"}
    assert seed(**parts) != seed(**changed)


def test_order_does_not_follow_the_order_of_the_pool():
    backwards = {name: list(reversed(cases)) for name, cases in POOLS.items()}
    assert take(60) == take(60, pools=backwards)


def test_every_case_is_asked_once_before_any_is_asked_again():
    draws = take(37)
    assert Counter((draw.suite, draw.case) for draw in draws) == Counter(
        (suite, case) for suite, cases in POOLS.items() for case in cases
    )
    assert {draw.replicate for draw in draws} == {0}
    assert {draw.replicate for draw in take(74)[37:60]} == {1}


def test_suites_take_turns_from_the_first_draw():
    assert {draw.suite for draw in take(3)} == set(POOLS)
    assert Counter(draw.suite for draw in take(9)) == {"traffic": 3, "safety": 3, "style": 3}


def test_taking_in_pieces_changes_nothing():
    order = Order(SEED, POOLS)
    assert [draw for _ in range(20) for draw in order.take(4, POOLS)] == take(80)


def test_a_decided_suite_is_left_out_and_keeps_its_own_order():
    order = Order(SEED, POOLS)
    first = order.take(6, POOLS)
    rest = order.take(10, {"traffic"})
    assert {draw.suite for draw in rest} == {"traffic"}
    alone = take(12, pools={"traffic": POOLS["traffic"]})
    assert [draw for draw in first + rest if draw.suite == "traffic"] == alone
    assert order.take(5, set()) == []


def test_rounds_are_permuted_anew():
    draws = take(60, pools={"traffic": POOLS["traffic"]})
    assert [draw.case for draw in draws[:30]] != [draw.case for draw in draws[30:]]


def test_which_arm_goes_first_is_balanced():
    first = sum(draw.candidate_first for draw in take(1000))
    assert 400 < first < 600


def test_keys_are_distinct():
    keys = [draw.key for draw in take(500)]
    assert len(set(keys)) == 500
    assert Draw("a", 'b",1', 0, candidate_first=True).key != Draw("a", "b", 1, candidate_first=True).key


def test_empty_suites_are_no_suites():
    assert {draw.suite for draw in Order(SEED, {"a": [], "b": ["x"]}).take(9, {"a", "b"})} == {"b"}


def test_a_key_names_its_draw():
    for draw in [*take(50), Draw('a"b', "c d,1", 3, candidate_first=True)]:
        assert drawn(draw.key) == (draw.suite, draw.case, draw.replicate)
    for other in ("", "candidate x", "[]", '["a","b"]', '["a","b",true]', '["a","b","c"]', "\ud800"):
        assert drawn(other) is None


def test_again_asks_each_draw_once_with_suites_taking_turns():
    before = [(draw.suite, draw.case, draw.replicate) for draw in take(60)]
    again = Again(SEED, before)
    first = again.take(9, POOLS)
    assert Counter(draw.suite for draw in first) == {"traffic": 3, "safety": 3, "style": 3}
    rest = again.take(1000, POOLS)
    assert sorted((draw.suite, draw.case, draw.replicate) for draw in first + rest) == sorted(before)
    assert again.take(1, POOLS) == []


def test_again_follows_its_seed_and_leaves_decided_suites_out():
    before = [(draw.suite, draw.case, draw.replicate) for draw in take(60)]
    assert Again(SEED, before).take(60, POOLS) == Again(SEED, list(reversed(before))).take(60, POOLS)
    assert {draw.suite for draw in Again(SEED, before).take(60, {"style"})} == {"style"}
