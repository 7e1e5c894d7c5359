"""Two proportions compared exactly, block by block: for events too rare for a normal limit.

Source: Turner, Ly & Grunwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
stopping", Journal of Statistical Planning and Inference 230, 2024 (arXiv 2106.02693), the 2x2 case with the plug-in of
a beta prior, and Turner & Grunwald, "Exact anytime-valid confidence intervals for contingency tables and beyond",
Statistics & Probability Letters 198, 2023 (arXiv 2203.09785), for nulls with a margin.

One block (such as a day) multiplies the wealth by the likelihood under rates fitted to the earlier blocks, over that
under the closest rates q that obey the null, closest by ``n_c KL(p_c, q_c) + n_b KL(p_b, q_b)``; until both arms were
seen there is nothing to bet on. The factor's mean is at most 1 for all rates in a convex null and all block sizes: it
is at most the weighted arithmetic mean of the two arms' single factors, to the power of the block's size, and that
mean is at most 1 because q is the minimum.

Assumptions: units are independent, in a block's arms at the same time; a block's sizes do not depend on its own
outcomes. The rates may change between blocks as long as the null holds in each.
"""

from __future__ import annotations

from math import exp, isfinite, log
from typing import TYPE_CHECKING, NamedTuple

from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Iterable

# Pseudo-events of either kind in each arm before the first block, as the authors recommend.
_PRIOR = 0.18
_BISECTIONS = 60


class Block(NamedTuple):
    """Events among the units of each arm in one block."""

    canary: int
    canary_units: int
    baseline: int
    baseline_units: int


def e_values(blocks: Iterable[Block], *, margin: float = 0.0, greater: bool | None = None) -> list[float]:
    """Return the e-process after each block, each value at most `E_VALUE_CAP`.

    Args:
        blocks: in order of time, each seen whole; the order may not depend on outcomes.
        margin: difference of the rates at the edge of the null, in (-1, 1).
        greater: True tests "canary - baseline <= margin", False ">= margin", None "the rates are equal".

    Returns:
        One value for each block; the null is rejected at level alpha from the first that is >= 1/alpha on.

    Raises:
        ValueError: for impossible counts or a margin outside its range, or one with ``greater=None``.
    """
    if not (isfinite(margin) and -1 < margin < 1):
        raise ValueError(f"a difference of rates lies strictly between -1 and 1, not at {margin}")
    if greater is None and margin:
        raise ValueError("a margin needs a direction: greater=True or greater=False")
    wealth: float = 0.0
    path: list[float] = []
    seen = Block(0, 0, 0, 0)
    for block in blocks:
        _check(block)
        if seen.canary_units and seen.baseline_units:
            wealth += _gain(block, _fitted(seen), margin, greater=greater)
        path.append(exp(min(wealth, log(E_VALUE_CAP))))
        seen = Block(*(old + new for old, new in zip(seen, block, strict=True)))
    return path


def e_value(blocks: Iterable[Block], *, margin: float = 0.0, greater: bool | None = None) -> float:
    """Return the last of `e_values`; 1, the wealth before any bet, for no blocks.

    Raises:
        ValueError: as `e_values`.
    """
    return [1.0, *e_values(blocks, margin=margin, greater=greater)][-1]


def _fitted(seen: Block) -> tuple[float, float]:
    """Return the two rates as the earlier blocks and the prior suggest them, strictly between 0 and 1."""
    return (
        (seen.canary + _PRIOR) / (seen.canary_units + 2 * _PRIOR),
        (seen.baseline + _PRIOR) / (seen.baseline_units + 2 * _PRIOR),
    )


def _gain(block: Block, rates: tuple[float, float], margin: float, *, greater: bool | None) -> float:
    """Return the logarithm of a block's factor."""
    difference = rates[0] - rates[1]
    holds = (greater is True and difference <= margin) or (greater is False and difference >= margin)
    if holds or not block.canary_units or not block.baseline_units:
        # The closest null rates are the fitted ones: nothing to bet on.
        return 0.0
    nulls = _closest(rates, (block.canary_units, block.baseline_units), margin)
    counts = ((block.canary, block.canary_units), (block.baseline, block.baseline_units))
    return sum(
        events * log(p / q) + (units - events) * log((1 - p) / (1 - q))
        for (events, units), p, q in zip(counts, rates, nulls, strict=True)
    )


def _closest(rates: tuple[float, float], sizes: tuple[int, int], margin: float) -> tuple[float, float]:
    """Return the rates q with difference ``margin`` that minimise the sizes' sum of KL(p, q), by bisection.

    The derivative by q is ``n (q - p) / (q (1 - q))`` for each arm, rising in q.
    """
    if not margin:
        both = (sizes[0] * rates[0] + sizes[1] * rates[1]) / sum(sizes)
        return both, both
    low, high = max(0.0, -margin), min(1.0, 1.0 - margin)
    for _ in range(_BISECTIONS):
        q = (low + high) / 2
        slope = sum(n * (at - p) / (at * (1 - at)) for n, p, at in zip(sizes, rates, (q + margin, q), strict=True))
        if slope > 0:
            high = q
        else:
            low = q
    q = (low + high) / 2
    return q + margin, q


def _check(block: Block) -> None:
    for events, units in ((block.canary, block.canary_units), (block.baseline, block.baseline_units)):
        if any(isinstance(count, bool) or not isinstance(count, int) for count in (events, units)):
            raise ValueError(f"events and units are whole numbers, not {events!r} and {units!r}")
        if not 0 <= events <= units:
            raise ValueError(f"events are between none and all of the units, not {events} of {units}")
