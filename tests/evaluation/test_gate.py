from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from promptops.errors import InputError, RefusedError
from promptops.evaluation.gate import Gate, Rules
from promptops.evaluation.gate_evidence import resume
from promptops.registry.canonical import dumps, loads


@dataclass(frozen=True, slots=True)
class Rail:
    metric: str = "praise"
    direction: str = "lower"
    margin: float = 0.15
    limit: float | None = None


def one(rail=None, **rules):
    return Gate({"g": rail or Rail()}, Rules(**{"minimum": 30} | rules))


def feed(gate, pairs):
    for pair in pairs:
        gate.add({"g": pair})
    return gate


def binary(rng, share):
    return float(rng.random() < share)


EQUAL = [(0.0, 0.0)] * 60
WORSE = [(0.0, 1.0)] * 60


def test_equal_replies_pass_at_the_minimum_and_not_before():
    gate = feed(one(minimum=50), EQUAL[:49])
    assert gate.verdict().rows[0].verdict == "pass"
    assert gate.verdict().verdict == "inconclusive"
    assert gate.verdict().reasons == ("49 pairs of at least 50",)
    assert feed(gate, EQUAL[:1]).verdict().verdict == "pass"
    assert gate.verdict().reasons == ()


def test_a_harmful_candidate_fails_before_the_minimum():
    result = feed(one(minimum=150), WORSE[:20]).verdict()
    assert result.verdict == "fail"
    assert result.rows[0].low > 0.15
    assert result.reasons == ("g: proved worse than the baseline by more than 0.15",)


def test_no_pairs_decide_nothing():
    result = one().verdict()
    assert result.verdict == "inconclusive"
    row = result.rows[0]
    assert (row.n, row.baseline, row.candidate, row.difference) == (0, None, None, None)
    assert (row.low, row.high) == (-1.0, 1.0)


def test_direction_says_which_way_harm_lies():
    better = [(b, a) for a, b in WORSE]
    assert feed(one(Rail(direction="higher")), better).verdict().verdict == "fail"
    assert feed(one(Rail(direction="higher")), WORSE).verdict().verdict == "pass"
    assert feed(one(Rail(direction="lower")), better).verdict().verdict == "pass"


def test_the_interval_is_that_of_candidate_minus_baseline_in_both_directions():
    pairs = [(0.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.5)] * 20
    low_row = feed(one(Rail(direction="lower")), pairs).verdict().rows[0]
    high_row = feed(one(Rail(direction="higher")), pairs).verdict().rows[0]
    assert (low_row.baseline, low_row.candidate, low_row.difference) == (0.0, 0.375, 0.375)
    assert low_row.low < 0.375 < low_row.high
    assert (low_row.low, low_row.high) == pytest.approx((high_row.low, high_row.high), abs=2e-6)


def test_a_proved_harm_inside_the_margin_passes():
    rng = random.Random(3)
    pairs = [(0.0, binary(rng, 0.06)) for _ in range(400)]
    row = feed(one(), pairs).verdict().rows[0]
    assert row.low > 0.0
    assert row.high < 0.15
    assert row.verdict == "pass"


def test_a_difference_near_the_margin_stays_inconclusive():
    pairs = [(0.0, float(i % 20 in (0, 7, 13))) for i in range(200)]
    result = feed(one(), pairs).verdict()
    assert result.verdict == "inconclusive"
    assert result.reasons[0].startswith("g: 200 pairs prove neither")


def test_the_verdict_follows_from_the_interval():
    rng = random.Random(8)
    for share in (0.0, 0.1, 0.2, 0.3, 0.5):
        row = feed(one(), [(0.0, binary(rng, share)) for _ in range(120)]).verdict().rows[0]
        expected = "pass" if row.high < 0.15 else "fail" if row.low > 0.15 else "inconclusive"
        assert row.verdict == expected


def test_a_pass_and_a_fail_once_proved_stay():
    passed = feed(one(), EQUAL)
    assert feed(passed, WORSE[:2]).verdict().verdict == "pass"
    failed = feed(one(), WORSE)
    assert feed(failed, [(1.0, 0.0)] * 200).verdict().verdict == "fail"


def test_every_guardrail_must_pass():
    gate = Gate({"a": Rail(), "b": Rail()}, Rules(minimum=30))
    for _ in range(60):
        gate.add({"a": (0.0, 0.0)})
    assert gate.verdict().verdict == "inconclusive"
    assert gate.undecided == {"b"}
    for _ in range(60):
        gate.add({"b": (0.0, 0.0)})
    assert gate.verdict().verdict == "pass"
    assert gate.undecided == frozenset()


def test_more_guardrails_ask_for_more_proof_of_harm():
    def pairs_to_fail(guardrails):
        gate = Gate({f"g{i}": Rail() for i in range(guardrails)})
        while gate.decision != "fail":
            gate.add({f"g{i}": (0.0, float(i == 0)) for i in range(guardrails)})
        return gate.pairs

    assert pairs_to_fail(1) < pairs_to_fail(4) < pairs_to_fail(16) < 2 * pairs_to_fail(1)


def test_harm_spread_over_guardrails_fails_together_blames_no_single_one_and_stays():
    gate = Gate({name: Rail() for name in "abc"})
    while gate.decision != "fail":
        gate.add({"a": (0.0, 0.6), "b": (0.0, 0.6), "c": (0.0, 0.0)})
    result = gate.verdict()
    assert [row.verdict for row in result.rows if row.name != "c"] == ["inconclusive"] * 2
    assert result.e_value >= 20
    assert result.reasons == ("the guardrails together prove harm beyond the margins, though no single one does",)
    for _ in range(100):
        gate.add({"a": (0.6, 0.0), "b": (0.6, 0.0), "c": (0.0, 0.0)})
    assert gate.decision == "fail"


def test_a_guardrail_once_harmed_stays_so_while_another_follows():
    gate = Gate({"a": Rail(), "b": Rail()})
    for name, pair in (("a", (0.0, 1.0)), ("a", (1.0, 0.0)), ("b", (0.0, 1.0))):
        for _ in range(50):
            gate.add({name: pair})
    assert [row.verdict for row in gate.verdict().rows] == ["fail", "fail"]


def test_absolute_mode_judges_the_candidate_against_its_limit():
    clean = feed(one(Rail(limit=0.2), mode="absolute"), [(None, 0.0)] * 60).verdict()
    dirty = feed(one(Rail(limit=0.2), mode="absolute"), [(None, 1.0), (None, 0.0)] * 60).verdict()
    assert (clean.verdict, dirty.verdict) == ("pass", "fail")
    row = dirty.rows[0]
    assert (row.baseline, row.candidate, row.difference) == (None, 0.5, None)
    assert 0.2 < row.low < 0.5 < row.high


def test_absolute_mode_where_higher_is_better():
    rail = Rail(direction="higher", limit=0.8)
    assert feed(one(rail, mode="absolute"), [(None, 1.0)] * 60).verdict().verdict == "pass"
    failed = feed(one(rail, mode="absolute"), [(None, 0.25)] * 60).verdict()
    assert failed.verdict == "fail"
    assert failed.rows[0].low < 0.25 < failed.rows[0].high < 0.8


def test_the_floor_comes_before_any_verdict():
    for clear in (EQUAL, WORSE):
        gate = feed(one(), [*clear, *[(0.0, None)] * 10])
        result = gate.verdict()
        assert result.verdict == "inconclusive"
        assert "only 86% of the candidate's replies hold a readable score" in result.reasons[0]
    unread = feed(one(), [*EQUAL, *[(None, 0.0)] * 10]).verdict()
    assert "baseline's replies" in unread.reasons[0]


def test_too_few_replies_are_inconclusive():
    gate = feed(one(), EQUAL)
    for _ in range(10):
        gate.add({"g": (0.0, None)}, lost=True)
    assert gate.verdict().verdict == "inconclusive"
    assert "only 86% of the candidate's calls got a reply" in gate.verdict().reasons[0]


def test_lopsided_failures_are_noted_and_balanced_ones_are_not():
    gate = feed(one(), [(0.0, 0.0)] * 200)
    for _ in range(9):
        gate.add_failure(both=False)
        gate.add({"g": (0.0, None)}, lost=True)
        gate.add_failure(both=True)
    assert gate.verdict().notes == ()
    lopsided = feed(one(), [(0.0, 0.0)] * 200)
    for _ in range(9):
        lopsided.add({"g": (0.0, None)}, lost=True)
    assert "9 candidate, 0 baseline; that the candidate loses more" in lopsided.verdict().notes[0]
    assert lopsided.verdict().verdict == "pass"


def test_an_unreadable_candidate_counts_as_the_worst_score_and_an_unreadable_baseline_not_at_all():
    row = feed(one(), [*[(0.0, 0.0)] * 57, (0.0, None), (None, 0.0), (None, None)]).verdict().rows[0]
    assert row.n == 58
    assert row.candidate == pytest.approx(1 / 58, abs=1e-6)
    higher = feed(one(Rail(direction="higher")), [*[(1.0, 1.0)] * 19, (1.0, None)]).verdict().rows[0]
    assert higher.candidate == 0.95


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan")])
def test_scores_off_the_scale_are_refused_and_leave_no_trace(score):
    gate = Gate({"a": Rail(), "b": Rail()})
    before = gate.evidence()
    with pytest.raises(InputError, match=r"guardrail b: score .* outside"):
        gate.add({"a": (0.0, 1.0), "b": (0.0, score)})
    assert gate.evidence() == before


def test_unknown_guardrails_are_refused():
    with pytest.raises(InputError, match="'x'"):
        one().add({"x": (0.0, 0.0)})


@pytest.mark.parametrize(
    ("guardrails", "rules", "message"),
    [
        ({}, Rules(), "guardrail to judge"),
        ({"g": Rail(margin=1.0)}, Rules(), "margin 1.0"),
        ({"g": Rail(margin=-0.1)}, Rules(), "margin -0.1"),
        ({"g": Rail()}, Rules(mode="absolute"), "has no limit"),
        ({"g": Rail(limit=1.0)}, Rules(mode="absolute"), "limit 1.0"),
    ],
)
def test_gates_that_could_never_decide_are_refused(guardrails, rules, message):
    with pytest.raises(InputError, match=message):
        Gate(guardrails, rules)


scores = st.none() | st.sampled_from([0.0, 1.0, 0.5]) | st.floats(0, 1)
rails = {"a": Rail(), "b": Rail("accuracy", "higher", 0.05, 0.5), "c": Rail("words", "lower", 0.3, 0.9)}
pairs = st.lists(st.dictionaries(st.sampled_from("abc"), st.tuples(scores, scores)), max_size=60)


@settings(max_examples=60)
@given(pairs, st.integers(0, 5), st.booleans())
def test_the_verdict_is_derived_again_byte_by_byte(stream, lost, absolute):
    mine = {"b": rails["b"], "c": rails["c"]} if absolute else rails
    gate = Gate(mine, Rules(mode="absolute" if absolute else "paired", minimum=10))
    for item in stream:
        gate.add({name: pair for name, pair in item.items() if name in mine})
    for i in range(lost):
        gate.add_failure(both=i % 2 == 0)
        gate.add(dict.fromkeys(mine, (0.25, None)), lost=True)
    travelled = loads(dumps(gate.evidence()))
    assert dumps(resume(travelled).verdict().document()) == dumps(gate.verdict().document())
    assert dumps(resume(travelled).evidence()) == dumps(gate.evidence())


def test_resumed_evidence_continues_as_if_never_stopped():
    rng = random.Random(6)
    stream = [{"a": (binary(rng, 0.2), binary(rng, 0.5)), "b": (rng.random(), rng.random())} for _ in range(120)]
    whole, half = Gate(rails), Gate(rails)
    for item in stream:
        whole.add(item)
    for item in stream[:50]:
        half.add(item)
    half = resume(loads(dumps(half.evidence())))
    for item in stream[50:]:
        half.add(item)
    assert half.verdict() == whole.verdict()


def test_evidence_of_400_pairs_and_four_guardrails_is_small():
    rng = random.Random(1)
    gate = Gate({f"suite/metric-{i}": Rail(f"metric-{i}") for i in range(4)})
    for _ in range(400):
        gate.add({f"suite/metric-{i}": (rng.random(), rng.random()) for i in range(4)})
    assert len(dumps(gate.evidence())) < 4096


def edited(path, value):
    gate = feed(one(), [*WORSE[:20], *EQUAL[:20]])
    document = copy.deepcopy(json.loads(dumps(gate.evidence())))
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["v"], 2),
        (["v"], True),
        (["pairs"], 39),
        (["pairs"], 10**12),
        (["pairs"], 10**400),
        (["pairs"], -1),
        (["failures"], []),
        (["failures", "both"], "0"),
        (["rules", "mode"], "lenient"),
        (["rules", "alpha"], 7),
        (["rules", "alpha"], 0),
        (["rules", "floor"], None),
        (["guardrails"], []),
        (["guardrails", 0], "g"),
        (["guardrails", 0, "harms"], "40="),
        (["guardrails", 0, "harms"], "20=20+!"),
        (["guardrails", 0, "harms"], ["="]),
        (["guardrails", 0, "candidate"], 0),
        (["guardrails", 0, "baseline"], 1000),
        (["guardrails", 0, "unscored"], [0]),
        (["guardrails", 0, "unscored"], [1, 0]),
        (["guardrails", 0, "unscored"], [0, 41]),
        (["guardrails", 0, "direction"], "higher"),
        (["guardrails", 0, "direction"], "sideways"),
        (["guardrails", 0, "margin"], 1.5),
        (["guardrails", 0, "limit"], "none"),
    ],
)
def test_edited_evidence_is_refused(path, value):
    with pytest.raises((InputError, RefusedError)):
        resume(edited(path, value)).verdict()


@pytest.mark.parametrize("evidence", [None, [], "x", {}, {"v": 1}])
def test_what_is_no_evidence_is_refused(evidence):
    with pytest.raises(InputError, match="evidence"):
        resume(evidence).verdict()


def test_one_name_twice_is_refused():
    document = edited(["v"], 1)
    document["guardrails"] *= 2
    with pytest.raises(InputError, match="twice"):
        resume(document).verdict()


def final(rng, harm, canaries, budget):
    """Verdicts of canaries that ask after every pair; two guardrails, one harmed by ``harm``."""
    verdicts = []
    for _ in range(canaries):
        gate = Gate({"a": Rail(), "b": Rail()}, Rules(minimum=20))
        while gate.pairs < budget and gate.decision == "inconclusive":
            gate.add({"a": (binary(rng, 0.03), binary(rng, 0.03 + harm)), "b": (binary(rng, 0.03), binary(rng, 0.03))})
        verdicts.append(gate.decision)
    return verdicts


def test_asking_after_every_pair_keeps_both_error_rates():
    verdicts = final(random.Random(13), 0.15, 200, 300)
    allowed = binom.ppf(0.999, 200, 0.05)
    assert verdicts.count("pass") <= allowed
    assert verdicts.count("fail") <= allowed


def test_equal_candidates_pass_and_flattering_ones_fail():
    rng = random.Random(14)
    assert final(rng, 0.0, 50, 400).count("pass") >= 49
    assert final(rng, 0.42, 50, 400).count("fail") == 50


def lossy(gate, every, pairs, pair=(0.0, 0.0)):
    """Every so many'th call of the candidate alone is lost."""
    for number in range(1, pairs + 1):
        if number % every:
            gate.add({"g": pair})
        else:
            gate.add({"g": (pair[0], None)}, lost=True)
    return gate


@pytest.mark.parametrize("rail", [Rail(margin=0.02), Rail(direction="higher", margin=0.02)])
def test_a_candidate_that_loses_more_replies_than_the_margin_never_passes(rail):
    pair = (0.0, 0.0) if rail.direction == "lower" else (1.0, 1.0)
    result = lossy(one(rail, minimum=150), 11, 2000, pair).verdict()
    assert result.verdict == "inconclusive"
    assert result.rows[0].candidate == pytest.approx(0.091 if rail.direction == "lower" else 0.909, abs=0.001)
    assert any("181 candidate, 0 baseline" in reason for reason in result.reasons)
    # Without losses this many pairs prove it.
    assert feed(one(rail, minimum=150), [pair] * 1000).decision == "pass"


def test_losses_within_the_margin_do_not_block_a_pass():
    assert lossy(one(minimum=150), 25, 300).decision == "pass"


def test_lost_replies_are_no_proof_of_harm():
    gate = lossy(one(Rail(margin=0.01)), 11, 3000)
    row = gate.verdict().rows[0]
    assert (gate.decision, row.e_value) == ("inconclusive", 1.0)
    assert row.low < 0
    assert row.high > 0.01
    assert feed(lossy(one(), 20, 60), WORSE).decision == "fail"


def test_a_reply_lost_by_the_baseline_bears_on_nothing():
    gate = feed(one(minimum=50), EQUAL)
    for _ in range(5):
        gate.add_failure(both=False)
    assert (gate.decision, gate.verdict().rows[0].n, gate.pairs) == ("pass", 60, 60)


def test_losses_count_against_the_limit_of_a_first_release():
    gate = one(Rail(limit=0.05), mode="absolute", minimum=150)
    assert lossy(gate, 11, 2000, (None, 0.0)).decision == "inconclusive"
    assert feed(one(Rail(limit=0.05), mode="absolute", minimum=150), [(None, 0.0)] * 1000).decision == "pass"


def test_evidence_without_a_lost_reply_stays_readable_to_older_versions():
    assert feed(one(), EQUAL).evidence()["v"] == 1
    document = json.loads(dumps(lossy(one(), 11, 60).evidence()))
    assert (document["v"], document["failures"]["candidate"]) == (2, 0)
    assert resume(document).verdict().rows[0].n == 60


def test_older_evidence_keeps_its_verdict():
    """Version 1 left pairs out that the candidate alone had lost."""
    document = json.loads(dumps(feed(one(minimum=150), [(0.0, 0.0)] * 150).evidence()))
    document["failures"]["candidate"] = 12
    assert resume(document).verdict().verdict == "pass"
    document["failures"]["candidate"] = 20
    assert resume(document).verdict().verdict == "inconclusive"
    assert json.loads(dumps(resume(document).evidence())) == document


@pytest.mark.parametrize("lost", [None, 7, "", "61=", "60.", "59=-", "60=="])
def test_edited_losses_are_refused(lost):
    document = json.loads(dumps(lossy(one(), 11, 60).evidence()))
    document["lost"] = lost
    with pytest.raises(InputError):
        resume(document).verdict()


def hostile(guardrails, pairs, harms=None):
    """Evidence that says much in few bytes."""
    document = json.loads(dumps(one().evidence()))
    rail = {**document["guardrails"][0], "harms": harms or f"{pairs}="}
    return {**document, "pairs": pairs, "guardrails": [{**rail, "name": f"g{n}"} for n in range(guardrails)]}


@pytest.mark.parametrize(("guardrails", "pairs"), [(20, 100_000), (2, 100_001), (1, 200_001), (101, 10)])
def test_more_evidence_than_any_canary_writes_is_refused_before_it_is_read(guardrails, pairs, monkeypatch):
    def expanded(*_):
        raise AssertionError("expanded")

    monkeypatch.setattr("promptops.evaluation.gate_evidence.decode", expanded)
    with pytest.raises(RefusedError, match="no canary has more than"):
        resume(hostile(guardrails, pairs))


def test_as_much_evidence_as_a_canary_may_write_is_read():
    assert resume(hostile(100, 2000)).decision == "pass"


def test_more_guardrails_than_can_be_verified_are_refused_at_the_start():
    with pytest.raises(InputError, match="101 guardrails"):
        Gate({f"g{n}": Rail() for n in range(101)})


@pytest.mark.parametrize("value", [10**7, -1, 1.5, "1", None])
def test_failures_beyond_reason_are_refused(value):
    with pytest.raises(InputError, match="'both'"):
        resume(edited(["failures", "both"], value)).verdict()
