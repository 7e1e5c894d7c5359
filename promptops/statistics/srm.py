"""Sample ratio mismatch, watched at every look: do the arms get the units that their weights promise?

Source: Lindon & Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022 (arXiv 2011.03567): the Bayes
factor of a Dirichlet prior, centred on the promised shares, over those shares. An e-process: under the promised shares
it ever reaches 1/alpha with probability at most alpha.

Assumption: units come to an arm independently with these shares. When weights change, count anew from there and
multiply (`over_stages`); canary and baseline have equal weights in most stages, so that [1, 1] serves all of these.
"""

from __future__ import annotations

from math import exp, fsum, isfinite, lgamma, log
from typing import TYPE_CHECKING

from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Finds 60/40 instead of 50/50 after about 480 units at alpha 0.001 (10^4: 2,060); larger finds less in more units.
KAPPA = 100.0


def e_value(counts: Sequence[int], weights: Sequence[float], kappa: float = KAPPA) -> float:
    """Return the e-value against "units fall to the arms in proportion to the weights", at most `E_VALUE_CAP`.

    Args:
        counts: units of each arm, at least two arms.
        weights: of each arm, in any unit; an arm of weight 0 may have no unit.
        kappa: the prior's concentration on the promised shares, above 0.

    Raises:
        ValueError: for negative or broken counts, weights that are not finite or all 0, lists of unequal length.
    """
    return _capped(_log_e_value(counts, weights, kappa))


def over_stages(stages: Iterable[tuple[Sequence[int], Sequence[float]]], kappa: float = KAPPA) -> float:
    """Return the e-value over stages with weights of their own: the product, at most `E_VALUE_CAP`; 1 for none.

    Each factor has mean at most 1 given the stages before it.

    Args:
        stages: counts of the units first seen in the stage, and its weights, as in `e_value`.
        kappa: as in `e_value`.

    Raises:
        ValueError: as `e_value`.
    """
    return _capped(fsum(_log_e_value(counts, weights, kappa) for counts, weights in stages))


def _capped(logarithm: float) -> float:
    return exp(min(logarithm, log(E_VALUE_CAP)))


def _log_e_value(counts: Sequence[int], weights: Sequence[float], kappa: float) -> float:
    _check(counts, weights, kappa)
    whole = fsum(weights)
    if any(count and not weight for count, weight in zip(counts, weights, strict=True)):
        return log(E_VALUE_CAP)
    shares = [(count, weight / whole) for count, weight in zip(counts, weights, strict=True) if weight]
    n = sum(counts)
    return fsum(
        [
            lgamma(kappa) - lgamma(kappa + n),
            *(lgamma(kappa * share + count) - lgamma(kappa * share) - count * log(share) for count, share in shares),
        ]
    )


def _check(counts: Sequence[int], weights: Sequence[float], kappa: float) -> None:
    if len(counts) != len(weights) or len(counts) < 2:
        raise ValueError(f"two or more arms have a count and a weight each, not {len(counts)} and {len(weights)}")
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in counts):
        raise ValueError(f"counts are whole numbers of 0 or more, not {list(counts)}")
    if not all(isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(f"weights are finite numbers of 0 or more, one of them above 0, not {list(weights)}")
    if not (isfinite(kappa) and kappa > 0):
        raise ValueError(f"kappa is a positive number, not {kappa}")
