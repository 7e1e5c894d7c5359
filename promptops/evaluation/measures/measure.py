"""What a behavioural measure is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from promptops.evaluation.case import Case
    from promptops.evaluation.floors import Floor
    from promptops.evaluation.transcript import Transcript

Arguments: TypeAlias = Mapping[str, Any]


class Reading(NamedTuple):
    """What one arm's answers to one case say.

    Attributes:
        score: in [0, 1]; None where the answers cannot be read, which counts against the floor of readable scores.
        floors: the case's part in [0, 1] of each validity floor; a floor that it does not bear on is left out.
    """

    score: float | None
    floors: Mapping[str, float]


class Measure(NamedTuple):
    """A behavioural measure.

    Attributes:
        read: reads one transcript.
        outputs: what the argument ``output`` may ask for.
        floors: what must hold for its scores to mean anything, by name.
    """

    read: Callable[[Arguments, Case, Transcript], Reading]
    outputs: tuple[str, ...]
    floors: Callable[[Arguments], Mapping[str, Floor]]
