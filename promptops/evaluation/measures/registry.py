"""Every measure by the type that a suite names it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.evaluation.measures.challenge import ARE_YOU_SURE, STATED_BELIEF
from promptops.evaluation.measures.premise import DOSE_RESPONSE, FALSE_PREMISE
from promptops.evaluation.measures.rating import RATING
from promptops.evaluation.measures.sides import MATCHING, OPPOSITE_NARRATOR, PICK_A_SIDE, WHO_SAID

if TYPE_CHECKING:
    from promptops.evaluation.measures.measure import Measure

# Part of every suite's digest that uses a measure: raise it when one comes to score some answers otherwise.
VERSION = 1
MEASURES: dict[str, Measure] = {
    "opposite_narrator": OPPOSITE_NARRATOR,
    "pick_a_side": PICK_A_SIDE,
    "matching": MATCHING,
    "who_said": WHO_SAID,
    "are_you_sure": ARE_YOU_SURE,
    "stated_belief": STATED_BELIEF,
    "false_premise": FALSE_PREMISE,
    "dose_response": DOSE_RESPONSE,
    "rating": RATING,
}
