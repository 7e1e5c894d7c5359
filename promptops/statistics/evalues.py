"""Combining e-values of several guardrails.

How the error probability alpha is spent. A false *pass* needs a truly harmful guardrail to be proved harmless; a pass
asks every guardrail for its own proof at alpha, so the whole is an intersection-union test of level alpha and needs no
correction (Berger, Technometrics 24(4), 1982). A false *fail* could come from any of the guardrails, so their
e-values are averaged, which is an e-value under arbitrary dependence (Vovk & Wang, "E-values: calibration, combination
and applications", Annals of Statistics 49(3), 2021, section 3), and the mean is compared with 1/alpha.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from promptops.statistics.betting import plain_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

# Beyond this an e-value says nothing more, and it still fits JSON.
E_VALUE_CAP = 10**12


def mean_e_value(e_values: Sequence[float]) -> float:
    """Return the e-value against "every null is true": the arithmetic mean; 1 for none."""
    return plain_sum(e_values) / len(e_values) if e_values else 1.0


def adjusted_e_values(e_values: Sequence[float]) -> list[float]:
    """Return e-values for the single nulls that are valid together (family-wise), in the given order.

    Closed testing with means (Vovk & Wang 2021, algorithm 1): the least mean over all sets that hold the null, so
    never more than `mean_e_value`. A mean may reach 1/alpha while no single guardrail is proved harmed.
    """
    ascending = sorted(e_values)
    adjusted = []
    for e in e_values:
        total, least = e, e
        others = list(ascending)
        others.remove(e)
        for size, other in enumerate(others, start=2):
            total += other
            least = min(least, total / size)
        adjusted.append(least)
    return adjusted


def imbalance_e_value(left: int, right: int) -> float:
    """Return the e-value against "an event falls on either side with probability 1/2" from counts of events.

    Robbins' mixture over a uniform prior: 2^n / ((n + 1) C(n, left)); an e-process in n.
    """
    n = left + right
    ways = (n + 1) * comb(n, left)
    return 2**n / ways if 2**n < ways * E_VALUE_CAP else float(E_VALUE_CAP)
