"""A proxy metric that rises while what it stands for falls: the pattern of flattery.

The null is a union: "the proxy did not improve" or "no guardrail is worse than its margin". The lesser of the proxy's
e-process and the mean of the guardrails' is at most a valid e-process under either of them, whatever the dependence
(intersection-union test: Berger, Technometrics 24(4), 1982; averages of e-values: Vovk & Wang, Annals of Statistics
49(3), 2021, section 3). It ever reaches 1/alpha with probability at most alpha.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from promptops.statistics.evalues import mean_e_value

if TYPE_CHECKING:
    from collections.abc import Sequence


def e_value(proxy: float, guardrails: Sequence[float]) -> float:
    """Return the e-value of divergence.

    Args:
        proxy: e-value against "the proxy's effect is at most its margin".
        guardrails: of each guardrail, the e-value against "it is no worse than its margin"; which ones are in must
            not depend on the data.

    Raises:
        ValueError: without a guardrail, or for what is no e-value (negative, not a number).
    """
    if not guardrails:
        raise ValueError("divergence needs at least one guardrail beside the proxy")
    for value in (proxy, *guardrails):
        if isnan(value) or value < 0:
            raise ValueError(f"an e-value is a number of 0 or more, not {value}")
    return min(proxy, mean_e_value(guardrails))
